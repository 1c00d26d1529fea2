"""What an explanation holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """A window of a picture and what it contributed.

    Attributes:
        top, left, height, width: of the window, as fractions of the picture.
        value: its share of what the picture's removal costs, which is `Contribution.removal`; where windows were
            covered, of what covering all of it costs.
    """

    top: float
    left: float
    height: float
    width: float
    value: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one thing that is known of an entity contributed to the score.

    Attributes:
        modality: "structure" (the learned row), "image", "text", "numeric" …
        key: which picture, sentence or attribute; of the structure, who lends rows to it, else empty.
        value: its part of the difference; those of an entity sum to `Parts.difference`.
        share: value / Σ |values| of the entity, in −1 … 1.
        removal: what the score loses when this alone is taken away.
        attention: the weight that the model gives it, among those of its kind; None where it has none.
        patches: what each window of a picture contributed; empty where that cannot be said.
    """

    modality: str
    key: str
    value: float
    share: float
    removal: float
    attention: float | None = None
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotWeight:
    """A slot (a feature row of a picture, or of the words) as a sampler's attention weighs it; means over who looks.

    Attributes:
        key: which picture or sentence, as features name it; empty for all slots together that hold none.
        independent: whatever the relation, 0 … 1; those of the slots sum to 1.
        guided: under the relation, −1 … 1: of each that looks, its weight over the sum of its absolute weights.
        independent_by, guided_by: the weights themselves, of each that looks; softmax(C) and G(r) ∘ C.
        window: of a picture, (top, left, height, width) as fractions; None where the slot is no window.
    """

    key: str
    independent: float
    guided: float
    independent_by: tuple[float, ...]
    guided_by: tuple[float, ...]
    window: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class SlotAttention:
    """How slots of one modality look at those of another.

    Attributes:
        modality: whose slots are looked at; slots: they, in the order of the features.
        by: the modality whose slots look; by_keys: they; empty where an empty slot stands in for them.
    """

    modality: str
    slots: tuple[SlotWeight, ...]
    by: str
    by_keys: tuple[str, ...]

    def owners(self) -> dict[str, list[SlotWeight]]:
        """The slots by what they are of: the file of a picture, "text"; "" for the empty ones."""
        found: dict[str, list[SlotWeight]] = {}
        for one in self.slots:
            found.setdefault(one.key.partition("#")[0] if self.modality == "image" else one.key, []).append(one)
        return found

    def foremost(self, count: int = 8) -> tuple[list[SlotWeight], list[SlotWeight]]:
        """The slots that are looked at most, as they stand, and the rest; all where there is hardly a rest."""
        if len(self.slots) <= count + 1:
            return list(self.slots), []
        most = sorted(self.slots, key=lambda one: -(one.independent + abs(one.guided)))[:count]
        return [one for one in self.slots if one in most], [one for one in self.slots if one not in most]


@dataclass(frozen=True, slots=True)
class Parts:
    """How the score divides among what is known of one entity.

    Attributes:
        entity, label: which; role: "asked" (the answer) or "given".
        baseline: the score if nothing were known of it, its vector zero.
        score: with all that is known.
        method: "exact" where the parts do not interact, so that each adds the same whatever else is known; "shapley"
            where they do: the mean of what each adds over all orders; "sampled": over some orders.
        contributions: largest first.
        sampler_attention: of the training sampler to the entity's pictures and words; it has no part in the score.
    """

    entity: str
    label: str
    role: str
    baseline: float
    score: float
    method: str
    contributions: tuple[Contribution, ...]
    sampler_attention: tuple[SlotAttention, ...] = ()

    @property
    def difference(self) -> float:
        """What all contributions sum to."""
        return self.score - self.baseline


@dataclass(frozen=True, slots=True)
class NearFact:
    """A training fact of the same relation; similarity is the mean cosine of the two heads and the two tails."""

    head: str
    head_label: str
    tail: str
    tail_label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a fact has its score, as the answer to the question that leaves out `side`.

    Attributes:
        head, relation, tail: names; side: "tail" or "head".
        score: of the answer; rank: its place among all entities, 1 the best; entities: how many there are.
        probability: where the predictor is calibrated.
        known: whether the graph has the fact.
        terms: for models with several views of an entity, the score terms that sum to the score.
        asked, given: the parts of the answer and of the entity in the question.
        facts: training facts nearest to this one, nearest first.
        heat: how windows of pictures were looked at, or why they were not; empty where no picture counts.
        sampler_attention: what the attention of the training sampler is, or why it is not shown; empty where the
            sampler has none.
    """

    head: str
    relation: str
    tail: str
    side: str
    score: float
    rank: int
    entities: int
    probability: float | None
    known: bool
    terms: dict[str, float]
    asked: Parts
    given: Parts
    facts: tuple[NearFact, ...]
    heat: str = ""
    sampler_attention: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything, as `pictokg explain --json` prints it."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return found | {
            "asked": _parts(self.asked),
            "given": _parts(self.given),
            "facts": [_fields(fact) for fact in self.facts],
        }


def _parts(parts: Parts) -> dict[str, Any]:
    contributions = [
        _fields(one) | {"patches": [_fields(patch) for patch in one.patches]} for one in parts.contributions
    ]
    attention = [_fields(one) | {"slots": [_fields(slot) for slot in one.slots]} for one in parts.sampler_attention]
    return _fields(parts) | {
        "difference": parts.difference,
        "contributions": contributions,
        "sampler_attention": attention,
    }


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}

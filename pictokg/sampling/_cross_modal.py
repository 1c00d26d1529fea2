"""What `mmrns` and `mmrns_plus` share: the tables they read, the pool of a step, and how alike its entities are."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pictokg.errors import ConfigError, DataWarning
from pictokg.features.table import FeatureTable
from pictokg.fusion.gather import gather
from pictokg.fusion.slots import SlotRows
from pictokg.graph.query import Query, Side
from pictokg.sampling._drawing import known_among
from pictokg.sampling._needs import refuse_negative
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.fusion.cross_modal import CrossModalAttention, Guidance, Independent
    from pictokg.models.base import Model

PAIRS = 1 << 15  # of a candidate and a relation, attended at once; what is inside is computed again backwards
Unit = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class StepPool:
    """The candidates that a step's questions share.

    Attributes:
        step: which step's; ids: ascending, (P,); static: their vectors (P, [views,] width); entities: attended as far
            as no relation is needed.
    """

    step: int
    ids: Tensor
    static: Tensor
    entities: Independent


@dataclass(frozen=True, slots=True)
class Looks:
    """How slots of one modality (queries) weigh those of the other (keys), for some entities.

    Attributes:
        independent: softmax(C), whatever the relation; a query's sum to 1, (n, queries, keys).
        guided: G(r) ∘ C, not normalised, of either sign, (n, queries, keys).
        queries: which slots look, (n, queries); keys: which of those looked at are filled, (n, keys).
    """

    independent: Float[Tensor, "n queries keys"]
    guided: Float[Tensor, "n queries keys"]
    queries: Bool[Tensor, "n queries"]
    keys: Bool[Tensor, "n keys"]


class CrossModalSampler(nn.Module, Sampler):
    """A sampler that compares candidates with the answer by pictures, words and structure under the relation.

    Subclasses are dataclasses, whose fields are their options; they make `attention` in `prepare` and say how entities
    go into it.
    """

    needs = frozenset({"features"})
    negatives: int
    pool: int
    picture_table: str
    text_table: str
    picture_slots: int
    text_slots: int
    sampler_learning_rate: float
    attention: CrossModalAttention

    def __post_init__(self) -> None:
        super().__init__()
        self._shared: StepPool | None = None
        self.modalities = (self.picture_table, self.text_table)
        for name in ("negatives", "pool", "picture_slots", "text_slots", "hidden", "gate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        refuse_negative(sampler_learning_rate=self.sampler_learning_rate)

    def read_tables(self, context: Context, *, standardise: bool) -> None:
        """Take the two tables from the data; where there is only one, the other becomes one of empty slots.

        Raises:
            ConfigError: there is neither.
        """
        tables = context.data.tables
        there = tuple(name in tables for name in self.modalities)
        if not any(there):
            have = ", ".join(sorted(tables)) or "none"
            raise ConfigError(
                f"this sampler compares entities by pictures and words, and the data have no feature table"
                f" {self.picture_table!r} or {self.text_table!r} (there are: {have}); add images/ or text.tsv to the"
                " folder, name its tables (--set picture_table=… text_table=…), or choose another sampler"
            )
        if not all(there):
            has, lacks = self.modalities if there[0] else self.modalities[::-1]
            warnings.warn(
                f"the data have no feature table {lacks!r}; candidates are compared by {has!r} and structure alone",
                DataWarning,
                stacklevel=2,
            )
        self.has_pictures, self.has_words = there
        wanted = zip(self.modalities, (self.picture_slots, self.text_slots), strict=True)
        empty = np.zeros(context.data.graph.num_entities + 1, dtype=np.int64)
        nothing = FeatureTable("none", np.zeros((0, 1), dtype=np.float32), empty, [])
        self.pictures, self.words = (
            SlotRows(tables.get(name, nothing), most, standardise=standardise) for name, most in wanted
        )

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """Each triple on every side of the run; the pool of the step is drawn here, for all of them."""
        self._shared = None  # frees what the last step's pool held, before this one's is made
        asked = super().questions(triples, context)
        self._shared = self.draw_pool(context)
        return asked

    def pool_of_step(self, context: Context) -> StepPool:
        """The step's shared pool; a new one where nobody asked for this step's questions."""
        shared = self._shared
        return shared if shared is not None and shared.step == context.step else self.draw_pool(context)

    def draw_pool(self, context: Context) -> StepPool:
        """A uniform subset of the entities that may be drawn, all of them where there are no more than `pool`."""
        everyone = context.pool
        if len(everyone) > self.pool:
            drawn = torch.randperm(len(everyone), generator=context.generator, device=context.generator.device)
            everyone = everyone[drawn[: self.pool].sort().values.to(everyone.device)]
        static = self.static(everyone, context)
        return StepPool(context.step, everyone, static, self.attend(everyone, static.flatten(1), context))

    @abstractmethod
    def static(self, ids: Tensor, context: Context) -> Tensor:
        """The model's vectors of these entities, (n, [views,] width)."""

    @abstractmethod
    def attend(self, ids: Tensor, structure: Tensor, context: Context, *, answers: bool = False) -> Independent:
        """Entities as far as no relation is needed; `answers` tells whether they are what candidates are held to."""

    @abstractmethod
    def directed(self, relation: Tensor, side: Side, context: Context) -> Tensor:
        """The numbers by which `guide` tells relations apart that are asked for this side."""

    @abstractmethod
    def guide(self, relation: Tensor, model: Model) -> Guidance:
        """Gates of relations, by the numbers that `directed` gives them."""

    @abstractmethod
    def looking(self, filled: Bool[Tensor, "n slots"]) -> Bool[Tensor, "n slots"]:
        """The slots that look for an entity: the filled ones; where there is none, those that stand in for them."""

    @torch.no_grad()
    def look(self, ids: Tensor, relation: Tensor, side: Side, context: Context) -> tuple[Looks, Looks]:
        """How the attention weighs entities' pictures, and their words, each entity (n,) under its relation (n,).

        An entity is looked at as an answer on `side` is.
        """
        entities = self.attend(ids, self.static(ids, context).flatten(1), context, answers=True)
        relations = self.guide(self.directed(relation, side, context), context.model).one_each()
        shown, told = self.pictures(ids)[1], self.words(ids)[1]
        at_pictures = entities.pictures.guided(relations.of_pictures).squeeze(1)
        at_words = entities.words.guided(relations.words).squeeze(1)
        return (
            Looks(entities.pictures.weights, at_pictures, self.looking(told), shown),
            Looks(entities.words.weights, at_words, self.looking(shown), told),
        )

    def compare(
        self, pool: StepPool, answer: Tensor, relation: Tensor, context: Context
    ) -> Float[Tensor, "3 batch pool"]:
        """How alike each candidate is to each question's answer, under its relation: pictures, words, structure.

        Whatever is the same for several questions is computed once: a relation's gates and all that they do to the
        candidates, and an answer under a relation.
        """
        wanted, row = torch.stack([relation, answer]).unique(dim=1, return_inverse=True)
        distinct, of_pair = wanted[0].unique_consecutive(return_inverse=True)
        guided = self.guide(distinct, context.model)
        structure = self.static(wanted[1], context).flatten(1)
        anchors = self.attention(self.attend(wanted[1], structure, context, answers=True), guided[of_pair].one_each())
        alike = similarities(
            self.attention, pool.entities, guided, tuple(self.unit(z.squeeze(1)) for z in anchors), of_pair, self.unit
        )
        return gather(alike.transpose(0, 1), row).transpose(0, 1)

    def unit(self, vectors: Tensor) -> Tensor:
        """Vectors over their norms, so that a product of two is their cosine."""
        return nn.functional.normalize(vectors.float(), dim=-1)


def similarities(
    attention: CrossModalAttention,
    candidates: Independent,
    relations: Guidance,
    anchors: tuple[Tensor, ...],
    relation_of: Int[Tensor, " anchors"],
    unit: Unit,
) -> Float[Tensor, "3 anchors candidates"]:
    """Cosines of anchors, of one relation each, with candidates under that relation.

    Candidates are taken in chunks of PAIRS pairs with a relation. Where there are several, what is inside a chunk is
    not kept for the backward pass but computed again.

    Args:
        attention: the module; candidates, relations: what it pairs.
        anchors: z_v, z_t, z_s of the anchors, at norm 1; relation_of: their relations, ascending places in `relations`.
        unit: how to bring a candidate's z to norm 1.
    """
    sizes = torch.bincount(relation_of, minlength=relations.gate.shape[1]).tolist()
    groups = [anchor.float().split(sizes) for anchor in anchors]

    def chunk(start: int, stop: int) -> Tensor:
        alike = []
        for z, of_relation in zip(attention(candidates[start:stop], relations), groups, strict=True):
            with torch.autocast(z.device.type, enabled=False):
                shown = unit(z).transpose(0, 1).contiguous().unbind()
                alike.append(torch.cat([own @ each.T for own, each in zip(of_relation, shown, strict=True)]))
        return torch.stack(alike)

    step = max(1, PAIRS // max(1, len(sizes)))
    if step >= len(candidates):
        return chunk(0, len(candidates))
    starts = range(0, len(candidates), step)
    parts = [checkpoint(chunk, start, start + step, use_reentrant=False, preserve_rng_state=False) for start in starts]
    return torch.cat(parts, dim=2)


def answers_among(query: Query, answer: Tensor, pool: Tensor, context: Context) -> Bool[Tensor, "batch pool"]:
    """True where a candidate of the (ascending) pool is a known answer of the question, or its answer itself."""
    marked = pool == answer.unsqueeze(1)
    marked[known_among(query, pool, context)] = True
    return marked


def refuse_not_positive(**options: float) -> None:
    """ConfigError for an option that is not above 0."""
    for name, value in options.items():
        if not value > 0:
            raise ConfigError(f"{name} must be above 0; got {value}")


def wrong_relations(query: Query, count: int, context: Context) -> Negatives:
    """For (h, ?, t) there is nothing to compare: relations drawn uniformly, known ones with weight 0."""
    relations = pool_of(query, context)
    ids = relations[context.random_integers(len(relations), (len(query), count))]
    return Negatives(ids, weight=1.0 - context.known.contains(query, ids).float())

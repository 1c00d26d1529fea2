"""What a report shows: plain values, from wherever they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one model did.

    Attributes:
        name: what to call it, unlike the others'.
        modalities: what it learns from: "structure", "image", "text" …
        settings: its choices in a line.
        history: a record an epoch, as in metrics.jsonl: epoch, loss, seconds, perhaps validation.
        evaluation: the evaluation report as a dictionary; None before it was evaluated.
        seconds: of training with validation; None where nobody took the time.
    """

    name: str
    modalities: tuple[str, ...] = (STRUCTURE,)
    settings: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    evaluation: Mapping[str, Any] | None = None
    seconds: float | None = None

    @property
    def is_multimodal(self) -> bool:
        """Whether it learns from more than triples."""
        return any(modality != STRUCTURE for modality in self.modalities)

    def metric(self, name: str, group: str | None = None, key: str | None = None) -> float | None:
        """Look up a figure of all questions, or of a key of a group; None where there is none."""
        found = self.evaluation or {}
        metrics = found.get("metrics") if group is None else (found.get(group) or {}).get(key)
        return (metrics or {}).get(name)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as people see it; pictures are data URIs."""

    name: str
    label: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact that no split has and the model scores high."""

    head: Entity
    relation: str
    tail: Entity
    score: float


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The sizes of a data set; `pictured` and `described` count entities, `pictures` counts files."""

    name: str
    entities: int
    relations: int
    splits: Mapping[str, int]
    pictures: int = 0
    pictured: int = 0
    described: int = 0

    @staticmethod
    def of(data: Dataset) -> DataSummary:
        """Count."""
        pictures = [len(data.pictures.get(name, ())) for name in data.graph.entities.names]
        return DataSummary(
            name=data.name,
            entities=data.graph.num_entities,
            relations=data.graph.num_relations,
            splits={name: len(triples) for name, triples in data.graph.splits.items()},
            pictures=sum(pictures),
            pictured=sum(map(bool, pictures)),
            described=sum(bool(data.text_of(name)) for name in data.graph.entities.names),
        )


@dataclass(frozen=True, slots=True)
class Content:
    """All of a report.

    Attributes:
        title: its headline; models: in the order to show them.
        data: what they learned; relation_labels: relation name → words.
        new_facts: of the model `predicted_by`.
        seed, versions, command, time: what it takes to get the same figures again.
        notes: sentences the reader must know.
    """

    title: str
    models: Sequence[ModelResult]
    data: DataSummary
    seed: int
    versions: Mapping[str, str]
    command: str
    time: str
    relation_labels: Mapping[str, str] = field(default_factory=dict)
    new_facts: Sequence[NewFact] = ()
    predicted_by: str = ""
    notes: Sequence[str] = ()

    def best(self, *, multimodal: bool | None = None) -> ModelResult | None:
        """Find the model with the highest MRR, of all or of those that are (not) multimodal."""
        scored = [
            model
            for model in self.models
            if model.metric("mrr") is not None and multimodal in (None, model.is_multimodal)
        ]
        return max(scored, key=lambda model: model.metric("mrr") or 0.0, default=None)

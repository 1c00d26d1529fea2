"""A run that is being served: its model, its names and its facts, indexed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError
from pictokg.prediction.calibration import calibration_of
from pictokg.prediction.candidates import ObservedTypes
from pictokg.prediction.completion import Completer, Fact, complete
from pictokg.prediction.index import make_search
from pictokg.prediction.newcomers import Reception
from pictokg.prediction.predictor import Predictor
from pictokg.serving.facts import FactIndex
from pictokg.serving.limits import PAGE, QUESTIONS, Limits
from pictokg.serving.names import NameIndex
from pictokg.serving.problems import UnknownNameError

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.models.base import Model
    from pictokg.prediction.sampler_attention import NoSamplerAttention, SamplerAttention

    Attention = SamplerAttention | NoSamplerAttention


class Served:
    """A trained model with all that the service looks up.

    Args:
        name: what requests call it.
        model: trained; data: the graph it was trained on.
        folder: of the run, where there is one: what belongs to it is kept there.
        attention: loads what the run's sampler looked at, when it is first asked for; it may have none.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        data: Dataset,
        folder: Path | None = None,
        attention: Callable[[], Attention | None] = lambda: None,
    ) -> None:
        self.name, self.model, self.data, self.folder, self._attention = name, model, data, folder, attention
        graph = data.graph
        self.predictor = Predictor(model, data)
        if folder is not None:
            self.predictor.calibration = calibration_of(folder, model, data, encode=self.predictor.encode)
        self.search = make_search(model, data, self.predictor.encode)
        self._proposals: dict[tuple[tuple[str, ...], tuple[str, ...], int], list[Fact]] = {}
        self.facts = FactIndex(graph)
        entities = graph.entities.names
        self.names = NameIndex(entities, [data.label(name) for name in entities], self.facts.degree)

    @cached_property
    def modalities(self) -> list[str]:
        """What the model sees of an entity beside its facts."""
        return sorted(self.data.tables)

    @property
    def calibrated(self) -> bool:
        """Whether answers come with probabilities."""
        return self.predictor.calibration is not None

    @cached_property
    def types(self) -> ObservedTypes:
        """The entities that each slot of a relation has been seen to hold."""
        return ObservedTypes(self.data.graph)

    def longer_types(self, graph: KnowledgeGraph) -> ObservedTypes:
        """The same types, for a graph with newcomers behind the last entity."""
        longer = copy(self.types)
        longer.num_entities = graph.num_entities
        return longer

    @cached_property
    def sampler_attention(self) -> Attention | None:
        """What the run's sampler looked at; its feature tables are in memory from now on."""
        return self._attention()

    @cached_property
    def reception(self) -> Reception:
        """What encodes entities that nobody has seen."""
        return Reception(self.model, self.data)

    def entity(self, name: str) -> int:
        """The id of an entity; UnknownNameError with the nearest names."""
        entities = self.data.graph.entities
        if name not in entities:  # asked first: the vocabulary's own error compares with every name
            raise UnknownNameError("entity", name, self.names.nearest(name))
        return entities.id(name)

    def relation(self, name: str) -> int:
        """The id of a relation; UnknownNameError with the nearest names."""
        relations = self.data.graph.relations
        if name not in relations:
            raise UnknownNameError("relation", name, self._near_relations(name))
        return relations.id(name)

    def proposals(self, relations: tuple[str, ...], entities: tuple[str, ...], per_query: int) -> list[Fact]:
        """New facts, the surest first, `PAGE` at most; the latest are remembered, because people look again."""
        key = relations, entities, per_query
        if key not in self._proposals:
            found = complete(
                self._completer, relations=relations or None, entities=entities or None, per_query=per_query, limit=PAGE
            )
            self._proposals[key] = list(found)
            while len(self._proposals) > 32:
                del self._proposals[next(iter(self._proposals))]
        return self._proposals[key]

    @cached_property
    def _completer(self) -> Completer:
        return Completer(self.predictor, search=self.search, questions=QUESTIONS)

    def check(self, head: str | None, relation: str | None, tail: str | None) -> None:
        """UnknownNameError where a given name is none of the graph's."""
        for name in (head, tail):
            if name is not None:
                self.entity(name)
        if relation is not None:
            self.relation(relation)

    def relation_label(self, name: str) -> str:
        """The words for a relation; its name, made readable, when it has none."""
        return self.data.relation_labels.get(name) or name

    def _near_relations(self, name: str) -> list[str]:
        from difflib import get_close_matches

        names = self.data.graph.relations.names[:5000]
        return get_close_matches(name[:200], names, n=3) or sorted(names)[:12]


def finite(value: float | None) -> float | None:
    """A number that JSON can write; None for NaN and infinities.

    >>> finite(1.5), finite(float("nan")), finite(float("-inf"))
    (1.5, None, None)
    """
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Service:
    """All that requests share: the runs, the limits and the threads that compute.

    Attributes:
        runs: by name, the first is the one meant where a request names none.
        pool: threads that compute, so that the event loop is free to read and write.
        slow: one more thread, for what takes seconds.
    """

    runs: dict[str, Served]
    limits: Limits
    pool: ThreadPoolExecutor
    slow: ThreadPoolExecutor

    @classmethod
    def of(cls, runs: Sequence[Served], limits: Limits | None = None, threads: int = 2) -> Service:
        """Serve these runs; ConfigError where two have one name."""
        named = {run.name: run for run in runs}
        if len(named) < len(runs) or not runs:
            raise ConfigError("a service needs at least one run, and each needs a name of its own")
        pool, slow = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)
        return cls(named, limits or Limits(), pool, slow)

    def close(self) -> None:
        """Let what is at work end, and begin nothing more."""
        for pool in (self.pool, self.slow):
            pool.shutdown(wait=True, cancel_futures=True)

    def run(self, name: str | None) -> Served:
        """The run of a name, or the first; UnknownNameError with the nearest."""
        if name is None:
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise UnknownNameError("run", name, list(self.runs)[:12])
        return self.runs[name]

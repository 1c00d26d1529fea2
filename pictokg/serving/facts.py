"""The known facts of an entity and the shape of a relation, found without a walk through the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Int

    from pictokg.graph.graph import KnowledgeGraph


@dataclass(frozen=True, slots=True)
class RelationShape:
    """How many facts a relation has, and between how many heads and tails."""

    facts: int
    heads: int
    tails: int


class FactIndex:
    """All triples of a graph, sorted by head and by tail.

    Args:
        graph: every split of it counts as known.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.triples = np.unique(graph.triples(), axis=0)
        self._sorted = {side: self._by(side, graph.num_entities) for side in (Side.HEAD, Side.TAIL)}
        self.degree = np.diff(self._sorted[Side.HEAD][1]) + np.diff(self._sorted[Side.TAIL][1])
        self.relations = [self._shape(relation) for relation in range(graph.num_relations)]

    def count(self, entity: int, side: Side) -> int:
        """How many facts have the entity as head, or as tail."""
        offsets = self._sorted[side][1]
        return int(offsets[entity + 1] - offsets[entity])

    def of(self, entity: int, side: Side, limit: int) -> Int[np.ndarray, "facts 3"]:
        """Facts with the entity as head, or as tail: a few of every relation before many of one."""
        order, offsets = self._sorted[side]
        rows = order[offsets[entity] : offsets[entity + 1]]
        found = self.triples[rows]
        if len(found) <= limit:
            return found[np.argsort(found[:, Side.RELATION], kind="stable")]
        by_relation = np.argsort(found[:, Side.RELATION], kind="stable")
        relations = found[by_relation, Side.RELATION]
        first = np.flatnonzero(np.diff(relations, prepend=-1))
        place = np.arange(len(relations)) - np.repeat(first, np.diff(first, append=len(relations)))
        kept = np.sort(np.argsort(place, kind="stable")[:limit])
        return found[by_relation[kept]]

    def relations_of(self, entity: int, side: Side) -> Int[np.ndarray, " relations"]:
        """Relations that the entity has as head, or as tail."""
        order, offsets = self._sorted[side]
        return np.unique(self.triples[order[offsets[entity] : offsets[entity + 1]], Side.RELATION])

    def _by(self, side: Side, entities: int) -> tuple[np.ndarray, np.ndarray]:
        slots = self.triples[:, side]
        counts = np.bincount(slots, minlength=entities)
        return np.argsort(slots, kind="stable"), np.concatenate([[0], np.cumsum(counts)])

    def _shape(self, relation: int) -> RelationShape:
        own = self.triples[self.triples[:, Side.RELATION] == relation]
        heads, tails = np.unique(own[:, Side.HEAD]), np.unique(own[:, Side.TAIL])
        return RelationShape(len(own), len(heads), len(tails))

"""Which entities a slot of a relation may hold, going by what it has been seen to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pictokg.evaluation.negatives import SlotPool
from pictokg.graph.query import Query, Side

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor

    from pictokg.graph.graph import KnowledgeGraph


class ObservedTypes:
    """The observed domain and range of every relation: the entities seen as its head, and those seen as its tail.

    Args:
        graph: the triples of all its splits count.

    >>> from pictokg.graph.graph import KnowledgeGraph
    >>> from pictokg.graph.vocabulary import Vocabulary
    >>> triples = np.array([[0, 0, 2], [1, 0, 2], [0, 0, 1]])
    >>> types = ObservedTypes(KnowledgeGraph(Vocabulary("abc"), Vocabulary(["r"]), {"train": triples}))
    >>> types.entities(0, Side.HEAD).tolist(), types.entities(0, Side.TAIL).tolist()
    ([0, 1], [1, 2])
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.num_entities, self.num_relations = graph.num_entities, graph.num_relations
        self._pool = SlotPool(graph.triples(), graph.num_relations)

    def entities(self, relation: int, side: Side) -> Int[np.ndarray, " n"]:
        """Ids seen on a side (head or tail) of a relation, ascending."""
        return self._pool.entities(side, relation)

    def allowed(self, query: Query) -> Bool[Tensor, "batch candidates"]:
        """Which answers fit each question, over all entities, or over all relations for relation questions."""
        if query.side is Side.RELATION:
            head, tail = (slot.cpu().numpy() for slot in query.given)
            relations = range(self.num_relations)
            columns = [self._has(r, Side.HEAD, head) & self._has(r, Side.TAIL, tail) for r in relations]
            return torch.from_numpy(np.stack(columns, axis=1)).to(query.given[0].device)
        assert query.relation is not None, "only relation questions have none"
        fits = torch.zeros(len(query), self.num_entities, dtype=torch.bool)
        for relation in query.relation.unique().tolist():
            rows = (query.relation == relation).nonzero().cpu()
            fits[rows, torch.from_numpy(self.entities(relation, query.side))] = True
        return fits.to(query.anchor.device)

    def _has(self, relation: int, side: Side, ids: np.ndarray) -> np.ndarray:
        return np.isin(ids, self.entities(relation, side))

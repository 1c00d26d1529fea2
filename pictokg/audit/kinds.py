"""Whether a relation joins one or many heads with one or many tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.audit.keys import distinct, pair_keys

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph

KINDS = ("1-1", "1-n", "n-1", "n-n")


@dataclass(frozen=True)
class RelationKinds:
    """For each relation (R,): triples in train, mean heads per tail, mean tails per head, and kind.

    `kind` indexes `KINDS`; a relation without triples has kind -1 and means of 0.
    """

    triples: np.ndarray
    heads_per_tail: np.ndarray
    tails_per_head: np.ndarray
    kind: np.ndarray
    cutoff: float

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Relations and triples of each kind, and the figures of each relation."""
        groups = {
            name: {
                "relations": int((self.kind == code).sum()),
                "triples": int(self.triples[self.kind == code].sum()),
            }
            for code, name in enumerate(KINDS)
        }
        by_relation = {
            name: {
                "kind": KINDS[self.kind[i]] if self.triples[i] else None,
                "triples": int(self.triples[i]),
                "heads_per_tail": float(self.heads_per_tail[i]),
                "tails_per_head": float(self.tails_per_head[i]),
            }
            for i, name in enumerate(names)
        }
        return {"cutoff": self.cutoff, **groups, "by_relation": by_relation}


def relation_kinds(graph: KnowledgeGraph, split: str = "train", cutoff: float = 1.5) -> RelationKinds:
    """Sort relations into 1-1, 1-n, n-1 and n-n by the mean number of heads per tail and of tails per head.

    A side is "n" when its mean over the distinct triples is above `cutoff` (Bordes et al., 2013: 1.5).
    """
    triples = distinct(graph.split(split), graph.num_entities, graph.num_relations)
    count = np.bincount(triples[:, 1], minlength=graph.num_relations)
    heads_per_tail = _ratio(count, _distinct_per_relation(triples[:, 2], triples[:, 1], graph.num_relations))
    tails_per_head = _ratio(count, _distinct_per_relation(triples[:, 0], triples[:, 1], graph.num_relations))
    kind = np.where(count > 0, 2 * (heads_per_tail > cutoff) + (tails_per_head > cutoff), -1)
    return RelationKinds(count, heads_per_tail, tails_per_head, kind, cutoff)


def _distinct_per_relation(entity: np.ndarray, relation: np.ndarray, num_relations: int) -> np.ndarray:
    pairs = np.unique(pair_keys(relation, entity))
    return np.bincount(pairs >> 32, minlength=num_relations)


def _ratio(count: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return count / np.maximum(groups, 1)

"""Triples that stand twice: within a split, and in two splits at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.audit.keys import occurrences, triple_keys

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph


@dataclass(frozen=True)
class Overlap:
    """How much of one split stands in another one: `rows` counts repetitions, `distinct` does not."""

    rows: int
    distinct: int


@dataclass(frozen=True)
class SplitCounts:
    """The size of a split, and what of it stands in each other split."""

    rows: int
    distinct: int
    shared: dict[str, Overlap]

    @property
    def duplicates(self) -> int:
        """Rows that repeat an earlier row of the same split."""
        return self.rows - self.distinct

    def as_json(self) -> dict[str, Any]:
        """`rows`, `distinct`, `duplicates`, and `in_<split>` for each other split."""
        sizes = {"rows": self.rows, "distinct": self.distinct, "duplicates": self.duplicates}
        shared = {f"in_{name}": vars(overlap) for name, overlap in self.shared.items()}
        return {**sizes, **shared}


def count_splits(graph: KnowledgeGraph) -> dict[str, SplitCounts]:
    """Count rows, distinct triples and overlaps of every split.

    >>> from pictokg.graph.graph import KnowledgeGraph
    >>> from pictokg.graph.vocabulary import Vocabulary
    >>> train, valid = np.array([[0, 0, 1], [1, 0, 2]], np.int32), np.array([[1, 0, 2], [1, 0, 2]], np.int32)
    >>> graph = KnowledgeGraph(Vocabulary("abc"), Vocabulary("r"), {"train": train, "valid": valid})
    >>> count_splits(graph)["valid"].as_json()
    {'rows': 2, 'distinct': 1, 'duplicates': 1, 'in_train': {'rows': 2, 'distinct': 1}}
    """
    sizes = graph.num_entities, graph.num_relations
    unique = {
        name: np.unique(triple_keys(triples, *sizes), return_counts=True) for name, triples in graph.splits.items()
    }
    return {
        name: SplitCounts(
            rows=int(times.sum()),
            distinct=len(keys),
            shared={other: _overlap(keys, times, table) for other, (table, _) in unique.items() if other != name},
        )
        for name, (keys, times) in unique.items()
    }


def _overlap(keys: np.ndarray, times: np.ndarray, table: np.ndarray) -> Overlap:
    inside = occurrences(table, keys) > 0
    return Overlap(rows=int(times[inside].sum()), distinct=int(inside.sum()))

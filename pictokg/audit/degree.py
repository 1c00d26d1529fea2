"""How many triples each entity takes part in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pictokg.audit.keys import distinct

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph


@dataclass(frozen=True)
class Degree:
    """The spread of entity degrees; `gini` is 0 when all are equal and nears 1 when few entities have all."""

    min: int
    median: float
    mean: float
    max: int
    gini: float
    isolated: int
    top: dict[str, int]


def degree(graph: KnowledgeGraph, split: str = "train", top: int = 10) -> Degree:
    """Describe how many distinct triples entities take part in; each counts for its head and for its tail.

    >>> from pictokg.graph.graph import KnowledgeGraph
    >>> from pictokg.graph.vocabulary import Vocabulary
    >>> graph = KnowledgeGraph(Vocabulary("abc"), Vocabulary("r"), {"train": np.array([[0, 0, 1]], np.int32)})
    >>> spread = degree(graph)
    >>> spread.min, spread.median, spread.max, spread.isolated, spread.top
    (0, 1.0, 1, 1, {'a': 1, 'b': 1})
    """
    triples = distinct(graph.split(split), graph.num_entities, graph.num_relations)
    counts = np.bincount(triples[:, [0, 2]].ravel(), minlength=graph.num_entities)
    if not len(counts):
        return Degree(0, 0.0, 0.0, 0, 0.0, 0, {})
    busiest = [int(i) for i in np.argsort(-counts, kind="stable")[:top] if counts[i]]
    return Degree(
        min=int(counts.min()),
        median=float(np.median(counts)),
        mean=float(counts.mean()),
        max=int(counts.max()),
        gini=_gini(counts),
        isolated=int((counts == 0).sum()),
        top={graph.entities.name(i): int(counts[i]) for i in busiest},
    )


def _gini(counts: np.ndarray) -> float:
    """Twice the area between Lorenz curve and diagonal: Σ (2i − n − 1) xᵢ / (n Σ xᵢ), x sorted, i from 1."""
    n, total = len(counts), int(counts.sum())
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(counts) / (n * total)) if total else 0.0

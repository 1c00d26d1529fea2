"""How many entities have words, pictures, numbers and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Coverage:
    """Entities that own something of one kind, and how many they own: in all, and per entity that has any."""

    entities: int
    share: float
    items: int
    mean: float
    max: int


def cover(counts: np.ndarray) -> Coverage:
    """Describe how many items each entity (N,) owns.

    >>> cover(np.array([2, 0, 4, 0]))
    Coverage(entities=2, share=0.5, items=6, mean=3.0, max=4)
    """
    owners, items = int((counts > 0).sum()), int(counts.sum())
    return Coverage(
        entities=owners,
        share=owners / len(counts) if len(counts) else 0.0,
        items=items,
        mean=items / owners if owners else 0.0,
        max=int(counts.max(initial=0)),
    )


def count_by_name(names: Sequence[str], owned: Mapping[str, int]) -> np.ndarray:
    """Items per entity (N,), in the order of the graph's names; strangers to the graph are left out."""
    return np.fromiter((owned.get(name, 0) for name in names), dtype=np.int64, count=len(names))

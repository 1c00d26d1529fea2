"""What training already says of held-out triples: the triple itself, or its pair otherwise linked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from pictokg.audit.duplicates import SplitCounts, count_splits
from pictokg.audit.keys import distinct, occurrences, pair_keys, triple_keys

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph


def warn_if_leaking(graph: KnowledgeGraph) -> list[str]:
    """Say which splits share triples: one sentence each, none when they are disjoint.

    The quick part of the audit, for whoever is about to train: a table of 300,000 triples takes some 50 ms.
    """
    return overlap_messages(count_splits(graph))


def overlap_messages(splits: dict[str, SplitCounts]) -> list[str]:
    """One sentence for each two splits that share triples."""
    train_test_rest = sorted(splits, key=lambda name: (name != "train", name != "test"))
    return [
        _overlap_message(name, splits[name], other)
        for other, name in combinations(train_test_rest, 2)
        if splits[name].shared[other].distinct
    ]


def _overlap_message(name: str, counts: SplitCounts, other: str) -> str:
    shared = counts.shared[other]
    effect = "memory alone answers these" if other == "train" else "a choice made on one has seen the other"
    return (
        f"{name} shares {shared.distinct:,} of its {counts.distinct:,} distinct triples"
        f" ({shared.rows:,} of {counts.rows:,} rows) with {other}: {effect}"
    )


@dataclass(frozen=True)
class PairLeakage:
    """Rows (h, r, t) of a split whose pair stands in train: as (t, ·, h), and as (h, r', t) with r' ≠ r."""

    rows: int
    inverse: int
    same_pair: int

    @property
    def inverse_share(self) -> float:
        """Rows whose reversed pair is in train, as a share of the split."""
        return self.inverse / self.rows if self.rows else 0.0

    @property
    def same_pair_share(self) -> float:
        """Rows whose pair another relation links in train, as a share of the split."""
        return self.same_pair / self.rows if self.rows else 0.0

    def as_json(self) -> dict[str, float]:
        """Return counts and shares."""
        shares = {"inverse_share": self.inverse_share, "same_pair_share": self.same_pair_share}
        return {**vars(self), **shares}


def pair_leakage(graph: KnowledgeGraph, split: str, train: str = "train") -> PairLeakage:
    """Count the rows of `split` whose pair of entities train links in the other direction or otherwise."""
    sizes = graph.num_entities, graph.num_relations
    known, held_out = distinct(graph.split(train), *sizes), graph.split(split)
    head, tail = held_out[:, 0], held_out[:, 2]
    links = np.sort(pair_keys(known[:, 0], known[:, 2]))
    itself = occurrences(np.sort(triple_keys(known, *sizes)), triple_keys(held_out, *sizes))
    same = occurrences(links, pair_keys(head, tail)) - itself
    back = occurrences(links, pair_keys(tail, head))
    return PairLeakage(len(held_out), inverse=int((back > 0).sum()), same_pair=int((same > 0).sum()))

"""A clean split from a leaking one: test stays, validation is carved anew out of what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pictokg.audit.keys import distinct, occurrences, triple_keys
from pictokg.errors import ConfigError, DataError
from pictokg.graph.splitting import carve

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph


@dataclass(frozen=True)
class Resplit:
    """Disjoint splits, and what happened to the rows of the old ones, one sentence each."""

    splits: dict[str, np.ndarray]
    changes: list[str]


@dataclass(frozen=True)
class SplitOptions:
    """How to split anew.

    Attributes:
        valid: share (below 1) or number of the pooled triples to carve out for validation.
        test: share or number to cut off for a test set first; only for data without one (None: 0.1).
        seed: of the draw.
        per_relation: take the shares of every relation alike.
    """

    valid: float = 0.1
    test: float | None = None
    seed: int = 0
    per_relation: bool = False


def resplit(graph: KnowledgeGraph, options: SplitOptions) -> Resplit:
    """Split a graph into disjoint train, valid and test.

    A test set is kept row for row. All other triples, each once and without those of test, are pooled (old
    validation triples too: they are facts), and validation is carved out of the pool, so that every entity
    and relation of the pool stays in train. Without a test set, one is cut from the pool first.

    Raises:
        ConfigError: a test share is asked for although there is a test set.
        DataError: nothing is left to train on.
    """
    has_test = "test" in graph.splits and len(graph.split("test")) > 0
    if has_test and options.test is not None:
        raise ConfigError(
            f"the data have a test set ({len(graph.split('test')):,} rows), which is kept; leave out --test"
        )
    pool, changes = _pool(graph, keep_test=has_test)
    if not len(pool):
        raise DataError("no triple is left to train on once those of test are taken out")
    if has_test:
        test = graph.split("test")
    else:
        pool, test = carve(
            pool,
            0.1 if options.test is None else options.test,
            seed=options.seed,
            per_relation=options.per_relation,
        )
    train, valid = carve(pool, options.valid, seed=options.seed, per_relation=options.per_relation)
    return Resplit({"train": train, "valid": valid, "test": test}, changes)


def _pool(graph: KnowledgeGraph, keep_test: bool) -> tuple[np.ndarray, list[str]]:
    """All distinct triples outside a test set that is kept, and what became of each old split's rows."""
    sizes = graph.num_entities, graph.num_relations
    test = (
        np.sort(triple_keys(graph.split("test"), *sizes)) if keep_test else triple_keys(np.empty((0, 3), int), *sizes)
    )
    pool, changes = np.empty((0, 3), dtype=np.int32), []
    for name in sorted(
        (name for name in graph.splits if not (keep_test and name == "test")),
        key=lambda name: name != "train",
    ):
        rows = graph.split(name)
        once = distinct(rows, *sizes)
        free = once[occurrences(test, triple_keys(once, *sizes)) == 0]
        new = free[occurrences(np.sort(triple_keys(pool, *sizes)), triple_keys(free, *sizes)) == 0]
        pool = np.concatenate([pool, new])
        dropped = (
            (len(rows) - len(once), "repeated"),
            (len(once) - len(free), "in test"),
            (len(free) - len(new), "in train"),
        )
        parts = [f"{count:,} {why} dropped" for count, why in dropped if count]
        changes.append(
            f"{name}: {len(rows):,} rows, " + "".join(f"{part}, " for part in parts) + f"{len(new):,} pooled"
        )
    return pool, changes

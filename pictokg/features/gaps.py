"""Entities without features: what a file put in their place, and what to put there to reproduce a paper.

Presence is a mask here. Much of the field fills gaps with zeros, the mean or noise instead, and its results depend on
it: rows that were filled can be taken out, where they can be told from others, and be made, where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows, keep
from pictokg.features.table import FeatureTable, offsets_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Absent = Literal["none", "zeros", "repeated"]
Fill = Literal["none", "zeros", "mean", "noise"]
COMMON = 10  # one row in so many, and the same row: then it probably stands for something missing


@dataclass(frozen=True)
class Gaps:
    """What to do about entities without features.

    Attributes:
        absent: rows of the file that stand for nothing: none, those of zeros, or the one that is repeated most.
        fill: what entities without rows get: none, zeros, the mean of the others, or noise of their mean and deviation.
        seed: of the noise.
    """

    absent: Absent = "none"
    fill: Fill = "none"
    seed: int = 0


def take_out(rows: Rows, absent: Absent) -> tuple[Rows, list[str]]:
    """Take out the rows that stand for nothing; with what was taken out, or what looks as if it should be."""
    zero: np.ndarray = (rows.values == 0).all(axis=1)
    repeated = _repeated(rows)
    if absent == "zeros":
        return keep(rows, ~zero), [f"{int(zero.sum()):,} rows of zeros were taken out"]
    if absent == "repeated":
        return keep(rows, ~repeated), [f"{int(repeated.sum()):,} rows, all the same, were taken out"]
    notes = []
    if zero.any():
        notes.append(f"{int(zero.sum()):,} rows are zeros; where they stand for nothing, add --absent zeros")
    elif repeated.sum() > max(1, len(rows.values) / COMMON):
        hint = "where it stands for nothing, add --absent repeated"
        notes.append(f"{int(repeated.sum()):,} of {len(rows.values):,} rows are one and the same; {hint}")
    return rows, notes


def fill(table: FeatureTable, gaps: Gaps) -> FeatureTable:
    """Give a row to each entity that has none.

        zeros: 0      mean: μ      noise: N(μ, σ²), with μ, σ of each column over the rows there are

    >>> table = FeatureTable("x", np.ones((1, 2), dtype="float32"), np.array([0, 1, 1]), ["a"])
    >>> filled = fill(table, Gaps(fill="mean"))
    >>> filled.values.tolist(), filled.keys
    ([[1.0, 1.0], [1.0, 1.0]], ['a', 'filled with mean'])
    """
    missing = np.flatnonzero(~table.present)
    if gaps.fill == "none" or not len(missing):
        return table
    made = _made(table, len(missing), gaps).astype(table.values.dtype)
    owner = np.concatenate([table.owner, missing])
    order = np.argsort(owner, kind="stable")
    keys = [*table.keys, *[f"filled with {gaps.fill}"] * len(missing)]
    values = np.concatenate([table.values, made])[order]
    offsets = offsets_of(np.maximum(table.counts, 1))
    return FeatureTable(table.name, values, offsets, [keys[row] for row in order.tolist()], table.fingerprint)


def _made(table: FeatureTable, count: int, gaps: Gaps) -> Float[np.ndarray, "missing width"]:
    if gaps.fill == "zeros":
        return np.zeros((count, table.width), dtype=np.float32)
    if not len(table.values):
        raise DataError(f"features/{table.name}: there is no row to fill gaps from", remedy="fill with zeros, or none")
    mean = table.values.mean(axis=0, dtype=np.float64)
    if gaps.fill == "mean":
        return np.broadcast_to(mean, (count, table.width))
    deviation = table.values.std(axis=0, dtype=np.float64)
    return np.random.default_rng(gaps.seed).normal(mean, deviation, (count, table.width))


def _repeated(rows: Rows) -> Bool[np.ndarray, " rows"]:
    """Which rows are the one that stands there most, where it stands there more than once."""
    content = np.ascontiguousarray(rows.values)
    digests = (blake2b(row.tobytes(), digest_size=8).digest() for row in content)
    hashes = np.array([int.from_bytes(digest) for digest in digests], dtype=np.uint64)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    if not len(counts) or counts.max() == 1:
        return np.zeros(len(content), dtype=bool)
    same: np.ndarray = inverse == counts.argmax()
    return same & (content == content[same.argmax()]).all(axis=1)

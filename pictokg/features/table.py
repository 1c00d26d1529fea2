"""A feature table: for every entity, the rows that say what it looks like, or reads like, or measures.

Rows are ragged: an entity owns as many as it has pictures, patches or sentences, and none where it has none.
So presence is a count, never a row of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Num

CHUNK = 16_384  # rows looked at together, so that a memory-mapped table is never in memory whole


@dataclass(frozen=True, eq=False)
class Instances:
    """Rows of some entities, one entity after another.

    Attributes:
        values: the rows, float32.
        owner: for each row, the place of its entity among those asked for, ascending.
        positions: for each row, its place in the table.
    """

    values: Float[np.ndarray, "instances width"]
    owner: Int[np.ndarray, " instances"]
    positions: Int[np.ndarray, " instances"]
    _all_keys: Sequence[str] = field(repr=False)

    @property
    def keys(self) -> list[str]:
        """The key of each row: its file, sentence or attribute."""
        return [self._all_keys[position] for position in self.positions]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of features, grouped by entity: entity i owns rows offsets[i] … offsets[i + 1] − 1.

    Args:
        name: what errors and runs call it, as "image-pixels".
        values: the rows, float32 or float16; may be memory-mapped.
        offsets: where each entity's rows start, and the number of rows at the end.
        keys: for each row what it shows: a file, a sentence, an attribute.
        fingerprint: of what the rows were made from and how; equal fingerprints, equal rows.
        by_attribute: whether a row's key is the attribute that it measures, so that rows of different keys must not be
            averaged.

    Raises:
        DataError: the parts do not fit together.

    >>> rows, keys = np.eye(3, dtype="float32"), ["a.png", "b.png", "c.png"]
    >>> table = FeatureTable("image", rows, np.array([0, 2, 2, 3]), keys)
    >>> table.counts.tolist(), table.present.tolist()
    ([2, 0, 1], [True, False, True])
    >>> table.mean()[0].tolist()
    [0.5, 0.5, 0.0]
    >>> table.instances(np.array([2, 0])).keys
    ['c.png', 'a.png', 'b.png']
    """

    name: str
    values: Num[np.ndarray, "instances width"]
    offsets: Int[np.ndarray, " bounds"]
    keys: Sequence[str] = field(repr=False)
    fingerprint: str = ""
    by_attribute: bool = False

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype not in (np.float32, np.float16):
            self._refuse(f"values are {self.values.dtype} {self.values.shape}, not float32 or float16 (rows, width)")
        rows = len(self.values)
        if self.offsets.ndim != 1 or len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != rows:
            self._refuse(f"offsets must go from 0 to the number of rows, {rows:,}")
        if (np.diff(self.offsets) < 0).any():
            self._refuse("offsets must not decrease")
        if len(self.keys) != rows:
            self._refuse(f"there are {len(self.keys):,} keys for {rows:,} rows")

    @property
    def num_entities(self) -> int:
        """How many entities the table is aligned with, present or not."""
        return len(self.offsets) - 1

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return int(self.values.shape[1])

    @cached_property
    def counts(self) -> Int[np.ndarray, " entities"]:
        """How many rows each entity owns."""
        return np.diff(self.offsets)

    @property
    def present(self) -> Bool[np.ndarray, " entities"]:
        """Whether an entity owns any row."""
        return self.counts > 0

    @cached_property
    def owner(self) -> Int[np.ndarray, " instances"]:
        """The entity of each row."""
        return np.repeat(np.arange(self.num_entities), self.counts)

    def instances(self, ids: Int[np.ndarray, " asked"]) -> Instances:
        """All rows of these entities, in the order asked for; an entity asked for twice comes twice."""
        counts = self.counts[ids]
        owner = np.repeat(np.arange(len(ids)), counts)
        before = np.cumsum(counts) - counts  # rows of the entities asked for earlier
        positions = np.arange(len(owner)) + np.repeat(self.offsets[ids] - before, counts)
        return Instances(self.values[positions].astype(np.float32, copy=False), owner, positions, self.keys)

    def select(self, ids: Int[np.ndarray, " asked"]) -> FeatureTable:
        """Make the table whose entity i is this one's entity ids[i]; where ids[i] is −1 it owns no row."""
        known = np.flatnonzero(ids >= 0)
        counts = np.zeros(len(ids), dtype=np.int64)
        counts[known] = self.counts[ids[known]]
        found = self.instances(ids[known])
        values = found.values.astype(self.values.dtype, copy=False)
        return FeatureTable(self.name, values, offsets_of(counts), found.keys, self.fingerprint, self.by_attribute)

    def mean(self) -> Float[np.ndarray, "entities width"]:
        """Take the mean of each entity's rows, float32; zeros where it owns none: `present` tells which."""
        means = np.zeros((self.num_entities, self.width), dtype=np.float32)
        for entities, start, stop in self._blocks():
            rows = self.values[start:stop].astype(np.float32)
            totals = np.add.reduceat(rows, self.offsets[entities] - start, axis=0)
            means[entities] = totals / self.counts[entities, None]
        return means

    def validate(self, names: Sequence[str] | None = None) -> None:
        """Check that every number is finite; DataError naming the first bad row and its entity."""
        for start in range(0, len(self.values), CHUNK):
            finite = np.isfinite(self.values[start : start + CHUNK]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                entity = int(self.owner[row])
                self._refuse(
                    f"row {row:,} ({self.keys[row]}) of entity {names[entity] if names else entity!r} holds"
                    f" {describe_bad(self.values[row])}"
                )

    def _blocks(self) -> Iterator[tuple[np.ndarray, int, int]]:
        """Cut present entities into blocks of about CHUNK rows: (entities, first row, row past the last)."""
        entities = np.flatnonzero(self.present)
        block = self.offsets[entities] // CHUNK
        for group in np.split(entities, np.flatnonzero(np.diff(block)) + 1):
            if len(group):
                yield group, int(self.offsets[group[0]]), int(self.offsets[group[-1] + 1])

    def _refuse(self, problem: str) -> None:
        raise DataError(f"features/{self.name}: {problem}", remedy="mend the table, or make it again")


def offsets_of(counts: Int[np.ndarray, " entities"]) -> Int[np.ndarray, " entities+1"]:
    """Where each entity's rows start, from how many it owns.

    >>> offsets_of(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def describe_bad(row: Num[np.ndarray, " width"]) -> str:
    """Say which number of a row is not finite, and where.

    >>> describe_bad(np.array([0.0, np.nan]))
    'nan in column 1'
    """
    column = int(np.argmin(np.isfinite(row)))
    return f"{row[column]} in column {column}"

"""Rows from outside, joined to the entities of a graph: by name, or by a declared order, never by guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import DataError
from pictokg.features.table import FeatureTable, describe_bad, offsets_of

if TYPE_CHECKING:
    from jaxtyping import Num

    from pictokg.graph.vocabulary import Vocabulary

EXAMPLES = 3  # names shown where many would do


@dataclass(frozen=True)
class Coverage:
    """How a table and a graph overlap.

    >>> print(Coverage("image", entities=4, present=1, instances=2, unknown=("Pariss",)))
    image: 1 of 4 entities (25.0 %) have features, 2 rows; 1 name is no entity of the graph: 'Pariss'
    """

    name: str
    entities: int
    present: int
    instances: int
    unknown: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Entities of the graph without any row."""
        return self.entities - self.present

    def as_dict(self) -> dict[str, int | list[str]]:
        """Return the figures for JSON, with the first unknown names."""
        return {
            "entities": self.entities,
            "present": self.present,
            "missing": self.missing,
            "instances": self.instances,
            "unknown": len(self.unknown),
            "unknown_examples": list(self.unknown[:EXAMPLES]),
        }

    def __str__(self) -> str:
        """One line for people."""
        share = self.present / self.entities if self.entities else 0.0
        line = (
            f"{self.name}: {self.present:,} of {self.entities:,} entities ({share:.1%}) have features,"
            f" {self.instances:,} rows"
        ).replace("%", " %")
        if not self.unknown:
            return line
        names = "name is no entity" if len(self.unknown) == 1 else "names are no entities"
        return f"{line}; {len(self.unknown):,} {names} of the graph: {examples(self.unknown)}"

    @classmethod
    def of(cls, table: FeatureTable, unknown: Sequence[str] = ()) -> Coverage:
        """Measure an aligned table; `unknown` are the names that the graph does not have."""
        present = int(table.present.sum())
        return cls(table.name, table.num_entities, present, len(table.values), tuple(unknown))


def align(
    name: str,
    ids: Sequence[str],
    values: Num[np.ndarray, "rows width"],
    vocabulary: Vocabulary,
    *,
    keys: Sequence[str] | None = None,
    source: Path | str | None = None,
) -> tuple[FeatureTable, Coverage]:
    """Give each entity the rows that bear its name, in their order; several rows may bear one name.

    Args:
        name: of the table.
        ids: for each row the name of its entity.
        values: the rows; other floats than float16 become float32.
        vocabulary: the entities of the graph.
        keys: for each row what it shows; by default its place in the source.
        source: the file that the rows come from, for errors.

    Raises:
        DataError: lengths differ, a number is NaN or infinite, or no name at all is an entity.
    """
    source = source if source is not None else f"features/{name}"
    _check_rows(values, ids, source)
    owner = vocabulary.ids(ids)
    known = np.flatnonzero(owner >= 0)
    unknown = sorted({ids[row] for row in np.flatnonzero(owner < 0).tolist()})
    if len(ids) and not len(known):
        raise DataError(
            f"none of its {len(unknown):,} names ({examples(unknown)}) is an entity of the graph"
            f" (these are like {examples(vocabulary.names)})",
            file=source,
            remedy="name the rows as the triples name their entities",
        )
    order = known[np.argsort(owner[known], kind="stable")]
    offsets = offsets_of(np.bincount(owner[known], minlength=len(vocabulary)))
    keys = keys if keys is not None else [f"row {row}" for row in range(len(ids))]
    table = FeatureTable(name, _as_float(values)[order], offsets, [keys[row] for row in order.tolist()])
    return table, Coverage.of(table, unknown)


def align_rows(
    name: str,
    values: Num[np.ndarray, "rows width"],
    vocabulary: Vocabulary,
    *,
    source: Path | str | None = None,
) -> tuple[FeatureTable, Coverage]:
    """Take row i for entity i, where the source declares that its rows stand in the graph's order.

    Raises:
        DataError: there is not one row an entity, or a number is NaN or infinite.
    """
    source = source if source is not None else f"features/{name}"
    if len(values) != len(vocabulary):
        raise DataError(
            f"{source} has {len(values):,} rows but the graph has {len(vocabulary):,} entities;"
            " row i must be entity i. Use ids (entity names beside the rows) if your rows have names"
        )
    _check_rows(values, vocabulary.names, source)
    table = FeatureTable(name, _as_float(values), np.arange(len(values) + 1), [f"row {i}" for i in range(len(values))])
    return table, Coverage.of(table)


def examples(names: Sequence[str]) -> str:
    """Quote the first few names.

    >>> examples(["a", "b", "c", "d"])
    "'a', 'b', 'c', …"
    """
    return ", ".join(repr(name) for name in names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")


def _check_rows(values: np.ndarray, ids: Sequence[str], source: Path | str) -> None:
    """One finite row a name, or an error that names the first bad one."""
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
        raise DataError(f"expected numbers (rows, width), found {values.dtype} {values.shape}", file=source)
    if len(values) != len(ids):
        raise DataError(
            f"has {len(values):,} rows but {len(ids):,} names", file=source, remedy="give each row one name"
        )
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"row {row:,} (entity {ids[row]!r}) holds {describe_bad(values[row])};"
            f" {int((~finite).sum()):,} of {len(values):,} rows are not finite",
            file=source,
            remedy="leave out the rows that are missing, rather than writing NaN",
        )


def _as_float(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.float16:
        return values
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite, which the table refuses
        return values.astype(np.float32, copy=False)

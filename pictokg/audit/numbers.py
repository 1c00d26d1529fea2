"""Which numbers entities have, attribute by attribute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pictokg.graph.read.folder import RawFolder


@dataclass(frozen=True)
class AttributeNumbers:
    """How many entities have a number for an attribute, how many values these are, and how they spread."""

    entities: int
    share: float
    values: int
    distinct: int
    min: float
    median: float
    max: float


def count_numbers(folder: RawFolder) -> dict[str, AttributeNumbers]:
    """Attribute → its numbers, the most common first; empty for a folder without `numeric.tsv`."""
    if folder.numeric is None or not len(folder.numeric):
        return {}
    value = pl.col("value")
    spread = (
        folder.numeric.group_by("attribute")
        .agg(
            pl.col("entity").n_unique().alias("entities"),
            value.len().alias("values"),
            value.n_unique().alias("distinct"),
            value.min().alias("min"),
            value.median().alias("median"),
            value.max().alias("max"),
        )
        .sort(["entities", "attribute"], descending=[True, False])
    )
    known = folder.graph.num_entities
    return {
        row.pop("attribute"): AttributeNumbers(**row, share=row["entities"] / known)
        for row in spread.iter_rows(named=True)
    }

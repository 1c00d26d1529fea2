"""Parquet with a name and a list of numbers a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pictokg.errors import DataError, nearest
from pictokg.features.readers._rows import Rows

ORDER = ""


def read(path: Path, *, name: str = "name", vector: str = "vector") -> Rows:
    """Read a line as a row of the entity it names; an entity may have several.

    Args:
        path: a Parquet file.
        name, vector: its columns; a line whose vector is null gives no row.
    """
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"is no Parquet file ({error})", file=path) from error
    for column, option in ((name, "name"), (vector, "vector")):
        if column not in table.columns:
            hint = nearest(column, table.columns)
            raise DataError(f"has no column {column!r}", file=path, remedy=f"{hint} (--set {option}=COLUMN)")
    table = table.select(pl.col(name).cast(pl.String).alias("name"), pl.col(vector).alias("vector"))
    if table["name"].null_count():
        raise DataError(f"row {table['name'].is_null().arg_max()} has no name", file=path)
    table = table.filter(table["vector"].is_not_null())
    return Rows(_matrix(table, path), table["name"].to_list(), [f"row {row}" for row in range(len(table))])


def _matrix(table: pl.DataFrame, path: Path) -> np.ndarray:
    kind = table["vector"].dtype
    inner = getattr(kind, "inner", None)
    if inner is None or not inner.is_numeric():
        raise DataError(f"has {kind} where lists of numbers are expected", file=path)
    lists = table["vector"].cast(pl.List(pl.Float32))
    widths = lists.list.len()
    if widths.n_unique() > 1:
        row = int((widths != widths[0]).arg_max() or 0)
        raise DataError(
            f"row {row} ({table['name'][row]!r}) has {widths[row]} numbers, the first {widths[0]}", file=path
        )
    flat = lists.explode() if len(lists) else pl.Series([], dtype=pl.Float32)
    if flat.null_count():
        row = int(flat.is_null().arg_max() or 0) // int(widths[0])
        raise DataError(f"row {row} ({table['name'][row]!r}) lacks a number", file=path)
    return flat.to_numpy().reshape(len(lists), int(widths[0]) if len(lists) else 0)

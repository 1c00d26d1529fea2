"""Triples from Parquet: by the names of the columns, or by a declared order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pictokg.errors import DataError
from pictokg.graph.read.table import SKIPPED, TRIPLE, triple_columns


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples, one a row; see `read_triples`. Numbers are read as the names that spell them."""
    path = Path(path)
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    try:
        found = pl.read_parquet_schema(path)
        names = list(found) if columns is None else list(triple_columns(columns, path))
        if len(names) != len(found) or not set(TRIPLE) <= set(names):
            raise DataError(
                f"expected the columns {', '.join(TRIPLE if columns is None else names)}; found: {', '.join(found)}",
                file=path,
                remedy="rename the columns, or declare the order of all of them with columns=(…)",
            )
        wanted = {name: column for name, column in zip(names, found, strict=True) if name != SKIPPED}
        table = pl.read_parquet(path, columns=[wanted[slot] for slot in TRIPLE])
        frame = table.select(pl.col(wanted[slot]).cast(pl.String).alias(slot) for slot in TRIPLE)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"cannot be read as Parquet: {str(error).splitlines()[0]}", file=path) from None
    if not len(frame):
        raise DataError("the file has no triples", file=path)
    for slot in TRIPLE:
        empty = frame[slot].is_null() | (frame[slot] == "")
        if empty.any():
            raise DataError(f"row {(empty.arg_max() or 0) + 1} has no {slot}", file=path, remedy="fill it or remove it")
    return frame

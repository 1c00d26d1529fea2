"""Comma-separated triples with quoting, and a header unless the order of columns is declared."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pictokg.errors import DataError
from pictokg.graph.read.table import TRIPLE, refuse_header, triple_columns


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples, one a row; see `read_triples`.

    Args:
        path: a UTF-8 file; its header names head, relation and tail (other columns are left out).
        columns: the order of the columns of a file without header.
        notes: nothing is skipped.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    names = _header(path) if columns is None else triple_columns(columns, path)
    schema = {f"{place}": pl.String for place in range(len(names))}
    try:
        table = pl.read_csv(path, has_header=False, skip_rows=int(columns is None), schema=schema)
    except pl.exceptions.PolarsError as error:
        _explain(path, len(names))
        raise DataError(str(error).splitlines()[0], file=path) from None
    frame = table.select(pl.col(f"{names.index(slot)}").alias(slot) for slot in TRIPLE)
    frame = frame.filter(~table.select(pl.all_horizontal(pl.all().is_null())).to_series())
    if any(frame[slot].null_count() for slot in TRIPLE):
        _explain(path, len(names))
    if not len(frame):
        raise DataError("the file has no triples", file=path)
    if columns is not None:
        refuse_header(frame, TRIPLE, path)
    return frame


def _header(path: Path) -> tuple[str, ...]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        names = tuple(next(csv.reader(handle), ()))
    if not names:
        raise DataError("the file is empty", file=path)
    missing = [slot for slot in TRIPLE if names.count(slot) != 1]
    if missing:
        raise DataError(
            f"the header must name head, relation and tail once each; found: {', '.join(names)}",
            file=path,
            line=1,
            remedy="name the columns in a first line, or declare their order with columns=(…)",
        )
    return names


def _explain(path: Path, width: int) -> None:
    """Raise at the first row that is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.reader(handle)
            for row in rows:
                if row and len(row) != width:
                    raise DataError(
                        f"expected {width} columns separated by commas, found {len(row)}: {','.join(row)[:120]!r}",
                        file=path,
                        line=rows.line_num,
                        remedy='put names that hold a comma into quotes: "a, b"',
                    )
                if row and not all(row):
                    raise DataError(
                        "a name is empty", file=path, line=rows.line_num, remedy="fill it or remove the line"
                    )
    except UnicodeDecodeError:
        raise DataError("the file is not UTF-8", file=path, remedy="save the file as UTF-8") from None

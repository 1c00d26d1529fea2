"""Tab-separated tables without header and quoting; `careful` explains what is wrong with those that are not right."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pictokg.errors import ConfigError, DataError, DataWarning
from pictokg.graph.read.careful import LINE, SKIPPED, read_carefully

TRIPLE = ("head", "relation", "tail")
_ONLY_TABS = re.compile(rb"^[\t ]*\t[\t ]*\r?$", re.MULTILINE)


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    required: int | None = None,
    filled: Sequence[str] = (),
) -> pl.DataFrame:
    """Read a table of strings, with the number of each row's line in the column "line"; blank lines are none.

    Args:
        path: a UTF-8 file.
        columns: names for the columns; those called "_" are left out.
        required: how many columns a line has at least, all when None; those that it lacks are null.
        filled: the columns that may not be empty.

    Raises:
        DataError: the file is missing, empty or not UTF-8; a line has too few or too many columns, or another
            separator; a required value is empty. With file, line and what was found.
    """
    required = len(columns) if required is None else required
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    unique = [f"{name}{place}" if name == SKIPPED else name for place, name in enumerate(columns)]
    frame = _read_fast(path, unique, required, filled)
    if frame is None:
        frame = read_carefully(path, unique, required, filled)
    if not len(frame):
        raise DataError("the file is empty", file=path, remedy="remove it, or fill it")
    return frame.select(LINE, *(name for name in columns if name != SKIPPED))


def triple_columns(columns: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Check a declared order of columns; None is head, relation, tail."""
    columns = TRIPLE if columns is None else tuple(columns)
    if sorted(name for name in columns if name != SKIPPED) != sorted(TRIPLE):
        raise ConfigError(
            f"{path}: the columns {columns} do not name head, relation and tail once each"
            f" ({SKIPPED!r} stands for a column to leave out)"
        )
    return columns


def refuse_header(frame: pl.DataFrame, columns: Sequence[str], path: Path) -> None:
    """Refuse a first line that holds the column names: taken as a triple it would be a false fact."""
    slots = tuple(name for name in columns if name != SKIPPED)
    first = tuple(str(value).lower() for value in frame.select(slots).row(0))
    if first in (slots, ("subject", "predicate", "object")):
        raise DataError("the first line looks like a header", file=path, line=1, remedy="remove that line")


def tell(notes: list[str] | None, message: str) -> None:
    """Add what was skipped to the notes; warn where nobody collects them."""
    if notes is None:
        warnings.warn(message, DataWarning, stacklevel=4)
    else:
        notes.append(message)


def _read_fast(path: Path, columns: Sequence[str], required: int, filled: Sequence[str]) -> pl.DataFrame | None:
    """Read with polars; None when the file is not plainly right, so that it has to be read carefully."""
    with path.open("rb") as handle:
        first = handle.readline()
    if not first.strip():  # polars may leave out blank lines at the start, and then numbers of lines are wrong
        return None
    width = min(max(first.count(b"\t") + 1, required), len(columns))
    try:
        frame = pl.read_csv(
            path,
            separator="\t",
            has_header=False,
            quote_char=None,
            schema=dict.fromkeys(columns[:width], pl.String),
            row_index_name=LINE,
            row_index_offset=1,
        )
    except pl.exceptions.PolarsError:
        return None
    blank = frame.select(pl.all_horizontal(pl.col(columns[:width]).is_null())).to_series()
    if blank.any():
        if _ONLY_TABS.search(path.read_bytes()):
            return None
        frame = frame.filter(~blank)
    if any(frame[name].null_count() for name in {*filled, *columns[:required]}):
        return None
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in columns[width:]]
    return frame.with_columns(pl.col(LINE).cast(pl.Int64), *missing)

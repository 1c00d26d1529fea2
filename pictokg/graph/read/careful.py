"""Read a tab-separated table line by line, to say which line is wrong and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pictokg.errors import DataError

LINE = "line"
SKIPPED = "_"
_OTHER_SEPARATORS = {",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}


def read_carefully(path: Path, columns: Sequence[str], required: int, filled: Sequence[str]) -> pl.DataFrame:
    """Read line by line, and raise at the first that is wrong."""
    rows: list[list[str | int | None]] = []
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, start=1):
            fields = _fields(raw, path, number)
            if not fields:
                continue
            if not required <= len(fields) <= len(columns):
                raise _wrong_width(fields, columns, required, path, number)
            values = dict(zip(columns, fields, strict=False))
            for name in filled:
                if not values.get(name):
                    raise DataError(f"the {name} is empty", file=path, line=number, remedy="fill it or remove the line")
            rows.append([number, *(values.get(name) or None for name in columns)])
    return pl.DataFrame(rows, schema={LINE: pl.Int64} | dict.fromkeys(columns, pl.String), orient="row")


def _fields(raw: bytes, path: Path, number: int) -> list[str]:
    """Split a line into its fields; none for a blank line."""
    try:
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {raw[error.start]:#04x} at place {error.start + 1} is not UTF-8",
            file=path,
            line=number,
            remedy="save the file as UTF-8",
        ) from None
    return line.split("\t") if "\t" in line or line.strip() else []


def _wrong_width(fields: list[str], columns: Sequence[str], required: int, path: Path, number: int) -> DataError:
    names = ", ".join("(left out)" if name.startswith(SKIPPED) else name for name in columns)
    some = f"{required}" if required == len(columns) else f"{required} to {len(columns)}"
    expected = f"expected {some} columns separated by tabs ({names})"
    shown = repr("\t".join(fields)[:120])
    other = next((word for mark, word in _OTHER_SEPARATORS.items() if fields[0].count(mark) >= required - 1), None)
    if len(fields) == 1 and other and required > 1:
        return DataError(
            f"{expected}, found another (or mixed) separator: the line has no tab but {other}: {shown}",
            file=path,
            line=number,
            remedy="separate columns by one tab" + (", or name the file .csv" if other == "commas" else ""),
        )
    remedy = "remove tabs from names" if len(fields) > len(columns) else "add the missing columns"
    return DataError(f"{expected}, found {len(fields)}: {shown}", file=path, line=number, remedy=remedy)

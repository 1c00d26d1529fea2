"""OpenKE id files: train2id.txt (head, tail, relation) beside entity2id.txt and relation2id.txt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from pictokg.errors import DataError
from pictokg.graph.read.table import TRIPLE, triple_columns

ORDER = ("head", "tail", "relation")
_NAME = re.compile(r"(.+?)[\t ]+(\d+)[\t ]*")


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples of ids and put the names in; see `read_triples`.

    Args:
        path: a first line with the count (checked; it may be absent), then three ids a line.
        columns: head, tail, relation unless declared otherwise.
        notes: nothing is skipped.
    """
    path = Path(path)
    columns = triple_columns(ORDER if columns is None else columns, path)
    ids = _ids(path, len(columns))
    names = {"relation": read_names(path.parent / "relation2id.txt")}
    names["head"] = names["tail"] = read_names(path.parent / "entity2id.txt")
    return pl.DataFrame({slot: _name(ids[:, columns.index(slot)], slot, names[slot], path) for slot in TRIPLE})


def read_names(path: Path) -> list[str]:
    """Read the names of entity2id.txt or relation2id.txt, in the order of their ids.

    Raises:
        DataError: the ids are not 0, 1, … each once, or their number is not the one of the first line.
    """
    names: dict[int, str] = {}
    lines, count = _lines(path)
    for number, line in lines:
        match = _NAME.fullmatch(line)
        if not match:
            raise DataError(f"expected a name and an id, found {line[:120]!r}", file=path, line=number)
        if int(match[2]) in names:
            raise DataError(f"the id {match[2]} stands twice", file=path, line=number)
        names[int(match[2])] = match[1]
    missing = next((place for place in range(len(names)) if place not in names), None)
    if missing is not None:
        raise DataError(f"{len(names):,} ids, but {missing} is not among them", file=path, remedy="number from 0")
    _check_count(path, count, len(names))
    return [names[place] for place in range(len(names))]


def _ids(path: Path, width: int) -> np.ndarray:
    lines, count = _lines(path)
    text = "\n".join(line for _, line in lines)
    try:
        ids = np.array(text.split(), dtype=np.int64).reshape(-1, width)
        if not all(line.count("\t") + line.count(" ") == width - 1 for _, line in lines):
            raise ValueError
    except ValueError:
        for number, line in lines:
            fields = line.split()
            if len(fields) != width or not all(field.isdecimal() for field in fields):
                raise DataError(
                    f"expected {width} ids, found {line[:120]!r}",
                    file=path,
                    line=number,
                    remedy="name a file of names .tsv",
                ) from None
        ids = np.array(text.split(), dtype=np.int64).reshape(-1, width)
    _check_count(path, count, len(ids))
    return ids


def _lines(path: Path) -> tuple[list[tuple[int, str]], int | None]:
    """Return the numbered lines that are not blank, and the count of the first line if it has one."""
    if not path.is_file():
        raise DataError("there is no such file; OpenKE's ids need it", file=path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("the file is not UTF-8", file=path, remedy="save the file as UTF-8") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise DataError("the file is empty", file=path)
    return (lines[1:], int(lines[0][1])) if lines[0][1].isdecimal() else (lines, None)


def _check_count(path: Path, stated: int | None, found: int) -> None:
    if stated is not None and stated != found:
        raise DataError(
            f"the first line states {stated:,} lines, but {found:,} follow",
            file=path,
            line=1,
            remedy="complete the file, or correct the count",
        )


def _name(ids: np.ndarray, slot: str, names: list[str], path: Path) -> pl.Series:
    outside = (ids < 0) | (ids >= len(names))
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"triple {row + 1} has the {slot} id {ids[row]}, but there are {len(names):,} names",
            file=path,
            remedy="declare another order of columns (OpenKE: head, tail, relation) or complete the id file",
        )
    return pl.Series(slot, names, dtype=pl.String).gather(ids)

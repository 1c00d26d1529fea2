"""IKRL: `image2vec_fc7.txt`, a line a picture: `<entity>_<picture>`, then 4,096 numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows
from pictokg.graph.read.table import read_table

ORDER = ""


def read(path: Path, *, counts: Path | None = None) -> Rows:
    """Read a line as a row of the entity before the last `_` of its first word; an entity has several.

    Args:
        path: words separated by spaces or tabs.
        counts: `image2count.txt`, entity and number of pictures a line, to check that no picture is missing.
    """
    numbers, keys, width = bytearray(), list[str](), 0
    try:
        with path.open(encoding="utf-8") as handle:
            for line, text in enumerate(handle, start=1):
                key, *words = text.split()[: width + 2 if width else None] or [""]
                if not key:
                    continue
                row = _row(words, path, line)
                width = width or len(row)
                if len(row) != width:
                    more = "more than " * (len(row) > width)
                    count = f"{more}{min(len(row), width) if more else len(row)}"
                    raise DataError(f"expected {width} numbers, found {count}", file=path, line=line)
                if "_" not in key:
                    raise DataError(f"expected <entity>_<picture>, found {key!r}", file=path, line=line)
                keys.append(key)
                numbers += row.tobytes()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text ({error})", file=path) from error
    if not keys:
        raise DataError("the file is empty", file=path)
    owner = [key.rpartition("_")[0] for key in keys]
    if counts is not None:
        _check(Counter(owner), counts, path)
    return Rows(np.frombuffer(numbers, np.float32).reshape(len(keys), width), owner, keys)


def _row(words: list[str], path: Path, line: int) -> np.ndarray:
    try:
        return np.array(words, dtype=np.float32)
    except ValueError as error:
        raise DataError(f"holds words that are no numbers ({error})", file=path, line=line) from None


def _check(found: Counter[str], counts: Path, path: Path) -> None:
    table = read_table(counts, ("entity", "count"), filled=("entity", "count"))
    for line, entity, count in zip(table["line"], table["entity"], table["count"], strict=True):
        if count != str(found[entity]):
            raise DataError(
                f"{entity!r} should have {count} pictures, {path.name} has {found[entity]}",
                file=counts,
                line=line,
                remedy="copy the features anew, or leave out --set counts",
            )

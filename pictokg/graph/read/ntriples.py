"""N-Triples, in blocks of lines, so that ten million need little more memory than their names."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from pictokg.errors import DataError
from pictokg.graph.read.table import TRIPLE, tell, triple_columns

BLOCK = 64 * 2**20
_SPACE = r"[ \t]*"
_IRI = r'<[^<>"{}|^`\s]*>'
_BLANK = r'_:[^\s<>"]*[^\s<>".]'
_LITERAL = r'"(?:[^"\\]|\\.)*"(?:@[A-Za-z]+(?:-[A-Za-z0-9]+)*|\^\^<[^>]*>)?'
_OBJECT = rf"({_IRI}|{_BLANK}|{_LITERAL})"
_END = rf"\.{_SPACE}(?:#.*)?$"
_STATEMENT = _SPACE.join(("^", rf"({_IRI}|{_BLANK})", rf"({_IRI})", _OBJECT, _END))
_PLAIN = r"^<([^<>\\ ]*)> <([^<>\\ ]*)> <([^<>\\ ]*)> \.$"  # as most lines are; thrice as fast
_NOTHING = r"^[ \t]*(?:#.*)?$"
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples; IRIs without their angle brackets, blank nodes as _:name; see `read_triples`.

    Statements whose object is a literal link no entities; they are skipped and counted in a note.
    """
    path = Path(path)
    columns = triple_columns(columns, path)
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    frames, literals, lines = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))], 0, 0
    for block in _blocks(path):
        frame, skipped, height = _parse(block, columns, path, lines)
        frames.append(frame)
        literals, lines = literals + skipped, lines + height
    if literals:
        tell(notes, f"{path}: {literals:,} statements whose object is a literal were skipped")
    frame = pl.concat(frames, rechunk=False).select(TRIPLE)
    if not len(frame):
        raise DataError("the file has no statement between two entities", file=path)
    return frame


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            yield block + handle.readline()


def _parse(block: bytes, columns: Sequence[str], path: Path, before: int) -> tuple[pl.DataFrame, int, int]:
    """Triples of a block of lines, how many literals were skipped, and how many lines it has."""
    lines = _lines(block, path, before)
    plain = _extract(lines, _PLAIN, columns)
    unread = plain[columns[0]].is_null()
    if not unread.any():
        return plain.drop("place"), 0, len(lines)
    rest = lines.filter(unread)
    other = _extract(rest, _STATEMENT, columns).with_columns(plain.filter(unread)["place"])
    wrong = other[columns[0]].is_null() & ~rest.fill_null("").str.contains(_NOTHING)
    if wrong.any():
        place = other["place"][wrong.arg_max() or 0]
        raise DataError(
            f"expected '<subject> <predicate> <object> .', found {(lines[place] or '')[:120]!r}",
            file=path,
            line=before + place + 1,
            remedy="write one N-Triples statement a line, or name the file by its own format",
        )
    other = other.filter(other[columns[0]].is_not_null())
    literal = other[columns[2]].str.starts_with('"')
    names = other.filter(~literal).with_columns(pl.col(columns).str.strip_chars("<>"))
    names = names.with_columns(pl.col(columns).map_batches(_unescape_all, return_dtype=pl.String))
    frame = pl.concat([plain.filter(~unread), names]).sort("place").drop("place")
    return frame, int(literal.sum()), len(lines)


def _extract(lines: pl.Series, pattern: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return the groups of a pattern as columns, null where it does not fit, and the place of each line."""
    groups = lines.str.extract_groups(pattern).struct.rename_fields(list(columns)).struct.unnest()
    return groups.with_row_index("place")


def _lines(block: bytes, path: Path, before: int) -> pl.Series:
    try:
        table = pl.read_csv(
            io.BytesIO(block), has_header=False, quote_char=None, separator="\x01", schema={"line": pl.String}
        )
    except pl.exceptions.PolarsError:
        text = block.split(b"\n")
        for number, line in enumerate(text, start=before + 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise DataError(
                    "the line is not UTF-8", file=path, line=number, remedy="save the file as UTF-8"
                ) from None
        return pl.Series("line", [line.decode().rstrip("\r") for line in text[: len(text) - (not text[-1])]])
    return table["line"]


def _unescape_all(names: pl.Series) -> pl.Series:
    if not names.str.contains("\\", literal=True).any():
        return names
    return pl.Series(names.name, [_unescape(name) for name in names], dtype=pl.String)


def _unescape(name: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), name)

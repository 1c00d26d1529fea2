"""New facts into files: Parquet, TSV or N-Triples, by the file's ending, a block at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError
from pictokg.files import write_atomically

if TYPE_CHECKING:
    import polars as pl

    from pictokg.prediction.completion import Fact

BLOCK = 100_000  # facts held at a time
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BLANK = re.compile(r"_:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?")
_REFUSED = re.compile(r'[\x00-\x20<>"{}|^`\\%]')  # what an IRI cannot hold; % too, so that no two names become one


def write_facts(path: Path, facts: Iterable[Fact]) -> int:
    """Write facts as they come and return how many; the file is there whole, or as it was before.

    - `.parquet`: columns head, relation, tail, score, probability (null without calibration).
    - `.tsv`: head, relation, tail, probability by tabs, no header; the probability is empty without calibration.
    - `.nt`: N-Triples, the probability in a comment behind each statement; names that are no absolute IRIs become
      `urn:pictokg:` and the name with percent signs.

    Raises:
        ConfigError: another ending.
        PictoKGError: the disk refuses.
    """
    write, count = writer_of(path), 0

    def counted() -> Iterator[Fact]:
        nonlocal count
        for fact in facts:
            count += 1
            yield fact

    write_atomically(path, lambda temporary: write(temporary, counted()))
    return count


def writer_of(path: Path) -> Callable[[Path, Iterator[Fact]], None]:
    """Find what writes a file; ConfigError for an ending that nothing writes."""
    writers = {".parquet": _write_parquet, ".tsv": _write_tsv, ".nt": _write_ntriples}
    if path.suffix not in writers:
        raise ConfigError(f"{path}: facts are written as {', '.join(writers)}; give a file with one of these endings")
    return writers[path.suffix]


def iri(name: str) -> str:
    """Write a name as N-Triples takes it.

    >>> iri("http://example.org/a b"), iri("Paris, Texas"), iri("_:b0")
    ('<http://example.org/a%20b>', '<urn:pictokg:Paris,%20Texas>', '_:b0')
    """
    if _BLANK.fullmatch(name):
        return name
    if _ABSOLUTE.match(name):
        return f"<{re.sub(_REFUSED, lambda found: found[0] if found[0] == '%' else _percent(found), name)}>"
    return f"<urn:pictokg:{_REFUSED.sub(_percent, name)}>"


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _write_tsv(path: Path, facts: Iterator[Fact]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for fact in facts:
            chance = "" if fact.probability is None else f"{fact.probability:.6g}"
            out.write(f"{fact.head}\t{fact.relation}\t{fact.tail}\t{chance}\n")


def _write_ntriples(path: Path, facts: Iterator[Fact]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for fact in facts:
            chance = "" if fact.probability is None else f" # probability {fact.probability:.6g}"
            out.write(f"{iri(fact.head)} {iri(fact.relation)} {iri(fact.tail)} .{chance}\n")


def _write_parquet(path: Path, facts: Iterator[Fact]) -> None:
    """Write a part a block, then stream the parts into one file."""
    import polars as pl

    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        parts: list[Path] = []
        while block := list(islice(facts, BLOCK)):
            parts.append(Path(folder) / f"{len(parts)}.parquet")
            _frame(block).write_parquet(parts[-1])
        if len(parts) > 1:
            pl.scan_parquet(parts).sink_parquet(path)
        elif parts:
            parts[0].replace(path)
        else:
            _frame([]).write_parquet(path)


def _frame(facts: list[Fact]) -> pl.DataFrame:
    import polars as pl

    schema = {"head": pl.String, "relation": pl.String, "tail": pl.String}
    rows = [(fact.head, fact.relation, fact.tail, fact.score, fact.probability) for fact in facts]
    return pl.DataFrame(rows, schema={**schema, "score": pl.Float64, "probability": pl.Float64}, orient="row")

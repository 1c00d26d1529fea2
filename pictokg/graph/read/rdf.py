"""Turtle, TriG, N-Quads, RDF/XML and JSON-LD, streamed through pyoxigraph (pip install 'pictokg[rdf]')."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from pictokg.errors import DataError, MissingExtraError
from pictokg.graph.read.table import TRIPLE, tell, triple_columns

FORMATS = {
    ".ttl": "TURTLE",
    ".trig": "TRIG",
    ".nq": "N_QUADS",
    ".rdf": "RDF_XML",
    ".xml": "RDF_XML",
    ".jsonld": "JSON_LD",
}
BLOCK = 500_000


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples of all graphs of the file; see `read_triples`.

    IRIs are names as they are, blank nodes are _:b0, _:b1, … in the order they occur. Statements whose
    object is a literal are skipped and counted in a note.

    Raises:
        MissingExtraError: pyoxigraph is not installed.
    """
    path = Path(path)
    columns = triple_columns(columns, path)
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    schema = dict.fromkeys(columns, pl.String)
    frames, total, kept = [pl.DataFrame(schema=schema)], 0, 0
    blanks: dict[str, str] = {}
    statements = _statements(path)
    while block := list(islice(statements, BLOCK)):
        rows = [names for statement in block if (names := _names(statement, blanks))]
        frames.append(pl.DataFrame(rows, schema=schema, orient="row"))
        total, kept = total + len(block), kept + len(rows)
    if total > kept:
        tell(notes, f"{path}: {total - kept:,} statements whose object is a literal were skipped")
    if not kept:
        raise DataError("the file has no statement between two entities", file=path)
    return pl.concat(frames, rechunk=False).select(TRIPLE)


def _statements(path: Path) -> Iterator[Any]:
    try:
        import pyoxigraph
    except ImportError:
        raise MissingExtraError("pyoxigraph", "rdf", f"reading {path.suffix} files") from None
    try:
        yield from pyoxigraph.parse(path=path, format=getattr(pyoxigraph.RdfFormat, FORMATS[path.suffix]))
    except SyntaxError as error:
        raise DataError(str(error.msg), file=path, line=error.lineno, remedy="mend the statement") from None
    except (OSError, ValueError) as error:
        raise DataError(str(error), file=path) from None


def _names(statement: Any, blanks: dict[str, str]) -> tuple[str, str, str] | None:
    """Return the three names; None when the object is a literal or a quoted statement."""
    names = []
    for term in (statement.subject, statement.predicate, statement.object):
        kind = type(term).__name__
        if kind == "NamedNode":
            names.append(term.value)
        elif kind == "BlankNode":
            names.append(blanks.setdefault(term.value, f"_:b{len(blanks)}"))
        else:
            return None
    return names[0], names[1], names[2]

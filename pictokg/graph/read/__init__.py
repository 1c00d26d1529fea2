"""Triples from files: one reader a format, chosen by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

READERS = {
    "2id.txt": "openke",
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
    ".nt": "ntriples",
    ".ttl": "rdf",
    ".trig": "rdf",
    ".nq": "rdf",
    ".rdf": "rdf",
    ".xml": "rdf",
    ".jsonld": "rdf",
}


def read_triples(
    path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None
) -> pl.DataFrame:
    """Read a file of triples into a frame with the string columns head, relation, tail.

    Args:
        path: its ending names the format: .tsv .txt .csv .parquet .nt .ttl .trig .nq .rdf .xml .jsonld,
            or train2id.txt and its like.
        columns: the order of the file's columns, "_" for one to leave out, for instance
            ("head", "tail", "relation"); None: the format's own (CSV and Parquet: by the names in the file).
        notes: what was skipped is added here; None: it is warned of with a DataWarning.

    Raises:
        ConfigError: no reader has this ending, or `columns` do not name head, relation and tail.
        DataError: the file is not as it should be; with the line.
    """
    path = Path(path)
    ending = ending_of(path.name)
    if ending is None:
        raise ConfigError(f"{path}: no reader for this ending; there are: {' '.join(READERS)}")
    frame: pl.DataFrame = import_module(f"{__name__}.{READERS[ending]}").read(path, columns, notes)
    return frame


def ending_of(name: str) -> str | None:
    """Return the ending of a file's name that a reader knows, or None."""
    return next((ending for ending in READERS if name.endswith(ending)), None)

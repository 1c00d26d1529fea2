"""Tab-separated triples: UTF-8, no header, no quoting, names in any script and with spaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.graph.read.table import TRIPLE, read_table, refuse_header, triple_columns

if TYPE_CHECKING:
    import polars as pl


def read(path: Path | str, columns: Sequence[str] | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    """Read triples, one a line; see `read_triples`. Lines "h r t ." have a fourth column, called "_"."""
    path = Path(path)
    columns = triple_columns(columns, path)
    frame = read_table(path, columns, filled=TRIPLE)
    refuse_header(frame, columns, path)
    return frame.select(TRIPLE)

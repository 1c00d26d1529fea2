"""A data folder written anew with other splits, and with every other file of the source beside them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import DataError, PictoKGError
from pictokg.files import is_disk_error
from pictokg.graph.read import ending_of

if TYPE_CHECKING:
    import polars as pl

    from pictokg.graph.graph import KnowledgeGraph

_TRIPLES = ("train", "valid", "test", "triples")
_LINKED = "images"  # large and never edited in place, so a hard link is as good as a copy


def write_resplit(source: Path, target: Path, graph: KnowledgeGraph, splits: Mapping[str, np.ndarray]) -> None:
    """Write `splits` and the other files of `source` to a new folder, which appears complete or not at all.

    Pictures are hard links where the disk allows it, all else is copied; links in the source are followed.
    Names keep their ids (but where one holds a tab or a line break, which no list of names can carry).

    Raises:
        DataError: the target holds something already, or lies inside the source.
        PictoKGError: the disk refuses.
    """
    check_target(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
    try:
        _copy_rest(source, draft)
        _write_order(draft / "entities.tsv", graph.entities.names)
        _write_order(draft / "relations.tsv", graph.relations.names)
        for name, triples in splits.items():
            _write_triples(draft, name, _frame(graph, triples))
        draft.chmod(0o755)  # mkdtemp makes it private
        draft.replace(target)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, Exception) and is_disk_error(error):
            raise PictoKGError(f"cannot write {target}: {error}; free some space or choose another folder") from error
        raise


def check_target(source: Path, target: Path) -> None:
    """Refuse a target that holds something or lies inside the source."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        remedy = "give a folder that is empty or does not exist"
        raise DataError("already holds something", file=target, remedy=remedy)
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"lies inside {source}", file=target, remedy="give a folder outside of it")


def _copy_rest(source: Path, draft: Path) -> None:
    """Copy or link every file but those of the old splits."""
    for folder, _, files in os.walk(source, followlinks=True):
        place = Path(folder).relative_to(source)
        (draft / place).mkdir(exist_ok=True)
        for file in files:
            if place != Path() or file.removesuffix(ending_of(file) or "") not in _TRIPLES:
                _copy(Path(folder, file).resolve(), draft / place / file, link=place.parts[:1] == (_LINKED,))


def _copy(file: Path, to: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(file, to)
        except OSError:  # another disk, or one without hard links
            pass
        else:
            return
    shutil.copyfile(file, to)


def _write_order(path: Path, names: Sequence[str]) -> None:
    """Write down which name has which id, unless the source did, or a name does not fit on a line."""
    if not path.exists() and not any(set("\t\r\n") & set(name) for name in names):
        path.write_text("".join(f"{number}\t{name}\n" for number, name in enumerate(names)), encoding="utf-8")


def _write_triples(folder: Path, name: str, frame: pl.DataFrame) -> None:
    """Write a split by names: as TSV, or as Parquet where a name does not fit between tabs."""
    if any(frame[column].str.contains(r"[\t\r\n]").any() for column in frame.columns):
        frame.write_parquet(folder / f"{name}.parquet")
    else:
        frame.write_csv(folder / f"{name}.tsv", separator="\t", include_header=False, quote_style="never")


def _frame(graph: KnowledgeGraph, triples: np.ndarray) -> pl.DataFrame:
    import polars as pl

    entities = pl.Series(graph.entities.names, dtype=pl.String)
    relations = pl.Series(graph.relations.names, dtype=pl.String)
    slots = {"head": (entities, 0), "relation": (relations, 1), "tail": (entities, 2)}
    return pl.DataFrame({slot: names.gather(triples[:, column]) for slot, (names, column) in slots.items()})

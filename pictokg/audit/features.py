"""Which entities the feature tables of a data folder cover, and what is wrong with these tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.audit.coverage import Coverage, cover
from pictokg.errors import DataError
from pictokg.features import store
from pictokg.features.readers import read_features

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable
    from pictokg.graph.vocabulary import Vocabulary


def cover_features(folder: Path, entities: Vocabulary) -> tuple[dict[str, Coverage], list[str]]:
    """Count the rows of each table in `features/`: name → coverage, and what is wrong, a sentence each."""
    covered: dict[str, Coverage] = {}
    problems: list[str] = []
    for path in sorted((folder / "features").glob("*")):
        if path.suffix != ".npz" and not (path / "manifest.toml").is_file():
            continue
        try:
            table, note = _read(path, entities)
        except DataError as error:
            problems.append(str(error))
            continue
        covered[f"features/{path.stem}"] = cover(table.counts)
        problems += note
    return covered, problems


def _read(path: Path, entities: Vocabulary) -> tuple[FeatureTable, list[str]]:
    if path.is_dir():
        return store.load(path, entities), []
    table, coverage = read_features(path, entities)
    return table, [str(coverage)] if coverage.unknown else []

"""Feature files made elsewhere: one format a file, each with `read(path, entities)`, aligned by name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError, nearest

if TYPE_CHECKING:
    from pictokg.features.align import Coverage
    from pictokg.features.table import FeatureTable
    from pictokg.graph.vocabulary import Vocabulary


def formats() -> list[str]:
    """List the endings that can be read.

    >>> formats()
    ['npz']
    """
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def read_features(path: Path, entities: Vocabulary) -> tuple[FeatureTable, Coverage]:
    """Read a feature file by its ending; ConfigError where no reader has it."""
    ending = path.suffix.removeprefix(".").lower()
    if ending not in formats():
        raise ConfigError(f"{path}: no reader for feature files ending in .{ending}; {nearest(ending, formats())}")
    found: tuple[FeatureTable, Coverage] = importlib.import_module(f"{__name__}.{ending}").read(path, entities)
    return found

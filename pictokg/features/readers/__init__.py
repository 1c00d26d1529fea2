"""Feature files made elsewhere: one format a file, each with `read(path, …)` whose keyword arguments are its options.

A reader gives rows with names, or with numbers in an order that must be declared (`features.order`); its constant
ORDER says which order is usual, for the error that asks for one.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pictokg.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from pictokg.features.align import Coverage
    from pictokg.features.readers._rows import Rows
    from pictokg.features.table import FeatureTable
    from pictokg.graph.vocabulary import Vocabulary


def formats() -> list[str]:
    """List the formats that can be read, by file name.

    >>> formats()[:4]
    ['ikrl', 'kbc', 'keyed', 'mmkb']
    """
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def read_rows(path: Path, kind: str = "", options: Mapping[str, Any] | None = None) -> Rows:
    """Read the rows of a feature file.

    Args:
        path: the file.
        kind: its format; may be left out where the ending of the file's name is one.
        options: of the format; text is read as the type that the reader's signature declares.

    Raises:
        ConfigError: an unknown format, option or value, with what is allowed.
        DataError: the file is not as it should be.
    """
    reader = _module(kind or _by_ending(path)).read
    if not path.is_file():
        raise DataError("there is no such file", file=path)
    found: Rows = reader(path, **_chosen(reader, kind or _by_ending(path), options or {}))
    return found


def usual_order(kind: str, path: Path) -> str:
    """Which order the rows of a format without names usually stand in."""
    return str(_module(kind or _by_ending(path)).ORDER)


def read_features(path: Path, entities: Vocabulary) -> tuple[FeatureTable, Coverage]:
    """Read a file that names its rows, as `features/*.npz` of a data folder, and align it by name.

    Raises:
        ConfigError: no format has this ending. DataError: the rows have no names, or the file is not as it should be.
    """
    from pictokg.features.align import align

    rows = read_rows(path)
    if rows.places is not None:
        raise DataError(
            "has rows without names",
            file=path,
            remedy="write names beside them, numpy.savez(path, ids=names, x=rows), or declare their order:"
            " pictokg import-features",
        )
    names = [str(name) for name in rows.owner]
    table, coverage = align(path.stem, names, rows.values, entities, keys=rows.keys, source=path)
    with path.open("rb") as handle:
        fingerprint = hashlib.file_digest(handle, "sha256").hexdigest()[:32]
    return replace(table, fingerprint=fingerprint), coverage


def _by_ending(path: Path) -> str:
    ending = path.suffix.removeprefix(".").lower()
    if ending not in formats():
        raise ConfigError(
            f"{path}: the ending .{ending} does not tell the format; name it with --format: {', '.join(formats())}"
        )
    return ending


def _module(kind: str) -> Any:
    if kind not in formats():
        raise ConfigError(f"there is no format {kind!r} of feature files; {nearest(kind, formats())}")
    return importlib.import_module(f"{__name__}.{kind}")


def _chosen(reader: Callable[..., Rows], kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the reader declares them; ConfigError for one it does not have, or that it lacks."""
    parameters = [part for part in inspect.signature(reader).parameters.values() if part.kind is part.KEYWORD_ONLY]
    allowed, types = {part.name for part in parameters}, get_type_hints(reader)
    for name in options:
        if name not in allowed:
            hint = nearest(name, allowed) if allowed else "it has none"
            raise ConfigError(f"format {kind!r} has no option {name!r}; {hint}")
    for part in parameters:
        if part.default is part.empty and part.name not in options:
            raise ConfigError(f"format {kind!r} needs the option {part.name}; give it as --set {part.name}=FILE")
    return {name: _value(f"{kind}.{name}", value, types[name]) for name, value in options.items()}


def _value(option: str, value: Any, kind: Any) -> Any:
    if kind is int:
        try:
            return int(value)
        except ValueError:
            raise ConfigError(f"{option} should be a whole number, got {value!r}") from None
    return str(value) if kind is str else Path(value)

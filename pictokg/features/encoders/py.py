"""An encoder of your own: a class in a file or an installed module that does what `base.Encoder` says."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders.base import digest
from pictokg.files import write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoded, Encoder, Item

NEEDED = ("modality", "width", "fitted", "options", "fingerprint", "fit", "encode", "save", "load")


class UserEncoder:
    """A user's encoder with the place of its class, so that what it saves can be loaded again.

    Args:
        source: "module:Class" or "path/to/file.py:Class".
        own: the encoder.
    """

    name = "py"
    modality = "any"
    source_means = "MODULE:CLASS or py:FILE.py:CLASS"

    def __init__(self, source: str, own: Encoder) -> None:
        self.source, self.own = source, own
        self.modality = own.modality

    @classmethod
    def of_user(
        cls, chosen: dict[str, Any], modality: str | None, check: Callable[[str, Any, dict[str, Any]], None]
    ) -> Self:
        """Make the class that a spec names.

        Args:
            chosen: "source" and the options of the class.
            modality: that it must be of, or None.
            check: raises where options are not those of the class.

        Raises:
            ConfigError: it cannot be imported, is no encoder or of another modality, or has no such options.
        """
        options = {name: value for name, value in chosen.items() if name != "source"}
        source = _normal(str(chosen["source"]))
        kind = _class(source)
        check(f"py:{source}", kind, options)
        own = kind(**options)
        if lacking := [name for name in NEEDED if not hasattr(own, name)]:
            raise ConfigError(
                f"py:{source} is no encoder: it lacks {', '.join(lacking)} (see pictokg.features.encoders.base.Encoder)"
            )
        if modality is not None and own.modality != modality:
            raise ConfigError(f"py:{source} is for {own.modality}, not for {modality}")
        return cls(source, own)

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.own.width

    @property
    def fitted(self) -> bool:
        """Whether `encode` can be called."""
        return self.own.fitted

    def options(self) -> dict[str, Any]:
        """Return the class and the arguments it was made with."""
        return {"source": self.source, **self.own.options()}

    def fingerprint(self) -> str:
        """Digest the class's name and its own fingerprint."""
        return digest({"class": self.source.rpartition(":")[2], "own": self.own.fingerprint()})

    def fit(self, items: Sequence[Item]) -> None:
        """Fit it."""
        self.own.fit(items)

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Encode with it."""
        return self.own.encode(items)

    def save(self, folder: Path) -> None:
        """Write where the class is, and below own/ what it saves itself."""
        self.own.save(folder / "own")
        write_text(folder / "encoder.json", json.dumps({"name": self.name, "source": self.source}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the class must be where it was."""
        try:
            source = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))["source"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"is no saved encoder ({error})", file=folder, remedy="encode again: pictokg encode FOLDER"
            ) from error
        return cls(source, _class(source).load(folder / "own"))


def _normal(source: str) -> str:
    """Write a path to a file absolute, so that it means the same from any folder."""
    place, _, name = source.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigError(f"cannot read 'py:{source}'; write py:{UserEncoder.source_means}")
    return f"{Path(place).expanduser().resolve()}:{name}" if place.endswith(".py") else source


def _class(source: str) -> Any:
    place, _, name = source.rpartition(":")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    if not hasattr(module, name):
        raise ConfigError(f"py:{source}: {place} has no {name}")
    return getattr(module, name)


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # the user's module may raise anything
        advice = f"; for a file of yours, write py:{name.replace('.', '/')}.py:CLASS" if _is_absent(error, name) else ""
        raise ConfigError(f"py:{name}: cannot be imported ({type(error).__name__}: {error}){advice}") from error


def _is_absent(error: Exception, name: str) -> bool:
    """Whether a module is not on Python's path, and not one that it imports."""
    return isinstance(error, ModuleNotFoundError) and error.name is not None and f"{name}.".startswith(f"{error.name}.")


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"py:{path}: there is no such file")
    specification = importlib.util.spec_from_file_location(f"pictokg_user_{path.stem}", path)
    assert specification is not None, "a .py file has a loader"
    assert specification.loader is not None, "likewise"
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # so that dataclasses and pickles find it
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything
        raise ConfigError(f"py:{path}: {type(error).__name__}: {error}") from error
    return module

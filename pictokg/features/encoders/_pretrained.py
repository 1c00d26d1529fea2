"""What encoders with weights made elsewhere share: fitted from the start, loaded late, saved by reference."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from pictokg.errors import DataError
from pictokg.features.encoders._hub import digest_files, require
from pictokg.features.encoders.base import digest
from pictokg.files import write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Item

Network = TypeVar("Network")


class Pretrained(ABC, Generic[Network]):
    """An encoder whose weights are files of somebody else.

    Making one is cheap; its weights are looked for when its fingerprint is asked for, and loaded when it first
    encodes. What is saved names the weights and holds their digest, never a copy of them.

    Attributes:
        name: the name of the file that defines it.
        modality: "image" or "text".
        version: of the numbers it makes from the same weights; part of the fingerprint.
        packages: what must be installed to encode, and the extra that brings it.
        fitted: always true.
        device: where to compute; not an option, as the rows are the same.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[tuple[str, str], ...]] = ()
    fitted: ClassVar[bool] = True

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._expected: str | None = None
        self.device = "cpu"

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """The files that decide its numbers; MissingWeightsError where they are not on this machine."""

    @abstractmethod
    def _load(self) -> Network:
        """Load the network."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in a row; loads the network."""

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return dict(self._options)

    @cached_property
    def weights(self) -> str:
        """The digest of the files that decide its numbers."""
        return digest_files(self.files())

    def fingerprint(self) -> str:
        """Digest the options and the weights, wherever these lie."""
        options = {name: value for name, value in self._options.items() if name != "source"}
        return digest({"name": self.name, "version": self.version, "options": options, "weights": self.weights})

    def fit(self, items: Sequence[Item]) -> None:
        """Do nothing: the weights are what they are."""

    def check(self) -> None:
        """Raise at once what would stop the encoding later: a package or weights that are missing."""
        for package, extra in self.packages:
            require(package, extra, f"encoder {self.name!r}")
        self.fingerprint()

    def download(self) -> None:
        """Fetch the weights where they are missing and can be fetched; most encoders' cannot."""

    @cached_property
    def network(self) -> Network:
        """The network, loaded when first used.

        Raises:
            DataError: the weights cannot be read, or are no longer those that the encoder was saved with.
        """
        self.check()
        if self._expected not in (None, self.weights):
            raise DataError(
                f"the weights of {self.name} have changed since rows were made with them (files:"
                f" {', '.join(path.name for path in self.files()[:3])} …)",
                file=self.files()[0].parent if self.files() else None,
                remedy="bring the old ones back, or encode and train again",
            )
        return self._load()

    def save(self, folder: Path) -> None:
        """Write options, the digest of the weights and the versions of packages; not the weights."""
        settings = {
            "name": self.name,
            "modality": self.modality,
            "version": self.version,
            "options": self._options,
            "weights": self.weights,
            "made_with": {package: _version(package) for package in ("torch", *(name for name, _ in self.packages))},
        }
        write_text(folder / "encoder.json", json.dumps(settings, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the weights must be where they were."""
        path = folder / "encoder.json"
        remedy = "encode again: pictokg encode FOLDER"
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            found, options, weights = settings["version"], settings["options"], settings["weights"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"is no saved encoder ({error})", file=path, remedy=remedy) from error
        if found != cls.version:
            raise DataError(
                f"was written by version {found} of {cls.name}, this is {cls.version}", file=path, remedy=remedy
            )
        encoder = cls(**options)
        encoder._expected = weights
        return encoder


def _version(package: str) -> str:
    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:
        return ""

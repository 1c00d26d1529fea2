"""Pictures as they are, small: what a network that learns with the model looks at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders._picture import thumbnails
from pictokg.features.encoders.base import Encoded, Item, digest, in_threads, load_state, save_state

VERSION = 1  # of the numbers it makes; part of the fingerprint
SAMPLE = 2_048  # pictures looked at to see whether all are grey
BATCH = 128
GREYNESS = 2  # a pixel whose channels differ by no more than this is grey


class Raw:
    """The pixels of a thumbnail, 0 (black) to 1, channel by channel and row by row; nothing is learned of them here.

    For models with `trainable=true`, which train a network on these rows (`fusion.network`).

    Args:
        size: side of the thumbnail in pixels.
        colour: "grey" or "rgb"; "auto" is grey where a sample of the pictures is.
    """

    name = "raw"
    modality = "image"

    def __init__(self, size: int = 32, colour: Literal["auto", "grey", "rgb"] = "auto") -> None:
        if size < 8 or size % 8:
            raise ConfigError(f"raw: size must be a positive multiple of 8, got {size}")
        self.size, self.colour = size, colour
        self._grey = None if colour == "auto" else colour == "grey"

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.size**2 * (1 if self._grey else 3)

    @property
    def fitted(self) -> bool:
        """Whether it is decided if pictures are grey."""
        return self._grey is not None

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return {"size": self.size, "colour": self.colour}

    def fingerprint(self) -> str:
        """Digest the options and what was decided."""
        return digest(self._settings())

    def fit(self, items: Sequence[Item]) -> None:
        """See whether the pictures, or a sample of them, are grey.

        Raises:
            DataError: no picture of the sample can be decoded.
        """
        if self.fitted:
            return
        step = max(1, len(items) // SAMPLE)
        found = in_threads(lambda batch: _greys(batch, self.size), items[::step], BATCH)
        if not any(count for count, _ in found):
            raise DataError("none of the pictures can be decoded", remedy="mend or remove the pictures")
        self._grey = all(grey for _, grey in found)

    def encode(self, items: Sequence[Item]) -> Encoded:
        """A row a picture."""
        found = in_threads(lambda batch: thumbnails(batch, self.size, grey=bool(self._grey)), items, BATCH)
        starts = range(0, len(items), BATCH)
        rows = [pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1) / np.float32(255) for pixels, _, _ in found]
        places = [start + place for start, (_, good, _) in zip(starts, found, strict=True) for place in good]
        bad = [(start + place, why) for start, (_, _, bad) in zip(starts, found, strict=True) for place, why in bad]
        values = np.concatenate([*rows, np.zeros((0, self.width), dtype=np.float32)]).astype(np.float32)
        return Encoded(values, np.array(places, dtype=np.int64), [""] * len(places), bad)

    def save(self, folder: Path) -> None:
        """Write the options and what was decided."""
        save_state(folder, self._settings(), {"grey": np.array([bool(self._grey)], dtype=np.uint8)})

    @classmethod
    def load(cls, folder: Path) -> Raw:
        """Read what `save` wrote."""
        settings, _ = load_state(folder)
        if settings["version"] != VERSION:
            found = f"was written by version {settings['version']} of raw, this is {VERSION}"
            raise DataError(found, file=folder, remedy="encode again: pictokg encode FOLDER")
        encoder = cls(**settings["options"])
        encoder._grey = settings["grey"]
        return encoder

    def _settings(self) -> dict[str, Any]:
        return {"name": self.name, "version": VERSION, "options": self.options(), "grey": self._grey}


def _greys(items: Sequence[Item], side: int) -> tuple[int, bool]:
    """How many of these pictures can be decoded, and whether those are all grey."""
    pixels, good, _ = thumbnails(items, side, grey=False)
    return len(good), bool((np.ptp(pixels, axis=-1) <= GREYNESS).all())

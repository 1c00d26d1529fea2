"""Pictures without weights or fitting: directions of edges (HOG) beside a histogram of colours.

Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005, as scikit-image computes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders._hub import require
from pictokg.features.encoders._picture import thumbnails
from pictokg.features.encoders.base import Encoded, Ready, digest, encode_in_batches
from pictokg.features.encoders.pixels import windows
from pictokg.files import write_text

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from pictokg.features.encoders.base import Item, Reader

VERSION = 1  # of the numbers it makes; part of the fingerprint
CELL, BLOCK, DIRECTIONS = 8, 2, 9  # pixels a side of a cell, cells a side of a block, bins over half a turn
BINS = 16  # of each of hue, saturation and value


class Hog:
    """Histograms of oriented gradients, and beside them histograms of hue, saturation and value.

    A thumbnail has cells of 8 × 8 pixels, each with a histogram of 9 directions; 2 × 2 neighbouring cells are scaled to
    norm 1 together. The colour histograms are shares of pixels, scaled to norm 1. With the defaults 1,764 + 48 numbers.

    Args:
        size: side of the thumbnail in pixels, a multiple of 8, at least 16.
        colour: whether to add the histograms of colour.
        patches: besides a row for the whole picture, one for each of 3 × 3 windows, half as high and wide.
    """

    name = "hog"
    modality = "image"
    fitted = True
    batch = 64
    part = 512

    def __init__(self, size: int = 64, colour: bool = True, patches: bool = False) -> None:
        if size < BLOCK * CELL or size % CELL:
            raise ConfigError(f"hog: size must be a multiple of {CELL}, at least {BLOCK * CELL}, got {size}")
        self._options: dict[str, Any] = {"size": size, "colour": colour, "patches": patches}
        blocks = size // CELL - BLOCK + 1
        self.width = blocks**2 * BLOCK**2 * DIRECTIONS + (3 * BINS if colour else 0)

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return dict(self._options)

    def fingerprint(self) -> str:
        """Digest the options."""
        return digest(self._settings())

    def fit(self, items: Sequence[Item]) -> None:
        """Do nothing: there is nothing to fit."""

    def check(self) -> None:
        """Raise where scikit-image is not installed."""
        require("skimage", "encoders", "encoder 'hog'")

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of pictures; keys are empty for a whole picture and "patch row,column" for a window."""
        return encode_in_batches(self, self.reader(), items)

    def reader(self) -> Reader:
        """All of the work, which other processes can do."""
        self.check()
        return Describe(**self._options)

    def encode_ready(self, ready: Ready) -> Encoded:
        """Rows as they come."""
        patches = self._options["patches"]
        keys = ["", *(f"patch {row},{column}" for row in range(3) for column in range(3))] if patches else [""]
        rows = ready.arrays.get("rows", np.empty((0, self.width), np.float32))
        owner = np.repeat(np.asarray(ready.places, dtype=np.int64), len(keys))
        return Encoded(rows, owner, keys * len(ready.places), ready.skipped)

    def save(self, folder: Path) -> None:
        """Write the options."""
        write_text(folder / "encoder.json", json.dumps(self._settings(), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        path, remedy = folder / "encoder.json", "encode again: pictokg encode FOLDER"
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            found, options = settings["version"], settings["options"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"is no saved encoder ({error})", file=path, remedy=remedy) from error
        if found != VERSION:
            raise DataError(f"was written by version {found} of hog, this is {VERSION}", file=path, remedy=remedy)
        return cls(**options)

    def _settings(self) -> dict[str, Any]:
        return {"name": self.name, "version": VERSION, "options": self._options}


@dataclass(frozen=True)
class Describe:
    """Makes the rows of pictures; the fields are the options of `Hog`."""

    size: int
    colour: bool
    patches: bool

    def __call__(self, items: Sequence[Item]) -> Ready:
        """Decode and describe pictures: array "rows" (rows, width)."""
        pixels, good, bad = thumbnails(items, 2 * self.size if self.patches else self.size, grey=False)
        cut = windows(pixels, self.size) if self.patches else pixels
        rows = [self._row(window) for window in cut]
        return Ready({"rows": np.stack(rows)} if rows else {}, good, bad)

    def _row(self, pixels: UInt8[np.ndarray, "size size 3"]) -> Float[np.ndarray, " width"]:
        from skimage.feature import hog

        edges = hog(
            pixels, DIRECTIONS, (CELL, CELL), (BLOCK, BLOCK), block_norm="L2-Hys", channel_axis=-1, transform_sqrt=False
        )
        parts = [edges, colours(pixels)] if self.colour else [edges]
        return np.concatenate(parts).astype(np.float32)


def colours(pixels: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, " bins"]:
    """Histograms of hue, saturation and value, side by side, together of norm 1.

    >>> red = colours(np.full((4, 4, 3), (255, 0, 0), dtype=np.uint8))
    >>> np.flatnonzero(red).tolist()  # hue 0, saturation 1, value 1
    [0, 31, 47]
    """
    from skimage.color import rgb2hsv

    shown = rgb2hsv(pixels).reshape(-1, 3)
    counts = np.concatenate([np.histogram(channel, BINS, (0, 1))[0] for channel in shown.T]).astype(np.float64)
    return counts / np.linalg.norm(counts)

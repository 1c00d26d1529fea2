"""Where on a picture the score comes from, when features show it whole: windows are covered, the rest is encoded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import PictoKGError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from pictokg.datasets.dataset import Dataset
    from pictokg.features.encoders.base import Encoder, Item

GRID = 4  # windows of a picture in each direction
PICTURES = 4  # of an entity that are looked at, those that count most
LOOKS = 128  # coverings of a picture that are encoded, about
QUICK = ("pixels", "hog", "raw")  # encoders of a millisecond a picture
_SIDE = 160  # pixels of the longer side that a picture is looked at with

WINDOWS = "The features show windows of the pictures; what the windows of one add sums to what its removal costs."
COVERED = (
    "The features show pictures as a whole, so windows are covered and the rest is encoded: heat sums to what covering"
    " all of a picture costs."
)


class Covering:
    """Encodes pictures of which parts are covered, as the run encoded them whole.

    Args:
        data: with the feature tables, and the folders of their encoders.
        modality: whose encoder to use.
    """

    def __init__(self, data: Dataset, modality: str = "image") -> None:
        self.data, self.modality = data, modality

    @cached_property
    def why_not(self) -> str:
        """Say why there is no heat map; "" when there can be one."""
        if self.modality not in self.data.encoders:
            name = self.data.table(self.modality).name
            return f"No heat maps: the features ({name}) were made elsewhere, so a covered picture cannot be encoded."
        if self._encoder is None:
            return "No heat maps: the encoder of the pictures cannot be loaded here."
        if self._encoder.name not in QUICK:
            return (
                f"No heat maps: the encoder ({self._encoder.name}) shows pictures as a whole and is too slow to look at"
                " each a hundred times; features of patches have them (pictokg encode with patches=true)."
            )
        return ""

    def rows(
        self, path: Path, shown: Bool[np.ndarray, "coverings windows"]
    ) -> Float[np.ndarray, "coverings width"] | None:
        """The feature rows of a picture when only these windows of it are shown; None where it cannot be read.

        Windows lie row by row on a grid of 4 × 4; the others are filled with the picture's median colour.
        """
        from pictokg.features.encoders._picture import attempt

        pixels = attempt(_opened, path)
        if isinstance(pixels, str) or self.why_not:
            return None
        from PIL import Image

        assert self._encoder is not None
        encoded = self._encoder.encode([Image.fromarray(one) for one in cover(pixels, shown)])
        whole = [row for row, key in enumerate(encoded.keys) if not key]
        fits = len(whole) == len(shown) and encoded.values.shape[1] == self.data.table(self.modality).width
        return encoded.values[whole] if fits else None

    @cached_property
    def _encoder(self) -> Encoder | None:
        from pictokg.features.encoders import load_encoder

        try:
            return load_encoder(Path(self.data.encoders[self.modality]))
        except PictoKGError:
            return None


def cover(pixels: np.ndarray, shown: Bool[np.ndarray, "coverings windows"]) -> list[np.ndarray]:
    """Copies of a picture (height, width, 3) with all windows but those shown filled by its median colour.

    >>> picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> shown = np.ones((1, 16), dtype=bool)
    >>> shown[0, 1] = False
    >>> changed = (cover(picture, shown)[0] != picture).any(axis=2)
    >>> np.argwhere(changed).tolist()
    [[0, 1]]
    """
    colour = np.median(pixels.reshape(-1, pixels.shape[2]), axis=0).astype(pixels.dtype)
    edges = [np.linspace(0, size, GRID + 1).round().astype(int) for size in pixels.shape[:2]]
    found = []
    for one in shown.reshape(-1, GRID, GRID):
        copy = pixels.copy()
        for row, column in np.argwhere(~one).tolist():
            copy[edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]] = colour
        found.append(copy)
    return found


def picture_of(key: str, entity: str, data: Dataset) -> Path | None:
    """The picture file that a row's key names, among those of its entity."""
    for path in data.pictures.get(entity, ()):
        if path.as_posix() == key or path.as_posix().endswith("/" + key) or path.name == key:
            return path
    return None


def _opened(item: Item) -> np.ndarray:
    from pictokg.features.encoders._picture import upright

    picture = upright(item, _SIDE)
    picture.thumbnail((_SIDE, _SIDE))
    return np.asarray(picture)

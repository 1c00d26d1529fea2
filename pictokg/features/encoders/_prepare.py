"""Pictures brought to the size that a network takes, with Pillow and NumPy only: what other processes do ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.features.encoders._picture import attempt, upright
from pictokg.features.encoders.base import Ready

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL.Image import Image

    from pictokg.features.encoders.base import Item

GAP = 2.0  # a picture of twice this many times the size needed is first averaged down to no less than this many


@dataclass(frozen=True)
class Geometry:
    """Resize a picture, then cut out its middle.

    Pictures at least four times as large as needed are first reduced by averaging whole blocks of pixels (JPEGs while
    they are decoded), to no less than twice what is needed: this bounds time and memory and changes pixels by little.

    Attributes:
        size: (height, width) to resize to; where `keep_shape`, the shorter side becomes the smaller of the two.
        crop: (height, width) of the middle, or None for all.
        resample: Pillow's number of the filter.
        keep_shape: whether height and width keep their ratio.
    """

    size: tuple[int, int]
    crop: tuple[int, int] | None
    resample: int
    keep_shape: bool

    def __call__(self, items: Sequence[Item]) -> Ready:
        """Prepare pictures: arrays "pixels" (pictures, 3, height, width), uint8."""
        found = [attempt(self.pixels, item) for item in items]
        good = [place for place, pixels in enumerate(found) if not isinstance(pixels, str)]
        height, width = self.crop or self.size
        stacked = np.stack([found[place] for place in good]) if good else np.empty((0, 3, height, width), np.uint8)
        bad = [(place, why) for place, why in enumerate(found) if isinstance(why, str)]
        return Ready({"pixels": stacked}, good, bad)

    def pixels(self, item: Item) -> UInt8[np.ndarray, "3 height width"]:
        """Prepare one picture."""
        picture = upright(item, min(self.size))
        width, height = picture.size
        if self.keep_shape:
            short, long = min(self.size), int(min(self.size) * max(width, height) / min(width, height))
            target = (short, long) if width <= height else (long, short)
        else:
            target = (self.size[1], self.size[0])
        if picture.size != target:
            picture = picture.resize(target, self.resample, reducing_gap=GAP)
        if self.crop:
            left, top = (target[0] - self.crop[1]) // 2, (target[1] - self.crop[0]) // 2
            picture = picture.crop((left, top, left + self.crop[1], top + self.crop[0]))
        return np.moveaxis(np.asarray(picture), -1, 0)


def reduced(picture: Image, side: int) -> Image:
    """Average a picture that is at least four times as large as needed down to no less than twice that."""
    from PIL import Image

    factor = int(min(picture.size) / (GAP * side)) if side else 1
    if factor < GAP:
        return picture
    return picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BOX)


@dataclass(frozen=True)
class Processed:
    """What a processor of transformers makes of pictures, where that is more than resizing and cutting.

    Attributes:
        folder: where its settings lie.
        side: of the pictures that it makes, or 0 where it says none.
    """

    folder: str
    side: int

    def __call__(self, items: Sequence[Item]) -> Ready:
        """Prepare pictures: the arrays that the processor makes."""
        processor = self._processor()
        opened = [attempt(partial(_open, side=self.side), item) for item in items]
        good: list[int] = []
        made: list[dict[str, np.ndarray]] = []
        bad: list[tuple[int, str]] = []
        for place, picture in enumerate(opened):
            found = picture if isinstance(picture, str) else attempt(partial(_process, processor), picture)
            if isinstance(found, str):
                bad.append((place, found))
            else:
                good.append(place)
                made.append(found)
        names = made[0] if made else {}
        return Ready({name: np.concatenate([one[name] for one in made]) for name in names}, good, bad)

    def _processor(self) -> Any:
        if self.folder not in PROCESSORS:
            from transformers import AutoImageProcessor

            PROCESSORS[self.folder] = AutoImageProcessor.from_pretrained(self.folder, local_files_only=True)
        return PROCESSORS[self.folder]


PROCESSORS: dict[str, Any] = {}  # read once by each process


def _open(item: Item, side: int) -> Image:
    return reduced(upright(item, side), side)


def _process(processor: Any, picture: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in processor(images=[picture], return_tensors="np").items()}

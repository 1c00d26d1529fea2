"""Pictures without pretrained weights: principal components of thumbnails, their edges and their colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders._descriptor import CELL, blocks
from pictokg.features.encoders._picture import thumbnails
from pictokg.features.encoders.base import (
    Encoded,
    digest,
    in_threads,
    load_state,
    one_thread,
    save_state,
    unit_rows,
)

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from pictokg.features.encoders.base import Item

VERSION = 1  # of the numbers it makes; part of the fingerprint
SAMPLE = 8_192  # pictures that it is fitted on, at most
BATCH = 128  # thumbnails described together: their intermediate results fit into the cache
PART = 2_048  # pictures between two writes: at the end of each, threads wait for the last one
WEIGHTS = (1.0, 1.4, 0.7)  # of brightness, edges and colour: their standard deviations in the joint vector
NOISE = 0.01  # standard deviation of a block that comes from rounding, and is not made larger
GREYNESS = 2  # a pixel whose channels differ by no more than this is grey


class Pixels:
    """Principal components of a picture's brightness, edges and colour, each row scaled to norm 1.

        y = Wᵀ x + b,   row = y / ‖y‖,   W = V Λ^(−1/4)

    x is the descriptor (brightness of a thumbnail, directions of its edges by cell, colours at half
    resolution), each of the three centred and weighted by its total variance; V and Λ are the first
    eigenvectors and eigenvalues of its covariance over at most 8,192 pictures. The exponent lies halfway
    between plain components (0) and whitened ones (−1/2).

    Args:
        width: numbers in a row; fewer where there are fewer pictures to learn from.
        size: side of the thumbnail in pixels, a multiple of 4.
        colour: "grey" or "rgb"; "auto" is grey where all pictures are.
        patches: besides a row for the whole picture, one for each of 3 × 3 windows, half as high and wide.
        seed: of the sample and of the randomised decomposition.
    """

    name = "pixels"
    modality = "image"
    part = PART

    def __init__(
        self,
        width: int = 256,
        size: int = 32,
        colour: Literal["auto", "grey", "rgb"] = "auto",
        patches: bool = False,
        seed: int = 0,
    ) -> None:
        if size < CELL or size % CELL or width < 1:
            raise ConfigError(
                f"pixels: size must be a positive multiple of {CELL} and width positive, got {size}, {width}"
            )
        self.width, self.size, self.colour, self.patches, self.seed = width, size, colour, patches, seed
        self._options = {"width": width, "size": size, "colour": colour, "patches": patches, "seed": seed}
        self._grey = colour == "grey"
        self._state: dict[str, np.ndarray] = {}

    @property
    def fitted(self) -> bool:
        """Whether it has been fitted or loaded."""
        return bool(self._state)

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return dict(self._options)

    def fingerprint(self) -> str:
        """Digest the options and what was fitted."""
        return digest(self._settings(), self._state)

    def fit(self, items: Sequence[Item]) -> None:
        """Learn the components from a sample of pictures.

        Raises:
            DataError: no picture of the sample can be decoded.
        """
        generator = np.random.default_rng(self.seed)
        chosen = generator.choice(len(items), min(SAMPLE, len(items)), replace=False)
        sample = [items[place] for place in np.sort(chosen)]
        found = in_threads(lambda batch: thumbnails(batch, self._side, grey=self._grey), sample, BATCH)
        pixels = np.concatenate([pixels for pixels, _, _ in found]) if found else np.zeros((0, 1, 1, 1))
        if not len(pixels):
            first = f"; the first: {found[0][2][0][1]}" if found else ""
            raise DataError(
                f"none of {len(sample):,} pictures can be decoded{first}",
                remedy="mend or remove the pictures",
            )
        if self.colour == "auto" and bool((np.ptp(pixels, axis=-1) <= GREYNESS).all()):
            self._grey, pixels = True, pixels[..., :1]
        windows = self._windows(pixels)
        if len(windows) > SAMPLE:
            windows = windows[np.sort(generator.choice(len(windows), SAMPLE, replace=False))]
        with one_thread():
            self._adopt(_components(list(_described(windows)), self.width, self.seed))

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Rows of pictures; keys are empty for a whole picture and "patch row,column" for a window."""
        found = in_threads(self._encode, items, BATCH)
        starts = range(0, len(items), BATCH)
        keys = ["", *(f"patch {row},{column}" for row in range(3) for column in range(3))] if self.patches else [""]
        places = [start + place for start, (_, good, _) in zip(starts, found, strict=True) for place in good]
        values = [values for values, _, _ in found] or [np.zeros((0, self.width), dtype=np.float32)]
        return Encoded(
            np.concatenate(values),
            np.repeat(np.array(places, dtype=np.int64), len(keys)),
            keys * len(places),
            [(start + place, why) for start, (_, _, bad) in zip(starts, found, strict=True) for place, why in bad],
        )

    def _encode(self, items: Sequence[Item]) -> tuple[np.ndarray, list[int], list[tuple[int, str]]]:
        """Rows of a batch, the places of the items that gave them, and (place, reason) of the others."""
        pixels, good, bad = thumbnails(items, self._side, grey=self._grey)
        described = _described(self._windows(pixels))
        rows = [np.concatenate(parts, axis=1) @ self._projection + self._state["bias"] for parts in described]
        return unit_rows(np.concatenate(rows or [np.zeros((0, self.width), dtype=np.float32)])), good, bad

    def save(self, folder: Path) -> None:
        """Write options and components."""
        save_state(folder, {**self._settings(), "grey": self._grey}, self._state)

    @classmethod
    def load(cls, folder: Path) -> Pixels:
        """Read what `save` wrote."""
        settings, state = load_state(folder)
        if settings["version"] != VERSION:
            raise DataError(
                f"was written by version {settings['version']} of pixels, this is {VERSION}",
                file=folder,
                remedy="encode again: pictokg encode FOLDER",
            )
        encoder = cls(**settings["options"])
        encoder._grey = settings["grey"]
        encoder._adopt(state)
        return encoder

    def _adopt(self, state: dict[str, np.ndarray]) -> None:
        """Take over what was fitted."""
        self._state = state
        self._projection = state["projection"].astype(np.float32)
        self.width = self._projection.shape[1]

    def _settings(self) -> dict[str, Any]:
        return {"name": self.name, "version": VERSION, "options": self._options}

    @property
    def _side(self) -> int:
        """Of the thumbnail that is decoded: windows are cut from one twice as large."""
        return 2 * self.size if self.patches else self.size

    def _windows(
        self, pixels: UInt8[np.ndarray, "pictures side side channels"]
    ) -> UInt8[np.ndarray, "windows _ _ channels"]:
        """Cut what is described of each picture."""
        return windows(pixels, self.size) if self.patches else pixels


def windows(
    pixels: UInt8[np.ndarray, "pictures side side channels"], size: int
) -> UInt8[np.ndarray, "windows size size channels"]:
    """Cut thumbnails of twice the size into ten, one picture's after another's: the whole, then 3 × 3 windows."""
    step = size // 2
    count, channels = len(pixels), pixels.shape[-1]
    halves = pixels.reshape(count, size, 2, size, 2, channels)
    whole = halves.mean(axis=(2, 4)).round().astype(np.uint8)
    starts = [(row * step, column * step) for row in range(3) for column in range(3)]
    cut = [pixels[:, top : top + size, left : left + size] for top, left in starts]
    return np.stack([whole, *cut], axis=1).reshape(-1, size, size, channels)


def _described(windows: UInt8[np.ndarray, "windows size size channels"]) -> Iterator[list[np.ndarray]]:
    """Yield the descriptor's blocks, batch by batch."""
    for start in range(0, len(windows), BATCH):
        yield blocks(windows[start : start + BATCH])


def _components(batches: list[list[np.ndarray]], width: int, seed: int) -> dict[str, np.ndarray]:
    """Fit y = x W + b: blocks centred and weighted, turned to principal axes, half whitened."""
    from sklearn.decomposition import PCA

    columns = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    scales = []
    for block, weight in zip(columns, WEIGHTS[: len(columns)], strict=True):
        spread = float(np.sqrt(block.var(axis=0, dtype=np.float64).sum()))
        scales.append(np.full(block.shape[1], weight / spread if spread > NOISE else weight, dtype=np.float32))
    scale = np.concatenate(scales)
    described = np.concatenate(columns, axis=1) * scale
    possible = max(1, min(width, len(described) - 1, described.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):  # the share of variance explained, where there is none
        analysis = PCA(possible, svd_solver="randomized", iterated_power=3, random_state=seed).fit(described)
    kept = max(1, int((analysis.singular_values_ > 1e-5 * analysis.singular_values_[0]).sum()))
    variance = analysis.singular_values_[:kept] ** 2 / max(1, len(described) - 1)
    power = np.where(variance > 0, variance, 1.0) ** -0.25
    projection = (analysis.components_[:kept] * power[:, None] * scale).T.astype(np.float16)  # half the file
    bias = -(analysis.mean_ / scale) @ projection.astype(np.float32)
    return {"projection": projection, "bias": bias.astype(np.float32)}

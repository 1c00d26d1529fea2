"""What a thumbnail looks like, as numbers: brightness, colour, and the directions of its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

DIRECTIONS = 8  # of edges, over half a turn
CELL = 4  # pixels a side, within which edges may move without being noticed
FLAT = 0.05  # edge strength below which a cell counts as flat
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue


def blocks(
    pixels: UInt8[np.ndarray, "pictures side side channels"],
) -> list[Float[np.ndarray, "pictures _"]]:
    """Describe thumbnails: [brightness, edges] of grey ones, [brightness, edges, colour] of others.

    Brightness is kept pixel by pixel, colour (red − green, blue − yellow) at half the resolution, edges as
    their strength by direction in cells of 4 × 4 pixels, relative to that of the 3 × 3 cells around.

    >>> [block.shape for block in blocks(np.zeros((5, 32, 32, 3), dtype=np.uint8))]
    [(5, 1024), (5, 512), (5, 512)]
    """
    scaled = pixels.astype(np.float32) / np.float32(255)
    if pixels.shape[-1] == 1:
        light = scaled[..., 0]
        return [_flat(light), _flat(edges(light))]
    red, green, blue = np.moveaxis(scaled, -1, 0)
    light = red * LUMINANCE[0] + green * LUMINANCE[1] + blue * LUMINANCE[2]
    colour = np.stack([red - green, blue - (red + green) / 2], axis=-1)
    return [_flat(light), _flat(edges(light)), _flat(_pooled(colour, 2) / 4)]


def edges(
    light: Float[np.ndarray, "pictures side side"],
) -> Float[np.ndarray, "pictures cells cells directions"]:
    """Measure edges by direction in each cell (histogram of oriented gradients: Dalal and Triggs, CVPR 2005).

    A gradient g counts for direction u with max(0, |g · u| − |g| cos(π / 8)): most along u, not at all for
    the directions beside it.
    """
    across, down = np.zeros_like(light), np.zeros_like(light)
    across[:, :, 1:-1] = light[:, :, 2:] - light[:, :, :-2]
    down[:, 1:-1] = light[:, 2:] - light[:, :-2]
    threshold = np.sqrt(across * across + down * down) * np.float32(np.cos(np.pi / DIRECTIONS))
    cells = light.shape[1] // CELL
    found = np.empty((len(light), cells, cells, DIRECTIONS), dtype=np.float32)
    for direction, angle in enumerate(np.arange(DIRECTIONS) * (np.pi / DIRECTIONS)):
        along = across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))
        strength = np.maximum(np.abs(along) - threshold, 0)
        found[..., direction] = _pooled(strength[..., None], CELL)[..., 0]
    energy = np.square(found).sum(axis=-1)
    padded = np.pad(energy, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = sum(padded[:, i : i + cells, j : j + cells] for i in range(3) for j in range(3)) / np.float32(9)
    return found / np.sqrt(around + np.float32(FLAT**2))[..., None]


def _pooled(values: np.ndarray, size: int) -> np.ndarray:
    """Sum over squares of size × size pixels."""
    count, side, _, channels = values.shape
    return values.reshape(count, side // size, size, side // size, size, channels).sum(axis=(2, 4))


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)

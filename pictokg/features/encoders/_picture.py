"""Picture files to pixels: any mode, any size, and a reason where none come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pictokg.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL.Image import Image

    from pictokg.features.encoders.base import Item

Result = TypeVar("Result")
WIDE = ("I", "F")  # modes, and beginnings of modes, with more than 8 bits a pixel
WHOLE = 2**25  # bytes of a file that is read at once
LONGEST = 200  # times as long as wide a picture may be: a line of pixels shows nothing, and grows when it is resized


def thumbnails(
    items: Sequence[Item], side: int, *, grey: bool
) -> tuple[UInt8[np.ndarray, "pictures side side channels"], list[int], list[tuple[int, str]]]:
    """Decode pictures.

    Args:
        items: picture files or opened pictures.
        side: height and width of a thumbnail; the whole picture is squeezed into it.
        grey: one channel instead of three.

    Returns:
        the thumbnails, for each its place among the items, and (place, reason) of the items that gave none.
    """
    channels = 1 if grey else 3
    pixels = np.empty((len(items), side, side, channels), dtype=np.uint8)
    good: list[int] = []
    bad: list[tuple[int, str]] = []
    for place, item in enumerate(items):
        found = attempt(partial(thumbnail, side=side, grey=grey), item)
        if isinstance(found, str):
            bad.append((place, found))
        else:
            pixels[len(good)] = found.reshape(side, side, channels)
            good.append(place)
    return pixels[: len(good)], good, bad


def thumbnail(item: Item, side: int, *, grey: bool) -> UInt8[np.ndarray, "side side *channels"]:
    """One picture, upright, on white where it is transparent, squeezed into side × side pixels.

    Raises:
        Exception: whatever the decoder raises on bytes it does not expect.
    """
    from PIL import Image

    picture = upright(item, side, "L" if grey else "RGB")
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)


def upright(item: Item, side: int, mode: str = "RGB") -> Image:
    """Open a picture as people see it: turned as the camera says, on white where it is transparent.

    Args:
        item: a picture file or an opened picture; of an animated one, the first frame.
        side: what its shorter side will be made later. JPEGs are decoded at a fraction of their size where twice as
            much remains, which is faster and takes less memory; 0 decodes them whole.
        mode: "RGB" or "L".

    Raises:
        Exception: whatever the decoder raises on bytes it does not expect.
    """
    from PIL import Image

    if isinstance(item, Image.Image):
        return _as_seen(item, mode)
    with _opened(Path(item)) as picture:
        _refuse_bomb(picture)
        if side:
            picture.draft(mode, (2 * side, 2 * side))
        return _as_seen(picture, mode)


def _opened(path: Path) -> Image:
    """Open a picture file, read at once where it is not huge: threads wait for each other at every small read."""
    from PIL import Image, UnidentifiedImageError

    if path.stat().st_size > WHOLE:
        return Image.open(path)
    try:
        return Image.open(BytesIO(path.read_bytes()))
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"cannot identify image file {str(path)!r}") from None


def attempt(make: Callable[[Item], Result], item: Item) -> Result | str:
    """Make something of a picture, or say in one line why that cannot be."""
    try:
        return make(item)
    except FileNotFoundError:
        return "no such file"
    except Exception as error:  # decoders raise whatever they like on bytes they do not expect
        if isinstance(item, Path) and item.is_file() and item.stat().st_size == 0:
            return "empty file"
        reason = " ".join(str(error).split()).replace(f" file {str(item)!r}", "").replace(repr(str(item)), "the file")
        return reason or type(error).__name__


def _refuse_bomb(picture: Image) -> None:
    """Refuse a picture whose pixels would fill the memory, before they are decoded."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and picture.width * picture.height > limit:
        raise DataError(f"{picture.width:,} × {picture.height:,} pixels, more than the {limit:,} allowed")
    if max(picture.size) > LONGEST * min(picture.size):
        raise DataError(f"{picture.width:,} × {picture.height:,} pixels, more than {LONGEST} times as long as wide")


def _as_seen(picture: Image, mode: str) -> Image:
    from PIL import ImageOps

    picture.load()
    if picture.info.get("exif") or picture.format == "TIFF":  # a camera's note on which side is up
        picture = ImageOps.exif_transpose(picture)
    picture = _opaque(picture)
    return picture if picture.mode == mode else picture.convert(mode)


def _opaque(picture: Image) -> Image:
    """Bring a picture to 8 bits a channel and lay it on white where it is transparent."""
    from PIL import Image

    if picture.mode.startswith(WIDE):
        return Image.fromarray(_eight_bits(np.asarray(picture, dtype=np.float64)))
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, picture)
    return picture


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale wide pixels to 0 … 255.

    White is at 1 where nothing is larger, else at 255, else at 65,535, else at the largest value.
    """
    largest = float(pixels.max())
    if not np.isfinite(pixels).all():
        raise DataError("holds pixels that are no numbers")
    white = 1.0 if 0 < largest <= 1.0 else 255.0 if largest <= 255 else max(65_535.0, largest)
    return (np.clip(pixels / white, 0, 1) * 255).round().astype(np.uint8)

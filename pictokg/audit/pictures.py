"""Pictures that cannot be decoded, by name and with the reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BrokenPicture:
    """A picture file that no picture comes out of."""

    entity: str
    path: str
    reason: str


def undecodable(
    pictures: Iterable[tuple[str, Path]],
    *,
    threads: int = 4,
    progress: Callable[[int], None] | None = None,
) -> list[BrokenPicture]:
    """Open, verify and decode every picture (entity, file); return those that fail, in the order given.

    Args:
        pictures: entity name and file; the same file may serve several entities.
        threads: files read at the same time (decoding releases the interpreter's lock).
        progress: called with the number of pictures done so far.
    """
    broken = []
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # oddities of pictures that do decode
        pairs = list(pictures)
        for done, ((entity, path), reason) in enumerate(
            zip(pairs, pool.map(_reason, (path for _, path in pairs)), strict=True), start=1
        ):
            if reason is not None:
                broken.append(BrokenPicture(entity, str(path), reason))
            if progress is not None:
                progress(done)
    return broken


def _reason(path: Path) -> str | None:
    """Why the file is no picture; None when it is one."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.verify()
        with Image.open(path) as picture:  # verify() leaves the object unusable and does not decode all pixels
            picture.load()
    except FileNotFoundError:
        return "no such file"
    except Exception as error:  # decoders raise whatever they like on bytes they do not expect
        return " ".join(str(error).split()).replace(repr(str(path)), "the file") or type(error).__name__
    return None

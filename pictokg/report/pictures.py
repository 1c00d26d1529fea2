"""Picture files as data URIs, small enough for a page."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

SIDE = 96  # pixels; shown at half of it, for dense screens
_WHOLE = 6_000  # bytes up to which a file is taken as it is
_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}


def data_uri(content: bytes, kind: str) -> str:
    """Write bytes of an image/`kind` as a URI.

    >>> data_uri(b"<svg/>", "svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def thumbnail(path: Path) -> str | None:
    """Shrink a picture file to a data URI of at most `SIDE` pixels a side; None when it cannot be decoded."""
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            small = max(picture.size) <= SIDE and path.stat().st_size <= _WHOLE
            if small and path.suffix.lower() in _KINDS:
                picture.verify()
                return data_uri(path.read_bytes(), _KINDS[path.suffix.lower()])
            picture.thumbnail((SIDE, SIDE))
            out = BytesIO()
            picture.convert("RGBA").save(out, "PNG", optimize=True)
            return data_uri(out.getvalue(), "png")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def thumbnails(paths: list[Path], at_most: int = 4) -> tuple[str, ...]:
    """Shrink the first pictures that can be decoded; a report is no audit, so others are passed over."""
    found: list[str] = []
    for path in paths:
        if len(found) == at_most:
            break
        if (uri := thumbnail(path)) is not None:
            found.append(uri)
    return tuple(found)

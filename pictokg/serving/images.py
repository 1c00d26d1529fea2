"""/images: pictures of the data set, by entity and number; no path is ever taken from a request."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from pictokg.serving import schema
from pictokg.serving.computing import compute
from pictokg.serving.limits import PIXELS
from pictokg.serving.problems import responses

router = APIRouter(tags=["graph"])
# Formats whose decoders are simple and common; none that runs another program.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "the picture"},
    304: {"description": "not changed"},
}


@router.get("/images", responses={**responses(404), **PICTURE}, response_class=Response)
async def image(request: Request, asked: Annotated[schema.PictureAsked, Query()]) -> Response:
    """Give a picture of an entity, drawn anew as PNG so that only pixels leave the file."""
    run = request.app.state.service.run(asked.run)
    run.entity(asked.entity)
    paths = run.data.pictures.get(asked.entity, ())
    if asked.number >= len(paths):
        raise HTTPException(404, f"the entity has {len(paths)} pictures, numbered from 0")
    png = await compute(request, lambda: smaller(paths[asked.number], int(asked.size)))
    if png is None:
        raise HTTPException(404, "the file of this picture is missing or broken; pictokg inspect lists such files")
    tag = f'"{hashlib.sha256(png).hexdigest()[:20]}"'
    headers = {"etag": tag, "cache-control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(png, media_type="image/png", headers=headers)


@lru_cache(maxsize=4096)  # of some tens of kilobytes at most
def smaller(path: Path, side: int) -> bytes | None:
    """Shrink a picture file to PNG of at most `side` pixels a side; None when it cannot be decoded."""
    try:
        return shrink(path.read_bytes(), side)
    except (OSError, ValueError):
        return None


def shrink(content: bytes, side: int) -> bytes:
    """Decode a picture of bounded size and write it as a small PNG.

    Raises:
        ValueError: it is no picture of a common format, or larger than `PIXELS`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS:  # known before a pixel is decoded
                raise ValueError(f"a picture may have {PIXELS:,} pixels; this has {picture.width} × {picture.height}")
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((side, side))
            alpha = "A" in upright.getbands() or "transparency" in upright.info
            out = BytesIO()
            upright.convert("RGBA" if alpha else "RGB").save(out, "PNG")
            return out.getvalue()
    except (OSError, SyntaxError, TypeError, OverflowError, Image.DecompressionBombError) as error:
        raise ValueError("is no picture that can be decoded; send PNG, JPEG, GIF or WebP") from error

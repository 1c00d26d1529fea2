from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from pictokg.report.pictures import SIDE, thumbnail, thumbnails


def decoded(uri: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(uri.split(",")[1])))


def test_small_picture_is_taken_as_it_is(tmp_path: Path):
    Image.new("L", (32, 32), 7).save(tmp_path / "a.png")
    uri = thumbnail(tmp_path / "a.png")
    assert base64.b64decode(uri.removeprefix("data:image/png;base64,")) == (tmp_path / "a.png").read_bytes()


def test_large_picture_shrinks_and_keeps_its_shape(tmp_path: Path):
    Image.new("RGB", (800, 400), (200, 10, 10)).save(tmp_path / "a.bmp")
    assert decoded(thumbnail(tmp_path / "a.bmp")).size == (SIDE, SIDE // 2)


def test_pictures_that_cannot_be_decoded_are_passed_over(tmp_path: Path):
    paths = [tmp_path / f"{name}.png" for name in "abcdef"]
    for path in paths[1:]:
        Image.new("L", (8, 8)).save(path)
    paths[1].write_bytes(b"no picture")
    paths[2].write_bytes(paths[3].read_bytes()[:40])
    assert len(thumbnails(paths)) == 3
    assert len(thumbnails(paths, at_most=2)) == 2
    assert thumbnails([]) == ()

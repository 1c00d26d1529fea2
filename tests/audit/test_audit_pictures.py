from __future__ import annotations

import pytest
from PIL import Image

from pictokg.audit.pictures import undecodable


@pytest.fixture
def album(tmp_path):
    for number in range(6):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
    Image.effect_noise((200, 200), 50).save(tmp_path / "photo.jpg")
    return tmp_path


def test_whole_pictures_pass(album):
    done = []
    files = [("e", album / f"{number}.png") for number in range(6)] + [("e", album / "photo.jpg")]
    assert undecodable(files, progress=done.append) == []
    assert done == [1, 2, 3, 4, 5, 6, 7]


def test_broken_pictures_are_named_with_a_reason(album):
    (album / "words.png").write_text("this is no picture")
    (album / "empty.png").write_bytes(b"")
    (album / "cut.jpg").write_bytes((album / "photo.jpg").read_bytes()[:2000])
    damaged = bytearray((album / "0.png").read_bytes())
    damaged[45] ^= 0xFF
    (album / "damaged.png").write_bytes(damaged)
    names = ["words.png", "1.png", "empty.png", "cut.jpg", "damaged.png", "absent.png"]
    broken = undecodable([(f"entity of {name}", album / name) for name in names])
    assert [one.path for one in broken] == [str(album / name) for name in names if name != "1.png"]
    assert broken[0].entity == "entity of words.png"
    reasons = {one.path.rsplit("/", 1)[-1]: one.reason for one in broken}
    assert reasons["absent.png"] == "no such file"
    assert "cannot identify" in reasons["words.png"]
    assert "truncated" in reasons["cut.jpg"]
    assert all("\n" not in reason and reason for reason in reasons.values())


def test_a_picture_too_large_to_open_safely_is_reported(album, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "decompression bomb" in undecodable([("e", album / "0.png")])[0].reason

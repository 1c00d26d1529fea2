"""HOG and colours: what it must and must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pictokg.errors import ConfigError
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.encoders.hog import BINS, DIRECTIONS

pytest.importorskip("skimage", reason="pip install 'pictokg[encoders]' for scikit-image")


def stripes(angle, side=64):
    y, x = np.mgrid[0:side, 0:side]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 2)
    return Image.fromarray(((wave + 1) * 127).astype(np.uint8))


def test_the_width_is_that_of_its_parts(pictures):
    encoder = make_encoder("hog")
    assert encoder.width == 7 * 7 * 4 * DIRECTIONS + 3 * BINS == 1812
    assert encoder.encode(pictures).values.shape == (3, 1812)
    assert make_encoder("hog:size=32,colour=false").encode(pictures).values.shape == (3, 3 * 3 * 4 * DIRECTIONS)


def test_edges_count_for_their_own_direction():
    encoder = make_encoder("hog:colour=false")
    angles = (np.arange(DIRECTIONS) + 0.5) * np.pi / DIRECTIONS
    rows = encoder.encode([stripes(angle) for angle in angles]).values
    strongest = rows.reshape(DIRECTIONS, -1, DIRECTIONS).sum(axis=1).argmax(axis=1)
    assert sorted(strongest.tolist()) == list(range(DIRECTIONS))


def test_colour_changes_only_the_colour_part_and_contrast_none():
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    rows = make_encoder("hog").encode([red, blue]).values
    assert np.array_equal(rows[0, :1764], rows[1, :1764])
    assert not np.array_equal(rows[0, 1764:], rows[1, 1764:])
    strong, weak = stripes(1.0), stripes(1.0).point(lambda value: value // 2 + 60)
    edges = make_encoder("hog:colour=false").encode([strong, weak]).values
    assert np.allclose(edges[0], edges[1], atol=0.05)


def test_patches_give_ten_rows_and_bad_pictures_none(pictures, tmp_path):
    encoded = make_encoder("hog:size=16", patches=True).encode([tmp_path / "absent.png", *pictures])
    assert encoded.owner.tolist() == [1] * 10 + [2] * 10 + [3] * 10
    assert encoded.keys[:3] == ["", "patch 0,0", "patch 0,1"]
    assert encoded.skipped == [(0, "no such file")]
    assert make_encoder("hog").encode([tmp_path / "absent.png"]).values.shape == (0, 1812)


def test_a_saved_encoder_encodes_the_same(pictures, tmp_path):
    encoder = make_encoder("hog:size=16,colour=false")
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    assert (again.options(), again.fingerprint()) == (encoder.options(), encoder.fingerprint())
    assert np.array_equal(again.encode(pictures).values, encoder.encode(pictures).values)


def test_a_size_that_cannot_be_cut_into_cells_is_refused():
    with pytest.raises(ConfigError, match="multiple of 8"):
        make_encoder("hog:size=20")

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.encoders._descriptor import DIRECTIONS, blocks, edges
from pictokg.features.encoders._picture import thumbnail, thumbnails


def picture(seed, mode="RGB", size=(32, 32)):
    """A soft random picture."""
    channels = {"L": 1, "RGB": 3}[mode]
    values = np.random.default_rng(seed).integers(0, 256, size=(6, 6, channels), dtype=np.uint8)
    return Image.fromarray(values.squeeze()).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def files(tmp_path):
    for seed in range(40):
        picture(seed, size=(20 + seed, 30)).save(tmp_path / f"{seed:02}.png")
    return sorted(tmp_path.glob("*.png"))


def grey_of(image, side=8):
    return thumbnail(image, side, grey=True)


# Pictures of every kind come out as they look


def test_what_is_transparent_lies_on_white():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    palette = Image.new("P", (8, 8), 0)
    palette.info["transparency"] = 0
    assert (grey_of(clear) == 255).all()
    assert (grey_of(half) == 127).all()
    assert (grey_of(Image.new("LA", (8, 8), (0, 0))) == 255).all()
    assert (grey_of(palette) == 255).all()


def test_every_mode_gives_the_colour_it_shows(tmp_path):
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    for mode in ("RGB", "P", "CMYK", "HSV", "YCbCr"):
        shown = thumbnail(red.convert(mode), 8, grey=False).reshape(-1, 3).astype(int)
        assert (np.abs(shown - [255, 0, 0]) <= 2).all(), mode
    assert (grey_of(Image.new("1", (8, 8), 1)) == 255).all()


@pytest.mark.parametrize(("dtype", "white"), [("uint16", 65_535), ("int32", 65_535), ("float32", 1.0)])
def test_wide_pixels_keep_their_shades(tmp_path, dtype, white):
    ramp = np.repeat(np.linspace(0, 1, 8)[None] * white, 8, axis=0).astype(dtype)
    path = tmp_path / "wide.tiff"
    Image.fromarray(ramp).save(path)
    assert np.abs(grey_of(path)[0].astype(int) - np.linspace(0, 255, 8)).max() <= 1


def test_a_wide_png_keeps_its_shades(tmp_path):
    Image.fromarray(np.full((8, 8), 32_768, dtype=np.uint16)).save(tmp_path / "wide.png")
    assert (grey_of(tmp_path / "wide.png") == 128).all()


def test_a_camera_on_its_side_is_turned_upright(tmp_path):
    values = np.zeros((16, 16, 3), dtype=np.uint8)
    values[:8] = 255  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for viewing
    Image.fromarray(values).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    shown = grey_of(tmp_path / "turned.jpg").astype(int)
    assert (shown[:, :3] < 30).all()
    assert (shown[:, 5:] > 225).all()


def test_a_large_photograph_is_read_at_a_fraction_of_its_size_and_looks_the_same(tmp_path):
    large = picture(3, size=(1_600, 1_200))
    large.save(tmp_path / "large.jpg", quality=95)
    shown = thumbnail(tmp_path / "large.jpg", 32, grey=False).astype(int)
    assert np.abs(shown - thumbnail(large, 32, grey=False)).mean() < 4


def test_a_huge_file_is_not_read_at_once_and_gives_the_same(files, tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("this is no picture")
    items = [*files, tmp_path / "text.png", tmp_path / "absent.png"]
    at_once = thumbnails(items, 32, grey=False)
    monkeypatch.setattr("pictokg.features.encoders._picture.WHOLE", 0)
    pixels, good, bad = thumbnails(items, 32, grey=False)
    assert np.array_equal(pixels, at_once[0])
    assert (good, bad) == at_once[1:]


def test_bad_pictures_are_named_with_a_reason_and_the_others_still_come(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    good = tmp_path / "good.png"
    picture(0).save(good)
    content = good.read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is no picture")
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    Image.new("L", (150, 100)).save(tmp_path / "large.png")
    Image.new("L", (300, 100)).save(tmp_path / "bomb.png")
    (tmp_path / "folder.png").mkdir()
    names = ["good", "empty", "text", "cut", "large", "bomb", "folder", "absent", "good"]
    with warnings.catch_warnings():  # Pillow warns of a picture between one and two limits
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        pixels, places, bad = thumbnails([tmp_path / f"{name}.png" for name in names], 32, grey=False)
    assert places == [0, 8]
    assert len(pixels) == 2
    reasons = {names[place]: reason for place, reason in bad}
    assert list(reasons) == names[1:-1]
    assert reasons["empty"] == "empty file"
    assert reasons["absent"] == "no such file"
    assert "cannot identify" in reasons["text"]
    assert reasons["large"] == "150 × 100 pixels, more than the 10,000 allowed"
    assert "decompression bomb" in reasons["bomb"]
    assert all(str(tmp_path) not in reason and "\n" not in reason for reason in reasons.values())


# What is described


def test_an_edge_counts_for_its_own_direction():
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    y, x = np.mgrid[0:16, 0:16] / 16
    ramps = np.stack([(x * np.cos(angle) + y * np.sin(angle)) for angle in angles]).astype(np.float32)
    found = edges(ramps)[:, 1:-1, 1:-1].sum(axis=(1, 2))
    assert found.argmax(axis=1).tolist() == list(range(DIRECTIONS))
    assert (found - np.diag(np.diag(found)) < 1e-4).all()


def test_edges_do_not_depend_on_contrast_and_flat_pictures_have_none():
    grey = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32) * 8
    assert np.allclose(edges(grey), edges(grey * 4), atol=0.02)
    assert not edges(np.full((1, 16, 16), 0.5, dtype=np.float32)).any()


def test_grey_pictures_have_no_colour():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8), 3, axis=-1)
    light, edge, colour = blocks(grey)
    assert np.abs(colour).max() < 1e-6
    for one, other in zip(blocks(grey[..., :1]), (light, edge), strict=True):
        assert np.allclose(one, other, atol=1e-3)


# The encoder


def test_rows_have_norm_one_and_similar_pictures_are_near(files):
    encoder = make_encoder("pixels:width=16")
    encoder.fit(files)
    encoded = encoder.encode(files)
    assert encoded.values.shape == (40, 16)
    assert encoded.owner.tolist() == list(range(40))
    assert set(encoded.keys) == {""}
    assert np.allclose(np.linalg.norm(encoded.values, axis=1), 1, atol=1e-5)
    with Image.open(files[7]) as image:
        noisy = Image.fromarray(np.clip(np.asarray(image).astype(int) + 9, 0, 255).astype(np.uint8))
    assert (encoder.encode([noisy]).values @ encoded.values.T).argmax() == 7


def test_a_loaded_encoder_encodes_exactly_as_the_saved_one(files, tmp_path):
    encoder = make_encoder("pixels:width=16,patches=true")
    encoder.fit(files)
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert again.fingerprint() == encoder.fingerprint() != make_encoder("pixels:width=16,patches=true").fingerprint()
    assert (again.width, again.fitted) == (16, True)
    unseen = [picture(99)]
    assert np.array_equal(again.encode(unseen).values, encoder.encode(unseen).values)
    batch = encoder.encode([*files, *unseen])
    assert np.allclose(again.encode(unseen).values, batch.values[-10:], atol=1e-5)


def test_fitting_twice_gives_the_same_bytes(files, tmp_path):
    for name in ("first", "second"):
        encoder = make_encoder("pixels:width=8")
        encoder.fit(files)
        encoder.save(tmp_path / name)
    for file in ("encoder.json", "state.safetensors"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_patches_give_a_row_for_the_whole_and_nine_for_its_parts(files):
    encoder = make_encoder("pixels:width=8,patches=true")
    encoder.fit(files)
    left = Image.new("RGB", (64, 64), (255, 255, 255))
    left.paste(picture(0, size=(32, 32)), (0, 0))
    encoded = encoder.encode([left, files[0]])
    assert encoded.owner.tolist() == [0] * 10 + [1] * 10
    assert encoded.keys[:4] == ["", "patch 0,0", "patch 0,1", "patch 0,2"]
    blank = encoder.encode([Image.new("RGB", (64, 64), (255, 255, 255))]).values[0]
    rows = dict(zip(encoded.keys[:10], encoded.values[:10], strict=True))
    assert np.allclose(rows["patch 2,2"], blank, atol=1e-5)  # the lower right corner of a drawing in the upper left
    assert not np.allclose(rows["patch 0,0"], blank, atol=0.1)


def test_colour_is_seen_where_there_is_any():
    solid = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue", "yellow")]
    encoder = make_encoder("pixels:size=8")
    encoder.fit([*solid, *(image.convert("L") for image in solid)])
    values = encoder.encode(solid).values
    assert (values @ values.T - np.eye(4) < 0.9).all()
    grey = make_encoder("pixels:size=8,colour=grey")
    grey.fit([picture(seed, "L") for seed in range(9)])
    assert np.allclose(grey.encode([picture(3)]).values, grey.encode([picture(3).convert("L")]).values)


def test_rounding_is_not_taken_for_colour():
    greys = [picture(seed, "L") for seed in range(9)]
    found = []
    for colour in ("grey", "rgb"):
        encoder = make_encoder("pixels", colour=colour)
        encoder.fit(greys)
        values = encoder.encode(greys).values
        found.append(values @ values.T)
    assert np.allclose(*found, atol=0.02)


def test_the_width_shrinks_to_what_few_pictures_tell_apart():
    encoder = make_encoder("pixels")
    encoder.fit([picture(seed) for seed in range(5)])
    assert encoder.width == 4
    one = make_encoder("pixels")
    one.fit([picture(0)])
    assert np.isfinite(one.encode([picture(0), picture(1)]).values).all()


def test_bad_pictures_are_skipped_in_fitting_and_encoding(files, tmp_path):
    files[3].write_text("broken")
    encoder = make_encoder("pixels:width=8")
    encoder.fit(files)
    encoded = encoder.encode(files)
    assert [place for place, _ in encoded.skipped] == [3]
    assert encoded.owner.tolist() == [place for place in range(40) if place != 3]
    with pytest.raises(DataError, match="none of 2 pictures can be decoded; the first: cannot identify"):
        make_encoder("pixels").fit([files[3], files[3]])


def test_nothing_encodes_to_nothing(files):
    encoder = make_encoder("pixels:width=8")
    encoder.fit(files)
    assert encoder.encode([]).values.shape == (0, 8)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("pixel", "did you mean 'pixels'"),
        ("pixels:widht=3", "no option 'widht'; did you mean 'width'"),
        ("pixels:width=many", "width should be int, got 'many'"),
        ("pixels:patches=1", "patches should be bool, got 1"),
        ("pixels:colour=gray", "did you mean 'grey'"),
        ("pixels:64", "write options as name:key=value"),
        ("pixels:size=30", "multiple of 4"),
        ("tfidf", "for text, not for image; choose: alexnet, hf, hog, pixels"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_with_the_nearest(spec, problem):
    with pytest.raises(ConfigError, match=problem):
        make_encoder(spec, "image")


def test_all_linear_algebra_runs_on_one_thread_even_when_it_is_loaded_late():
    code = (
        "from pictokg.features.encoders.base import one_thread\n"
        "with one_thread():\n"
        "    import sklearn.decomposition, threadpoolctl\n"
        "    found = [pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas']\n"
        "assert found and set(found) == {1}, found\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)

"""AlexNet: the layers against a plain computation, the file against everything that it could be instead."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from small_models import alexnet
from torch.nn.functional import conv2d, linear, max_pool2d, relu

from pictokg.errors import ConfigError, DataError
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.encoders.alexnet import LAYERS, _misfit, read_weights


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return alexnet(tmp_path_factory.mktemp("alexnet") / "small.pth")


def plain(weights, picture, rectified=True):
    """The network of the paper in its one-column form, written out."""
    width, height = picture.size
    short = 256 / min(width, height)
    picture = picture.resize((int(width * short), int(height * short)), Image.Resampling.BILINEAR)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
    pixels = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    steps = ((4, 2, True), (1, 2, True), (1, 1, False), (1, 1, False), (1, 1, True))
    for name, (stride, padding, pooled) in zip(LAYERS, steps, strict=False):
        x = relu(conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))
        x = max_pool2d(x, 3, 2) if pooled else x
    x = relu(linear(x.flatten(1), weights["classifier.1.weight"], weights["classifier.1.bias"]))
    x = linear(x, weights["classifier.4.weight"], weights["classifier.4.bias"])
    return (relu(x) if rectified else x)[0].numpy()


@pytest.mark.parametrize("rectified", [True, False])
def test_rows_are_the_seventh_layer(file, pictures, rectified):
    encoder = make_encoder(f"alexnet:{file},precision=fp32", "image", rectified=rectified)
    found = encoder.encode(pictures).values
    weights = torch.load(file, weights_only=True)
    expected = np.stack([plain(weights, picture, rectified) for picture in pictures])
    assert np.allclose(found, expected, atol=1e-5)
    assert encoder.width == 10
    assert (found < 0).any() != rectified


def test_names_with_a_prefix_a_wrapper_and_safetensors_are_read(file, tmp_path, pictures):
    weights = torch.load(file, weights_only=True)
    torch.save({"epoch": 3, "state_dict": {f"module.{n}": v for n, v in weights.items()}}, tmp_path / "wrapped.pth")
    more = {"classifier.6.weight": torch.zeros(3, 10), "classifier.6.bias": torch.zeros(3)}
    save_file({**weights, **more}, tmp_path / "plain.safetensors")
    rows = [make_encoder(f"alexnet:{path}").encode(pictures).values for path in (file, *sorted(tmp_path.iterdir()))]
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


def test_the_published_shapes_fit():
    published = {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3),
        "features.10": (256, 256, 3, 3),
        "classifier.1": (4096, 9216),
        "classifier.4": (4096, 4096),
        "classifier.6": (1000, 4096),
    }
    weights = {f"{name}.weight": torch.empty(shape, device="meta") for name, shape in published.items()}
    weights |= {f"{name}.bias": torch.empty(shape[0], device="meta") for name, shape in published.items()}
    assert list(LAYERS) == list(published)
    assert _misfit(weights) == ""


class Evil:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_file_that_is_no_alexnet_is_refused(file, tmp_path, capsys):
    weights = torch.load(file, weights_only=True)
    turned = {**weights, "features.3.weight": weights["features.3.weight"][:, :2]}
    larger = {**weights, "features.0.weight": torch.zeros(4, 3, 3, 3)}
    dense = {**weights, "classifier.1.weight": torch.zeros(12, 99)}
    lacking = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    for content, problem in (
        (turned, r"features\.3\.weight is 6 × 2 × 5 × 5 .* not any × 4 × 5 × 5"),
        (larger, r"features\.0\.weight is 4 × 3 × 3 × 3"),
        (dense, r"classifier\.1\.weight is 12 × 99 .* not any × 180"),
        (lacking, r"lacks classifier\.1\.weight and 3 more"),
        ({}, "it holds nothing"),
        ([1, 2], "holds a list, no state dict"),
    ):
        torch.save(content, tmp_path / "wrong.pth")
        with pytest.raises(DataError, match=problem):
            read_weights(tmp_path / "wrong.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"features.0.weight": Evil()}))
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:999])
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    for name in ("evil.pth", "cut.pth", "cut.safetensors"):
        with pytest.raises(DataError, match="cannot be read as weights alone"):
            read_weights(tmp_path / name)
    assert "must never run" not in capsys.readouterr().out


def test_missing_files_and_options(file, tmp_path, pictures):
    with pytest.raises(DataError, match="there is no such file"):
        make_encoder(f"alexnet:{tmp_path / 'absent.pth'}").encode(pictures)
    with pytest.raises(ConfigError, match="needs a source"):
        make_encoder("alexnet")
    with pytest.raises(ConfigError, match="no option 'patches'"):
        make_encoder(f"alexnet:{file}", "image", patches=True)


def test_a_saved_encoder_encodes_the_same_and_bad_pictures_are_skipped(file, tmp_path, pictures):
    encoder = make_encoder(f"alexnet:{file}")
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    encoded = again.encode([tmp_path / "absent.png", *pictures])
    assert encoded.skipped == [(0, "no such file")]
    assert np.array_equal(encoded.values, encoder.encode(pictures).values)
    assert again.encode([]).values.shape == (0, 10)

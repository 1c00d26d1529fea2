"""Pictures through transformers: equal to the model's own forward pass, whatever the model."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pictokg.errors import ConfigError, DataError, DataWarning
from pictokg.features.encoders import load_encoder, make_encoder, spec_of, table_name
from pictokg.features.encoders._precision import NEAR, settle

pytest.importorskip("transformers", reason="pip install 'pictokg[encoders]' for models of transformers")

KINDS = ("vit", "beit", "dinov2", "clip", "siglip", "resnet", "clip_vision")
WITHOUT_CLASS_TOKEN = ("siglip", "resnet")


def own_output(folder, pictures):
    """What transformers itself gives, prepared by its own processor."""
    from transformers import AutoImageProcessor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    inputs = AutoImageProcessor.from_pretrained(folder)(images=pictures, return_tensors="pt")
    with torch.no_grad():
        output = (model.get_image_features if hasattr(model, "get_image_features") else model)(**inputs)
    return model, output


def rows_of(folder, pictures, **options):
    encoder = make_encoder(f"hf:{folder}", "image", precision="fp32", **options)
    return encoder, encoder.encode(pictures)


def expected(kind, output, pooling):
    hidden = output.last_hidden_state
    if pooling == "pooler":
        return output.pooler_output.flatten(1)
    if pooling == "cls":
        return hidden[:, 0]
    if kind == "resnet":
        return hidden.mean(dim=(2, 3))
    return hidden[:, 0 if kind == "siglip" else 1 :].mean(dim=1)


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        (kind, pooling)
        for kind in KINDS
        for pooling in ("cls", "mean", "pooler")
        if pooling != "cls" or kind not in WITHOUT_CLASS_TOKEN
    ],
)
def test_rows_are_those_of_the_model_itself(model, pictures, kind, pooling):
    _, output = own_output(model(kind), pictures)
    encoder, encoded = rows_of(model(kind), pictures, pooling=pooling)
    assert encoded.values.dtype == np.float32
    assert np.allclose(encoded.values, expected(kind, output, pooling).numpy(), atol=1e-5)
    assert (encoded.owner.tolist(), set(encoded.keys)) == ([0, 1, 2], {""})
    assert encoder.width == encoded.values.shape[1]


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [("vit", "cls"), *((kind, "pooler") for kind in ("beit", "dinov2", "clip", "siglip", "resnet", "clip_vision"))],
)
def test_auto_takes_the_pooling_that_the_model_was_trained_for(model, pictures, kind, pooling):
    found = rows_of(model(kind), pictures)[1].values
    assert np.array_equal(found, rows_of(model(kind), pictures, pooling=pooling)[1].values)


@pytest.mark.parametrize("kind", KINDS)
def test_patches_are_the_tokens_without_the_special_ones(model, pictures, kind):
    own, output = own_output(model(kind), pictures)
    _, encoded = rows_of(model(kind), pictures, patches=True, grid=0)
    hidden = output.last_hidden_state
    if kind == "resnet":
        tokens, side = hidden.flatten(2).transpose(1, 2), hidden.shape[2]
    else:
        tokens, side = hidden[:, -16:], 4
        assert hidden.shape[1] == (16 if kind == "siglip" else 17)
    if kind == "clip":  # brought into the space of pictures and words, as the class token is
        with torch.no_grad():
            tokens = own.visual_projection(own.vision_model.post_layernorm(tokens))
    values = encoded.values.reshape(3, side**2 + 1, -1)
    assert np.allclose(values[:, 1:], tokens.numpy(), atol=1e-5)
    assert np.array_equal(values[:, 0], rows_of(model(kind), pictures)[1].values)
    assert encoded.keys[:3] == ["", "patch 0,0", "patch 0,1"]
    assert encoded.keys[side**2] == f"patch {side - 1},{side - 1}"
    assert encoded.owner.tolist() == np.repeat([0, 1, 2], side**2 + 1).tolist()


def test_a_grid_averages_the_patches_that_lie_in_each_cell(model, pictures):
    single = rows_of(model("vit"), pictures, patches=True, grid=0)[1].values.reshape(3, 17, 32)[:, 1:]
    averaged = rows_of(model("vit"), pictures, patches=True, grid=2)[1].values.reshape(3, 5, 32)[:, 1:]
    blocks = single.reshape(3, 2, 2, 2, 2, 32).mean(axis=(2, 4)).reshape(3, 4, 32)
    assert np.allclose(averaged, blocks, atol=1e-6)
    assert rows_of(model("vit"), pictures, patches=True)[0].options()["grid"] == 4


def test_pictures_are_prepared_by_hand_only_where_that_is_exact(model, pictures):
    found = {kind: rows_of(model(kind), pictures)[0].network.geometry for kind in KINDS}
    assert [kind for kind, geometry in found.items() if geometry is None] == ["resnet"]
    assert found["clip"].crop == (32, 32)
    assert found["dinov2"].size == (40, 40)


@pytest.mark.parametrize("kind", ["vit", "clip", "resnet"])
def test_large_pictures_differ_by_little_from_what_the_processor_makes_of_them(model, kind):
    values = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    large = [Image.fromarray(values).resize((901, 611), Image.Resampling.BICUBIC)]
    _, output = own_output(model(kind), large)
    found = rows_of(model(kind), large)[1].values
    whole = expected(kind, output, "cls" if kind == "vit" else "pooler").numpy()
    assert float((found * whole).sum() / np.linalg.norm(found) / np.linalg.norm(whole)) > 0.999


def test_bad_pictures_are_skipped_with_the_reason(model, pictures, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    Image.new("RGB", (4, 1000)).save(tmp_path / "line.png")
    items = [tmp_path / "absent.png", pictures[0], tmp_path / "bad.png", tmp_path / "line.png", pictures[1]]
    for kind in ("vit", "resnet"):
        _, encoded = rows_of(model(kind), items)
        assert encoded.owner.tolist() == [1, 4]
        assert [place for place, _ in encoded.skipped] == [0, 2, 3]
        assert "200 times as long as wide" in dict(encoded.skipped)[3]
        none = rows_of(model(kind), items[:1])[1]
        assert none.values.shape == (0, 32)


def test_half_the_bits_keep_the_rows_near(model, pictures):
    exact = rows_of(model("vit"), pictures)[1].values
    half = make_encoder(f"hf:{model('vit')}", "image", precision="bf16")
    found = half.encode(pictures).values
    assert half.network.precision == "bf16"
    assert not np.array_equal(found, exact)
    cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert (cosine >= NEAR).all()


class Rounding(torch.nn.Module):
    """Its rows are what float32 tells apart and bfloat16 does not."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(1 + torch.linspace(-1e-4, 1e-4, 8))
        self.register_buffer("centre", torch.ones(1), persistent=False)

    def rows(self):
        return (self.weight - self.centre).float().unsqueeze(0) + 1e-9


def test_where_half_the_bits_change_the_rows_all_are_kept(monkeypatch):
    network = Rounding()
    before = network.rows().clone()
    monkeypatch.setattr("pictokg.features.encoders._precision.has_bf16", lambda device: True)
    with pytest.warns(DataWarning, match="encoding in fp32"):
        assert settle(network, network.rows, "auto", "cpu") == "fp32"
    assert torch.equal(network.rows(), before)
    other = Rounding()
    with pytest.raises(ConfigError, match="use precision=fp32"):
        settle(other, other.rows, "bf16", "cpu")
    with pytest.raises(ConfigError, match="other rows each time"):
        settle(network, lambda: torch.randn(2, 3), "fp32", "cpu")


def test_a_saved_encoder_encodes_the_same_and_names_its_weights(model, pictures, tmp_path):
    encoder, encoded = rows_of(model("vit"), pictures, patches=True)
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert again.options() == encoder.options()
    assert again.fingerprint() == encoder.fingerprint()
    assert np.array_equal(again.encode(pictures).values, encoded.values)
    settings = json.loads((tmp_path / "saved" / "encoder.json").read_text())
    assert settings["weights"] == encoder.weights
    assert settings["made_with"]["torch"] == torch.__version__
    assert make_encoder(spec_of(encoder), "image").fingerprint() == encoder.fingerprint()


def test_the_same_weights_elsewhere_are_the_same_and_changed_ones_are_refused(model, pictures, tmp_path):
    copy = shutil.copytree(model("vit"), tmp_path / "copy")
    encoder, there = make_encoder(f"hf:{copy}", "image"), make_encoder(f"hf:{model('vit')}", "image")
    assert encoder.fingerprint() == there.fingerprint()
    assert table_name(encoder) != table_name(there)
    encoder.save(tmp_path / "saved")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert make_encoder(f"hf:{copy}", "image").fingerprint() != there.fingerprint()
    with pytest.raises(DataError, match="have changed since"):
        load_encoder(tmp_path / "saved").encode(pictures)
    shutil.rmtree(copy)
    with pytest.raises(DataError, match="give the folder where the model lies now"):
        load_encoder(tmp_path / "saved").encode(pictures)


def test_what_a_model_does_not_have_is_refused(model, pictures):
    for kind, options, problem in (
        ("siglip", {"pooling": "cls"}, "no class token"),
        ("resnet", {"pooling": "cls"}, "no class token"),
        ("bert", {}, "'bert' does not encode pictures"),
    ):
        with pytest.raises(ConfigError, match=problem):
            rows_of(model(kind), pictures, **options)


def test_a_pooler_that_the_weights_lack_is_not_used(model, pictures, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(model("vit"), tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    save_file({n: v for n, v in weights.items() if "pooler" not in n}, copy / "model.safetensors", {"format": "pt"})
    assert np.array_equal(rows_of(copy, pictures)[1].values, rows_of(model("vit"), pictures)[1].values)
    with pytest.raises(ConfigError, match="hold no pooler"):
        rows_of(copy, pictures, pooling="pooler")
    save_file({n: v for n, v in weights.items() if "layer.1" not in n}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lack .* parameters of the model"):
        rows_of(copy, pictures)


class Evil:
    def __reduce__(self):
        return print, ("this must never run",)


def test_weights_that_would_run_programs_or_are_cut_short_are_refused(model, pictures, tmp_path, capsys):
    for damage in ("pickle", "cut", "config"):
        copy = shutil.copytree(model("vit"), tmp_path / damage)
        content = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").unlink()
        if damage == "pickle":
            with (copy / "pytorch_model.bin").open("wb") as handle:
                pickle.dump({"weights": Evil()}, handle)
        elif damage == "cut":
            (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
        else:
            (copy / "model.safetensors").write_bytes(content)
            (copy / "config.json").write_text("{")
        with pytest.raises(DataError, match="cannot read"):
            rows_of(copy, pictures)
    assert "must never run" not in capsys.readouterr().out


def test_a_folder_that_brings_programs_along_does_not_run_them(model, pictures, tmp_path):
    copy = shutil.copytree(model("vit"), tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    own = {"auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}, "model_type": "own"}
    (copy / "config.json").write_text(json.dumps({**config, **own}))
    (copy / "own.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(DataError, match="cannot read config"):
        rows_of(copy, pictures)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("hf", "needs a source"),
        ("hf:", "needs a source"),
        ("hf:./nowhere", "there is no ./nowhere"),
        ("hf:a/b/c", "there is no a/b/c"),
        ("hf:a/b,pooling=max", "pooling is 'max'; choose one of: auto, cls, mean, pooler"),
        ("hf:a/b,sentences=true", "no option 'sentences'"),
        ("hf:a/b,grid=-1", "must not be negative"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(spec, problem):
    with pytest.raises(ConfigError, match=problem):
        make_encoder(spec, "image")


def test_the_modality_must_be_said():
    with pytest.raises(ConfigError, match="must be told its modality"):
        make_encoder("hf:a/b")


def test_a_model_that_is_not_here_fails_at_once_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    encoder = make_encoder("hf:nobody/no-such-model", "image")
    with pytest.raises(DataError, match=r"add --download to pictokg encode.*give hf:FOLDER.*pixels, hog, tfidf"):
        encoder.check()


def test_a_download_that_fails_says_what_to_do_and_does_not_ask_again(monkeypatch):
    import huggingface_hub

    from pictokg.features.encoders._hub import download

    asked = []

    def unreachable(self, repository, **_):
        asked.append(repository)
        raise OSError("no route to the hub")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(DataError, match=r"hf:nobody/no-such-model cannot be fetched: .*check the id and the network"):
        download("nobody/no-such-model", "hf")
    assert asked == ["nobody/no-such-model"]


def test_a_download_takes_one_form_of_the_weights(monkeypatch, tmp_path):
    import huggingface_hub

    from pictokg.features.encoders._hub import download

    files, asked = ["config.json", "model.safetensors", "pytorch_model.bin"], {}
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "model_info",
        lambda self, *_, **__: SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in files]),
    )
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **settings: asked.update(settings, name=name)
    )
    download("somebody/model@v2", "hf")
    assert (asked["name"], asked["revision"], "*.bin" in asked["ignore_patterns"]) == ("somebody/model", "v2", True)
    files.remove("model.safetensors")
    download("somebody/model", "hf")
    assert "*.bin" not in asked["ignore_patterns"]
    asked.clear()
    download(str(tmp_path), "hf")
    assert asked == {}


def test_reading_a_model_leaves_no_trace_in_warnings(model, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows_of(model("vit"), pictures)

"""Networks on raw pictures: rows written out, learning what a frozen one cannot, resuming, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.assembly import build, build_model, build_trainer
from pictokg.config import configure
from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.table import FeatureTable, offsets_of
from pictokg.fusion.network import Seen, shape_of
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.query import Side, ask
from pictokg.graph.vocabulary import Vocabulary
from pictokg.training.fit import Keeper, fit

SIDE = 8


def raw_table(counts, side=SIDE, channels=1, seed=0):
    rows = np.random.default_rng(seed).random((sum(counts), channels * side**2), dtype=np.float32)
    return FeatureTable("image-raw-size8", rows, offsets_of(np.array(counts)), [""] * sum(counts))


@pytest.fixture
def raw(data):
    return data.with_table("image", raw_table(data.tables["image"].counts.tolist()))


@pytest.mark.parametrize("kind", ["conv", "vit"])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (64, 1)])
def test_rows_are_the_mean_over_pictures_of_what_the_network_sees(kind, side, channels):
    table = raw_table([2, 0, 3], side, channels)
    seen = Seen(table, kind).eval()
    rows, count = seen(torch.tensor([2, 1, 0, 2]))
    assert count.tolist() == [3, 0, 2, 3]
    assert not rows[1].any()
    pictures = (table.values * 255).round() / 127.5 - 1
    shown = seen.network(torch.from_numpy(pictures).reshape(5, channels, side, side).float())
    shown = F.layer_norm(shown, (128,))
    for row, entity in zip(rows, (2, 1, 0, 2), strict=True):
        own = shown[table.offsets[entity] : table.offsets[entity + 1]]
        if len(own):
            torch.testing.assert_close(row, own.mean(dim=0), atol=1e-5, rtol=1e-4)


def test_training_looks_at_one_picture_at_a_time_and_at_each_alike():
    seen = Seen(raw_table([3, 1])).train()
    each = seen.see(torch.arange(3))
    torch.manual_seed(0)
    drawn = [seen(torch.tensor([0]))[0] for _ in range(300)]
    which = [int(((row - each).abs().sum(dim=1)).argmin()) for row in drawn]
    assert all(min((row - other).abs().max() for other in each) < 1e-5 for row in drawn)
    assert all(60 < which.count(picture) < 140 for picture in range(3))  # 100 ± 8


def test_other_pictures_are_seen_by_the_same_network():
    seen, other = Seen(raw_table([2, 1])).eval(), raw_table([0, 1, 2], seed=1)
    twin = seen.of(other)
    torch.testing.assert_close(twin(torch.arange(3))[0], twin(torch.tensor([0, 1, 2]))[0])
    assert twin.network is seen.network
    assert twin(torch.arange(3))[1].tolist() == [0, 1, 2]
    assert seen(torch.arange(2))[1].tolist() == [2, 1]


def stripes(count=48, seed=0):
    """Pictures of stripes that lie or stand at any phase, under noise: which of the two is the fact to be learned."""
    generator = np.random.default_rng(seed)
    lying = np.arange(count) % 2 == 0
    pictures = []
    for lies in lying:
        line = (np.arange(SIDE) + generator.integers(4)) // 2 % 2
        picture = np.broadcast_to(line[:, None] if lies else line[None, :], (SIDE, SIDE))
        pictures.append(np.clip(picture + 0.2 * generator.normal(size=(SIDE, SIDE)), 0, 1).ravel())
    names = [f"p{number}" for number in range(count)] + ["lying", "standing"]
    triples = np.array([[number, 0, count + (not lies)] for number, lies in enumerate(lying)], dtype=np.int32)
    hidden = np.arange(count) >= count * 2 // 3
    graph = KnowledgeGraph(Vocabulary(names), Vocabulary(["way"]), {"train": triples[~hidden], "test": triples[hidden]})
    table = FeatureTable(
        "image-raw-size8",
        np.array(pictures, dtype=np.float32),
        offsets_of(np.array([1] * count + [0, 0])),
        [""] * count,
    )
    return Dataset("stripes", graph, tables={"image": table})


def trained(data, folder=None, resume=False, **options):
    chosen = {"dim": 8, "epochs": 4, "batch_size": 16, "validate_every": 0, "patience": 0, **options}
    config = configure("gated", settings=list(chosen.items()))
    model = build_model(config, data)
    fit(build_trainer(config, model, data), data, folder=folder, resume=resume)
    return model


def test_a_network_learns_through_link_prediction():
    data = stripes()
    model = trained(data, trainable=True, epochs=20, network_learning_rate=0.003, structure_dropout=0.9)
    query, answer = ask(torch.from_numpy(data.graph.split("test").astype(np.int64)), Side.TAIL)
    ways = torch.tensor([48, 49])
    found = ways[model.score(query, ways).argmax(dim=1)]
    assert (found == answer).float().mean() > 0.9


@pytest.mark.parametrize("network", ["conv", "vit"])
@pytest.mark.parametrize("trainable", [True, False])
def test_a_network_moves_where_it_is_trained_and_stays_where_it_is_not(network, trainable, raw):
    before = build("gated", raw, dim=8, network=network).encoder.tables["image"].network
    after = trained(raw, trainable=trainable, network=network, epochs=1).encoder.tables["image"].network
    same = [torch.equal(*pair) for pair in zip(before.parameters(), after.parameters(), strict=True)]
    assert not any(same) if trainable else all(same)


def test_a_resumed_run_of_a_network_equals_an_unbroken_one(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("pictokg.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole, save = trained(raw, tmp_path / "whole", trainable=True), Keeper.save

    def stop(self, progress):
        save(self, progress)
        if self.trainer.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pictokg.training.fit.Keeper.save", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(raw, tmp_path / "broken", trainable=True)
    monkeypatch.undo()
    resumed = trained(raw, tmp_path / "broken", resume=True, trainable=True)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert not any("pixels" in name for name in whole.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_network_trains_on_a_gpu(raw):
    config = configure("gated", settings=[("dim", 8), ("epochs", 2), ("trainable", True)])
    model = build_model(config, raw).cuda()
    progress = fit(build_trainer(config, model, raw), raw)
    assert progress.history[-1]["loss"] < progress.history[0]["loss"]


def test_trainable_without_raw_pictures_is_refused(data, raw):
    with pytest.raises(ConfigError, match=r"set features.image=raw"):
        build("gated", data, trainable=True)
    with pytest.raises(ConfigError, match="'conv' or 'vit'"):
        build("gated", raw, network="resnet")
    with pytest.raises(ConfigError, match="gated with trainable=true"):
        build("patches", raw)
    odd = FeatureTable("image-raw", np.zeros((1, 50), dtype=np.float32), np.array([0, 1]), [""])
    with pytest.raises(ConfigError, match="no square picture"):
        shape_of(odd)


def test_raw_rows_are_the_pixels_channel_by_channel(tmp_path):
    generator = np.random.default_rng(0)
    pixels = generator.integers(256, size=(2, 16, 16, 3), dtype=np.uint8)
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file, picture in zip(files, pixels, strict=True):
        Image.fromarray(picture).save(file)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    encoder = make_encoder("raw:size=16", "image")
    assert not encoder.fitted
    encoder.fit(files)
    encoded = encoder.encode([files[0], tmp_path / "broken.png", files[1]])
    assert encoded.owner.tolist() == [0, 2]
    assert [place for place, _ in encoded.skipped] == [1]
    np.testing.assert_allclose(encoded.values.reshape(2, 3, 16, 16), pixels.transpose(0, 3, 1, 2) / 255, atol=1e-6)
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert again.fingerprint() == encoder.fingerprint()
    assert np.array_equal(again.encode(files).values, encoder.encode(files).values)


def test_grey_pictures_have_one_channel(tmp_path):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3).save(tmp_path / "grey.png")
    encoder = make_encoder("raw:size=8")
    encoder.fit([tmp_path / "grey.png"])
    assert encoder.encode([tmp_path / "grey.png"]).values.shape == (1, 64) == (1, encoder.width)
    with pytest.raises(ConfigError, match="multiple of 8"):
        make_encoder("raw:size=20")

"""Training: it learns, the same seed gives the same numbers, a resumed run equals an unbroken one."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch

from pictokg import catalogue
from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError, PictoKGError
from pictokg.training import fit as fit_module
from pictokg.training.fit import fit, last_path
from pictokg.training.optimiser import learning_rate_factor
from pictokg.training.step import Memo

SAMPLERS, LOSSES = catalogue.names("sampler"), catalogue.names("loss")


def config_of(model="gated", parts=None, **settings):
    settings = {"dim": 8, "epochs": 4, "batch_size": 16, "validate_every": 2, "patience": 0, **settings}
    return configure(model, parts=parts, settings=list(settings.items()))


def train(config, data, folder=None, resume=False):
    model = build_model(config, data)
    progress = fit(build_trainer(config, model, data), data, folder=folder, resume=resume)
    return model, progress


def numbers(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("optimiser", ["adam", "adagrad", "row_adagrad", "sgd"])
@pytest.mark.parametrize("sparse", [False, True])
def test_every_optimiser_learns_and_resumes(optimiser, sparse, data, tmp_path, monkeypatch):
    config = config_of("transe", {"optimiser": optimiser}, sparse=sparse, epochs=6)
    model, progress = train(config, data)
    losses = [record["loss"] for record in progress.history]
    assert losses[-1] < losses[0]
    interrupt_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, tmp_path)
    monkeypatch.undo()
    resumed, _ = train(config, data, tmp_path, resume=True)
    assert_same(numbers(model), numbers(resumed))


@pytest.mark.parametrize(("sampler", "loss"), list(itertools.product(SAMPLERS, LOSSES)))
def test_every_sampler_trains_with_every_loss_or_says_why_not(sampler, loss, data):
    own = {"sampler.parts": "uniform,nscaching"} if sampler == "together" else {}
    config = config_of("ikrl", {"sampler": sampler, "loss": loss}, epochs=2, **own)
    try:
        _, progress = train(config, data)
    except ConfigError as refusal:
        assert "does not read" in str(refusal)  # noqa: PT017 - a declared need is a valid outcome
        return
    assert all(np.isfinite(record["loss"]) for record in progress.history)


def interrupt_after(epochs, monkeypatch):
    """Make the run die right after its checkpoint of this epoch."""
    monkeypatch.setattr(fit_module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    save = fit_module.Keeper.save

    def save_then_die(self, progress):
        save(self, progress)
        if len(progress.history) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module.Keeper, "save", save_then_die)


@pytest.mark.parametrize("model", ["gated", "ikrl", "tucker"])
@pytest.mark.parametrize("died_after", [1, 2, 3])
def test_a_resumed_run_equals_an_unbroken_one(model, died_after, data, tmp_path, monkeypatch):
    config = config_of(model)
    unbroken, expected = train(config, data, tmp_path / "unbroken")
    interrupt_after(died_after, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, tmp_path / "broken")
    monkeypatch.undo()
    resumed, progress = train(config, data, tmp_path / "broken", resume=True)
    assert_same(numbers(unbroken), numbers(resumed))
    assert (progress.best_epoch, progress.best_mrr) == (expected.best_epoch, expected.best_mrr)
    lines = [json.loads(line) for line in (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]


def test_resuming_a_finished_run_changes_nothing(data, tmp_path):
    config = config_of()
    model, progress = train(config, data, tmp_path)
    again, same = train(config, data, tmp_path, resume=True)
    assert_same(numbers(model), numbers(again))
    assert same.history == progress.history


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(data):
    first, second = train(config_of(), data)[0], train(config_of(), data)[0]
    assert_same(numbers(first), numbers(second))
    other = train(config_of(seed=1), data)[0]
    assert not torch.equal(first.encoder.structure.weight, other.encoder.structure.weight)


def test_the_best_validation_epoch_is_kept(data, tmp_path):
    from pictokg.evaluation.ranking import evaluate

    model, progress = train(config_of(epochs=10, validate_every=1), data, tmp_path)
    validated = [record["validation"]["mrr"] for record in progress.history]
    assert progress.best_mrr == max(validated)
    assert progress.best_epoch == 1 + validated.index(max(validated))
    assert evaluate(model, data, "valid").metrics["mrr"] == pytest.approx(progress.best_mrr)


def test_early_stopping_after_patience_validations(data):
    _, progress = train(config_of(epochs=60, validate_every=1, patience=3, learning_rate=0.5), data)
    assert len(progress.history) == min(60, progress.best_epoch + 3)


def test_a_failed_write_keeps_the_checkpoint_before_it(data, tmp_path, monkeypatch):
    config = config_of()
    interrupt_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, tmp_path)
    monkeypatch.undo()
    before = last_path(tmp_path).read_bytes()

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(PictoKGError, match=r"No space left on device.*is kept"):
        train(config, data, tmp_path, resume=True)
    assert last_path(tmp_path).read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))


def test_row_sparse_adagrad_equals_dense_adagrad(data):
    dense = train(config_of("transe", {"optimiser": "row_adagrad"}), data)[0]
    sparse = train(config_of("transe", {"optimiser": "row_adagrad"}, sparse=True), data)[0]
    for (name, one), other in zip(dense.named_parameters(), sparse.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name, atol=1e-5, rtol=1e-4)


def test_memo_encodes_each_entity_once_and_forgets():
    calls = []

    def encode(ids):
        calls.append(ids.tolist())
        return torch.stack([ids.float(), -ids.float()], dim=1)

    memo = Memo(encode, 10, torch.device("cpu"))
    assert memo(torch.tensor([[3, 5], [3, 3]])).tolist() == [[[3, -3], [5, -5]], [[3, -3], [3, -3]]]
    assert memo(torch.tensor([5, 1, 3])).tolist() == [[5, -5], [1, -1], [3, -3]]
    assert calls == [[3, 5], [1]]
    assert sorted(memo.touched.tolist()) == [1, 3, 5]
    memo.clear()
    memo(torch.tensor([3]))
    assert calls[-1] == [3]


def test_schedules_warm_up_then_fall():
    assert learning_rate_factor("cosine", 0.1, 0.05) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 0.0, 0.5) == pytest.approx(0.5)
    assert [learning_rate_factor(name, 0.0, 1.0) for name in ("linear", "cosine")] == pytest.approx([0, 0])
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        learning_rate_factor("cosin", 0.0, 0.5)


def test_a_diverging_run_stops_with_advice(data):
    with pytest.raises(PictoKGError, match="lower the learning rate"):
        train(config_of("distmult", {"optimiser": "sgd"}, learning_rate=1e30), data)


@pytest.mark.parametrize("model", catalogue.names("model"))
def test_every_model_trains_in_bfloat16(model, data):
    size = {"dim": 24} if model == "conve" else {}
    _, progress = train(config_of(model, epochs=2, precision="bf16", **size), data)
    assert all(np.isfinite(record["loss"]) for record in progress.history)


def test_bfloat16_products_come_near_full_precision(data):
    full, half = (train(config_of("complex", precision=precision, epochs=8), data)[1] for precision in ("fp32", "bf16"))
    assert half.history[-1]["loss"] == pytest.approx(full.history[-1]["loss"], rel=0.02)
    assert half.history[-1]["loss"] != full.history[-1]["loss"]  # it does something


@pytest.mark.parametrize(
    ("parts", "settings", "said"),
    [
        ({}, {"learning_rate": -1}, "at least 0"),
        ({}, {"network_learning_rate": -0.1}, "at least 0"),
        ({}, {"epochs": 0}, "epochs must be at least 1"),
        ({}, {"validation_triples": -1}, "validation_triples must be at least 0"),
        ({}, {"gradient_clip": -1.0}, "gradient_clip must be at least 0"),
        ({}, {"seed": -1}, "seed must be at least 0"),
        ({}, {"schedule": "cosin"}, "'cosine'"),
        ({"sampler": "unknown"}, {"side": "left"}, "'coin'"),
        ({"sampler": "uniform"}, {"negatives": 0}, "negatives must be at least 1"),
        ({"sampler": "bernoulli"}, {"negatives": -3}, "negatives must be at least 1"),
        ({"loss": "binary"}, {"smoothing": 2.0}, "smoothing is a fraction"),
        ({}, {"dropout": 2.0}, "dropout probability"),
        ({}, {"modality_dropout": 2.0}, "modality_dropout is a fraction"),
        ({}, {"optimiser.sparse": True, "gradient_clip": 1.0}, "row-sparse"),
    ],
)
def test_values_out_of_range_are_refused_before_training(parts, settings, said, data):
    def make():
        config = config_of("gated", parts, **settings)
        build_trainer(config, build_model(config, data), data)

    with pytest.raises(ConfigError, match=said):
        make()

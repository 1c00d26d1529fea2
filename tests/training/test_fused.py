"""The fused step: the same numbers as autograd and the torch optimisers, for every choice that allows it."""

from __future__ import annotations

import itertools

import pytest
import torch

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError
from pictokg.training import fit as fit_module
from pictokg.training.fit import fit

SIMPLE = {"dim": 6, "negatives": 5, "epochs": 3, "batch_size": 16, "validate_every": 0}


def trained(model, data, parts=(), **settings):
    """A model after training, its trainer, and the losses of its epochs."""
    parts = {"sampler": "uniform", "loss": "self_adversarial", **dict(parts)}
    config = configure(model, parts=parts, settings=[*{**SIMPLE, **settings}.items()])
    built = build_model(config, data)
    before = built.encoder.structure.weight.clone()
    trainer = build_trainer(config, built, data)
    losses = [report.loss for report in trainer.epochs()]
    assert not torch.equal(before, built.encoder.structure.weight)
    return built, trainer, losses


def assert_same_training(model, data, parts=(), **settings):
    one, fused, fast = trained(model, data, parts, **settings)
    two, plain, slow = trained(model, data, parts, kernels="off", **settings)
    assert plain.fused is None
    assert fast == pytest.approx(slow, rel=1e-5)
    for (name, first), second in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-4, msg=name)
    return fused


CHOICES = list(itertools.product(["transe", "rotate", "distmult", "complex"], ["sgd", "adagrad", "row_adagrad"]))


@pytest.mark.parametrize(("model", "optimiser"), CHOICES)
@pytest.mark.parametrize("sharing", [{}, {"sampler.shared": True}, {"sampler.shared": True, "chunk": 6}])
def test_fused_steps_equal_autograd(model, optimiser, sharing, data):
    assert assert_same_training(model, data, {"optimiser": optimiser}, learning_rate=0.2, **sharing).fused


@pytest.mark.parametrize("sampler", ["bernoulli", "unknown"])
@pytest.mark.parametrize("loss", ["logistic", "softmax", "margin", "self_adversarial"])
def test_every_loss_and_sampler_that_declares_it_equals_autograd(sampler, loss, data):
    parts = {"sampler": sampler, "loss": loss, "optimiser": "row_adagrad"}
    assert assert_same_training("transe", data, parts, inverse=True).fused


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "cosine", "warmup": 0.3},
        {"regulariser": "n3"},
        {"sparse": True},
        {"constrain": True, "norm": 2},
    ],
)
def test_schedules_regularisers_sparse_rows_and_norm_constraints_are_honoured(settings, data):
    assert assert_same_training("transe", data, {"optimiser": "adagrad"}, **settings).fused


@pytest.mark.parametrize(
    ("model", "parts", "settings"),
    [
        ("gated", {"scoring": "rotate"}, {"dropout": 0.0, "structure_dropout": 0.0, "modality_dropout": 0.0}),
        ("transe", {"optimiser": "adam"}, {}),
        ("distmult", {}, {"gradient_clip": 1.0}),
        ("complex", {}, {"relation_questions": True}),
    ],
)
def test_what_cannot_be_fused_still_scores_fast_and_equals_autograd(model, parts, settings, data):
    assert assert_same_training(model, data, parts, **settings).fused is None


@pytest.mark.parametrize(
    ("model", "parts", "settings", "said"),
    [
        ("transe", {"optimiser": "adam"}, {}, "optimiser adam"),
        ("transe", {}, {"kernels": "off"}, "kernels=off rules out"),
        ("transe", {}, {"gradient_clip": 1.0}, "gradient_clip"),
        ("transe", {}, {"precision": "bf16"}, "precision=bf16"),
        ("transe", {}, {"relation_questions": True}, "relation_questions"),
        ("transh", {}, {}, "scoring function TransH"),
        ("gated", {}, {}, "more than rows"),
        ("distmult", {"loss": "binary"}, {}, "loss Binary"),
        ("distmult", {"sampler": "one_vs_all", "loss": "softmax"}, {"negatives": None}, "sampler OneVsAll"),
    ],
)
def test_lock_free_training_that_cannot_be_is_refused_with_the_reason(model, parts, settings, said, data):
    settings = {"lock_free": True, **settings}
    parts = {"optimiser": "adagrad", **parts}
    if settings.pop("negatives", 0) is None:
        settings = {**{key: value for key, value in SIMPLE.items() if key != "negatives"}, **settings}
        config = configure(model, parts=parts, settings=[*settings.items()])
        with pytest.raises(ConfigError, match=said):
            build_trainer(config, build_model(config, data), data)
        return
    with pytest.raises(ConfigError, match=said):
        trained(model, data, parts, **settings)


@pytest.mark.parametrize("optimiser", ["sgd", "adagrad", "row_adagrad"])
@pytest.mark.parametrize("sharing", [{}, {"sampler.shared": True, "chunk": 4}])
def test_lock_free_training_learns(optimiser, sharing, data):
    _, trainer, losses = trained("rotate", data, {"optimiser": optimiser}, lock_free=True, epochs=6, **sharing)
    assert trainer.fused
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("optimiser", ["sgd", "adagrad", "row_adagrad"])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_resumed_fused_run_equals_an_unbroken_one(optimiser, sparse, data, tmp_path, monkeypatch):
    parts = {"sampler": "uniform", "optimiser": optimiser}
    settings = {**SIMPLE, "sparse": sparse, "epochs": 4, "schedule": "linear"}
    config = configure("transe", parts=parts, settings=[*settings.items()])

    def run(folder, resume=False):
        model = build_model(config, data)
        trainer = build_trainer(config, model, data)
        assert trainer.fused
        fit(trainer, data, folder=folder, resume=resume)
        return model.state_dict()

    unbroken = run(tmp_path / "unbroken")
    monkeypatch.setattr(fit_module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    save = fit_module.Keeper.save

    def save_then_die(self, progress):
        save(self, progress)
        if len(progress.history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module.Keeper, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    monkeypatch.setattr(fit_module.Keeper, "save", save)
    resumed = run(tmp_path / "broken", resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in unbroken.items())


def test_a_checkpoint_of_a_plain_run_goes_on_fused(data):
    """The optimiser's state is the same, under the same names, whoever takes the steps."""
    from pictokg.training.checkpoint import optimiser_state

    states = [
        optimiser_state(trained("distmult", data, {"optimiser": name}, kernels=kernels)[1].optimisers)
        for name in ("adagrad", "row_adagrad")
        for kernels in ("auto", "off")
    ]
    for fused, plain in ((states[0], states[1]), (states[2], states[3])):
        assert fused.keys() == plain.keys()
        for name, value in fused.items():
            torch.testing.assert_close(value, plain[name], msg=name, atol=1e-5, rtol=1e-4)

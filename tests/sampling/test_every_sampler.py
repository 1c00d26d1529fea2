"""Every sampler of the catalogue in training: with other models, precisions and optimisers; resumed; on tiny graphs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from random_data import make_data
from torch import nn

from pictokg import catalogue
from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError
from pictokg.training import fit as fit_module
from pictokg.training.fit import fit

SAMPLERS = catalogue.names("sampler")
SETTINGS = {"together": [("parts", "uniform,sans,nscaching,kbgan,igan")]}
MODELS = {
    "transr": [],  # candidates look different to each relation
    "conve": [("dim", 32), ("channels", 2)],  # tails only, with reciprocal relations; batch statistics; dropout
    "gated": [("modalities", "structure,image")],
    "ikrl": [],  # several views
}
VARIED = [
    [],
    [("precision", "bf16")],
    [("sparse", True)],
    [("relation_questions", True)],
]


def config_of(sampler, model, settings=()):
    small = [("dim", 8), ("epochs", 2), ("batch_size", 32), ("validate_every", 0), *MODELS.get(model, [])]
    loss = "softmax" if sampler == "k_vs_all" else "self_adversarial"
    parts = {"sampler": sampler, "loss": loss, "optimiser": "adam"}
    return configure(model, parts=parts, settings=[*small, *SETTINGS.get(sampler, []), *settings])


def trainer_of(config, data):
    return build_trainer(config, build_model(config, data), data)


def needs_views(sampler):
    return "views" in catalogue.find("sampler", sampler).needs


def numbers(trainer):
    """All that was learned or remembered."""
    sampler = trainer.objective.sampler
    own = sampler.state_dict() if isinstance(sampler, nn.Module) else {}
    return {
        name: value.clone()
        for part in (trainer.model.state_dict(), own, sampler.state())
        for name, value in part.items()
    }


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize(("sampler", "model"), list(itertools.product(SAMPLERS, MODELS)))
def test_every_sampler_trains_with_every_kind_of_model_or_names_its_need(sampler, model, data):
    varied = VARIED[(SAMPLERS.index(sampler) + list(MODELS).index(model)) % len(VARIED)]  # pairwise
    config = config_of(sampler, model, varied)
    if needs_views(sampler) and model != "ikrl":
        with pytest.raises(ConfigError, match="needs a model whose entities have several views"):
            trainer_of(config, data)
        return
    trainer = trainer_of(config, data)
    before = numbers(trainer)["encoder.structure.weight"]
    assert all(np.isfinite(report.loss) for report in trainer.epochs())
    assert not torch.equal(before, numbers(trainer)["encoder.structure.weight"])


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if needs_views(name)])
@pytest.mark.parametrize("varied", VARIED, ids=str)
def test_samplers_for_views_train_in_every_setting(sampler, varied, data):
    trainer = trainer_of(config_of(sampler, "ikrl", varied), data)
    assert all(np.isfinite(report.loss) for report in trainer.epochs())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_numbers_whatever_was_drawn_elsewhere(sampler, data):
    first, second = (trainer_of(config_of(sampler, "ikrl"), data) for _ in range(2))
    list(first.epochs())
    torch.rand(7)
    np.random.default_rng().random()
    list(second.epochs())
    assert_same(numbers(first), numbers(second))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_run_equals_an_unbroken_one(sampler, data, tmp_path, monkeypatch):
    config = config_of(sampler, "ikrl", [("epochs", 4)])
    whole, broken, resumed = (trainer_of(config, data) for _ in range(3))
    fit(whole, data)

    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, data, folder=tmp_path, on_epoch=stop)
    fit(resumed, data, folder=tmp_path, resume=True)
    assert_same(numbers(whole), numbers(resumed))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_graph_of_four_entities_is_enough(sampler):
    """Pools and caches of the usual sizes shrink to it."""
    data = make_data(entities=4, relations=2, triples=20)
    trainer = trainer_of(config_of(sampler, "ikrl", [("relation_questions", True)]), data)
    assert all(np.isfinite(report.loss) for report in trainer.epochs())


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if not needs_views(name)])
def test_drawing_takes_no_gradient_from_the_network_in_bfloat16(sampler, data):
    """What a sampler computes without gradients must not be what the loss then reads from autocast's cache."""
    trainer = trainer_of(config_of(sampler, "gated", [("precision", "bf16"), ("epochs", 2)]), data)
    network = [value for name, value in trainer.model.named_parameters() if "structure" not in name]
    before = [value.detach().clone() for value in network]
    list(trainer.epochs())
    assert not all(torch.equal(old, new) for old, new in zip(before, network, strict=True))

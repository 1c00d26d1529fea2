"""Training with MMRNS: resuming, models and settings it must go with, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cross_modal import context_of, prepared, tails

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError, DataWarning
from pictokg.models.ikrl import build as build_ikrl
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import Compared, MMRNSPlus
from pictokg.training.fit import fit


def config_of(model="transe", sampler="mmrns", **settings):
    settings = {"dim": 6, "epochs": 4, "batch_size": 16, "validate_every": 0, **settings}
    return configure(model, parts={"sampler": sampler, "loss": "self_adversarial"}, settings=list(settings.items()))


def trainer_of(data, **choices):
    config = config_of(**choices)
    return build_trainer(config, build_model(config, data), data)


CHOICES = [{"sampler": "mmrns"}, {"sampler": "mmrns_plus"}, {"sampler": "mmrns_plus", "gradient": "adversarial"}]


@pytest.mark.parametrize("choices", CHOICES)
def test_a_resumed_run_equals_an_unbroken_one(choices, slotted, tmp_path, monkeypatch):
    whole = trainer_of(slotted, **choices)
    fit(whole, slotted)

    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pictokg.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(slotted, **choices), slotted, folder=tmp_path, on_epoch=stop)
    resumed = trainer_of(slotted, **choices)
    fit(resumed, slotted, folder=tmp_path, resume=True)
    for one, other in ((whole.model, resumed.model), (whole.objective.sampler, resumed.objective.sampler)):
        state = other.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    before = dict(trainer_of(slotted, **choices).objective.sampler.named_parameters())
    moved = [name for name, value in whole.objective.sampler.named_parameters() if not torch.equal(value, before[name])]
    assert "attention.picture_layer.weight" in moved


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "ikrl", "precision": "bf16"},
        {"model": "gated", "scoring": "tucker", "relation_questions": True},
        {"model": "transr", "sparse": True},
        {"model": "rotate", "inverse": True, "precision": "bf16", "sparse": True},
    ],
)
def test_trains_with_views_inverses_projections_bf16_and_sparse_rows(choices, settings, slotted):
    trainer = trainer_of(slotted, **choices, **settings)
    before = trainer.model.relations.weight.detach().clone()
    losses = [report.loss for report in trainer.epochs()]
    assert all(math.isfinite(loss) for loss in losses)
    assert not torch.equal(before, trainer.model.relations.weight)


def test_models_with_views_are_given_vectors_of_each_view(slotted, triples):
    context = context_of(slotted, build_ikrl)
    for sampler in (MMRNS(3), MMRNSPlus(3, gradient="cooperative")):
        drawn = prepared(sampler, context)(*tails(triples), context)
        assert drawn.vectors.shape == (len(triples), 3, 2, 4)
        torch.testing.assert_close(drawn.vectors, context.model.encode(drawn.ids))
    assert prepared(MMRNSPlus(3), context)(*tails(triples), context).vectors is None


def test_more_negatives_than_entities_are_as_many_as_there_are(context, triples):
    for make in (MMRNS, MMRNSPlus):
        assert prepared(make(500, pool=9999), context)(*tails(triples), context).ids.shape[1] == 12


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_data_without_pictures_and_words_are_refused_with_what_to_do(sampler, data):
    bare = replace(data, tables={})
    with pytest.raises(ConfigError, match=r"no feature table 'image' or 'text' \(there are: none\); add images/"):
        trainer_of(bare, sampler=sampler)


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize("has", ["image", "text"])
def test_one_of_the_two_tables_is_enough_and_is_said(choices, has, slotted):
    single = replace(slotted, tables={has: slotted.table(has)})
    with pytest.warns(DataWarning, match="compared by"):
        trainer = trainer_of(single, **choices)
    assert all(math.isfinite(report.loss) for report in trainer.epochs())


def test_the_term_of_a_table_that_is_not_there_is_left_out(slotted, triples):
    single = replace(slotted, tables={"text": slotted.table("text")})
    context = context_of(single)
    with pytest.warns(DataWarning):
        sampler = prepared(MMRNS(3), context)
    alike = torch.rand(3, 5, 12)
    q = sum((alike[m] / 10).softmax(dim=1) for m in (1, 2)) / 2
    torch.testing.assert_close(sampler.logits(alike, 0).softmax(dim=1), q)


def test_tables_may_have_other_names(slotted):
    renamed = replace(slotted, tables={"clip": slotted.table("image"), "bert": slotted.table("text")})
    trainer = trainer_of(renamed, picture_table="clip", text_table="bert")
    assert trainer.objective.sampler.attention.sizes.pictures == (3, 6)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sampler": "mmrns", "pool": 0}, "pool must be at least 1; got 0"),
        ({"sampler": "mmrns", "sampler.negatives": 0}, "negatives must be at least 1"),
        ({"sampler": "mmrns", "sampler.temperature": 0.0}, "temperature must be above 0"),
        ({"sampler": "mmrns", "loss_rate": 0.0}, "loss_rate must be above 0"),
        ({"sampler": "mmrns", "softness": 0.0}, "softness must be above 0"),
        ({"sampler": "mmrns", "first_count": 0}, "first_count must be above 0"),
        ({"sampler": "mmrns", "sampler_learning_rate": -1.0}, "sampler_learning_rate must be at least 0; got -1.0"),
        ({"sampler": "mmrns_plus", "mix": 1.5}, r"mix is a fraction in \[0, 1\]; got 1.5"),
        ({"sampler": "mmrns_plus", "guard": -1.0}, "guard is a fraction"),
        ({"sampler": "mmrns_plus", "sampler.temperature": 2.0}, "temperature must be between 0.05 and 1.0"),
        ({"sampler": "mmrns_plus", "contrast": 0.0}, "contrast must be above 0"),
        ({"sampler": "mmrns_plus", "gradient": "reversed"}, "gradient"),
    ],
)
def test_options_out_of_range_are_refused(options, problem, slotted):
    with pytest.raises(ConfigError, match=problem):
        trainer_of(slotted, **options)


def test_unknown_gradients_are_refused_in_python_too():
    with pytest.raises(ConfigError, match="cooperative, stopped or adversarial; got 'reversed'"):
        MMRNSPlus(gradient="reversed")


def test_contrast_counts_nothing_of_rows_that_lack_the_modality(context):
    sampler = prepared(MMRNSPlus(3), context)
    alike = torch.rand(3, 2, 4, requires_grad=True)
    own = torch.tensor([[True, False], [True, True], [True, True]])
    both = own.unsqueeze(2).expand(3, 2, 4)
    sampler.contrastive(Compared(alike, both, torch.zeros(2, 4, dtype=torch.bool), own)).backward()
    assert alike.grad[0, 1].abs().sum() == 0
    assert alike.grad[1, 1].abs().sum() > 0

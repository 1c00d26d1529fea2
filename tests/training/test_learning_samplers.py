"""The seam of samplers that learn: their parameters, their turns, candidates they encoded themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pictokg.assembly import build_model
from pictokg.config import configure
from pictokg.losses.softmax import Softmax
from pictokg.sampling.base import Negatives, Sampler, pool_of
from pictokg.training.fit import fit
from pictokg.training.loop import Trainer, TrainingOptions
from pictokg.training.optimiser import OptimiserOptions
from pictokg.training.step import Objective


class Weighing(nn.Module, Sampler):
    """Mixes all entities into one negative a question, with weights that it learns; takes turns with the model."""

    learning_rate = 0.05

    def __init__(self, turns=("both",)):
        super().__init__()
        self.turns = turns

    def prepare(self, context):
        self.logits = nn.Parameter(torch.randn(len(context.pool)))

    def turn(self, context):
        return self.turns[context.step % len(self.turns)]

    def __call__(self, query, answer, context):
        pool = pool_of(query, context)
        mixed = self.logits.softmax(dim=0) @ context.encode(pool)
        vectors = mixed.expand(len(query), 1, len(mixed))
        return Negatives(pool[:1].expand(len(query), 1), vectors=vectors)

    def feedback(self, negatives, scores, context):
        assert not scores.requires_grad
        return self.logits.square().mean()


def trainer_of(data, sampler, epochs=2):
    model = build_model(configure("distmult", settings=[("dim", 4)]), data)
    options = TrainingOptions(epochs=epochs, batch_size=len(data.graph.split("train")), validate_every=0)
    return Trainer(model, data, Objective(sampler, Softmax()), OptimiserOptions(), options)


@pytest.mark.parametrize("turn", ["model", "sampler", "both"])
def test_only_those_whose_turn_it_is_learn(turn, data):
    sampler = Weighing((turn,))
    trainer = trainer_of(data, sampler)
    logits, entities = sampler.logits.detach().clone(), trainer.model.encoder.structure.weight.detach().clone()
    list(trainer.epochs())
    assert torch.equal(logits, sampler.logits) == (turn == "model")
    assert torch.equal(entities, trainer.model.encoder.structure.weight) == (turn == "sampler")


def test_the_loss_reaches_the_choice_through_the_vectors(data):
    sampler = Weighing(("sampler",))
    sampler.feedback = lambda negatives, scores, context: None
    trainer = trainer_of(data, sampler, epochs=1)
    # The sampler learns which entities' mixture keeps the loss low, so the negative's score must fall.
    trainer.model.encoder.structure.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(20):
        trainer.context.epoch = 0
        losses.append(next(trainer.epochs()).loss)
    assert losses[-1] < losses[0]


def test_a_learning_sampler_resumes_to_the_numbers_of_an_unbroken_run(data, tmp_path, monkeypatch):
    whole = trainer_of(data, Weighing(("both", "sampler")), epochs=6)
    fit(whole, data)
    broken = trainer_of(data, Weighing(("both", "sampler")), epochs=6)

    def stop(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    broken_folder = tmp_path / "run"
    monkeypatch.setattr("pictokg.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, data, folder=broken_folder, on_epoch=stop)
    resumed = trainer_of(data, Weighing(("both", "sampler")), epochs=6)
    fit(resumed, data, folder=broken_folder, resume=True)
    assert torch.equal(whole.objective.sampler.logits, resumed.objective.sampler.logits)
    assert torch.equal(whole.model.encoder.structure.weight, resumed.model.encoder.structure.weight)


def test_the_first_parameters_of_a_sampler_come_from_the_seed(data):
    torch.manual_seed(1)
    first = trainer_of(data, Weighing()).objective.sampler.logits
    torch.manual_seed(2)
    assert torch.equal(first, trainer_of(data, Weighing()).objective.sampler.logits)

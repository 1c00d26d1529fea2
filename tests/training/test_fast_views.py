"""Own negatives of entities with several views: scores and gradients by the kernel, beside the plain formulas."""

import pytest
import torch
from random_data import make_data

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.training.step import training_loss


def loss_and_gradients(kernels: str, loss: str, settings: dict[str, object]) -> dict[str, torch.Tensor]:
    """The loss of one batch of both sides, and what it says of every parameter."""
    data = make_data(entities=12, triples=60)
    chosen = {"dim": 6, "negatives": 5, "kernels": kernels, **settings}
    config = configure("ikrl", parts={"sampler": "uniform", "loss": loss}, settings=list(chosen.items()))
    trainer = build_trainer(config, build_model(config, data), data)
    trainer.context.generator.manual_seed(3)
    value = training_loss(trainer.model, trainer.objective, trainer.triples, trainer.context, trainer.memo)
    value.backward()
    found = {name: part.grad for name, part in trainer.model.named_parameters() if part.grad is not None}
    assert set(found) == {"encoder.structure.weight", "encoder.project.weight", "relations.weight"}
    return {"loss": value.detach(), **found}


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("loss", ["margin", "separate_margin", "self_adversarial", "separate_self_adversarial"])
def test_all_pairs_of_views_score_and_learn_as_by_the_plain_formulas(loss: str, norm: int) -> None:
    settings: dict[str, object] = {"model.norm": norm}
    if loss == "separate_margin":  # weights that differ tell which pair of views is which
        settings["loss.weights"] = [1.0, 0.7, 0.4, 0.1]
    plain = loss_and_gradients("off", loss, settings)
    for name, value in loss_and_gradients("auto", loss, settings).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-5, atol=1e-5, msg=name)


def test_two_epochs_end_where_the_plain_formulas_end() -> None:
    ends = []
    for kernels in ("auto", "off"):
        data = make_data(entities=12, triples=60)
        settings = {"dim": 6, "negatives": 5, "epochs": 2, "batch_size": 16, "kernels": kernels}
        config = configure("ikrl", settings=list(settings.items()))
        trainer = build_trainer(config, build_model(config, data), data)
        for _ in trainer.epochs():
            pass
        assert trainer.model.encoder.kernels == (kernels == "auto")
        ends.append(trainer.model.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-3, atol=1e-4, msg=name)

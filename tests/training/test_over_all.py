"""The fast path of cross-entropy over every entity equals the plain formula: losses, gradients, whole trainings."""

from __future__ import annotations

import pytest
import torch

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.kernels import over_all
from pictokg.kernels.over_all import Targets, cross_entropy_over_all
from pictokg.training import fast


def plain(expected, candidates, targets):
    log_share = torch.log_softmax(expected @ candidates.T, dim=1)
    return -(log_share[targets.row, targets.column] * targets.weight).sum()


def sample(questions=150, candidates=37, dim=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    expected = torch.randn(questions, dim, generator=generator, dtype=dtype)
    offered = torch.randn(candidates, dim, generator=generator, dtype=dtype)
    row = torch.randint(questions, (2 * questions,), generator=generator).sort().values
    column = torch.randint(candidates, (len(row),), generator=generator)
    weight = torch.rand(len(row), generator=generator, dtype=dtype)
    return expected.requires_grad_(), offered.requires_grad_(), Targets(row, column, weight)


@pytest.mark.parametrize("fewest", [1, 64, 1000])
def test_blocks_give_the_loss_and_gradients_of_the_plain_formula(fewest, monkeypatch):
    monkeypatch.setattr(over_all, "BLOCK_BYTES", 0)
    monkeypatch.setattr(over_all, "FEWEST_ROWS", fewest)  # rows with no target, blocks with none, a last short block
    expected, offered, targets = sample()
    wanted = torch.autograd.grad(3 * plain(expected, offered, targets), (expected, offered))
    loss = cross_entropy_over_all(expected, offered, targets)
    torch.testing.assert_close(loss, plain(expected, offered, targets))
    for made, want in zip(torch.autograd.grad(3 * loss, (expected, offered)), wanted, strict=True):
        torch.testing.assert_close(made, want)


def test_a_hopeless_target_has_its_loss_not_infinity():
    expected = torch.tensor([[1000.0]], requires_grad=True)
    offered = torch.tensor([[1.0], [0.0]])
    targets = Targets(torch.tensor([0]), torch.tensor([1]), torch.ones(1))
    loss = cross_entropy_over_all(expected, offered, targets)
    loss.backward()
    assert loss.item() == 1000.0
    assert expected.grad.item() == 1.0


def test_under_autocast_products_are_rounded_and_sums_are_not():
    expected, offered, targets = sample(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy_over_all(expected, offered, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(plain(expected, offered, targets).item(), rel=0.01)
    assert loss.item() != plain(expected, offered, targets).item()


def trained(data, kernels, model="complex", sampler="one_vs_all", **settings):
    settings = {"dim": 4, "epochs": 3, "batch_size": 16, "validate_every": 0, "kernels": kernels, **settings}
    config = configure(model, parts={"sampler": sampler, "loss": "softmax"}, settings=list(settings.items()))
    trainer = build_trainer(config, build_model(config, data), data)
    losses = [report.loss for report in trainer.epochs()]
    return losses, trainer.model.state_dict()


CASES = [
    {},
    {"model": "gated", "dropout": 0.0},
    {"sampler": "k_vs_all"},
    {"sampler": "k_vs_all", "count_answers": True},
    {"inverse": False, "relation_questions": True},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())) or "complex")
def test_training_by_the_fast_path_equals_training_by_the_formula(case, data, monkeypatch):
    taken = []
    monkeypatch.setattr(fast, "loss_over_all", lambda *given, run=fast.loss_over_all: taken.append(1) or run(*given))
    quick, quick_parameters = trained(data, "auto", **case)
    assert taken
    taken.clear()
    slow, slow_parameters = trained(data, "off", **case)
    assert not taken
    assert quick == pytest.approx(slow, rel=1e-5)
    for name, value in slow_parameters.items():
        torch.testing.assert_close(quick_parameters[name], value, rtol=1e-3, atol=1e-5)


def test_counting_answers_makes_an_epoch_of_questions_one_of_triples(data):
    """One step over all triples: the loss and the gradients of 1-vs-all, at a question's price for each question."""
    whole = {"batch_size": len(data.graph.split("train")), "epochs": 2, "optimiser.name": "sgd", "learning_rate": 0.5}
    each, by_triple = trained(data, "auto", **whole)
    grouped, by_question = trained(data, "auto", sampler="k_vs_all", count_answers=True, **whole)
    assert grouped == pytest.approx(each, rel=1e-5)
    for name, value in by_triple.items():
        torch.testing.assert_close(by_question[name], value, rtol=1e-4, atol=1e-6)

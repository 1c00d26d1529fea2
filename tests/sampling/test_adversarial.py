"""KBGAN and IGAN: what they draw, whose turn it is, and REINFORCE against the expectation over all draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_data import make_data
from test_samplers import context_of

from pictokg.assembly import build_generator, build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError, DataError
from pictokg.graph.query import Side, ask
from pictokg.models.distmult import build as build_distmult
from pictokg.models.transe import build as build_transe
from pictokg.run import create, load_config
from pictokg.sampling._picking import Choice, choose
from pictokg.sampling.base import Negatives
from pictokg.sampling.igan import IGAN
from pictokg.sampling.kbgan import KBGAN
from pictokg.training.fit import fit


@pytest.fixture
def context(data, generator):
    return context_of(build_transe, data, generator)


@pytest.fixture
def triples(data):
    return torch.from_numpy(data.graph.split("train").astype(np.int64))


def kbgan_on(context, **options):
    sampler = KBGAN(**options)
    writer = build_distmult(context.data, dim=4)
    writer.initialise(torch.Generator().manual_seed(5))
    sampler.take_generator(writer)
    sampler.prepare(context)
    return sampler


def igan_on(context, **options):
    sampler = IGAN(**{"width": 6, **options})
    torch.manual_seed(3)
    sampler.prepare(context)
    return sampler


# Drawing


def test_choices_follow_the_softmax_and_leave_out_what_is_not_allowed(context):
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0, 0.5, 9.0], [3.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    allowed = torch.tensor([[True, True, True, True, True, False], [False, True, True, True, True, True]])
    choice = choose(logits, allowed, 4000, context)
    for row in range(2):
        expected = logits[row].masked_fill(~allowed[row], -torch.inf).softmax(dim=0)
        counts = torch.bincount(choice.columns[row], minlength=6).float()
        assert counts[~allowed[row]].sum() == 0
        assert counts[allowed[row]].min() > 0  # the first and the last among them
        kept = expected > 0
        statistic = ((counts - 4000 * expected)[kept] ** 2 / (4000 * expected[kept])).sum()
        assert abs(statistic - 4) < 5 * 8**0.5
        torch.testing.assert_close(choice.log_probability[row].exp(), expected[choice.columns[row]])


def test_where_nothing_is_allowed_the_weight_is_0_and_the_gradient_finite(context):
    logits = torch.zeros(1, 3, requires_grad=True)
    choice = choose(logits, torch.zeros(1, 3, dtype=torch.bool), 2, context)
    assert choice.weight.tolist() == [[0.0, 0.0]]
    (choice.weight * choice.log_probability).sum().backward()
    assert torch.isfinite(logits.grad).all()


# REINFORCE


def expected_gradient(feedback, log_probability, parameters):
    """The gradient of `feedback` of a draw, averaged over all draws by their probability."""
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for column in range(log_probability.shape[1]):
        columns = torch.full((len(log_probability), 1), column)
        drawn = Choice(columns, log_probability.gather(1, columns), torch.ones(len(columns), 1))
        # Every question's draw has its own probability, so one question at a time.
        assert len(columns) == 1
        gradients = torch.autograd.grad(feedback(drawn, column), parameters, retain_graph=True, allow_unused=True)
        for sum_, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                sum_ += drawn.log_probability.exp().detach().item() * gradient
    return total


@pytest.mark.parametrize("baseline", [0.0, -2.5])
def test_kbgan_climbs_the_expected_reward(baseline, context, triples):
    """E[∇ loss] = −∇ Σ_c p(c) f(c), whatever the baseline."""
    sampler = kbgan_on(context)
    sampler.previous.fill_(baseline)
    query, _ = ask(triples[:1], Side.TAIL)
    candidates = torch.arange(12).unsqueeze(0)
    rewards = torch.randn(1, 12, generator=torch.Generator().manual_seed(0))
    log_probability = sampler.writer.score(query, candidates).log_softmax(dim=1)
    parameters = list(sampler.parameters())

    def feedback(drawn, column):
        return sampler.feedback(
            Negatives(candidates[:, column : column + 1], memory=drawn), rewards[:, column : column + 1], context
        )

    found = expected_gradient(feedback, log_probability, parameters)
    plain = torch.autograd.grad(-(log_probability.exp() * rewards).sum(), parameters, allow_unused=True)
    for mine, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if theirs is None else theirs, atol=1e-6, rtol=1e-4)
    assert max(gradient.abs().max() for gradient in found) > 1e-3


def test_igan_climbs_the_expected_reward(context, triples):
    """With reward tanh(f(c) − f(answer) + γ)."""
    sampler = igan_on(context, penalty=0.0, reward_margin=0.7)
    query, answer = ask(triples[:1], Side.HEAD)
    scores = torch.randn(1, 13, generator=torch.Generator().manual_seed(0))
    log_probability = sampler.logits(query).log_softmax(dim=1)
    parameters = list(sampler.parameters())

    def feedback(drawn, column):
        heard = torch.stack([scores[:, column], scores[:, -1]], dim=1)
        return sampler.feedback(Negatives(answer.unsqueeze(1), memory=(query, drawn)), heard, context)

    found = expected_gradient(feedback, log_probability, parameters)
    reward = torch.tanh(scores[:, :-1] - scores[:, -1:] + 0.7)
    plain = torch.autograd.grad(-(log_probability.exp() * reward).sum(), parameters, allow_unused=True)
    for mine, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if theirs is None else theirs, atol=1e-6, rtol=1e-4)
    assert max(gradient.abs().max() for gradient in found) > 1e-4


@pytest.mark.parametrize("make", [kbgan_on, igan_on])
def test_generators_learn_to_draw_what_is_rewarded(make, context, triples):
    """Entity 3 alone is rewarded; in the end it is drawn far more often than by chance."""
    context.known = type(context.known)(np.zeros((0, 3), dtype=np.int64), 12, 3)
    sampler = make(context, negatives=8)
    query, answer = ask(triples, Side.TAIL)
    optimiser = torch.optim.Adam(sampler.parameters(), lr=0.02)
    often = []
    for _ in range(120):
        drawn = sampler(query, answer, context)
        hit = (drawn.ids == 3).float()
        often.append(float(hit[:, :8].mean()))
        optimiser.zero_grad()
        sampler.feedback(drawn, 4 * hit, context).backward()
        optimiser.step()
    assert np.mean(often[-10:]) > 2 * np.mean(often[:10])


# KBGAN


def test_the_baseline_is_the_mean_reward_of_the_epoch_before(context, triples):
    sampler = kbgan_on(context, negatives=2)
    query, answer = ask(triples[:3], Side.TAIL)
    for epoch, rewards in enumerate([(1.0, 3.0), (5.0, 6.0), (0.0, 0.0)]):
        context.epoch = epoch
        for reward in rewards:
            sampler.feedback(sampler(query, answer, context), torch.full((3, 2), reward), context)
        assert sampler.previous.item() == [0.0, 2.0, 5.5][epoch]


def run_of(model, data, folder):
    """A finished run of a few epochs."""
    config = configure(model, settings=[("dim", 6), ("epochs", 3), ("validate_every", 1)])
    trained = build_model(config, data)
    create(folder, config, data, [])
    fit(build_trainer(config, trained, data), data, folder=folder)
    return trained


def config_of(source):
    settings = [("dim", 5), ("epochs", 2), ("batch_size", 32), ("generator", str(source))]
    return configure("transe", parts={"sampler": "kbgan", "loss": "margin"}, settings=settings)


@pytest.mark.parametrize("model", ["complex", "gated"])
def test_the_generator_starts_from_an_ordinary_run(model, data, tmp_path):
    trained = run_of(model, data, tmp_path / "run")
    config = config_of(tmp_path / "run")
    trainer = build_trainer(config, build_model(config, data), data)
    writer = trainer.objective.sampler.writer
    assert all(torch.equal(value, writer.state_dict()[name]) for name, value in trained.state_dict().items())
    list(trainer.epochs())
    assert not torch.equal(trained.encoder.structure.weight, writer.encoder.structure.weight)


def test_the_run_of_the_generator_is_found_from_any_folder(data, tmp_path, monkeypatch):
    run_of("distmult", data, tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    create(tmp_path / "second", config_of("first"), data, [])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_config(tmp_path / "second").options("sampler")["generator"] == str(tmp_path / "first")


def test_a_generator_of_another_graph_is_refused(data, tmp_path, context):
    run_of("distmult", make_data(entities=9), tmp_path / "run")
    with pytest.raises(DataError, match="has other entities than the data"):
        build_generator(str(tmp_path / "run"), data)
    sampler = KBGAN()
    sampler.take_generator(build_distmult(make_data(entities=9), dim=4))
    with pytest.raises(ConfigError, match="they must learn the same graph"):
        sampler.prepare(context)


def test_what_is_neither_a_run_nor_a_model_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="is no trained run"):
        build_generator(str(tmp_path), data)
    with pytest.raises(ConfigError, match="kbgan has no generator"):
        KBGAN().prepare(None)
    with pytest.raises(ConfigError, match="candidates must be at least 1"):
        KBGAN(candidates=0)


def test_the_generators_vectors_obey_their_constraint(context, triples):
    sampler = KBGAN()
    sampler.take_generator(build_transe(context.data, dim=4, constrain=True))
    sampler.prepare(context)
    sampler.writer.encoder.structure.weight.data.mul_(7)
    query, answer = ask(triples, Side.TAIL)
    sampler(query, answer, context)
    used = sampler.writer.encoder.structure.weight[query.anchor].norm(dim=1)
    torch.testing.assert_close(used, torch.ones_like(used))


# IGAN


def test_generator_and_model_take_turns(data):
    config = configure(
        "transe",
        parts={"sampler": "igan", "loss": "margin"},
        settings=[("dim", 4), ("epochs", 6), ("batch_size", 100), ("width", 5)],
    )
    trainer = build_trainer(config, build_model(config, data), data)
    sampler, moved = trainer.objective.sampler, []

    def numbers():
        return [[value.clone() for value in part.state_dict().values()] for part in (trainer.model, sampler)]

    before = numbers()
    for _ in trainer.epochs():  # of one step each
        after = numbers()
        moved.append(
            [
                any(not torch.equal(*pair) for pair in zip(*parts, strict=True))
                for parts in zip(before, after, strict=True)
            ]
        )
        before = after
    assert moved == [[False, True], [True, False]] * 3


def test_igan_asks_heads_with_other_relation_vectors_than_tails(context, triples):
    sampler = igan_on(context)
    heads, tails = (ask(triples, side)[0] for side in (Side.HEAD, Side.TAIL))
    with torch.no_grad():
        sampler.relations.weight[3:] = 0.0
        sampler.entities.weight.zero_()
    assert len(sampler.logits(heads).unique(dim=0)) == 1
    assert len(sampler.logits(tails).unique(dim=0)) == len(triples[:, 1].unique())


def test_the_penalty_shrinks_the_generators_vectors(context, triples):
    sampler = igan_on(context, penalty=0.5)
    query, answer = ask(triples[:1], Side.TAIL)
    drawn = sampler(query, answer, context)
    loss = sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context)
    expected = sampler.entities(query.anchor).square().sum() + sampler.relations(query.relation).square().sum()
    torch.testing.assert_close(loss, 0.5 * expected)


@pytest.mark.parametrize("make", [KBGAN, IGAN])
@pytest.mark.parametrize("rate", [-1.0, float("nan")])
def test_step_sizes_below_0_are_refused(make, rate):
    with pytest.raises(ConfigError, match="generator_learning_rate must be at least 0"):
        make(generator_learning_rate=rate)


@pytest.mark.parametrize("options", [{"width": 0}, {"penalty": -1.0}, {"negatives": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="at least"):
        IGAN(**options)

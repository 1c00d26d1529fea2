"""Kernels against their plain twins: values, gradients, updated rows; the same numbers for any number of threads."""

from __future__ import annotations

import itertools

import pytest
import torch

from pictokg.kernels import twins
from pictokg.kernels.formulas import LOSSES, SIMILARITIES, Formula
from pictokg.kernels.independent import Hurried, Independent
from pictokg.kernels.questions import Questions, Step
from pictokg.kernels.scores import score_own
from pictokg.kernels.shared import Shared

ENTITIES, BATCH, DIM = 40, 150, 14
NO_STEP = Step("sgd", 0.0, torch.zeros(0, 0))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def table_of(seed=0, entities=ENTITIES):
    return torch.randn(entities, DIM, generator=torch.Generator().manual_seed(seed))


def questions_of(negatives=7, chunk=1, weighted=False, seed=1):
    generator = torch.Generator().manual_seed(seed)
    expected = torch.randn(BATCH, DIM, generator=generator)
    answers = torch.randint(ENTITIES, (BATCH,), generator=generator)
    starts = None if chunk == 1 else torch.tensor([*range(0, BATCH, chunk), BATCH])
    candidates = torch.randint(ENTITIES, (BATCH if starts is None else len(starts) - 1, negatives), generator=generator)
    expected[3] = table_of()[answers[3]]  # a distance of 0 has the gradient 0
    weight = None
    if weighted:
        weight = (torch.rand(BATCH, negatives, generator=generator) < 0.6).float()
        weight[5] = 0.0  # nothing left
    return Questions(expected, answers, candidates, weight, starts)


def state_of(rule):
    return torch.full((ENTITIES, 1 if rule == "row_adagrad" else DIM), 0.01)


def step_with(work, questions, formula, rule, table):
    """One step; what it gave, and the rows and state after it."""
    step = Step(rule, 0.1, state_of(rule))
    given = torch.arange(BATCH) % 11
    gradients = torch.randn(BATCH, DIM, generator=torch.Generator().manual_seed(2)) / BATCH
    asked = work.ask(questions, formula, given, step)
    work.move(asked, gradients)
    return asked, table, step.sums


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("chunk", [1, 16])
@pytest.mark.parametrize(("similarity", "loss"), list(itertools.product(SIMILARITIES, LOSSES)))
def test_a_step_equals_its_twin(similarity, loss, chunk, weighted):
    formula = Formula(SIMILARITIES[similarity], LOSSES[loss], 2.0, 0.0 if loss == "logistic" else 0.7, 1 / BATCH)
    questions = questions_of(chunk=chunk, weighted=weighted)
    fast, plain = table_of(), table_of()
    kind = Independent if chunk == 1 else Shared
    for rule in ("sgd", "adagrad", "row_adagrad"):
        one = step_with(kind(fast), questions, formula, rule, fast)
        two = step_with(twins.Twin(plain), questions, formula, rule, plain)
        torch.testing.assert_close(one[0].loss, two[0].loss, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(one[0].gradient, two[0].gradient, atol=1e-5, rtol=1e-4)
        assert set(one[0].touched.tolist()) == set(two[0].touched.tolist())
        torch.testing.assert_close(one[1:], two[1:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_scores_and_their_gradients_equal_the_twin(similarity):
    questions = questions_of(negatives=9)
    results = []
    for score in (score_own, twins.score_own):
        expected, vectors = questions.expected.clone().requires_grad_(), table_of().requires_grad_()
        scores = score(expected, vectors, questions.candidates, similarity)
        (scores.sigmoid() * torch.arange(9)).sum().backward()
        results.append((scores.detach(), expected.grad, vectors.grad))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("chunk", [1, 16])
def test_any_number_of_threads_gives_the_same_numbers(chunk, threads):
    formula = Formula(SIMILARITIES["l1"], LOSSES["self_adversarial"], 2.0, 1.0, 1 / BATCH)
    results = []
    for count in (1, 2, 3, 3):
        threads(count)
        table = table_of()
        kind = Independent if chunk == 1 else Shared
        results.append(step_with(kind(table), questions_of(chunk=chunk), formula, "adagrad", table))
    for asked, table, sums in results[1:]:
        assert torch.equal(asked.loss, results[0][0].loss)
        assert torch.equal(table, results[0][1])
        assert torch.equal(sums, results[0][2])


def test_extreme_scores_stay_finite_and_masked_ones_do_not_count():
    table = torch.tensor([[1e4, 0.0], [-1e4, 0.0], [0.0, 1.0]])
    expected, answers = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    candidates, weight = torch.tensor([[0, 2]]), torch.tensor([[0.0, 1.0]])
    for loss in LOSSES:
        formula = Formula(SIMILARITIES["dot"], LOSSES[loss], 1.0, 1.0, 1.0)
        for mask in (None, weight):
            questions = Questions(expected, answers, candidates, mask)
            one, two = (
                kind(table.clone()).ask(questions, formula, answers[:0], NO_STEP) for kind in (Independent, twins.Twin)
            )
            torch.testing.assert_close(one.loss, two.loss)
            torch.testing.assert_close(one.gradient, two.gradient)


def test_not_a_number_is_not_hidden():
    table = table_of()
    table[:] = torch.nan
    formula = Formula(SIMILARITIES["dot"], LOSSES["softmax"])
    assert Independent(table).ask(questions_of(), formula, torch.arange(0), NO_STEP).loss.isnan().all()


@pytest.mark.parametrize("rule", ["sgd", "adagrad", "row_adagrad"])
def test_without_conflicts_hurried_steps_are_single_steps(rule):
    """Questions whose rows nobody else touches: one after the other is the same as all at once."""
    table = table_of(entities=BATCH * 4)
    ids = torch.randperm(BATCH * 4, generator=torch.Generator().manual_seed(3)).view(BATCH, 4)
    questions = Questions(questions_of().expected, ids[:, 0], ids[:, 1:])
    formula = Formula(SIMILARITIES["l2"], LOSSES["self_adversarial"], 2.0, 1.0, 1 / BATCH)
    results = []
    for kind in (Hurried, twins.Twin):
        rows = table.clone()
        step = Step(rule, 0.1, torch.zeros(len(table), 1 if rule == "row_adagrad" else DIM))
        work = kind(rows)
        asked = work.ask(questions, formula, ids[:, 0], step)
        work.move(asked, torch.zeros(BATCH, DIM))
        results.append((asked.loss, asked.gradient, rows, step.sums))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)

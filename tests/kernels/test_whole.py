"""A whole step by closed forms: the scoring function's own `expect`, autograd, and the plain twin of the rest."""

from __future__ import annotations

import pytest
import torch

from pictokg.graph.query import Side
from pictokg.kernels import twins
from pictokg.kernels.formulas import LOSSES, SIMILARITIES, Formula
from pictokg.kernels.questions import Questions, Step
from pictokg.kernels.whole import Composed, Moving, Whole
from pictokg.scoring.complex import ComplEx
from pictokg.scoring.distmult import DistMult
from pictokg.scoring.transe import TransE

ENTITIES, RELATIONS, BATCH, NEGATIVES = 700, 9, 600, 5


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def asked_of(chunk):
    """Anchors, relations (never the last one) and signs; the questions, their vectors not filled in."""
    generator = torch.Generator().manual_seed(0)
    starts = None if chunk == 1 else torch.tensor([*range(0, BATCH, chunk), BATCH])
    sets = BATCH if starts is None else len(starts) - 1
    highs = ((ENTITIES, (BATCH,)), (RELATIONS - 1, (BATCH,)), (ENTITIES, (BATCH,)), (ENTITIES, (sets, NEGATIVES)))
    anchor, relation, answers, candidates = (torch.randint(*given, generator=generator) for given in highs)
    sign = (torch.rand(BATCH, generator=generator) < 0.5) * 2.0 - 1.0
    return anchor, relation, sign, answers, candidates, starts


def rows_of(scoring):
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(count, scoring.entity_width, generator=generator) for count in (ENTITIES, RELATIONS))


def steps_of(rule, width):
    sizes = ((count, 1 if rule == "row_adagrad" else width) for count in (ENTITIES, RELATIONS))
    return [Step(rule, 0.1, torch.full(size, 0.01)) for size in sizes]


def formula_of(scoring, loss="self_adversarial"):
    return Formula(SIMILARITIES[scoring.kernel], LOSSES[loss], 2.0, 0.7, 1 / BATCH)


def stepped(scoring, rule, chunk, loss="self_adversarial", lock_free=False):
    """Loss, rows of entities and relations, and their states, after a step of the kernel."""
    entities, relations = rows_of(scoring)
    anchor, relation, sign, answers, candidates, starts = asked_of(chunk)
    by_entity, by_relation = steps_of(rule, scoring.entity_width)
    answered = Whole(entities, scoring.composition, lock_free=lock_free).step(
        Composed(anchor, relation, sign, relations),
        Questions(torch.empty(BATCH, scoring.entity_width), answers, candidates, None, starts),
        formula_of(scoring, loss),
        Moving(by_entity, by_relation, relations),
    )
    assert set(answered.touched.tolist()) == set(torch.cat([anchor, answers, candidates.reshape(-1)]).tolist())
    return answered.loss, entities, relations, by_entity.sums, by_relation.sums


def twin_of(scoring, rule, chunk, loss):
    """The same by `expect`, autograd and the twin."""
    entities, relations = rows_of(scoring)
    anchor, relation, sign, answers, candidates, starts = asked_of(chunk)
    by_entity, by_relation = steps_of(rule, scoring.entity_width)
    anchors, known = entities[anchor].requires_grad_(), relations.clone().requires_grad_()
    by_side = [scoring.expect(anchors, known[relation], side) for side in (Side.TAIL, Side.HEAD)]
    expected = torch.where(sign[:, None] > 0, *by_side)
    twin = twins.Twin(entities)
    questions = Questions(expected.detach(), answers, candidates, None, starts)
    asked = twin.ask(questions, formula_of(scoring, loss), anchor, by_entity)
    expected.backward(asked.gradient)
    twin.move(asked, anchors.grad)
    twins.move(relations, known.grad, by_relation)
    return asked.loss, entities, relations, by_entity.sums, by_relation.sums


SCORINGS = [TransE(6), TransE(6, norm=2), DistMult(7), ComplEx(5)]


@pytest.mark.parametrize("loss", ["self_adversarial", "softmax"])
@pytest.mark.parametrize("chunk", [1, 16])
@pytest.mark.parametrize("rule", ["sgd", "adagrad", "row_adagrad"])
@pytest.mark.parametrize("scoring", SCORINGS, ids=lambda scoring: f"{scoring.composition}-{scoring.kernel}")
def test_a_step_equals_expect_autograd_and_the_twin(scoring, rule, chunk, loss):
    found, wanted = stepped(scoring, rule, chunk, loss), twin_of(scoring, rule, chunk, loss)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    assert torch.equal(found[2][RELATIONS - 1], list(rows_of(scoring))[1][RELATIONS - 1]), "nobody asked with it"


@pytest.mark.parametrize("chunk", [1, 16])
def test_any_number_of_threads_gives_the_same_numbers(chunk, threads):
    found = []
    for count in (1, 2, 3, 3):
        threads(count)
        found.append(stepped(ComplEx(5), "row_adagrad", chunk))
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))


def test_lock_free_steps_move_every_row_that_is_touched(threads):
    threads(2)
    scoring = DistMult(7)
    _, entities, relations, _, _ = stepped(scoring, "row_adagrad", 1, lock_free=True)
    (before, before_relations), (anchor, relation, _, answers, candidates, _) = rows_of(scoring), asked_of(1)
    moved = (entities != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) == set(torch.cat([anchor, answers, candidates.reshape(-1)]).tolist())
    assert (relations != before_relations).any(dim=1).nonzero().flatten().tolist() == relation.unique().tolist()


@pytest.mark.parametrize("chunk", [1, 16])
def test_rows_stay_where_the_loss_is_no_number(chunk):
    scoring = DistMult(4)
    entities, relations = rows_of(scoring)
    anchor, relation, sign, answers, candidates, starts = asked_of(chunk)
    entities[anchor[7]] = torch.nan
    before = entities.clone(), relations.clone()
    by_entity, by_relation = steps_of("sgd", 4)
    questions = Questions(torch.empty(BATCH, 4), answers, candidates, None, starts)
    asked, moving = Composed(anchor, relation, sign, relations), Moving(by_entity, by_relation, relations)
    loss = Whole(entities, "product").step(asked, questions, formula_of(scoring), moving).loss
    assert loss.isnan().any()
    torch.testing.assert_close((entities, relations), before, rtol=0, atol=0, equal_nan=True)

"""Scores that samplers choose by: by a kernel or not, they and their gradients are the model's."""

from __future__ import annotations

import pytest
import torch
from random_data import make_data

from pictokg.assembly import build_model
from pictokg.config import configure
from pictokg.graph.query import Side, ask
from pictokg.sampling import _picking
from pictokg.sampling._picking import each_once, plain_scores, plain_terms, scores_of_own

MODELS = ["transe", "distmult", "complex", "rotate", "transr", "ikrl", "gated"]


@pytest.fixture
def data():
    return make_data()


def asked(data, side):
    triples = torch.from_numpy(data.graph.split("train").astype("int64"))
    query, _ = ask(triples, side)
    count = data.graph.num_relations if side is Side.RELATION else data.graph.num_entities
    return query, torch.randint(count, (len(triples), 5), generator=torch.Generator().manual_seed(1))


def test_each_once_is_unique_without_sorting():
    ids = torch.randint(40, (30, 7), generator=torch.Generator().manual_seed(0))
    once, place = each_once(ids)
    expected, where = ids.unique(return_inverse=True)
    assert torch.equal(once, expected)
    assert torch.equal(place, where)


def test_each_once_of_nothing_is_nothing():
    once, place = each_once(torch.zeros(0, 3, dtype=torch.long))
    assert once.shape == (0,)
    assert place.shape == (0, 3)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("name", MODELS)
def test_own_scores_and_their_gradients_are_the_models(data, name, side):
    model = build_model(configure(name, settings=[("dim", 4)]), data, seed=0).eval()
    query, ids = asked(data, side)
    seen = []
    for score in (scores_of_own, lambda model, query, ids: model.score(query, ids)):
        model.zero_grad()
        scores = score(model, query, ids)
        scores.square().sum().backward()
        seen.append([scores.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for own, reference in zip(*seen, strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_plain_scores_are_the_weighted_sum_of_plain_terms(data, name):
    model = build_model(configure(name, settings=[("dim", 4)]), data, seed=0).train()
    query, ids = asked(data, Side.TAIL)
    scores = plain_scores(model, query, ids)
    torch.testing.assert_close(scores, plain_terms(model, query, ids) @ model.term_weights, rtol=1e-4, atol=1e-5)
    assert not scores.requires_grad
    assert model.training


@pytest.mark.parametrize(("name", "side", "kernel"), [("transe", Side.HEAD, True), ("ikrl", Side.HEAD, False)])
def test_the_kernel_is_taken_where_one_view_is_compared(data, name, side, kernel, monkeypatch):
    from pictokg.kernels import scores

    calls = []
    own = scores.score_own
    monkeypatch.setattr(scores, "score_own", lambda *given: calls.append(1) or own(*given))
    model = build_model(configure(name, settings=[("dim", 4)]), data, seed=0)
    query, ids = asked(data, side)
    _picking.scores_of_own(model, query, ids)
    assert bool(calls) is kernel

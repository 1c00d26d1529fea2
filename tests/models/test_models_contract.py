"""What every model of the catalogue must do; a new file is tested without touching this one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pictokg import catalogue
from pictokg.assembly import build
from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side, ask

MODELS = catalogue.names("model")
SMALL = {"conve": {"dim": 24, "channels": 3}}


def make(name, data, seed=0, **options):
    return build(name, data, seed=seed, **{"dim": 8, **SMALL.get(name, {}), **options}).eval()


@pytest.fixture
def triples(data):
    return torch.from_numpy(data.graph.split("train").astype(np.int64))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("side", list(Side))
def test_own_and_shared_candidates_agree(name, side, data, triples):
    model = make(name, data)
    query, _ = ask(triples[:9], side)
    count = model.num_relations if side is Side.RELATION else model.num_entities
    shared = model.score(query, torch.arange(count))
    own = model.score(query, torch.arange(count).expand(len(query), -1))
    assert shared.shape == (9, count)
    torch.testing.assert_close(own, shared, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_score_triples_is_the_mean_of_both_sides_or_either_side(name, data, triples):
    model = make(name, data)
    by_side = []
    for side in (Side.HEAD, Side.TAIL):
        query, answer = ask(triples, side)
        by_side.append(model.score(query, answer.unsqueeze(1))[:, 0])
    torch.testing.assert_close(model.score_triples(triples), sum(by_side) / 2, atol=1e-4, rtol=1e-4)
    if not model.inverse:
        torch.testing.assert_close(*by_side, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_encoding_all_once_changes_no_score(name, data, triples):
    model = make(name, data)
    query, _ = ask(triples[:5], Side.TAIL)
    candidates = torch.arange(model.num_entities)
    torch.testing.assert_close(model.score(query, candidates, model.encode_all()), model.score(query, candidates))


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_builds_the_same_model_and_touches_no_global_generator(name, data):
    before = torch.random.get_rng_state()
    first, second, other = make(name, data), make(name, data), make(name, data, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_parameter(name, data, triples):
    model = make(name, data).train()
    total = sum(model.score(*_question(triples, side)).square().sum() for side in (Side.HEAD, Side.TAIL))
    (total + model.encoder.structure.weight.sum() * 0).backward()
    silent = [parameter for parameter, value in model.named_parameters() if value.grad is None]
    assert silent == []
    assert all(value.grad.isfinite().all() for value in model.parameters())


def _question(triples, side):
    query, answer = ask(triples, side)
    return query, torch.stack([answer, (answer + 1) % 12], dim=1)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_batch_is_no_error(name, data):
    model = make(name, data)
    query = Query(head=torch.zeros(0, dtype=torch.long), relation=torch.zeros(0, dtype=torch.long))
    assert model.score(query, torch.arange(model.num_entities)).shape == (0, model.num_entities)


@pytest.mark.parametrize("name", MODELS)
def test_constraints_hold_what_they_promise_and_are_stable(name, data, triples):
    model = make(name, data)
    with torch.no_grad():
        model.encoder.structure.weight.mul_(7)
    everyone, relations = torch.arange(model.num_entities), model.touched_relations(triples)
    model.constrain(everyone, relations)
    once = model.encoder.structure.weight.clone()
    model.constrain(everyone, relations)
    torch.testing.assert_close(model.encoder.structure.weight, once)


def test_unknown_models_and_options_are_refused_with_the_nearest_valid_one(data):
    with pytest.raises(ConfigError, match="did you mean 'gated'"):
        build("gatet", data)
    with pytest.raises(ConfigError, match="did you mean 'norm'"):
        build("transe", data, norms=1)
    with pytest.raises(ConfigError, match="fixes its scoring function"):
        build("transe", data, scoring="rotate")
    with pytest.raises(ConfigError, match="did you mean 'image'"):
        build("gated", data, modalities=["images"])

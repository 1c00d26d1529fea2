"""Reasons: shares that sum to the difference, closed forms where parts add up, attention, near facts, the page."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_data import make_data, make_table

import pictokg
from pictokg.errors import ConfigError
from pictokg.fusion.gating import STRUCTURE
from pictokg.graph.query import Query
from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.prediction.newcomers import Reception
from pictokg.prediction.predictor import Predictor
from pictokg.prediction.reasons import explain
from pictokg.prediction.shares import divide
from pictokg.report.reasons import render

pytestmark = pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")


def predictor_of(name, data, **options):
    model = pictokg.build(name, data, **options)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return Predictor(model, data)


def one_row_each(data, entities=12):
    """The same data with one picture an entity, so that means of pictures do not bend anything."""
    return data.with_table("image", make_table("pixels", [1] * entities, width=6, seed=3))


def windows_each(data, windows=3):
    """The same data with, for each entity, one picture as a whole and in a row of windows."""
    table = make_table("image-hf", [1 + windows] * 12, width=6, seed=3)
    whole = [f"images/{entity}.png" for entity in range(12)]
    keys = [key for path in whole for key in [path, *(f"{path}#patch 0,{column}" for column in range(windows))]]
    return data.with_table("image", replace(table, keys=keys))


@pytest.mark.parametrize("side", ["tail", "head"])
@pytest.mark.parametrize("name", ["gated", "patches", "ikrl", "transe", "complex", "transh"])
def test_contributions_sum_to_the_difference_and_the_score_is_the_answers(name, side, data):
    predictor = predictor_of(name, data, dim=6)
    found = explain(predictor, ("e1", "r0", "e2"), side=side)
    question = ("e1", "r0", None) if side == "tail" else (None, "r0", "e2")
    answered = {answer.name: answer.score for answer in predictor.answers([question], 20)[0]}
    answer = "e2" if side == "tail" else "e1"
    assert found.score == pytest.approx(answered[answer], abs=1e-4)
    for parts in (found.asked, found.given):
        assert parts.score == pytest.approx(found.score, abs=1e-4)
        assert sum(one.value for one in parts.contributions) == pytest.approx(parts.difference, abs=1e-5)
        assert sum(abs(one.share) for one in parts.contributions) == pytest.approx(1)
    assert found.asked.entity == answer
    json.dumps(found.as_json(), allow_nan=False)


def test_where_parts_add_up_each_contributes_its_product_with_what_is_expected(data):
    data = one_row_each(data)
    predictor = predictor_of("gated", data, dim=6, scoring="distmult", inverse=False)
    model = predictor.model
    found = explain(predictor, ("e1", "r0", "e2"))
    ids = torch.tensor([2])
    rows, presence = model.encoder.rows(ids)
    parts = model.encoder.contributions(model.encoder.structure(ids), rows, presence)
    expected = model.encode(torch.tensor([1]))[0] * model.relations.weight[0]
    assert found.asked.method == "exact"
    assert found.asked.baseline == 0
    assert {one.modality for one in found.asked.contributions} == set(parts) >= {STRUCTURE, "image", "text"}
    for one in found.asked.contributions:
        assert one.value == pytest.approx((parts[one.modality][0] @ expected).item(), abs=1e-5)
        assert one.removal == pytest.approx(one.value, abs=1e-5)


def test_shares_are_means_over_all_orders_written_out():
    drawn = np.random.default_rng(0).normal(size=16)
    values = dict(zip(itertools.product([False, True], repeat=4), drawn, strict=True))

    def game(mask):
        return np.array([values[tuple(row)] for row in mask.tolist()])

    expected = np.zeros(4)
    for order in itertools.permutations(range(4)):
        kept = [False] * 4
        for player in order:
            before = values[tuple(kept)]
            kept[player] = True
            expected[player] += (values[tuple(kept)] - before) / 24
    found = divide(game, 4)
    np.testing.assert_allclose(found.shares, expected)
    assert found.method == "shapley"
    all_but = [values[tuple(player != other for other in range(4))] for player in range(4)]
    np.testing.assert_allclose(found.removal, found.everyone - np.array(all_but))


def test_sampled_orders_sum_to_the_same_and_find_what_adds_up():
    weights = np.random.default_rng(1).normal(size=30)
    found = divide(lambda mask: mask @ weights + 2, 30)
    assert found.method == "sampled"
    np.testing.assert_allclose(found.shares, weights)
    bent = divide(lambda mask: np.exp(mask @ weights / 5), 30)
    assert bent.shares.sum() == pytest.approx(bent.everyone - bent.none)
    np.testing.assert_array_equal(bent.shares, divide(lambda mask: np.exp(mask @ weights / 5), 30).shares)


def test_ikrl_shows_its_attention_and_its_terms(data):
    predictor = predictor_of("ikrl", data, dim=6)
    found, encoder = explain(predictor, ("e1", "r0", "e2")), predictor.model.encoder
    assert sum(found.terms.values()) == pytest.approx(found.score, abs=1e-4)
    assert list(found.terms) == ["ss", "si", "is", "ii"]
    features = torch.from_numpy(data.table("image").instances(np.array([2])).values)
    projected = encoder.project(features / features.norm(dim=1, keepdim=True).clamp_min(1))
    weights = (projected @ encoder.structure.weight[2]).softmax(dim=0).tolist()
    shown = {one.key: one.attention for one in found.asked.contributions if one.modality == "image"}
    assert shown == pytest.approx({f"2/{number}": weight for number, weight in enumerate(weights)}, abs=1e-5)
    assert [one.attention for one in found.asked.contributions if one.modality == STRUCTURE] == [None]


def test_windows_share_what_the_removal_of_their_picture_costs(data):
    predictor = predictor_of("patches", windows_each(data), dim=6)
    picture = next(one for one in explain(predictor, ("e1", "r0", "e2")).asked.contributions if one.patches)
    assert sum(patch.value for patch in picture.patches) == pytest.approx(picture.removal, abs=1e-5)
    places = [(patch.left, patch.width, patch.height) for patch in picture.patches]
    assert places == [(0, 1, 1), *((pytest.approx(column / 3), pytest.approx(1 / 3), 1) for column in range(3))]
    assert picture.attention == pytest.approx(1)


def test_the_rank_leaves_out_other_known_answers(data):
    predictor = predictor_of("gated", data, dim=6)
    head, relation, tail = data.graph.split("train")[0].tolist()
    scores = predictor.model.score(Query(torch.tensor([head]), torch.tensor([relation]), None), torch.arange(12))[
        0
    ].tolist()
    known = {triple[2] for triple in data.graph.triples().tolist() if triple[:2] == [head, relation]} - {tail}
    better = sum(scores[other] > scores[tail] for other in range(12) if other not in known)
    found = explain(predictor, (f"e{head}", f"r{relation}", f"e{tail}"))
    assert (found.rank, found.known, found.entities) == (1 + better, True, 12)


def test_near_facts_are_those_of_the_relation_with_the_likest_entities(data):
    predictor = predictor_of("complex", data, dim=6)
    vectors = torch.nn.functional.normalize(predictor.model.encode(torch.arange(12)).detach(), dim=1)
    like = (vectors @ vectors.T).numpy()
    train = {tuple(triple) for triple in data.graph.split("train").tolist() if triple[1] == 1}
    best = sorted(train - {(1, 1, 2)}, key=lambda fact: -(like[1, fact[0]] + like[2, fact[2]]))[:3]
    found = explain(predictor, ("e1", "r1", "e2"), facts=3).facts
    assert [(fact.head, fact.tail) for fact in found] == [(f"e{head}", f"e{tail}") for head, _, tail in best]
    assert found[0].similarity == pytest.approx((like[1, best[0][0]] + like[2, best[0][2]]) / 2, abs=1e-5)


@pytest.mark.parametrize("name", ["gated", "ikrl", "patches", "transe"])
def test_newcomers_are_explained_too(name, data):
    predictor = predictor_of(name, data, dim=6)
    rows = {} if name == "transe" else {"image": data.table("image").instances(np.array([1])).values}
    new = Newcomer("new", rows=rows, facts=[Fact("r0", "e1"), Fact("r1", "e2")])
    longer = Reception(predictor.model, data).predictor(predictor, [new])
    found = explain(longer, ("new", "r0", "e2"))
    assert found.given.score == pytest.approx(found.score, abs=1e-4)
    assert sum(one.value for one in found.given.contributions) == pytest.approx(found.given.difference, abs=1e-5)
    assert {one.modality for one in found.given.contributions} == {"facts", *rows}


def test_the_page_needs_nothing_beside_it_and_escapes_names(data):
    graph = make_data().graph
    names = ["<script>alert(1)</script>", *graph.entities.names[1:]]
    graph.entities = type(graph.entities)(names)
    predictor = predictor_of("patches", replace(windows_each(data), graph=graph, labels={}), dim=6)
    page = render(explain(predictor, (names[0], "r0", "e2")), predictor.data)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<rect") >= 6
    assert "src=" not in page


def test_unknown_names_and_sides_are_refused(data):
    predictor = predictor_of("transe", data, dim=6)
    with pytest.raises(ConfigError, match="'r9' is not among"):
        explain(predictor, ("e1", "r9", "e2"))
    with pytest.raises(ConfigError, match="tail or head"):
        explain(predictor, ("e1", "r1", "e2"), side="relation")

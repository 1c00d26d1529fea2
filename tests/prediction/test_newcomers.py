"""Entities never seen in training: closed forms of their vectors, the graph around them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.errors import ConfigError, DataError
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranking import rank
from pictokg.graph.known import Known
from pictokg.graph.query import Query
from pictokg.prediction.longer import LongerKnown
from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.prediction.newcomers import Reception, with_newcomer
from pictokg.prediction.predictor import Predictor


def build(name, data, **options):
    model = pictokg.build(name, data, **options)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def vector_of(model, data, newcomer):
    longer, _ = with_newcomer(model, data, newcomer)
    return longer.encode(torch.tensor([data.graph.num_entities]))[0].detach()


def rows_of(data, entity):
    return {name: table.instances(np.array([entity])).values for name, table in data.tables.items()}


@pytest.mark.parametrize("name", ["gated", "patches", "ikrl"])
@pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")
def test_the_features_of_a_training_entity_give_its_vector_without_its_row(name, data):
    model, entity = build(name, data, dim=8), 1
    rows = rows_of(data, entity) if name != "ikrl" else {"image": rows_of(data, entity)["image"]}
    found = vector_of(model, data, Newcomer("new", rows=rows))
    gathered, presence = model.encoder.rows(torch.tensor([entity]))
    torch.testing.assert_close(found, model.encoder.fuse(None, gathered, presence)[0].detach())


def test_without_structure_ikrl_sees_the_mean_of_the_pictures_in_both_views(data):
    model, rows = build("ikrl", data, dim=8), rows_of(data, 2)["image"]
    scaled = rows / np.maximum(1, np.linalg.norm(rows, axis=1, keepdims=True))
    mean = (scaled @ model.encoder.project.weight.detach().numpy().T).mean(axis=0)
    found = vector_of(model, data, Newcomer("new", rows={"image": rows}))
    np.testing.assert_allclose(found.numpy(), np.stack([mean, mean]), atol=1e-5)


def test_facts_give_translations_the_mean_of_what_they_expect(data):
    model = build("transe", data, dim=6)
    entities, relations = model.encoder.structure.weight.detach(), model.relations.weight.detach()
    expected = torch.stack([entities[1] - relations[0], entities[2] + relations[1]]).mean(dim=0)
    facts = [Fact("r0", "e1"), Fact("r1", "e2", as_head=False)]
    torch.testing.assert_close(vector_of(model, data, Newcomer("new", facts=facts)), expected)
    longer, more = with_newcomer(model, data, Newcomer("new", facts=facts))
    brute = [-(expected + relations[2] - tail).abs().sum() for tail in entities]
    scores = {answer.name: answer.score for answer in Predictor(longer, more).tails("new", "r2", 20)}
    np.testing.assert_allclose([scores[f"e{number}"] for number in range(len(brute))], brute, atol=1e-4)


def test_facts_give_dot_products_a_direction_at_the_usual_length(data):
    model = build("distmult", data, dim=6, inverse=False)
    entities, relations = model.encoder.structure.weight.detach(), model.relations.weight.detach()
    mean = (entities[1] * relations[0] + entities[2] * relations[1]) / 2
    found = vector_of(model, data, Newcomer("new", facts=[Fact("r0", "e1"), Fact("r1", "e2", as_head=False)]))
    torch.testing.assert_close(found, mean / mean.norm() * entities.norm(dim=1).mean())


@pytest.mark.parametrize("name", ["transh", "transr"])
def test_facts_of_projecting_functions_give_the_least_squares_vector(name, data):
    model = build(name, data, dim=6)
    found = vector_of(model, data, Newcomer("new", facts=[Fact("r0", "e1"), Fact("r1", "e2"), Fact("r2", "e3")]))

    def misfit(vector):
        total = 0
        for relation, tail in ((0, 1), (1, 2), (2, 3)):
            query = Query(None, torch.tensor([relation]), torch.tensor([tail]))
            anchor, asked, side = model.direct(query)
            expected = model.scoring.expect(model.encode(anchor), model.relations(asked), side)
            projected = model.scoring.project(vector.unsqueeze(0), model.relations(asked), side)
            total = total + (projected - expected).square().sum()
        return total

    best = misfit(found)
    for step in torch.randn(20, 6, generator=torch.Generator().manual_seed(1)) * 0.05:
        assert misfit(found + step) >= best - 1e-6


def test_facts_and_pictures_are_weighed(data):
    model, rows = build("gated", data, dim=8), rows_of(data, 1)
    facts = [Fact("r0", "e1"), Fact("r1", "e2")]
    seen, told = vector_of(model, data, Newcomer("a", rows=rows)), vector_of(model, data, Newcomer("a", facts=facts))
    longer, _ = Reception(model, data, weight=3.0).admit([Newcomer("a", rows=rows, facts=facts)])
    both = longer.encode(torch.tensor([data.graph.num_entities]))[0].detach()
    torch.testing.assert_close(both, (3 * seen + 2 * told) / 5)


def test_a_predictor_shares_what_is_there_and_answers_as_one_made_anew(data):
    model = build("gated", data, dim=8)
    news = [Newcomer("new", rows=rows_of(data, 1), facts=[Fact("r0", "e1")]), Newcomer("newer", rows=rows_of(data, 2))]
    before = Predictor(model, data)
    old = before.answers([("e1", "r0", None), (None, "r1", "e2"), ("e1", None, "e2")], 3)
    reception = Reception(model, data)
    shared, anew = reception.predictor(before, news), Predictor(*reception.admit(news))
    for questions in ([("new", "r0", None)], [(None, "r1", "newer")], [("new", None, "e1")], [("e3", "r1", None)]):
        assert shared.answers(questions, 20) == anew.answers(questions, 20)
    found = {answer.name: answer for answer in shared.tails("new", "r0", 20)}
    assert [name for name, answer in found.items() if answer.known] == ["e1"]
    assert "newer" in found
    assert "e1" not in {answer.name for answer in shared.answers([("new", "r0", None)], 20, new_only=True)[0]}
    assert before.answers([("e1", "r0", None), (None, "r1", "e2"), ("e1", None, "e2")], 3) == old
    assert "new" not in data.graph.entities
    table = shared.data.table("image")
    assert table.num_entities == data.graph.num_entities + 2
    np.testing.assert_array_equal(table.mean()[-2:], data.table("image").mean()[1:3])


def test_known_answers_behind_the_last_are_those_of_the_joined_triples():
    data, count = make_data(), 12
    facts = np.array([[12, 0, 1], [2, 1, 12], [12, 0, 3], [13, 2, 12 - 1]], dtype=np.int32)
    longer = LongerKnown(data.known(), facts, count + 2, 3, count)
    whole = Known(np.concatenate([data.graph.triples(), facts]), count + 2, 3)
    heads, relations, tails = (torch.arange(14).repeat_interleave(3), torch.arange(3).repeat(14), torch.arange(14))
    pairs = torch.cartesian_prod(tails, tails).T
    for query in (
        Query(heads, relations, None),
        Query(None, relations, heads),
        Query(pairs[0].contiguous(), None, pairs[1].contiguous()),
    ):
        candidates = torch.arange(14).expand(len(query), -1)
        expected = whole.contains(query, candidates)
        assert torch.equal(longer.contains(query, candidates), expected)
        rows, ids = longer.answers(query)
        found = torch.zeros_like(expected)
        found[rows, ids] = True
        assert torch.equal(found, expected)
        assert torch.equal(longer.count(query), expected.sum(dim=1))


@pytest.mark.parametrize(
    ("model", "newcomer", "says"),
    [
        ("transe", Newcomer("new"), "trained on triples alone"),
        ("transe", Newcomer("new", text="words", facts=[Fact("r0", "e1")]), "does not read 'text'"),
        ("gated", Newcomer("new"), "nothing is told"),
        ("gated", Newcomer("e1", text="words"), "is taken"),
        ("gated", Newcomer(" ", text="words"), "needs a name"),
        ("gated", Newcomer("new", facts=[Fact("r9", "e1")]), "'r9' is not among"),
        ("gated", Newcomer("new", facts=[Fact("r0", "e99")]), "'e99' is not among"),
        ("gated", Newcomer("new", text="words"), "were made elsewhere"),
        ("gated", Newcomer("new", rows={"image": np.zeros((1, 4))}), r"\(1, 4\)"),
        ("gated", Newcomer("new", rows={"image": np.full((1, 6), np.nan)}), "finite"),
        ("ikrl", Newcomer("new", rows={"text": np.zeros((1, 5))}), "does not read 'text'"),
        ("transd", Newcomer("new", facts=[Fact("r0", "e1")]), "does not project entities by a matrix"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(model, newcomer, says, data):
    with pytest.raises((ConfigError, DataError), match=says):
        with_newcomer(build(model, data, dim=6), data, newcomer)


def test_questions_about_newcomers_are_ranked_as_any_others(data):
    model = build("gated", data, dim=8)
    longer, more = with_newcomer(model, data, Newcomer("new", rows=rows_of(data, 1), facts=[Fact("r0", "e3")]))
    asked = np.array([[12, 0, 1], [2, 1, 12]], dtype=np.int32)
    more.graph.splits["held"] = asked
    found = rank(longer, more, "held", RankingOptions(sides=("tail",))).by("realistic")
    for (head, relation, tail), place in zip(asked.tolist(), found, strict=True):
        scores = longer.score(Query(torch.tensor([head]), torch.tensor([relation]), None), torch.arange(13))[0].tolist()
        known = {row[2] for row in more.graph.triples().tolist() if row[:2] == [head, relation]} - {tail}
        others = [score for other, score in enumerate(scores) if other not in known and other != tail]
        assert place == 1 + sum(score > scores[tail] for score in others)
    everyone, encode = longer.encode(torch.arange(13)), longer.encode_all()
    for part in (slice(None), slice(3, 9), slice(5, 13)):
        torch.testing.assert_close(encode(part), everyone[part])

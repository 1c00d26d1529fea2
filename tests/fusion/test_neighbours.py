"""Structure rows that neighbours lend: the formula by loops, training as ever, and strangers who are answered about."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import pictokg
from pictokg import catalogue
from pictokg.assembly import build, build_model, build_partitioned
from pictokg.config import configure
from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError
from pictokg.evaluation.ranking import evaluate
from pictokg.features.table import FeatureTable
from pictokg.fusion import neighbours
from pictokg.fusion.neighbours import LentRows
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary
from pictokg.models._factored import is_linear
from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.prediction.newcomers import with_newcomer
from pictokg.prediction.predictor import Predictor
from pictokg.prediction.reasons import explain

STRANGERS = [3, 8]  # of these 8 has neither picture nor words


def lending(name, data, **settings):
    chosen = [(f"neighbours.{key}", value) for key, value in {"by": "image,text", **settings}.items()]
    return build_model(configure(name, settings=[("dim", 12), *chosen]), data)


@pytest.fixture
def strange(data):
    """The random graph; two entities stand in no training triple, one of them has nothing, one triple is a loop."""
    train = data.graph.split("train")
    train = train[~np.isin(train[:, [0, 2]], STRANGERS).any(axis=1)]
    train = np.concatenate([train, np.array([[1, 0, 1]], dtype=np.int32)])
    rest = {name: split for name, split in data.graph.splits.items() if name != "train"}
    graph = KnowledgeGraph(data.graph.entities, data.graph.relations, {"train": train, **rest})
    nothing = np.arange(data.graph.num_entities)
    nothing[8] = -1
    tables = {name: table.select(nothing) for name, table in data.tables.items()}
    return dataclasses.replace(data, graph=graph, tables=tables)


def by_loops(data, rows, *, adds, worth=1.0, nearest=20, sharpness=20.0):
    """The formula, an entity and a neighbour at a time."""
    count = data.graph.num_entities
    degree = [sum(entity in (head, tail) for head, _, tail in data.graph.split("train")) for entity in range(count)]
    shown, there = [], []
    for table in data.tables.values():
        present = table.present
        mean = table.mean()
        scale = mean[present].std(axis=0).clip(1e-6)
        shown.append((mean - mean[present].mean(axis=0)) / scale)
        there.append(present)
    found = np.zeros_like(rows)
    for i in range(count):
        mine = [m for m in range(len(shown)) if there[m][i]]
        likeness = {}
        for j in range(count):
            if j != i and degree[j] and any(has[j] for has in there):
                both = [m for m in mine if there[m][j]]
                cosines = [
                    shown[m][i] @ shown[m][j] / np.linalg.norm(shown[m][i]) / np.linalg.norm(shown[m][j]) for m in both
                ]
                likeness[j] = sum(cosines) / max(len(mine), 1)
        best = sorted(likeness, key=lambda j: -likeness[j])[:nearest]
        total = sum(np.exp(sharpness * likeness[j]) for j in best)
        if not mine:
            trained = [row for row, number in zip(rows, degree, strict=True) if number]
            found[i] = rows[i] if degree[i] else np.mean(trained, axis=0)
            continue
        lent = worth / (worth + degree[i]) if degree[i] else 1.0
        own = (1.0 if adds else 1 - lent) if degree[i] else 0.0
        found[i] = own * rows[i] + lent * sum(np.exp(sharpness * likeness[j]) / total * rows[j] for j in best)
    return found


@pytest.mark.parametrize(("name", "adds"), [("distmult", True), ("transe", False)])
@pytest.mark.parametrize("settings", [{}, {"worth": 3.0, "nearest": 2, "sharpness": 5.0}, {"worth": 0.0}])
def test_rows_are_those_of_the_formula(strange, name, adds, settings):
    model = lending(name, strange, **settings).eval()
    rows = model.encoder.structure.weight.detach().double().numpy()
    expected = by_loops(strange, rows, adds=adds, **settings)
    with torch.no_grad():
        found = model.encode(torch.arange(strange.graph.num_entities))
        again = model.encode(torch.tensor([[3, 8], [0, 3]]))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(again.numpy(), expected[[[3, 8], [0, 3]]], atol=1e-5)


def test_the_formula_does_not_depend_on_blocks(strange, monkeypatch):
    whole = lending("distmult", strange).encoder.structure
    monkeypatch.setattr(neighbours, "AT_ONCE", 30)
    parts = lending("distmult", strange).encoder.structure
    assert torch.equal(whole.neighbours, parts.neighbours)
    torch.testing.assert_close(whole.weights, parts.weights)


def test_of_too_many_some_lend(strange, monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_LENDERS", 4)
    table = lending("distmult", strange).encoder.structure
    assert table.neighbours.unique().numel() == 4
    assert table.weights.sum(dim=1).max() <= 1 + 1e-6


def test_nobody_lends_where_nobody_can(data):
    empty = {name: table.select(np.full(data.graph.num_entities, -1)) for name, table in data.tables.items()}
    bare = dataclasses.replace(data, tables=empty)
    model = lending("distmult", bare).eval()
    assert torch.equal(model.encode(torch.arange(4)), model.encoder.structure.weight[:4])


@pytest.mark.parametrize("name", sorted(catalogue.names("model")))
def test_training_is_as_without_neighbours(data, name):
    """Every model of the catalogue learns the same numbers, and is another in use."""
    plain = build(name, data, dim=12)
    model = lending(name, data)
    for each in (plain, model):
        pictokg.fit(each, data, epochs=2, batch_size=20, validate_every=0)
    for (key, value), (other, found) in zip(plain.state_dict().items(), model.state_dict().items(), strict=True):
        assert key == other
        assert torch.equal(value, found), key
    assert not torch.equal(plain.encode(torch.arange(12)), model.encode(torch.arange(12)))
    assert evaluate(model, data, "test").metrics["mrr"] > 0


def kinds(strangers: int) -> Dataset:
    """Entities 0 … 99 are of five kinds that their words name; the last ones stand in no training triple."""
    kind = np.arange(100) % 5
    triples = np.stack([np.arange(100), np.zeros(100), 100 + kind], axis=1).astype(np.int32)
    words = FeatureTable("tfidf", np.eye(5, dtype=np.float32)[kind], np.array([*range(101), *[100] * 5]), [""] * 100)
    vocabularies = Vocabulary([f"e{number}" for number in range(105)]), Vocabulary(["is"])
    known = 100 - strangers
    graph = KnowledgeGraph(*vocabularies, {"train": triples[:known], "test": triples[known:]})
    return Dataset("kinds", graph, tables={"text": words})


@pytest.mark.parametrize("name", ["complex", "transe", "rotate"])
def test_models_of_triples_alone_answer_about_strangers(name):
    data, mrr = kinds(10), []
    for settings in ([], [("neighbours.by", "text")]):
        model = build_model(configure(name, settings=[("dim", 8), *settings]), data)
        pictokg.fit(model, data, epochs=60, batch_size=30, validate_every=0, learning_rate=0.1)
        mrr.append(evaluate(model, data, "test").by_side["tail"]["mrr"])
    assert mrr[0] < 0.6
    assert mrr[1] > 0.9


def test_newcomers_borrow_too_and_are_told_from_whom():
    data = kinds(0)
    model = build_model(configure("complex", settings=[("dim", 8), ("neighbours.by", "text")]), data)
    pictokg.fit(model, data, epochs=40, batch_size=30, validate_every=0)
    one = Newcomer("new", rows={"text": np.eye(5, dtype=np.float32)[[2]]})
    longer, more = with_newcomer(model, data, one)
    answers = Predictor(longer, more).tails("new", "is", k=1)
    assert answers[0].name == "e102"
    reason = explain(Predictor(longer, more), ("new", "is", "e102"))
    assert reason.given.contributions[0].modality == "structure"
    lenders = reason.given.contributions[0].key.removeprefix("lent by ").split(", ")
    assert len(lenders) == 3
    assert all(int(name[1:]) % 5 == 2 for name in lenders)
    assert reason.given.score == pytest.approx(answers[0].score, rel=1e-4)

    told = dataclasses.replace(one, facts=[Fact("is", "e104")])
    longer, more = with_newcomer(model, data, told)
    given = explain(Predictor(longer, more), ("new", "is", "e104")).given
    assert given.contributions[0].modality == "facts"
    without = with_newcomer(model, data, dataclasses.replace(told, rows={}))[0]
    place = torch.tensor([data.graph.num_entities])
    assert not torch.equal(longer.encode(place), without.encode(place))  # what is lent counts beside facts


def test_reasons_name_lenders_where_they_count(strange):
    model = lending("distmult", strange)
    predictor, names = Predictor(model, strange), strange.graph.entities.names
    reason = explain(predictor, (names[3], "r0", names[1]))
    table = model.encoder.structure
    assert isinstance(table, LentRows)
    nearest = strange.label(names[int(table.neighbours[3, 0])])
    assert reason.given.contributions[0].key.startswith(f"lent by {nearest}")
    other = explain(predictor, (names[2], "r0", names[1])).given.contributions[0].key
    assert other.startswith("its own, and lent by")
    often = lending("distmult", strange, worth=0.1)
    assert explain(Predictor(often, strange), (names[3], "r0", names[1])).asked.contributions[0].key == ""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"by": "sound"}, "no feature table 'sound'.*image, text"),
        ({"nearest": 0}, "nearest is a number of at least 1; got 0"),
        ({"worth": -1}, "worth is a number of at least 0; got -1"),
        ({"sharpness": float("nan")}, "sharpness is a number of at least 0; got nan"),
        ({"worht": 1}, "unknown option 'worht'.*did you mean 'worth'"),
    ],
)
def test_what_cannot_be_is_refused(data, settings, says):
    with pytest.raises(ConfigError, match=says):
        lending("distmult", data, **settings)


def test_an_empty_list_lends_nothing_and_options_without_tables_are_refused(data):
    assert not isinstance(lending("distmult", data, by="").encoder.structure, LentRows)
    with pytest.raises(ConfigError, match=r"name some: --set neighbours.by=text"):
        configure("distmult", settings=[("neighbours.worth", 2)])


def test_a_model_without_rows_has_none_to_lend(data):
    config = configure("gated", settings=[("modalities", "image"), ("neighbours.by", "text")])
    with pytest.raises(ConfigError, match="add structure to modalities"):
        build_model(config, data)


def test_a_table_on_disk_cannot_be_compared(data, tmp_path):
    config = configure("distmult", settings=[("neighbours.by", "text"), ("memory_budget", 1)])
    with pytest.raises(ConfigError, match=r"leave out neighbours.by, or memory_budget"):
        build_partitioned(config, data, tmp_path / "rows.npy")


def test_a_newcomer_whom_nobody_can_lend_to_is_refused():
    data = kinds(0)
    bare = dataclasses.replace(data, tables={"text": data.table("text").select(np.full(105, -1))})
    model = build_model(configure("complex", settings=[("dim", 8), ("neighbours.by", "text")]), bare)
    with pytest.raises(ConfigError, match="'new' could borrow by; give facts"):
        with_newcomer(model, bare, Newcomer("new", rows={"text": np.eye(5, dtype=np.float32)[[2]]}))


@pytest.mark.parametrize("name", ["complex", "distmult", "tucker", "transe", "rotate", "pairre"])
def test_which_scores_are_products_does_not_depend_on_the_width(name):
    for dim in [*range(4, 100, 12), 346, 583, 692, 806]:
        scoring = catalogue.find("scoring", name)(dim)
        assert is_linear(scoring) == (name in ("complex", "distmult", "tucker")), dim

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pictokg.datasets.dataset import Dataset
from pictokg.errors import DataError, PictoKGError
from pictokg.evaluation.classification import classify
from pictokg.evaluation.negatives import SlotPool, slot_consistent
from pictokg.graph.query import Side


@pytest.fixture
def bipartite(make_graph):
    """Relation 0 joins e0 … e9 with e10 … e19, relation 1 the other way round; half of all pairs are true."""
    generator = np.random.default_rng(0)
    pairs = np.array([[head, tail] for head in range(10) for tail in range(10, 20)])
    splits = {"train": [], "valid": [], "test": []}
    for relation in (0, 1):
        true = generator.permutation(pairs)[:50]
        if relation:
            true = true[:, ::-1]
        triples = np.insert(true, 1, relation, axis=1)
        for name, part in zip(splits, np.split(triples, [20, 35]), strict=True):
            splits[name].append(part)
    return Dataset("two sides", make_graph({k: np.concatenate(v) for k, v in splits.items()}, 20, 2))


def truth_table(data):
    table = torch.zeros(data.graph.num_entities, data.graph.num_relations, data.graph.num_entities)
    table[tuple(torch.from_numpy(data.graph.triples().astype(np.int64)).T)] = 1.0
    return table


def test_false_triples_are_false_and_fit_their_slots(bipartite):
    true, known = bipartite.graph.triples(), bipartite.known()
    pool = SlotPool(true, 2)
    false = slot_consistent(true, pool, known, np.random.default_rng(1))
    assert len(false) == len(true)
    facts = {tuple(row) for row in true.tolist()}
    assert not facts & {tuple(row) for row in false.tolist()}
    for side in (Side.HEAD, Side.TAIL):
        for relation in (0, 1):
            mine = false[false[:, 1] == relation, side]
            assert set(mine) <= set(true[true[:, 1] == relation, side])
    changed = (false != true).sum(axis=0)
    assert changed[Side.RELATION] == 0
    assert changed.sum() == len(true), "one slot a triple"
    assert 0.35 < changed[Side.HEAD] / len(true) < 0.65


def test_every_allowed_replacement_is_drawn_about_equally(make_graph):
    true = np.array([[0, 0, tail] for tail in range(1, 5)] + [[head, 0, 5] for head in range(6, 10)])
    graph = make_graph({"train": true}, 10, 1)
    many = np.repeat(true[:1], 4000, axis=0)
    false = slot_consistent(many, SlotPool(true, 1), Dataset("d", graph).known(), np.random.default_rng(2))
    tails, counts = np.unique(false[false[:, 0] == 0, 2], return_counts=True)
    assert tails.tolist() == [5]
    heads, counts = np.unique(false[false[:, 0] != 0, 0], return_counts=True)
    assert heads.tolist() == [6, 7, 8, 9]
    assert counts.min() > 0.85 * counts.mean()


def test_the_other_side_is_used_where_one_is_exhausted(make_graph):
    true = np.array([[0, 0, tail] for tail in range(1, 4)] + [[4, 0, 1]])  # every tail of e0 is known
    graph = make_graph({"train": true}, 5, 1)
    asked = np.repeat([[0, 0, 2]], 50, axis=0)
    false = slot_consistent(asked, SlotPool(true, 1), Dataset("d", graph).known(), np.random.default_rng(0))
    assert false.tolist() == [[4, 0, 2]] * 50


def test_rare_replacements_are_found(make_graph):
    true = np.array([[0, 0, tail] for tail in range(1, 1000)] + [[0, 1, 1], [1000, 0, 1000]])
    graph = make_graph({"train": true}, 1001, 2)
    false = slot_consistent(true[:40], SlotPool(true, 2), Dataset("d", graph).known(), np.random.default_rng(0))
    tails = false[false[:, 0] == 0]
    assert len(tails) > 5
    assert set(tails[:, 2]) == {1000}


def test_a_model_that_knows_is_always_right(bipartite, table_model):
    report = classify(table_model(truth_table(bipartite)), bipartite)
    assert (report.micro, report.macro, report.auc, report.count) == (1.0, 1.0, 1.0, 60)
    assert report.by_relation["r0"] == {
        "count": 30,
        "accuracy": 1.0,
        "threshold": 0.5,
        "own_threshold": True,
        "validation_examples": 30,
    }
    assert report.protocol["negatives"] == {"valid": "slot-consistent", "test": "slot-consistent"}


def test_thresholds_follow_the_relation(bipartite, table_model):
    table = truth_table(bipartite)
    table[:, 1] += 10
    model = table_model(table)
    assert classify(model, bipartite).micro == 1.0
    together = classify(model, bipartite, least_examples=1000)
    assert together.micro == pytest.approx(0.75, abs=0.01)
    assert not together.by_relation["r1"]["own_threshold"]


def test_a_model_that_guesses_is_right_half_the_time(bipartite, table_model):
    report = classify(table_model(torch.zeros(20, 2, 20)), bipartite)
    assert (report.micro, report.auc) == (0.5, 0.5)


def test_micro_and_macro_weigh_relations_differently(bipartite, table_model):
    table = truth_table(bipartite)
    table[:, 1] = 0
    test = bipartite.graph.split("test")
    splits = {**bipartite.graph.splits, "test": np.concatenate([test[:15], test[15:20]])}
    data = replace(bipartite, graph=type(bipartite.graph)(bipartite.graph.entities, bipartite.graph.relations, splits))
    report = classify(table_model(table), data)
    assert report.macro == pytest.approx((1 + 0.5) / 2)
    assert report.micro == pytest.approx((30 + 5) / 40)


def test_given_false_triples_are_used(bipartite, table_model):
    given = {"test": np.array([[0, 0, 1], [2, 0, 3], [4, 1, 5]])}
    report = classify(table_model(truth_table(bipartite)), replace(bipartite, negatives=given))
    assert report.count == 30 + 3
    assert report.protocol["negatives"] == {"valid": "slot-consistent", "test": "given"}
    assert report.protocol["without_negative"] == {"valid": 0, "test": 0}


def test_the_same_seed_gives_the_same_figures(bipartite, table_model):
    model = table_model(torch.rand(20, 2, 20, generator=torch.Generator().manual_seed(0)))
    first, again, other = (classify(model, bipartite, seed=seed).to_dict() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_true_triples_without_a_false_twin_are_counted(make_graph, table_model):
    complete = [[head, 0, tail] for head in (0, 1) for tail in (2, 3)]
    rest = [[0, 1, 2], [1, 1, 3]]
    data = Dataset("full", make_graph({"train": [[0, 0, 2]], "valid": complete + rest, "test": complete + rest}, 4, 2))
    report = classify(table_model(truth_table(data)), data, least_examples=2)
    assert report.protocol["without_negative"] == {"valid": 4, "test": 4}
    assert report.count == 8


def test_no_false_triples_at_all_is_an_error(make_graph, table_model):
    only = [[0, 0, 1]]
    data = Dataset("one", make_graph({"train": only, "valid": only, "test": only}, 2, 1))
    with pytest.raises(DataError, match="no false triples"):
        classify(table_model(torch.zeros(2, 1, 2)), data)


def test_nan_scores_are_an_error(bipartite, table_model):
    with pytest.raises(PictoKGError, match="of 120 triples NaN"):
        classify(table_model(torch.full((20, 2, 20), math.nan)), bipartite)


def test_the_report_is_json_and_prints(bipartite, table_model):
    report = classify(table_model(truth_table(bipartite)), bipartite)
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["accuracy"] == {"micro": 1.0, "macro": 1.0}
    assert "micro" in str(report)

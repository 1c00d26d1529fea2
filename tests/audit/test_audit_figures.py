from __future__ import annotations

import numpy as np
import pytest

from pictokg.audit.degree import degree
from pictokg.audit.kinds import count_kinds
from pictokg.audit.leakage import pair_leakage
from pictokg.audit.unseen import count_unseen
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary


def graph_of(entities, relations, **splits):
    names = Vocabulary([f"e{i}" for i in range(entities)]), Vocabulary([f"r{i}" for i in range(relations)])
    return KnowledgeGraph(*names, {k: np.array(v).reshape(-1, 3) for k, v in splits.items()})


def test_pairs_that_train_links_otherwise():
    graph = graph_of(
        8,
        3,
        train=[(0, 0, 1), (0, 0, 1), (2, 1, 3), (4, 0, 4)],
        test=[
            (1, 2, 0),  # reversed
            (0, 1, 1),  # same pair, other relation
            (2, 1, 3),  # the very triple: neither
            (3, 1, 2),  # reversed, same relation
            (5, 0, 6),  # new
            (4, 1, 4),  # a loop is its own reverse
        ],
    )
    leakage = pair_leakage(graph, "test")
    assert (leakage.rows, leakage.inverse, leakage.same_pair) == (6, 3, 2)
    assert leakage.as_json()["inverse_share"] == 0.5


def test_leakage_equals_brute_force():
    rng = np.random.default_rng(3)
    train, test = rng.integers(0, 6, (40, 3)), rng.integers(0, 6, (30, 3))
    leakage = pair_leakage(graph_of(6, 6, train=train, test=test), "test")
    facts = [tuple(row) for row in train.tolist()]
    assert leakage.inverse == sum(any((t, h) == (a, b) for a, _, b in facts) for h, _, t in test.tolist())
    assert leakage.same_pair == sum(any((h, t) == (a, b) and r != q for a, q, b in facts) for h, r, t in test.tolist())


def test_unseen_names_are_counted_once_and_their_rows_each():
    graph = graph_of(9, 3, train=[(0, 0, 1)], test=[(0, 0, 5), (5, 0, 6), (1, 2, 0), (1, 2, 1), (0, 0, 1)])
    unseen = count_unseen(graph, "test")
    assert vars_of(unseen) == (2, 1, 2, 2)


def vars_of(unseen):
    return (
        unseen.entities,
        unseen.relations,
        unseen.triples_with_unseen_entity,
        unseen.triples_with_unseen_relation,
    )


def test_relation_kinds_by_hand():
    one_to_one = [(0, 0, 1), (2, 0, 3), (4, 0, 5)]
    one_to_many = [(0, 1, 1), (0, 1, 2), (0, 1, 3)]
    many_to_one = [(1, 2, 0), (2, 2, 0), (3, 2, 0)]
    many_to_many = [(h, 3, t) for h in range(3) for t in range(3)]
    at_the_cutoff = [(0, 4, 1), (0, 4, 2), (3, 4, 4)]  # 1.5 tails a head is still "1"
    triples = one_to_one + one_to_many * 2 + many_to_one + many_to_many + at_the_cutoff
    graph = graph_of(6, 6, train=triples)
    report = count_kinds(graph)
    assert [report["by_relation"][f"r{i}"]["kind"] for i in range(6)] == [
        "1-1",
        "1-n",
        "n-1",
        "n-n",
        "1-1",
        None,
    ]
    assert report["1-1"] == {"relations": 2, "triples": 6}
    assert report["1-n"] == {"relations": 1, "triples": 3}  # repeated rows count once
    assert report["by_relation"]["r4"]["triples"] == 3


def test_degrees_of_a_star():
    graph = graph_of(6, 1, train=[(0, 0, i) for i in range(1, 5)] + [(0, 0, 1)])
    spread = degree(graph)
    assert (spread.min, spread.median, spread.max, spread.isolated) == (0, 1.0, 4, 1)
    assert spread.mean == pytest.approx(8 / 6)
    assert spread.top == {"e0": 4, "e1": 1, "e2": 1, "e3": 1, "e4": 1}
    counts = [4, 1, 1, 1, 1, 0]
    differences = sum(abs(a - b) for a in counts for b in counts)
    assert spread.gini == pytest.approx(differences / (2 * 6 * 6 * np.mean(counts)))


def test_equal_degrees_have_gini_zero():
    assert degree(graph_of(4, 1, train=[(0, 0, 1), (2, 0, 3)])).gini == 0.0
    assert degree(graph_of(3, 1, train=[])).gini == 0.0

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pictokg.audit import inverse_rule as module
from pictokg.audit.inverse_rule import inverse_rule, inverse_rule_ranks, inverse_rules
from pictokg.audit.keys import distinct
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary


def random_graph(seed, entities=12, relations=4):
    rng = np.random.default_rng(seed)
    sizes = {"train": 60, "valid": 10, "test": 25}
    splits = {
        name: np.stack([rng.integers(0, high, size) for high in (entities, relations, entities)], axis=1)
        for name, size in sizes.items()
    }
    turned = splits["train"][:10, ::-1].copy()
    splits["test"] = np.concatenate([splits["test"], turned])
    names = Vocabulary([f"e{i}" for i in range(entities)]), Vocabulary([f"r{i}" for i in range(relations)])
    return KnowledgeGraph(*names, splits)


def ranks_of(graph):
    train = distinct(graph.split("train"), graph.num_entities, graph.num_relations)
    return inverse_rule_ranks(graph, "test", inverse_rules(train, graph.num_relations))


def plain_ranks(graph):
    """The definition, triple by triple, with exact fractions."""
    train = {tuple(map(int, row)) for row in graph.split("train")}
    known = {tuple(map(int, row)) for row in graph.triples()}
    entities, relations = range(graph.num_entities), range(graph.num_relations)

    def confidence(q, r):
        body = [(t, h) for t, p, h in train if p == q]
        return Fraction(sum((h, r, t) in train for t, h in body), len(body)) if body else Fraction(0)

    table = {(q, r): confidence(q, r) for q in relations for r in relations}

    def score(h, r, t):
        return max((table[q, r] for q in relations if (t, q, h) in train), default=Fraction(0))

    def rank(triples, answer):
        true = score(*triples[answer])
        others = [score(*x) for e, x in enumerate(triples) if e != answer and x not in known]
        rank = 1 + sum(s > true for s in others) + sum(s == true for s in others) / 2
        return rank, 1 + len(others)

    test = graph.split("test").tolist()
    tails = [rank([(h, r, x) for x in entities], t) for h, r, t in test]
    return tails + [rank([(x, r, t) for x in entities], h) for h, r, t in test]


@pytest.mark.parametrize("seed", range(4))
def test_ranks_equal_the_definition(seed):
    graph = random_graph(seed)
    ranks, candidates = ranks_of(graph)
    expected, sizes = zip(*plain_ranks(graph), strict=True)
    assert ranks.tolist() == list(expected)
    assert candidates.tolist() == list(sizes)


def test_cutting_the_questions_into_blocks_changes_nothing(monkeypatch):
    graph = random_graph(7)
    whole = ranks_of(graph)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 3)
    assert np.array_equal(ranks_of(graph), whole)


def test_confidence_is_the_share_of_the_inverse_that_is_turned_round():
    # parent (0) three times, child (1) back twice, and one child without its parent
    train = np.array([[0, 0, 1], [2, 0, 3], [4, 0, 5], [1, 1, 0], [3, 1, 2], [6, 1, 7]])
    rules = inverse_rules(train, 2)
    assert rules.relation.tolist() == [0, 1]
    assert rules.inverse.tolist() == [1, 0]
    assert rules.support.tolist() == [2, 2]
    assert np.allclose(rules.confidence, [2 / 3, 2 / 3])


def test_a_symmetric_relation_is_its_own_inverse():
    rules = inverse_rules(np.array([[0, 0, 1], [1, 0, 0], [2, 0, 2]]), 1)
    assert rules.relation.tolist() == rules.inverse.tolist() == [0]
    assert rules.confidence.tolist() == [1.0]


def test_a_test_set_of_inverses_is_answered_without_learning():
    pairs = np.array([(2 * i, 2 * i + 1) for i in range(20)])
    forward = np.insert(pairs, 1, 0, axis=1)
    back = np.insert(pairs[:, ::-1], 1, 1, axis=1)
    names = Vocabulary([f"e{i}" for i in range(40)]), Vocabulary(["husband", "wife"])
    graph = KnowledgeGraph(*names, {"train": np.concatenate([forward, back[:15]]), "test": back[15:]})
    report = inverse_rule(graph, "test")
    assert {report.metrics[name] for name in ("mrr", "mr", "hits@1", "hits@10", "amri")} == {1.0}
    assert report.as_json()["hits@10"] == 1.0
    assert report.questions == 10
    assert {(rule["relation"], rule["inverse"], rule["support"]) for rule in report.rules} == {
        ("husband", "wife", 15),
        ("wife", "husband", 15),
    }


def test_without_inverses_all_entities_tie():
    names = Vocabulary([f"e{i}" for i in range(9)]), Vocabulary(["r"])
    graph = KnowledgeGraph(*names, {"train": np.array([[0, 0, 1]]), "test": np.array([[2, 0, 3]])})
    ranks, candidates = ranks_of(graph)
    assert (ranks.tolist(), candidates.tolist()) == ([5.0, 5.0], [9, 9])  # the middle of 9
    assert inverse_rule(graph, "test").rules == []

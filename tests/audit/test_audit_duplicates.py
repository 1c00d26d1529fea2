from __future__ import annotations

import numpy as np
import pytest

from pictokg.audit.duplicates import count_splits
from pictokg.audit.keys import distinct, match, occurrences, triple_keys
from pictokg.audit.leakage import warn_if_leaking
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary

HUGE = 2_000_000_000  # entities for which head · relations · entities overflows 64 bits


def graph_of(**splits):
    names = [f"e{i}" for i in range(10)]
    return KnowledgeGraph(
        Vocabulary(names), Vocabulary(["r", "s"]), {k: np.array(v).reshape(-1, 3) for k, v in splits.items()}
    )


@pytest.fixture
def leaking():
    return graph_of(
        train=[(0, 0, 1), (0, 0, 1), (1, 1, 2), (3, 0, 4)],
        valid=[(0, 0, 1), (0, 0, 1), (5, 0, 6), (7, 0, 8)],
        test=[(5, 0, 6), (3, 0, 4), (9, 1, 9)],
    )


def test_rows_count_repetitions_and_distinct_does_not(leaking):
    counts = count_splits(leaking)
    assert counts["train"].as_json() == {
        "rows": 4,
        "distinct": 3,
        "duplicates": 1,
        "in_valid": {"rows": 2, "distinct": 1},
        "in_test": {"rows": 1, "distinct": 1},
    }
    assert counts["valid"].as_json() == {
        "rows": 4,
        "distinct": 3,
        "duplicates": 1,
        "in_train": {"rows": 2, "distinct": 1},
        "in_test": {"rows": 1, "distinct": 1},
    }
    assert counts["test"].duplicates == 0


def test_a_reversed_triple_or_another_relation_is_no_overlap():
    graph = graph_of(train=[(0, 0, 1)], test=[(1, 0, 0), (0, 1, 1)])
    assert count_splits(graph)["test"].shared["train"].rows == 0
    assert warn_if_leaking(graph) == []


def test_the_warning_before_training_names_each_pair_of_splits_once(leaking):
    messages = warn_if_leaking(leaking)
    assert len(messages) == 3
    assert messages[0].startswith("test shares 1 of its 3 distinct triples (1 of 3 rows) with train")
    assert messages[1].startswith("valid shares 1 of its 3 distinct triples (2 of 4 rows) with train")
    assert messages[2].startswith("valid shares 1 of its 3 distinct triples (1 of 4 rows) with test")


def test_empty_splits_share_nothing():
    graph = graph_of(train=[], test=[(0, 0, 1)])
    assert count_splits(graph)["train"].as_json()["in_test"] == {"rows": 0, "distinct": 0}


def test_keys_of_huge_graphs_keep_order_and_equality():
    rng = np.random.default_rng(0)
    triples = rng.integers(0, 2_000_000_000, (500, 3)).astype(np.int32)
    triples[:, 1] %= 5000
    triples = np.concatenate([triples, triples[:50]])
    keys = triple_keys(triples, HUGE, 5000)
    assert keys.dtype.kind == "V"
    order = np.argsort(keys, kind="stable")
    by_columns = np.lexsort((triples[:, 2], triples[:, 1], triples[:, 0]))
    assert np.array_equal(triples[order], triples[by_columns])
    assert np.array_equal(distinct(triples, HUGE, 5000), triples[:500])
    assert occurrences(keys[order], keys[:60]).tolist() == [2] * 50 + [1] * 10


def test_match_is_a_join():
    rng = np.random.default_rng(1)
    keys, table = rng.integers(0, 20, 50), np.sort(rng.integers(0, 20, 70))
    left, right = match(keys, table)
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [
        (i, j) for i in range(50) for j in range(70) if keys[i] == table[j]
    ]

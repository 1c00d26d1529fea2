from __future__ import annotations

import numpy as np
import pytest

from pictokg.audit.leakage import warn_if_leaking
from pictokg.audit.resplit import SplitOptions, resplit
from pictokg.errors import ConfigError, DataError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary


def graph_of(**splits):
    names = Vocabulary([f"e{i}" for i in range(20)]), Vocabulary(["r", "s"])
    return KnowledgeGraph(*names, {k: np.array(v).reshape(-1, 3) for k, v in splits.items()})


@pytest.fixture
def leaking():
    generator = np.random.default_rng(0)
    facts = np.stack([generator.integers(0, high, 300) for high in (20, 2, 20)], axis=1)
    facts = generator.permutation(np.unique(facts, axis=0))
    train, test = np.concatenate([facts[:150], facts[:7]]), np.concatenate([facts[150:180], facts[150:152]])
    train = np.concatenate([train, test[:5]])
    valid = np.concatenate([facts[10:30], facts[10:13], test[5:9], facts[180:184]])
    return graph_of(train=train, valid=valid, test=test)


def as_set(triples):
    return {tuple(row) for row in triples.tolist()}


def test_new_splits_are_disjoint_and_complete(leaking):
    new = resplit(leaking, SplitOptions(valid=0.1, seed=1)).splits
    assert warn_if_leaking(KnowledgeGraph(leaking.entities, leaking.relations, new)) == []
    assert as_set(leaking.triples()) == set.union(*map(as_set, new.values()))
    assert np.array_equal(new["test"], leaking.split("test"))  # row for row, repetitions too
    assert len(new["train"]) + len(new["valid"]) == 154
    assert len(new["valid"]) == 15


def test_what_became_of_every_row_is_said(leaking):
    assert resplit(leaking, SplitOptions()).changes == [
        "train: 162 rows, 7 repeated dropped, 5 in test dropped, 150 pooled",
        "valid: 31 rows, 3 repeated dropped, 4 in test dropped, 20 in train dropped, 4 pooled",
    ]


def test_train_keeps_every_entity_and_relation_of_the_pool(leaking):
    new = resplit(leaking, SplitOptions(valid=0.5)).splits
    pool = np.concatenate([new["train"], new["valid"]])
    assert set(np.unique(new["train"][:, [0, 2]])) == set(np.unique(pool[:, [0, 2]]))


def test_the_seed_decides(leaking):
    first, again, other = (resplit(leaking, SplitOptions(seed=seed)).splits["valid"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert as_set(first) != as_set(other)


def test_without_a_test_set_one_is_cut(leaking):
    graph = graph_of(train=leaking.split("train"))
    new = resplit(graph, SplitOptions(valid=0.1, test=0.2)).splits
    assert {name: len(rows) for name, rows in new.items()} == {"train": 112, "valid": 12, "test": 31}
    assert as_set(graph.split("train")) == set.union(*map(as_set, new.values()))


def test_a_test_set_is_not_cut_anew(leaking):
    with pytest.raises(ConfigError, match="leave out --test"):
        resplit(leaking, SplitOptions(test=0.1))


def test_nothing_left_to_train_on_is_an_error():
    graph = graph_of(train=[(0, 0, 1)], test=[(0, 0, 1)])
    with pytest.raises(DataError, match="no triple is left"):
        resplit(graph, SplitOptions())

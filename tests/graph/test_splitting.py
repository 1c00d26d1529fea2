from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.errors import ConfigError, DataError, DataWarning
from pictokg.graph.splitting import carve, split


def random_triples(count, entities=60, relations=6, seed=0):
    generator = np.random.default_rng(seed)
    highs = (entities, relations, entities)
    return np.stack([generator.integers(0, high, count) for high in highs], axis=1).astype(np.int32)


def rows(triples):
    return sorted(map(tuple, triples.tolist()))


def entities(triples):
    return set(triples[:, [0, 2]].ravel().tolist())


@pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")
@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 200), st.booleans())
def test_parts_are_the_triples_and_train_has_every_entity_and_relation(seed, count, per_relation):
    triples = random_triples(count, entities=20, seed=seed)
    parts = split(triples, seed=seed, per_relation=per_relation)
    assert rows(np.concatenate(parts)) == rows(triples)
    assert entities(parts[0]) == entities(triples)
    assert set(parts[0][:, 1].tolist()) == set(triples[:, 1].tolist())
    assert all(len(part) for part in parts)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(rows(parts[one])) & set(rows(parts[other]))


def test_the_fractions_are_met_and_rows_keep_their_order():
    triples = np.unique(random_triples(5_000), axis=0)
    parts = split(triples, (0.7, 0.2, 0.1), seed=1)
    assert [len(part) for part in parts[1:]] == [round(0.2 * len(triples)), round(0.1 * len(triples))]
    assert all(rows(part) == list(map(tuple, part.tolist())) for part in parts)


def test_per_relation_quotas_hold_for_each_relation():
    triples = np.unique(random_triples(6_000), axis=0)
    train, valid, test = split(triples, seed=2, per_relation=True)
    for relation in range(6):
        total = (triples[:, 1] == relation).sum()
        for part in (valid, test):
            assert abs((part[:, 1] == relation).sum() - 0.1 * total) <= 1
    assert len(valid) == len(test) == pytest.approx(0.1 * len(triples), abs=1)
    assert len(train) == len(triples) - len(valid) - len(test)


def test_the_same_seed_gives_the_same_parts_and_another_others():
    triples = random_triples(500)
    first, again, other = (split(triples, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])


def test_equal_rows_are_never_divided():
    triples = np.concatenate([random_triples(400)] * 3)
    parts = split(triples, (0.5, 0.5), seed=0)
    assert not set(rows(parts[0])) & set(rows(parts[1]))
    assert len(parts[1]) == pytest.approx(600, abs=3)


def test_groups_stay_together_and_the_fractions_hold_approximately():
    triples = random_triples(3_000)
    groups = np.random.default_rng(0).permutation(np.arange(3_000) % 1_000)
    parts = split(np.column_stack([triples, groups]), seed=5, keep_together=groups)
    held = [set(part[:, 3].tolist()) for part in parts]
    assert sum(map(len, held)) == 1_000
    assert [len(part) for part in parts] == pytest.approx([2_400, 300, 300], abs=3)


def test_a_group_too_large_for_a_part_stays_in_the_first():
    triples, groups = random_triples(1_000), np.arange(1_000)
    groups[:500] = 0
    train, test = split(np.column_stack([triples, groups]), (0.9, 0.1), seed=0, keep_together=groups)
    assert len(test) == 100
    assert 0 in train[:, 3]


def test_a_path_has_one_triple_to_spare_for_each_part():
    path = np.array([[i, 0, i + 1] for i in range(6)])
    train, valid, test = split(path, (0.6, 0.2, 0.2), seed=0)
    assert entities(train) == set(range(7))
    assert len(valid) == len(test) == 1


def test_a_star_cannot_be_split_and_says_so():
    star = np.array([[0, 0, i] for i in range(1, 20)])
    with pytest.raises(DataError, match="the only one of an entity"):
        split(star, seed=0)


def test_a_shortage_is_shared_and_warned_of():
    edges = [[0, 0, i] for i in range(1, 80)] + [[i, 1, i + 1] for i in range(1, 12)]
    with pytest.warns(DataWarning, match="instead of"):
        _, valid, test = split(np.array(edges), (0.5, 0.4, 0.1), seed=0)
    assert len(valid) > len(test) > 0


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.4), (0.0, 1.0), (1.2, -0.2), (float("nan"), 1)])
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(ConfigError, match="add up to 1"):
        split(random_triples(10), fractions, seed=0)


def test_a_part_of_fraction_zero_is_empty():
    assert len(split(random_triples(300), (0.9, 0.0, 0.1), seed=0)[1]) == 0


@pytest.mark.parametrize("amount", [0.05, 20])
def test_carving_takes_a_fraction_or_a_number_out_of_train(amount):
    triples = np.unique(random_triples(400), axis=0)
    rest, carved = carve(triples, amount, seed=0)
    assert len(carved) == (20 if amount == 20 else round(0.05 * len(triples)))
    assert rows(np.concatenate([rest, carved])) == rows(triples)
    assert entities(rest) == entities(triples)


@pytest.mark.parametrize("amount", [0, -1, 10, 11])
def test_carving_nothing_or_everything_is_refused(amount):
    with pytest.raises(ConfigError, match="cannot carve"):
        carve(random_triples(10), amount, seed=0)

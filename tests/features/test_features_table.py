from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.errors import DataError
from pictokg.features import table as table_module
from pictokg.features.table import FeatureTable


def table_of(counts, *, width=3, dtype="float32", seed=0):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = np.random.default_rng(seed).normal(size=(offsets[-1], width)).astype(dtype)
    keys = [f"{entity}/{place}" for entity, count in enumerate(counts) for place in range(count)]
    return FeatureTable("image", values, offsets, keys, "made up")


counts_and_ids = st.lists(st.integers(0, 4), min_size=1, max_size=8).flatmap(
    lambda counts: st.tuples(st.just(counts), st.lists(st.integers(0, len(counts) - 1), max_size=10))
)


@given(counts_and_ids)
@settings(max_examples=60, deadline=None)
def test_instances_are_the_rows_of_each_entity_asked_for_in_order(drawn):
    counts, asked = drawn
    table = table_of(counts)
    found = table.instances(np.array(asked, dtype=np.int64))
    expected = [
        (place, row) for place, entity in enumerate(asked) for row in range(*table.offsets[entity : entity + 2])
    ]
    assert list(zip(found.owner.tolist(), found.positions.tolist(), strict=True)) == expected
    assert np.array_equal(found.values, table.values[[row for _, row in expected]].reshape(-1, 3))
    assert found.keys == [table.keys[row] for _, row in expected]


@given(counts_and_ids)
@settings(max_examples=60, deadline=None)
def test_a_selection_says_of_its_entities_what_the_table_says(drawn):
    counts, asked = drawn
    table = table_of(counts, dtype="float16")
    ids = np.array([*asked, -1], dtype=np.int64)
    chosen = table.select(ids)
    assert chosen.values.dtype == np.float16
    assert chosen.counts.tolist() == [counts[entity] for entity in asked] + [0]
    assert chosen.owner.tolist() == np.repeat(np.arange(len(ids)), chosen.counts).tolist()
    everything = chosen.instances(np.arange(len(asked)))
    assert np.array_equal(everything.values, table.instances(ids[:-1]).values)
    assert everything.keys == table.instances(ids[:-1]).keys


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.sampled_from(["float32", "float16"]))
@settings(max_examples=60, deadline=None)
def test_the_mean_is_over_an_entitys_own_rows_and_absence_is_no_row(counts, dtype):
    table = table_of(counts, dtype=dtype)
    mean = table.mean()
    assert mean.dtype == np.float32
    assert table.present.tolist() == [count > 0 for count in counts]
    for entity, count in enumerate(counts):
        own = table.values[table.offsets[entity] : table.offsets[entity + 1]].astype(np.float32)
        assert np.allclose(mean[entity], own.mean(axis=0) if count else 0.0, atol=1e-6)


def test_the_mean_does_not_depend_on_the_size_of_the_blocks(monkeypatch):
    table = table_of([3, 0, 5, 1, 0, 2, 7])
    whole = table.mean()
    monkeypatch.setattr(table_module, "CHUNK", 4)
    assert np.array_equal(table.mean(), whole)


def test_half_precision_is_summed_in_single():
    table = FeatureTable("image", np.full((2, 1), 60_000, dtype=np.float16), np.array([0, 2]), ["a", "b"])
    assert table.mean().tolist() == [[60_000.0]]  # the sum overflows float16


@pytest.mark.parametrize("row", [0, 5, 8])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named_with_its_row_and_entity(monkeypatch, row, bad):
    monkeypatch.setattr(table_module, "CHUNK", 4)
    table = table_of([2, 0, 4, 3])
    table.validate()
    table.values[row, 1] = bad
    entity = "abcd"[int(table.owner[row])]
    with pytest.raises(
        DataError, match=rf"features/image: row {row} \(.*\) of entity '{entity}' holds {bad} in column 1"
    ):
        table.validate("abcd")


@pytest.mark.parametrize(
    ("offsets", "keys", "problem"),
    [
        ([0, 2], ["a", "b", "c"], "number of rows, 3"),
        ([1, 3], ["a", "b", "c"], "go from 0"),
        ([0, 3, 2, 3], ["a", "b", "c"], "must not decrease"),
        ([0, 3], ["a"], "1 keys for 3 rows"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(offsets, keys, problem):
    with pytest.raises(DataError, match=problem):
        FeatureTable("image", np.zeros((3, 2), dtype=np.float32), np.array(offsets), keys)


def test_values_must_be_single_or_half_precision():
    with pytest.raises(DataError, match="int64"):
        FeatureTable("image", np.zeros((1, 2), dtype=np.int64), np.array([0, 1]), ["a"])


def test_a_table_may_be_empty():
    table = table_of([0, 0])
    assert table.mean().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert len(table.instances(np.array([1, 0])).values) == 0
    table.validate()


def test_importing_the_table_imports_neither_scikit_learn_nor_pillow():
    code = "import sys, pictokg.features.table; assert not {'sklearn', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

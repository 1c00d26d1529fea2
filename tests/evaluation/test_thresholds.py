from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.evaluation.thresholds import Thresholds, best_cuts

examples = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 2)), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(examples)
def test_no_threshold_calls_more_examples_rightly(rows):
    scores, truth, group = (np.array(column) for column in zip(*rows, strict=True))
    groups, cuts = best_cuts(scores.astype(float), truth, group)
    assert groups.tolist() == sorted(set(group.tolist()))
    for number, cut in zip(groups, cuts, strict=True):
        ours, true = scores[group == number], truth[group == number]
        right = [((ours >= limit) == true).sum() for limit in np.arange(-0.5, 7)]
        assert ((ours >= cut) == true).sum() == max(right)


def test_a_threshold_lies_midway():
    _, cuts = best_cuts(np.array([1.0, 2.0, 5.0]), np.array([False, False, True]), np.zeros(3, int))
    assert cuts.tolist() == [3.5]


def test_all_true_and_all_false_still_have_a_threshold():
    scores = np.array([1.0, 2.0])
    (low,), (high,) = (best_cuts(scores, np.full(2, value), np.zeros(2, int))[1] for value in (True, False))
    assert low == 1.0
    assert high > 2.0
    assert np.isfinite(high)


def test_small_and_one_sided_relations_use_the_threshold_for_all():
    scores = np.array([0.0, 1.0, 2.0, 3.0, 10.0, 20.0, 7.0])
    truth = np.array([False, False, True, True, True, True, False])
    relation = np.array([0, 0, 0, 0, 1, 1, 2])
    chosen = Thresholds.choose(scores, truth, relation, 4, least=4)
    assert chosen.own.tolist() == [True, False, False, False]
    assert chosen.examples.tolist() == [4, 2, 1, 0]
    assert chosen.by_relation.tolist() == [1.5] + 3 * [chosen.overall]
    assert chosen.overall == pytest.approx(1.5)

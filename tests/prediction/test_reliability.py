"""Reliability: the error is its closed form, and calibrated probabilities are calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from random_data import make_data

import pictokg
from pictokg.errors import ConfigError
from pictokg.prediction.calibration import fit_calibration
from pictokg.prediction.reliability import bins_of, calibration_error, measure_reliability
from pictokg.report.reliability import draw_reliability


def test_error_is_its_closed_form():
    """Two bins: 0.25 said, half true, weight 1 + 3; 0.9 said, all true, weight 1."""
    probability, truth = np.array([0.25, 0.25, 0.9]), np.array([True, False, True])
    weight = np.array([1.0, 3.0, 1.0])
    expected = 4 / 5 * abs(0.25 - 1 / 4) + 1 / 5 * abs(0.9 - 1)
    assert calibration_error(probability, truth, weight) == pytest.approx(expected)
    assert [found["weight"] for found in bins_of(probability, truth, weight)] == pytest.approx([0.8, 0.2])


def test_probabilities_that_are_true_have_no_error():
    generator = np.random.default_rng(0)
    probability = generator.random(200_000)
    truth = generator.random(200_000) < probability
    assert calibration_error(probability, truth, np.ones(200_000)) < 0.005
    assert calibration_error(probability**3, truth, np.ones(200_000)) > 0.2


def test_probabilities_of_zero_and_one_have_a_bin():
    bins = bins_of(np.array([0.0, 1.0]), np.array([False, True]), np.ones(2))
    assert [(found["lower"], found["true"]) for found in bins] == [(0.0, 0.0), (0.9, 1.0)]


@pytest.fixture(scope="module")
def measured():
    data = make_data(entities=60, relations=3, triples=900)
    model = pictokg.build("distmult", data, dim=8)
    return measure_reliability(model, data, fit_calibration(model, data, ratio=2)), data, model


def test_relations_and_protocol_are_reported(measured):
    reliability, data, _ = measured
    report = reliability.to_dict()
    assert report["protocol"]["ratio"] == 2.0
    assert set(report["by_relation"]) == set(data.graph.relations.names)
    assert sum(found["true"] for found in report["by_relation"].values()) == len(data.graph.split("test"))
    assert sum(found["weight"] for found in report["bins"]) == pytest.approx(1)
    assert {found["curve"] for found in report["by_relation"].values()} == {"own"}
    assert report["common_error"] is None
    assert report["common_bins"] == []


def test_noise_has_the_prior_as_probability(measured):
    """An untrained model knows nothing: of three triples at ratio 2 one is true, and that is what it says."""
    reliability, _, _ = measured
    assert np.average(
        [found["probability"] for found in reliability.bins], weights=[found["weight"] for found in reliability.bins]
    ) == pytest.approx(1 / 3, abs=0.03)
    assert reliability.error < 0.06


def test_another_split_is_refused(measured):
    _, data, model = measured
    with pytest.raises(ConfigError, match="no split"):
        measure_reliability(model, data, fit_calibration(model, data), split="tests")


def test_the_plot_is_an_image_and_always_the_same(measured):
    first = draw_reliability(measured[0])
    assert first.startswith(b"<?xml")
    assert first == draw_reliability(measured[0])

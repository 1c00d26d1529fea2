"""Calibration: probabilities mean what they say, and stale ones are not believed."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError, DataError, DataWarning
from pictokg.evaluation.classification import classify
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary
from pictokg.prediction.calibration import (
    calibration_of,
    fingerprint_of,
    fit_calibration,
    load_calibration,
    why_not,
)
from pictokg.prediction.curves import METHODS, fit_curve
from pictokg.prediction.held_out import draw_examples, halves

methods = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module")
def large():
    return make_data(entities=60, relations=3, triples=900)


@pytest.fixture(scope="module")
def model(large):
    return pictokg.build("distmult", large, dim=8, inverse=True)


@pytest.fixture
def calibration(model, large):
    return fit_calibration(model, large)


# Curves


@methods
def test_curves_find_the_law_that_made_the_examples(method):
    generator = np.random.default_rng(0)
    scores = generator.normal(3.0, 2.0, 20_000)
    law = 1 / (1 + np.exp(-(1.5 * scores - 4.0)))
    curve = fit_curve(method, scores, generator.random(len(scores)) < law, np.ones(len(scores)))
    assert np.abs(curve(scores) - law).mean() < 0.015


@methods
def test_curves_never_fall(method):
    generator = np.random.default_rng(1)
    scores, truth = generator.normal(size=300), generator.random(300) < 0.4
    probabilities = fit_curve(method, scores, truth, np.ones(300))(np.linspace(-5, 5, 1000))
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities > 0) & (probabilities < 1)).all()


@methods
def test_scores_that_lie_give_the_share_of_true_ones(method):
    scores = np.r_[np.zeros(30), np.ones(90)]
    truth = np.r_[np.ones(30, dtype=bool), np.zeros(90, dtype=bool)]
    assert np.allclose(fit_curve(method, scores, truth, np.ones(120))(np.array([-1.0, 2.0])), 0.25, atol=0.01)


def test_platt_solves_the_likelihood_equations():
    """At the optimum the weighted residuals, and the residuals times the scores, sum to zero."""
    generator = np.random.default_rng(2)
    scores, truth = generator.normal(50, 9, 400), generator.random(400) < 0.3
    truth |= scores > 60
    weight = np.where(truth, 1.0, 2.5)
    residual = fit_curve("platt", scores, truth, weight)(scores) - np.where(
        truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2)
    )
    assert abs((weight * residual).sum()) < 0.05
    assert abs((weight * residual * (scores - 50) / 9).sum()) < 0.05


# Examples


def test_unknown_triples_are_unknown_and_fit_their_slots(large):
    examples = draw_examples(large, "valid", ratio=2.5)
    known = {tuple(triple) for triple in large.graph.triples().tolist()}
    seen = {(side, triple[1], triple[side]) for triple in known for side in (0, 2)}
    false = examples.triples[~examples.truth].tolist()
    assert not {tuple(triple) for triple in false} & known
    assert all((side, triple[1], triple[side]) in seen for triple in false for side in (0, 2))
    assert len(false) == pytest.approx(2.5 * examples.truth.sum(), rel=0.15)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_unknown_triples_weigh_the_ratio_in_every_relation(large, ratio):
    examples = draw_examples(large, "valid", ratio=ratio)
    for relation in range(3):
        true, false = (examples.weight[(examples.relation == relation) & part].sum() for part in split(examples))
        assert false == pytest.approx(ratio * true)


def split(examples):
    return examples.truth, ~examples.truth


def test_halves_are_disjoint_and_stratified(large):
    examples = draw_examples(large, "valid", ratio=4)
    second = halves(examples, seed=3)
    first_triples, second_triples = ({tuple(t) for t in examples.triples[half].tolist()} for half in (~second, second))
    assert not first_triples & second_triples
    for relation in range(3):
        for part in split(examples):
            distinct = [len(np.unique(examples.triples[half & part & (examples.relation == relation)], axis=0))
                        for half in (second, ~second)]  # fmt: skip
            assert abs(distinct[0] - distinct[1]) <= 1


# The whole


@methods
def test_probabilities_are_monotone_within_a_relation(model, large, method):
    calibration = fit_calibration(model, large, method=method)
    scores = torch.linspace(-10, 10, 500)
    for relation in range(3):
        probabilities = calibration.probabilities(scores, torch.full((500,), relation))
        assert (np.diff(probabilities) >= 0).all()


def test_held_out_precision_is_counted_on_the_other_half(model, large):
    """What the cross-fitted table says is what fitting by hand on one half and counting on the other says."""
    from pictokg.evaluation.classification import scores_of

    calibration, examples = fit_calibration(model, large), draw_examples(large, "valid")
    second, scores = halves(examples, 0), scores_of(model, examples.triples)
    probability = np.empty(len(scores))
    for half in (second, ~second):
        for relation in range(3):
            rows, others = half & (examples.relation == relation), ~half & (examples.relation == relation)
            own = relation in calibration.by_relation
            used = others if own else ~half
            curve = fit_curve("platt", scores[used], examples.truth[used], examples.weight[used])
            probability[rows] = curve(scores[rows])
    at = float(np.floor(np.median(probability) * 100) / 100)
    relation = next(iter(calibration.by_relation))
    rows = (probability >= at) & (examples.relation == relation)
    expected = examples.weight[rows & examples.truth].sum() / examples.weight[rows].sum()
    assert calibration.precision(relation, at) == pytest.approx(expected)
    overall = probability >= at
    expected = examples.weight[overall & examples.truth].sum() / examples.weight[overall].sum()
    assert calibration.held_out.precision(None, at) == pytest.approx(expected)


@pytest.fixture(scope="module")
def uneven():
    """A large relation, and ten small ones that have too few validation triples for curves of their own."""
    generator = np.random.default_rng(0)
    sizes = np.array([600, *[60] * 10])
    drawn = np.c_[generator.integers(60, size=sizes.sum()), np.repeat(np.arange(11), sizes)]
    drawn = np.unique(np.c_[drawn, generator.integers(60, size=len(drawn))], axis=0).astype(np.int32)
    held = generator.random(len(drawn)) < 0.15
    names = (Vocabulary([f"{letter}{number}" for number in range(count)]) for letter, count in (("e", 60), ("r", 11)))
    return Dataset("uneven", KnowledgeGraph(*names, {"train": drawn[~held], "valid": drawn[held]}))


def test_the_common_curve_is_that_of_the_relations_that_use_it(uneven):
    """The large relation scores 100 higher: it must not move the curve of the others."""
    model = pictokg.build("distmult", uneven, dim=8)
    before = fit_calibration(model, uneven)
    assert list(before.by_relation) == [0]
    with torch.no_grad():
        model.relations.weight[0] *= 100
    after = fit_calibration(model, uneven)
    scores, small = np.linspace(-3, 3, 50), np.full(50, 3)
    assert (after.probabilities(scores, small) == before.probabilities(scores, small)).all()
    assert (after.held_out.overall == before.held_out.overall).all()
    true = uneven.graph.split("valid")[:, 1] != 0
    assert after.held_out.overall[0, 0] == true.sum()


def test_few_examples_draw_the_curve_towards_the_common_one(uneven):
    """n examples take n / (n + 10) of the relation's own curve, 10 / (n + 10) of the common one."""
    from pictokg.evaluation.classification import scores_of

    model = pictokg.build("distmult", uneven, dim=8)
    calibration, examples = fit_calibration(model, uneven), draw_examples(uneven, "valid")
    assert set(calibration.pooled) == set(range(1, 11))
    rows = examples.relation == 4
    own = fit_curve("platt", scores_of(model, examples.triples)[rows], examples.truth[rows], examples.weight[rows])
    scores, count = np.linspace(-2, 2, 9), examples.weight[rows].sum()
    expected = (count * own(scores) + 10 * calibration.overall(scores)) / (count + 10)
    assert np.allclose(calibration.probabilities(scores, np.full(9, 4)), expected)


def test_a_small_relation_whose_scores_are_higher_is_not_believed_for_them():
    """Ten relations share a law; the scores of one are 4 higher. Its own few examples must tell."""
    from pictokg.prediction.curves import pool

    generator = np.random.default_rng(0)

    def drawn(count, shift):
        scores = generator.normal(0, 2, count)
        return scores + shift, generator.random(count) < 1 / (1 + np.exp(-2 * scores))

    common = fit_curve("platt", *drawn(5000, 0.0), np.ones(5000))
    few, many = drawn(30, 4.0), drawn(20_000, 4.0)
    brier = [
        np.mean((curve(many[0]) - many[1]) ** 2)
        for curve in (common, pool(fit_curve("platt", *few, np.ones(30)), common, 30))
    ]
    assert brier[1] < 0.6 * brier[0]


def test_too_few_examples_together_use_those_of_all(model, large):
    """Every relation of this graph has a curve of its own; what is left falls back to all of them."""
    calibration = fit_calibration(model, large)
    assert len(calibration.by_relation) == 3
    assert calibration.held_out.overall[0, 0] == len(large.graph.split("valid"))


def test_threshold_is_the_first_that_reaches_the_precision(calibration):
    reachable = calibration.precision(0, calibration.threshold(0, 0.5))
    assert reachable >= 0.5
    below = calibration.threshold(0, 0.5) - 0.01
    assert below < 0 or calibration.precision(0, below) < 0.5
    assert calibration.threshold(0, 1.01) is None


def test_classification_uses_the_same_thresholds(model, large, calibration):
    report = classify(model, large)
    for name, figures in report.by_relation.items():
        assert figures["threshold"] == calibration.thresholds.by_relation[large.graph.relations.id(name)]


def test_one_seed_one_calibration(model, large, calibration, tmp_path):
    again, other = fit_calibration(model, large), fit_calibration(model, large, seed=1)
    names = large.graph.relations.names
    for number, fitted in enumerate((calibration, again, other)):
        fitted.save(tmp_path / f"{number}.json", names)
    first, second, third = ((tmp_path / f"{number}.json").read_text() for number in range(3))
    assert first == second != third


@methods
def test_what_is_saved_is_what_is_loaded(model, large, tmp_path, method):
    fitted, names = fit_calibration(model, large, method=method, ratio=2), tuple(large.graph.relations.names)
    fitted.save(tmp_path / "calibration.json", names)
    loaded = load_calibration(tmp_path / "calibration.json", names, fingerprint_of(model, large))
    scores, relations = np.linspace(-3, 3, 60), np.arange(60) % 3
    assert (loaded.probabilities(scores, relations) == fitted.probabilities(scores, relations)).all()
    assert (loaded.ratio, loaded.method, loaded.counts) == (2.0, method, fitted.counts)
    assert loaded.precision(1, 0.5) == pytest.approx(fitted.precision(1, 0.5), abs=1e-6)
    assert loaded.thresholds.by_relation.tolist() == fitted.thresholds.by_relation.tolist()
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert set(written) == {"method", "ratio", "seed", "counts", "fingerprint", "overall", "relations"}


def test_pooled_curves_are_kept(uneven, tmp_path):
    model, names = pictokg.build("distmult", uneven, dim=8), tuple(uneven.graph.relations.names)
    fitted = fit_calibration(model, uneven)
    fitted.save(tmp_path / "calibration.json", names)
    loaded = load_calibration(tmp_path / "calibration.json", names)
    scores, relations = np.linspace(-3, 3, 110), np.arange(110) % 11
    assert (loaded.probabilities(scores, relations) == fitted.probabilities(scores, relations)).all()
    assert (set(loaded.by_relation), set(loaded.pooled)) == ({0}, set(range(1, 11)))
    assert (np.diff(loaded.probabilities(scores, np.full(110, 5))) >= 0).all()


# Stale, spoiled, impossible


def test_a_stale_calibration_is_refused(large, calibration, tmp_path):
    names = tuple(large.graph.relations.names)
    calibration.save(tmp_path / "calibration.json", names)
    other = pictokg.build("distmult", large, dim=8, inverse=True, seed=1)
    with pytest.raises(DataError, match="other weights"):
        load_calibration(tmp_path / "calibration.json", names, fingerprint_of(other, large))


def test_a_run_refits_what_is_stale_or_spoiled(model, large, tmp_path):
    path, other = tmp_path / "calibration.json", pictokg.build("distmult", large, dim=8, inverse=True, seed=1)
    first = calibration_of(tmp_path, model, large)
    assert calibration_of(tmp_path, model, large).fingerprint == first.fingerprint
    assert calibration_of(tmp_path, other, large).fingerprint == fingerprint_of(other, large) != first.fingerprint
    assert json.loads(path.read_text())["fingerprint"] == fingerprint_of(other, large)
    path.write_text("{}")
    assert calibration_of(tmp_path, other, large).fingerprint == fingerprint_of(other, large)


def test_the_fingerprint_follows_weights_terms_and_triples(model, large):
    before = fingerprint_of(model, large)
    other = pictokg.build("distmult", large, dim=8, inverse=True)
    assert fingerprint_of(other, large) == before
    with torch.no_grad():
        other.relations.weight[0, 0] += 1
    assert fingerprint_of(other, large) != before
    assert fingerprint_of(model, make_data(entities=60, relations=3, triples=900, seed=5)) != before


def test_without_validation_there_is_none_and_a_reason(model, large, tmp_path):
    graph = large.graph
    bare = type(large)("bare", KnowledgeGraph(graph.entities, graph.relations, {"train": graph.split("train")}))
    assert "validation" in why_not(bare)
    assert why_not(large) == ""
    with pytest.warns(DataWarning, match="no probabilities: the data have no validation triples"):
        assert calibration_of(tmp_path, model, bare) is None
    assert not (tmp_path / "calibration.json").exists()


def test_a_folder_that_cannot_be_written_costs_only_the_file(model, large, tmp_path):
    with pytest.warns(DataWarning, match="not kept"):
        assert calibration_of(tmp_path / "file" / "run", model, large) is not None if spoil(tmp_path) else True


def spoil(folder):
    (folder / "file").write_text("a file where a folder should be")
    return True


def test_nan_scores_give_no_probabilities(large, tmp_path):
    broken = pictokg.build("distmult", large, dim=8)
    with torch.no_grad():
        broken.relations.weight.fill_(torch.nan)
    with pytest.warns(DataWarning, match="no probabilities: the model scores"):
        assert calibration_of(tmp_path, broken, large) is None


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf")])
def test_a_ratio_is_a_positive_number(model, large, ratio):
    with pytest.raises(ConfigError, match="ratio"):
        fit_calibration(model, large, ratio=ratio)


def test_an_unknown_method_names_the_nearest(model, large):
    with pytest.raises(ConfigError, match="did you mean 'isotonic'"):
        fit_calibration(model, large, method="isotonik")


def test_a_spoiled_file_is_named(large, tmp_path):
    path = tmp_path / "calibration.json"
    for text in ("", "[]", "{}", '{"overall": 3, "relations": {}}'):
        path.write_text(text)
        with pytest.raises(DataError, match="is no calibration"):
            load_calibration(path, tuple(large.graph.relations.names))


# Answers


def test_answers_get_the_probability_of_their_triple(model, large, calibration):
    predictor = pictokg.Predictor(model, large, calibration)
    for question in [("e1", "r0", None), (None, "r1", "e2"), ("e3", None, "e4")]:
        for answer in predictor.answers([question], k=3)[0]:
            triple = tuple(answer.name if slot is None else slot for slot in question)
            relation = np.array([large.graph.relations.id(triple[1])])
            expected = calibration.probabilities(np.array(predictor.scores([triple])), relation)[0]
            assert answer.probability == pytest.approx(expected)


def test_without_calibration_probabilities_are_none(model, large):
    with warnings.catch_warnings():
        assert pictokg.Predictor(model, large).tails("e1", "r0", k=1)[0].probability is None

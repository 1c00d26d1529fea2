from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pictokg.datasets.dataset import Dataset
from pictokg.errors import DataError
from pictokg.evaluation.metrics import METRICS, summarise
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranking import evaluate
from pictokg.evaluation.slices import KINDS, relation_kinds


class Table:
    """What slices read of a feature table."""

    def __init__(self, present):
        self.present = np.array(present)
        self.num_entities = len(present)


@pytest.fixture
def family(make_graph, table_model):
    """A graph of six: e5 stands in no training triple, r2 in none either; (e0, r0, e1) is in train."""
    splits = {
        "train": [[0, 0, 1], [1, 1, 0], [2, 0, 3], [0, 1, 2], [0, 1, 3], [4, 1, 0]],
        "valid": [[3, 0, 4]],
        "test": [[1, 0, 0], [2, 0, 4], [5, 1, 0], [3, 2, 4]],
    }
    data = Dataset(
        "family",
        make_graph(splits, 6, 3),
        tables={"image": Table([True, False, True, True, False, False]), "sound": Table([True] * 6)},
        labels={"e0": "zero"},
        descriptions={"e4": "the fourth"},
        relation_groups={"odd": ["r1"]},
    )
    return table_model(torch.rand(6, 3, 6, generator=torch.Generator().manual_seed(1))), data


def test_slices_hold_the_questions_they_name(family):
    model, data = family
    report = evaluate(model, data)
    count = {name: metrics["count"] for name, metrics in report.slices.items()}
    # answers: tails e0 e4 e0 e4, heads e1 e2 e5 e3
    assert (count["with_picture"], count["without_picture"]) == (4, 4)
    assert (count["with_text"], count["without_text"]) == (4, 4)
    assert (count["with_sound"], count["without_sound"]) == (8, 0)
    assert count["unseen_in_training"] == 2
    assert (count["inverse_in_training"], count["inverse_not_in_training"]) == (
        2,
        6,
    )  # (1, ·, 0) has (0, r0, 1)
    assert (count["odd"], count["not_odd"]) == (2, 6)


def test_a_slice_has_the_metrics_of_its_ranks(family):
    model, data = family
    report = evaluate(model, data)
    asked = data.graph.split("test")[report.ranks.triple]
    answer = np.where(report.ranks.side == 0, asked[:, 0], asked[:, 2])
    mask = np.isin(answer, [0, 2, 3])
    expected = summarise(report.ranks.by("realistic")[mask], report.ranks.candidates[mask])
    assert report.slices["with_picture"] == {"count": 4, **expected}


def test_an_empty_slice_is_there_without_figures(family):
    report = evaluate(*family)
    assert report.slices["without_sound"] == {"count": 0, **dict.fromkeys(METRICS)}
    assert report.by_kind["n-n"]["count"] == 0


def test_pictures_and_words_count_where_there_are_no_tables(family, tmp_path):
    model, data = family
    data = replace(data, tables={}, pictures={"e1": [tmp_path / "a.png"], "e2": []})
    report = evaluate(model, data)
    assert report.slices["with_picture"]["count"] == 1
    assert report.slices["with_text"]["count"] == 4


def test_groups_add_up(family):
    model, data = family
    report = evaluate(model, data, options=RankingOptions(sides=("head", "relation", "tail")))
    for groups in (report.by_side, report.by_relation, report.by_kind):
        assert sum(metrics["count"] for metrics in groups.values()) == 8
        mean = sum(metrics["count"] * metrics["mrr"] for metrics in groups.values() if metrics["count"]) / 8
        assert mean == pytest.approx(report.metrics["mrr"])
    assert list(report.by_relation) == ["r0", "r1", "r2"]
    assert report.by_kind["not_in_training"]["count"] == 2
    assert report.relations["count"] == 4
    assert len(report.ranks) == 12


def test_the_json_is_what_the_interface_says(family):
    report = evaluate(*family)
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(document["metrics"]) == {"mrr", "mr", "hits@1", "hits@3", "hits@10", "amr", "amri"}
    assert {"by_side", "by_relation", "by_kind", "slices", "by_tie_rule", "relations", "protocol"} < set(document)
    assert "ranks" not in document
    assert document["protocol"] == {
        "split": "test",
        "filtered": True,
        "ties": "realistic",
        "sides": ["head", "tail"],
        "questions": 8,
        "entities": 6,
        "candidates": 6,
        "sampled": False,
        "seed": None,
    }


def test_the_metrics_follow_the_tie_rule_asked_for(tied):
    model, data = tied
    report = evaluate(model, data, options=RankingOptions(ties="pessimistic"))
    assert report.metrics == report.by_tie_rule["pessimistic"]
    assert report.by_tie_rule["pessimistic"]["mrr"] < report.by_tie_rule["realistic"]["mrr"]
    assert report.by_tie_rule["realistic"]["mr"] < report.by_tie_rule["pessimistic"]["mr"]


def test_a_report_prints_as_a_table(family):
    text = str(evaluate(*family))
    assert text.startswith("test: 8 questions, 6 entities, filtered, realistic")
    assert "with_picture" in text
    assert "–" in text, "empty slices show a dash"


def test_an_unknown_relation_in_a_group_is_an_error(family):
    model, data = family
    with pytest.raises(DataError, match="'odd' names 'r9'"):
        evaluate(model, replace(data, relation_groups={"odd": ["r1", "r9"]}))


def test_kinds_count_distinct_triples():
    train = [[0, 0, 1], [0, 0, 1], [0, 0, 1], [2, 0, 3]]  # 1-1, although one triple stands there three times
    train += [[0, 1, 1], [2, 1, 1], [3, 1, 4], [5, 1, 4]]  # n-1
    train += [[0, 2, 1], [0, 2, 2], [3, 2, 1], [3, 2, 2]]  # n-n
    kinds = relation_kinds(np.array(train), 6, 4)
    assert [KINDS[kind] for kind in kinds[:3]] == ["1-1", "n-1", "n-n"]
    assert kinds[3] == -1


def test_amri_knows_how_many_candidates_filtering_left():
    ranks = np.array([2.0, 3.0])
    metrics = summarise(ranks, np.array([3, 5]))  # chance: 2 and 3
    assert metrics["amr"] == 1.0
    assert metrics["amri"] == 0.0
    assert summarise(np.ones(3), np.ones(3))["amri"] is None

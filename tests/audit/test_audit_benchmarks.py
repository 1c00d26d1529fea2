"""The known faults of public data sets, found by their numbers; skipped where the data are not at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pictokg.audit.audit import audit
from pictokg.graph.read.folder import read_folder

DATA = Path(os.environ.get("PICTOKG_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


def audited(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not at hand; set PICTOKG_DATA to the folder that holds it")
    return audit(read_folder(DATA / name), decode_pictures=False).as_json()


def test_db15k_validates_on_its_training_triples():
    valid = audited("DB15K")["splits"]["valid"]
    assert (valid["rows"], valid["distinct"]) == (9904, 7481)
    assert valid["in_train"] == {"rows": 8719, "distinct": 6584}
    assert valid["in_test"] == {"rows": 1105, "distinct": 824}


def test_tiva_tests_on_its_training_triples():
    splits = audited("TIVA")["splits"]
    assert splits["test"]["rows"] == 2000
    assert splits["test"]["in_train"] == {"rows": 1666, "distinct": 1664}
    assert splits["train"]["duplicates"] == 8419


def test_wn9_is_nearly_solved_by_inverse_relations():
    report = audited("WN9-IMG")
    rule = report["inverse_rule"]
    assert [round(rule[name], 4) for name in ("hits@1", "hits@10", "mrr")] == [0.8988, 0.8992, 0.8991]
    assert round(rule["mr"]) == 331
    assert report["leaks"]


def test_fb15k_237_is_clean():
    report = audited("FB15k-237")
    assert not report["leaks"]
    assert report["leakage"]["test"]["inverse"] == report["leakage"]["test"]["same_pair"] == 0
    assert report["unseen"]["test"]["triples_with_unseen_entity"] == 28

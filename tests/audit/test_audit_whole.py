from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from rich.console import Console

from pictokg.audit.audit import audit
from pictokg.audit.report import render
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.read.folder import RawFolder
from pictokg.graph.vocabulary import Vocabulary

CLEAN = {"train": [(0, 0, 1), (1, 1, 2), (3, 0, 2)], "valid": [(0, 0, 2)], "test": [(1, 0, 3)]}
LEAKING = {**CLEAN, "valid": [(0, 0, 1), (0, 0, 1), (1, 0, 3)]}
INVERSES = {
    "train": [(0, 0, 1), (1, 1, 0), (2, 0, 3), (3, 1, 2), (4, 0, 5)],
    "test": [(5, 1, 4)],
}


def folder(splits, **more):
    names = Vocabulary(["Paris", "[red]", "Seine", "France", "Rome", "Tiber"]), Vocabulary(["in", "on"])
    graph = KnowledgeGraph(*names, {name: np.array(rows) for name, rows in splits.items()})
    return RawFolder(Path("sample"), graph, **more)


def text_of(report):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render(report, "sample"))
    return capture.get()


def test_clean_splits_have_no_leak():
    report = audit(folder(CLEAN))
    assert not report.leaks
    assert "no leaks: the splits share no triple" in text_of(report)


def test_overlaps_are_leaks_with_their_figures():
    report = audit(folder(LEAKING))
    assert report.leaks
    written = report.as_json()
    assert written["splits"]["valid"] == {
        "rows": 3,
        "distinct": 2,
        "duplicates": 1,
        "in_train": {"rows": 2, "distinct": 1},
        "in_test": {"rows": 1, "distinct": 1},
    }
    assert [finding["severity"] for finding in written["findings"]] == ["leak", "leak", "warning"]
    assert "leak: valid shares 1 of its 2 distinct triples (2 of 3 rows) with train" in text_of(report)


def test_a_test_set_that_the_inverse_rule_answers_leaks():
    report = audit(folder(INVERSES))
    assert report.as_json()["inverse_rule"]["hits@1"] == 1.0
    assert [finding.severity for finding in report.findings] == ["leak"]
    assert "1 of 1 test triples (100.0%) have their pair reversed in train" in report.findings[0].message


def test_few_inverses_are_no_leak():
    splits = {**INVERSES, "test": [(5, 1, 4), (0, 0, 3), (2, 0, 1), (4, 0, 3)]}
    report = audit(folder(splits))
    assert not report.leaks
    assert report.findings[0].severity == "warning"


def test_unseen_names_and_notes_are_told():
    report = audit(folder({"train": [(0, 0, 1)], "test": [(0, 1, 4)]}, notes=["3 rows of text.tsv skipped"]))
    messages = [finding.message for finding in report.findings]
    assert "1 test triples have an entity that train lacks (1 of them)" in messages
    assert "1 test triples have a relation that train lacks (1 of them)" in messages
    assert report.findings[-1].message == "3 rows of text.tsv skipped"


def test_json_is_plain_and_complete():
    written = audit(folder(LEAKING)).as_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert {"splits", "leakage", "inverse_rule", "unseen", "kinds", "degree", "coverage", "pictures"} < set(written)
    assert written["unseen"]["test"]["entities"] == 0
    assert written["kinds"]["1-1"]["relations"] + written["kinds"]["n-1"]["relations"] == 2


def test_one_split_is_audited_as_far_as_it_goes():
    report = audit(folder({"all": CLEAN["train"]}))
    assert report.base == "all"
    assert report.inverse_rule is None
    assert report.leakage == report.unseen == {}
    assert "no leaks: one split" in text_of(report)


def test_coverage_counts_only_entities_of_the_graph(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    pictures = {"Paris": [tmp_path / "a.png", tmp_path / "b.png"], "Rome": [tmp_path / "a.png"]}
    labels = {"Paris": "the capital", "Rome": "", "Atlantis": "nowhere"}
    report = audit(folder(CLEAN, pictures=pictures, labels=labels))
    assert report.coverage["label"].entities == 1
    assert vars(report.coverage["pictures"]) == {
        "entities": 2,
        "share": pytest.approx(1 / 3),
        "items": 3,
        "mean": 1.5,
        "max": 2,
    }
    assert (report.pictures.files, report.pictures.checked) == (3, 3)
    assert [one.entity for one in report.pictures.undecodable] == ["Paris"]
    assert report.as_json()["pictures"]["undecodable"][0]["path"].endswith("b.png")
    assert "1 of 3 pictures cannot be decoded" in text_of(report)


def test_numbers_are_covered():
    numbers = pl.DataFrame(
        {
            "entity": ["Paris", "Paris", "Rome", "Rome"],
            "attribute": ["founded", "height", "height", "height"],
            "value": [-250.0, 35.0, 21.0, 21.0],
        }
    )
    report = audit(folder(CLEAN, numeric=numbers))
    assert (report.coverage["numeric"].entities, report.coverage["numeric"].max) == (2, 2)
    assert list(report.numbers) == ["height", "founded"]
    assert vars(report.numbers["height"]) == {
        "entities": 2,
        "share": pytest.approx(2 / report.entities),
        "values": 3,
        "distinct": 2,
        "min": 21.0,
        "median": 21.0,
        "max": 35.0,
    }
    assert report.as_json()["numbers"]["founded"]["min"] == -250.0
    assert "Numbers: 2 attributes" in text_of(report)
    assert audit(folder(CLEAN)).numbers == {}
    assert "Numbers" not in text_of(audit(folder(CLEAN)))


def test_only_the_most_common_attributes_are_shown():
    names = [f"http://example.org/a-long-way-to-an/attribute {number:02}" for number in range(12)]
    numbers = pl.DataFrame({"entity": ["Paris"] * 12, "attribute": names, "value": [1.0] * 12})
    text = text_of(audit(folder(CLEAN, numeric=numbers)))
    assert "…long-way-to-an/attribute 07 " in text
    assert "attribute 08" not in text
    assert "and 4 more; --json lists them all" in text


def test_feature_tables_are_covered_and_their_faults_told(tmp_path):
    (tmp_path / "features").mkdir()
    good, bad = np.ones((3, 2), np.float32), np.full((1, 2), np.nan, np.float32)
    np.savez(tmp_path / "features" / "image_clip.npz", ids=np.array(["Paris", "Rome", "Atlantis"]), x=good)
    np.savez(tmp_path / "features" / "text_broken.npz", ids=np.array(["Paris"]), x=bad)
    (tmp_path / "features" / "README.md").write_text("not a table")
    report = audit(replace(folder(CLEAN), path=tmp_path))
    assert [name for name in report.coverage if name.startswith("features/")] == ["features/image_clip"]
    assert report.coverage["features/image_clip"].entities == 2
    messages = [finding.message for finding in report.findings if finding.severity == "warning"]
    assert len(messages) == 2
    assert "Atlantis" in messages[0]
    assert "text_broken.npz" in messages[1]


def test_pictures_are_left_alone_when_asked():
    report = audit(folder(CLEAN, pictures={"Paris": [Path("absent.png")]}), decode_pictures=False)
    assert (report.pictures.files, report.pictures.checked) == (1, 0)
    assert "not opened" in text_of(report)


def test_names_are_shown_as_they_are():
    assert "[red] (2)" in text_of(audit(folder(CLEAN)))

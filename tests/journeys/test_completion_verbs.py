"""calibrate, complete and predict as users call them."""

from __future__ import annotations

import json

import polars as pl
import pytest

from pictokg.prediction.calibration import load_calibration
from pictokg.run import load_run


@pytest.fixture(scope="module")
def trained(made_folder, tmp_path_factory):
    """A run, trained once."""
    import sys

    from pictokg.cli import main

    run = tmp_path_factory.mktemp("completion") / "run"
    before = sys.argv
    sys.argv = ["pictokg", "train", str(made_folder), "--out", str(run), "--model", "distmult", "--set", "epochs=3"]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code  # noqa: PT017 - typer ends every command so
    finally:
        sys.argv = before
    return run


def test_calibrate_keeps_probabilities_and_a_plot(trained, pictokg):
    code, out, err = pictokg("calibrate", trained, "--ratio", "2", "--json")
    assert (code, "kept in" in err) == (0, True)
    report = json.loads(out)
    assert 0 <= report["error"] <= 1
    assert report["protocol"]["ratio"] == 2
    assert json.loads((trained / "calibration.json").read_text(encoding="utf-8"))["ratio"] == 2
    assert "<svg" in (trained / "reliability.svg").read_text(encoding="utf-8")
    code, out, _ = pictokg("calibrate", trained, "--method", "isotonic")
    assert (code, "expected calibration error" in out, "isotonic" in out) == (0, True, True)


def test_predict_speaks_probabilities(trained, pictokg):
    arguments = ("predict", trained, "--head", "thing:1", "--relation", "colour", "-k", "5")
    code, out, _ = pictokg(*arguments, "--json", "--observed-types")
    answers = json.loads(out)["answers"]
    assert code == 0
    assert all(0 < answer["probability"] < 1 for answer in answers)
    assert {answer["name"] for answer in answers} == {"colour:red", "colour:green", "colour:blue"}
    code, out, _ = pictokg(*arguments)
    assert (code, "probability" in out, "%" in out) == (0, True, True)


def test_complete_writes_facts_and_a_page(trained, pictokg, tmp_path):
    facts, page = tmp_path / "facts.parquet", tmp_path / "page.html"
    code, _, err = pictokg(
        "complete", trained, "-o", facts, "--review", page, "--review-facts", "5", "--per-query", "2"
    )
    assert code == 0
    assert "search: scan of" in err
    frame = pl.read_parquet(facts)
    assert f"{len(frame):,} new facts" in err
    assert len(frame) > 20
    assert frame["probability"].is_between(0, 1).all()
    assert page.read_text(encoding="utf-8").count("<li class='fact'") == 5


def test_complete_says_how_precise_such_facts_were_on_held_out_triples(trained, pictokg, tmp_path):
    out = tmp_path / "facts.tsv"
    code, said, err = pictokg("complete", trained, "-o", out, "--min-probability", "0.3", "--json")
    summary = json.loads(said)
    assert (code, set(summary["precision"])) == (0, set(summary["by_relation"]))
    run = load_run(trained)
    calibration = load_calibration(trained / "calibration.json", tuple(run.data.graph.relations.names))
    for name, figures in summary["precision"].items():
        assert figures["probability"] == 0.3
        assert figures["precision"] == calibration.precision(run.data.graph.relations.id(name), 0.3)
        assert name in err
    assert "precision: of held-out triples" in err
    code, said, _ = pictokg("complete", trained, "-o", out, "--limit", "10", "--json")
    rows = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    for name, figures in json.loads(said)["precision"].items():
        assert figures["probability"] == pytest.approx(min(float(row[3]) for row in rows if row[1] == name), abs=1e-6)


def test_complete_one_relation_to_tsv_with_a_limit(trained, pictokg, tmp_path):
    out = tmp_path / "facts.tsv"
    code, said, _ = pictokg("complete", trained, "-o", out, "--relation", "colour", "--limit", "4", "--json")
    rows = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    assert (code, len(rows), {row[1] for row in rows}) == (0, 4, {"colour"})
    summary = json.loads(said)
    assert (summary["facts"], summary["by_relation"], summary["calibrated"]) == (4, {"colour": 4}, True)
    chances = [float(row[3]) for row in rows]
    assert chances == sorted(chances, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "facts.xlsx"), ".parquet, .tsv, .nt"),
        (("-o", "facts.tsv", "--review", "page.pdf"), ".html"),
        (("-o", "facts.tsv", "--relation", "color"), "colour"),
        (("-o", "facts.tsv", "--entity", "thing:999"), "thing:999"),
        (("-o", "facts.tsv", "--search", "fast"), "auto, scan or index"),
    ],
)
def test_complete_says_what_is_wrong_and_writes_nothing(trained, pictokg, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = pictokg("complete", trained, *arguments)
    assert (code, message in err) == (2, True), err
    assert list(tmp_path.iterdir()) == []

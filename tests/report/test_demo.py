from __future__ import annotations

import json
from pathlib import Path

import pytest

from pictokg.cli.demo import MARKER, SHOWN, TRIALS, Trial, claim, run_demo, serve_command
from pictokg.config import configure
from pictokg.datasets.glyphs import generate
from pictokg.errors import DataError

FEW = {
    "transe": Trial("transe", {"epochs": 2, "dim": 8}),
    "gated-image-text": Trial("gated", {"epochs": 4, "dim": 16, "validate_every": 2}),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "letters"
    generate(folder, characters=[chr(code) for code in (*range(0x41, 0x7B), *range(0xC0, 0x120))])
    return folder


@pytest.fixture(scope="module")
def finished(source: Path) -> Path:
    out = source.parent / "out"
    run_demo(out, source=str(source), trials=FEW)
    return out


def test_demo_writes_runs_report_and_summary(finished: Path):
    found = {path.name for path in finished.iterdir()}
    assert found == {"transe", "gated-image-text", "report.html", "summary.json", MARKER}
    for name in FEW:
        assert (finished / name / "checkpoints" / "best.safetensors").is_file()
        assert "<h2>Relations</h2>" in (finished / name / "report.html").read_text(encoding="utf-8")


def test_summary_has_the_figures_of_the_report(finished: Path):
    summary = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert list(summary["models"]) == list(FEW)
    for figures in summary["models"].values():
        assert set(SHOWN.values()) <= set(figures)
        assert 0 < figures["mrr"] <= 1
        assert f"{figures['mrr']:.3f}" in page
        assert figures["seconds"] > 0
    assert summary["seed"] == 0
    assert {"pictokg", "torch", "python"} <= set(summary["versions"])
    assert summary["predicted_by"] in FEW
    for fact in summary["new_facts"]:
        assert set(fact) == {"head", "relation", "tail", "score"}
    assert summary["new_facts"]
    assert "data:image/png;base64," in page


def test_runs_of_a_demo_answer_like_runs_of_train(finished: Path):
    from pictokg.run import load_run

    run = load_run(finished / "transe")
    assert not run.data.tables  # a model of triples alone loads no pictures
    assert set(load_run(finished / "gated-image-text").data.tables) == {"image", "text"}


def test_second_demo_replaces_the_first_and_has_the_same_figures(finished: Path, source: Path):
    before = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    (finished / "mine").mkdir()
    after = run_demo(finished, source=str(source), trials=FEW)
    (finished / "mine").rmdir()  # still there
    for name, figures in before["models"].items():
        again = after["models"][name]
        assert {key: value for key, value in figures.items() if key != "seconds"} == {
            key: value for key, value in again.items() if key != "seconds"
        }
    assert before["new_facts"] == after["new_facts"]


def test_killed_demo_can_be_started_again(tmp_path: Path):
    claim(tmp_path / "out", ["a", "b"])
    (tmp_path / "out" / "a").mkdir()
    (tmp_path / "out" / "a" / "entities.txt").write_text("half a run")
    (tmp_path / "out" / "summary.json").write_text("{}")
    claim(tmp_path / "out", ["b", "c"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MARKER]
    assert json.loads((tmp_path / "out" / MARKER).read_text()) == {"runs": ["a", "b", "c"]}


def test_demo_leaves_folders_of_others_alone(tmp_path: Path):
    (tmp_path / "transe").mkdir()
    (tmp_path / "transe" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="no demo wrote; choose another folder"):
        claim(tmp_path, ["transe"])
    assert (tmp_path / "transe" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("marker", ["", "{}", "[]", '{"runs": ["../precious"]}', '{"runs": [".."]}', '{"runs": [3]}'])
def test_a_marker_that_is_not_ours_removes_nothing(tmp_path: Path, marker: str):
    (tmp_path / "precious").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARKER).write_text(marker)
    with pytest.raises(DataError, match="no demo wrote"):
        claim(tmp_path / "out", ["a"])
    assert (tmp_path / "precious").is_dir()


def test_settings_of_the_demo_are_settings_there_are():
    for trial in TRIALS.values():
        configure(trial.model, settings=list(trial.settings.items()))


def test_demo_ends_with_the_command_that_opens_the_page_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", [str(tmp_path / "pictokg")])
    summary = {"models": {"transe": {}, "complex": {}, "gated-text": {}}, "predicted_by": "gated-text"}
    out = Path("runs/demo")
    assert serve_command(out, summary) == "pictokg serve runs/demo/gated-text runs/demo/complex"
    (tmp_path / "pictokg").touch()
    assert serve_command(out, {**summary, "models": {}}) == f"{tmp_path}/pictokg serve runs/demo/gated-text"

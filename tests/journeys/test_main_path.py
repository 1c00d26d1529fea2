"""The main path as a user walks it: train, evaluate, classify, predict, score, export, resume."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest

FAST = ("--set", "dim=16", "--set", "epochs=6", "--set", "validate_every=2", "--set", "batch_size=32")


@pytest.fixture(scope="module")
def run(made_folder, tmp_path_factory):
    """A trained run, made through the library to be shared by the tests of the module."""
    import sys

    from pictokg.cli import main

    out = tmp_path_factory.mktemp("runs") / "gated"
    before = sys.argv
    sys.argv = ["pictokg", "train", str(made_folder), "--out", str(out), *FAST]
    with pytest.raises(SystemExit) as stop:
        main()
    sys.argv = before
    assert not stop.value.code
    return out


def test_a_run_folder_says_all_about_itself(run):
    assert {path.name for path in run.iterdir()} >= {
        "config.toml",
        "run.json",
        "entities.txt",
        "relations.txt",
        "metrics.jsonl",
    }
    about = json.loads((run / "run.json").read_text())
    assert about["data"]["splits"]["train"] == 84
    assert set(about["versions"]) >= {"pictokg", "python", "torch"}
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 6
    assert (run / "features" / "image").is_dir()  # what the encoder fitted
    assert (run / "features" / "text").is_dir()


def test_evaluate_gives_the_promised_json(run, pictokg):
    code, out, _ = pictokg("evaluate", run, "--split", "test", "--json")
    report = json.loads(out)
    assert code == 0
    assert set(report) >= {"metrics", "by_side", "by_relation", "slices"}
    assert set(report["metrics"]) >= {"mrr", "mr", "hits@1", "hits@3", "hits@10", "amri"}
    assert set(report["by_side"]) == {"head", "tail"}
    assert report["metrics"]["mrr"] > 0.05


def test_evaluate_and_classify_print_tables(run, pictokg):
    assert "colour" in pictokg("evaluate", run)[1]
    code, out, _ = pictokg("classify", run, "--json")
    assert code == 0
    assert 0 <= json.loads(out)["accuracy"]["micro"] <= 1


@pytest.mark.parametrize(
    "question",
    [
        ("--head", "thing:1", "--relation", "colour"),
        ("--relation", "kind", "--tail", "kind:cup"),
        ("--head", "thing:1", "--tail", "thing:6"),
    ],
)
def test_predict_answers_by_name_from_every_side(run, pictokg, question):
    code, out, _ = pictokg("predict", run, *question, "-k", "3", "--json")
    answers = json.loads(out)["answers"]
    assert code == 0
    assert len(answers) == 3
    assert [answer["score"] for answer in answers] == sorted((answer["score"] for answer in answers), reverse=True)
    assert set(answers[0]) == {"name", "label", "score", "probability", "known"}
    assert pictokg("predict", run, *question)[0] == 0


def test_predict_many_questions_from_a_file(run, pictokg, tmp_path):
    questions = tmp_path / "questions.tsv"
    questions.write_text("thing:1\tcolour\t?\n\n?\tkind\tkind:cup\n", encoding="utf-8")
    code, out, _ = pictokg("predict", run, "--queries", questions, "-k", "2", "--json", "--new-only")
    answered = json.loads(out)["questions"]
    assert code == 0
    assert [len(question["answers"]) for question in answered] == [2, 2]
    assert not any(answer["known"] for question in answered for answer in question["answers"])


def test_names_with_the_rarer_line_ends_of_unicode(pictokg, tmp_path):
    names = ["a\u2028b", "c\x85d", "-e", "plain"]
    triples = [f"{head}\tis near\t{tail}\n" for head in names for tail in names if head != tail]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("".join(triples), encoding="utf-8")
    (tmp_path / "data" / "test.tsv").write_text("-e\tis near\t-e\n", encoding="utf-8")
    (tmp_path / "questions.tsv").write_text("".join(f"{name}\tis near\t?\n" for name in names), encoding="utf-8")
    assert pictokg("train", tmp_path / "data", "--model", "distmult", "--out", tmp_path / "run", *FAST)[0] == 0
    code, out, _ = pictokg("predict", tmp_path / "run", "--queries", tmp_path / "questions.tsv", "--json")
    assert code == 0
    assert [question["head"] for question in json.loads(out)["questions"]] == names
    assert pictokg("predict", tmp_path / "run", "--head", "-e", "--relation", "is near")[0] == 0


def test_predict_prints_long_names_whole(pictokg, tmp_path):
    names = [f"http://example.org/a/path/that/is/longer/than/a/narrow/terminal/is/wide/{n}" for n in range(3)]
    (tmp_path / "data").mkdir()
    facts = "".join(f"{names[n]}\tr\t{names[(n + 1) % 3]}\n" for n in range(3))
    (tmp_path / "data" / "train.tsv").write_text(facts, encoding="utf-8")
    (tmp_path / "data" / "test.tsv").write_text(f"{names[0]}\tr\t{names[2]}\n", encoding="utf-8")
    assert pictokg("train", tmp_path / "data", "--model", "distmult", "--out", tmp_path / "run", *FAST)[0] == 0
    code, out, _ = pictokg("predict", tmp_path / "run", "--head", names[0], "--relation", "r")
    assert code == 0
    assert "…" not in out


def test_score_and_export_agree_with_the_graph(run, pictokg, made_folder, tmp_path):
    code, out, _ = pictokg("score", run, made_folder / "test.tsv")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert [row[:3] for row in rows] == [
        line.split("\t") for line in (made_folder / "test.tsv").read_text().splitlines()
    ]
    assert all(np.isfinite(float(row[3])) for row in rows)

    assert pictokg("export", run, "--out", tmp_path / "vectors")[0] == 0
    frame = pl.read_parquet(tmp_path / "vectors" / "entities.parquet")
    assert frame["name"].to_list() == (run / "entities.txt").read_text().splitlines()
    assert pictokg("export", run, "--out", tmp_path / "vectors", "--npy")[0] == 0
    assert np.load(tmp_path / "vectors" / "entities.npy").shape == (len(frame), 32)


def test_a_run_warm_starts_another(run, pictokg, made_folder, tmp_path):
    code, _, _ = pictokg("train", made_folder, "--out", tmp_path / "second", *FAST, "--set", f"warm_start={run}")
    assert code == 0


def test_resuming_a_finished_run_exits_with_0(run, pictokg):
    before = (run / "checkpoints" / "best.safetensors").read_bytes()
    assert pictokg("train", "--resume", run)[0] == 0
    assert (run / "checkpoints" / "best.safetensors").read_bytes() == before


def test_resuming_a_finished_run_keeps_its_report(run, pictokg):
    pictokg("evaluate", run)
    evaluated = (run / "report.html").read_bytes()
    assert pictokg("train", "--resume", run)[0] == 0
    assert (run / "report.html").read_bytes() == evaluated


def test_options_of_the_defaults_for_large_graphs_are_accepted_there(pictokg, made_folder, tmp_path, monkeypatch):
    few = ("train", made_folder, "--out", tmp_path / "run", *FAST, "--set", "shared=false")
    assert pictokg(*few)[0] == 2  # this graph is small, and its default sampler takes every entity
    monkeypatch.setattr("pictokg.config.LARGE_GRAPH", 10)
    assert pictokg(*few)[0] == 0
    assert "shared = false" in (tmp_path / "run" / "config.toml").read_text()


def test_a_copy_of_the_data_serves_a_run_though_its_files_are_younger(run, pictokg, made_folder, tmp_path):
    shutil.copytree(made_folder, tmp_path / "copy", copy_function=shutil.copyfile)
    figures = [
        json.loads(pictokg("evaluate", run, "--json", *more)[1])["metrics"]
        for more in ((), ("--data", tmp_path / "copy"))
    ]
    assert figures[0] == figures[1]


def test_a_folder_called_glyphs_is_not_taken_for_the_embedded_data(pictokg, made_folder, tmp_path):
    shutil.copytree(made_folder, tmp_path / "glyphs")
    assert pictokg("train", tmp_path / "glyphs", "--model", "distmult", "--out", tmp_path / "run", *FAST)[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["source"] == str(tmp_path / "glyphs")
    assert pictokg("evaluate", tmp_path / "run")[0] == 0


def test_a_toml_file_and_its_run_agree(pictokg, made_folder, tmp_path):
    (tmp_path / "mine.toml").write_text('[model]\nname = "transe"\ndim = 8\n[training]\nepochs = 2\n', encoding="utf-8")
    code, _, _ = pictokg(
        "train", made_folder, "--out", tmp_path / "run", "--config", tmp_path / "mine.toml", "--seed", "5"
    )
    written = (tmp_path / "run" / "config.toml").read_text()
    assert code == 0
    assert 'name = "transe"' in written
    assert "dim = 8" in written
    assert "seed = 5" in written


def test_ikrl_ranks_with_the_terms_asked_for(pictokg, made_folder, tmp_path):
    out = tmp_path / "ikrl"
    assert pictokg("train", made_folder, "--model", "ikrl", "--out", out, *FAST)[0] == 0
    figures = {
        terms: json.loads(pictokg("evaluate", out, "--terms", terms, "--json")[1])["metrics"]["mr"]
        for terms in ("SBR", "IBR", "UNION")
    }
    assert len(set(figures.values())) > 1

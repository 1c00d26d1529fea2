"""Neighbours by the command line: a run of triples alone that borrows by words, from training to reasons."""

from __future__ import annotations

import json
import shutil

import pytest

FAST = ("--model", "transe", "--set", "dim=16", "--set", "epochs=6", "--set", "validate_every=2")


def mrr(pictokg, run):
    code, out, err = pictokg("evaluate", run, "--json")
    assert code == 0, err
    return json.loads(out)["metrics"]["mrr"]


@pytest.fixture
def run(pictokg, folder, tmp_path):
    code, _, err = pictokg("train", folder, "--out", tmp_path / "lent", *FAST, "--set", "neighbours.by=text")
    assert code == 0, err
    return tmp_path / "lent"


def test_a_run_borrows_wherever_it_is_used(run, pictokg, folder, tmp_path):
    fact = ("thing:1", "colour", "colour:red")
    code, out, _ = pictokg("explain", run, *fact, "--json")
    assert code == 0
    assert "lent by" in json.loads(out)["given"]["contributions"][0]["key"]
    told = ("--new-entity", "new", "--text", "a red cup", "--relation", "colour", "--json")
    code, out, err = pictokg("predict", run, *told)
    assert code == 0, err
    page = tmp_path / "why.html"
    code, _, err = pictokg("explain", run, *fact, "--out", page)
    assert code == 0, err
    assert "lent by" in page.read_text(encoding="utf-8")
    _, _, err = pictokg("train", folder, "--out", tmp_path / "plain", *FAST)
    code, _, err = pictokg("predict", tmp_path / "plain", *told)
    assert code == 2
    assert "this model does not read" in err or "trained on triples alone" in err


def test_a_finished_run_is_given_neighbours_by_its_configuration(run, pictokg, folder, tmp_path):
    plain = tmp_path / "plain"
    assert pictokg("train", folder, "--out", plain, *FAST, "--set", "validate_every=0")[0] == 0
    assert pictokg("train", folder, "--out", tmp_path / "last", *FAST, "--set", "validate_every=0", "--set",
                   "neighbours.by=text")[0] == 0  # fmt: skip
    before, wanted = mrr(pictokg, plain), mrr(pictokg, tmp_path / "last")
    written = (plain / "config.toml").read_text(encoding="utf-8")
    assert "[features]" in written
    given = written.replace("[features]", '[features]\ntext = "tfidf"') + '\n[neighbours]\nby = ["text"]\n'
    (plain / "config.toml").write_text(given, encoding="utf-8")
    assert mrr(pictokg, plain) == wanted != before


def test_neighbours_of_a_configuration_are_taken_away(run, pictokg, folder, tmp_path):
    shutil.copy(run / "config.toml", tmp_path / "mine.toml")
    more = ("--config", tmp_path / "mine.toml", "--set", "neighbours.by=")
    code, _, err = pictokg("train", folder, "--out", tmp_path / "without", *more)
    assert code == 0, err
    assert mrr(pictokg, tmp_path / "without") != mrr(pictokg, run)

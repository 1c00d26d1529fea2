from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from pictokg.cli.classify import classify
from pictokg.cli.evaluate import evaluate
from pictokg.errors import ConfigError


@pytest.fixture
def run_verb(tied, monkeypatch):
    """Run a verb on a run that is not on disk; returns its stdout and the terms it chose."""
    model, graph_data = tied
    chosen = []
    model.use_terms = chosen.append
    monkeypatch.setattr(
        "pictokg.run.load_run", lambda folder, *, device, data: SimpleNamespace(model=model, data=graph_data)
    )

    monkeypatch.setattr("pictokg.cli.reporting.write_run_report", lambda *report: None)  # the run has no folder

    def invoke(verb, *arguments):
        app = typer.Typer()
        app.command()(verb)
        threads = torch.get_num_threads()
        result = CliRunner().invoke(app, ["folder", *arguments], catch_exceptions=False)
        torch.set_num_threads(threads)
        assert result.exit_code == 0, result.output
        return result.stdout, chosen

    return invoke


def test_evaluate_prints_the_json_of_the_interface(run_verb):
    out, terms = run_verb(evaluate, "--json", "--terms", "SBR", "--threads", "1")
    report = json.loads(out)
    assert report["metrics"].keys() == {"mrr", "mr", "hits@1", "hits@3", "hits@10", "amr", "amri"}
    assert report["relations"]["count"] == 46
    assert (report["terms"], terms) == ("SBR", ["SBR"])


def test_evaluate_passes_its_options_on(run_verb):
    out, terms = run_verb(
        evaluate, "--json", "--split", "valid", "--raw", "--no-relations", "--sampled", "5", "--ties", "optimistic"
    )
    protocol = json.loads(out)["protocol"]
    expected = {"split": "valid", "filtered": False, "sampled": True, "candidates": 5, "ties": "optimistic"}
    assert expected.items() <= protocol.items()
    assert terms == []


def test_evaluate_prints_a_table(run_verb):
    out, _ = run_verb(evaluate)
    assert "test: 92 questions" in out
    assert "which relation" in out


def test_evaluate_refuses_a_rule_that_is_none(run_verb):
    with pytest.raises(ConfigError, match="did you mean 'realistic'"):
        run_verb(evaluate, "--ties", "realist")


def test_classify_prints_json_and_a_table(run_verb):
    report = json.loads(run_verb(classify, "--json", "--least-examples", "2")[0])
    assert set(report["accuracy"]) == {"micro", "macro"}
    assert report["protocol"]["least_examples"] == 2
    assert "macro" in run_verb(classify)[0]

"""`training.memory_budget` from the command line: the run it leaves, resumed runs, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from random_data import make_data
from safetensors.torch import load_file
from typer.testing import CliRunner

from pictokg.cli.app import app
from pictokg.run import load_run
from pictokg.training import fit_partitioned
from pictokg.training.streamed import Rows, write_rows

SETTINGS = {
    "dim": 4096,  # 16 KiB a row, so that 1 MiB holds 64 rows of the 90
    "epochs": 4,
    "batch_size": 32,
    "validate_every": 0,
    "memory_budget": 1,
    "sampler.shared": True,
    "negatives": 8,
    "optimiser.name": "row_adagrad",
    "regulariser.name": "none",
}


@pytest.fixture
def folder(tmp_path):
    """A data folder with 90 entities."""
    graph, place = make_data(90, 3, triples=300).graph, tmp_path / "data"
    place.mkdir()
    for split in ("train", "valid", "test"):
        names = [graph.entities.names, graph.relations.names, graph.entities.names]
        rows = ("\t".join(names[slot][i] for slot, i in enumerate(row)) for row in graph.split(split).tolist())
        (place / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    return place


def train(*arguments: object, **changed: object):
    """What the command line says to `train`, and how it ends."""
    chosen = {**SETTINGS, **changed}
    settings = [] if "--resume" in arguments else [f"--set={key}={json.dumps(value)}" for key, value in chosen.items()]
    parts = [] if settings == [] else ["--model=distmult", "--sampler=uniform", "--loss=softmax"]
    return CliRunner().invoke(app, ["train", *map(str, arguments), *parts, *settings])


def test_a_run_with_a_budget_leaves_a_model_like_any_other(folder, tmp_path):
    done = train(folder, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    assert run.model.num_entities == 90
    assert run.model.encoder.structure.weight.abs().sum(dim=1).min() > 0
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"]
    assert not fit_partitioned.table_path(tmp_path / "run").exists()
    assert CliRunner().invoke(app, ["evaluate", str(tmp_path / "run")]).exit_code == 0


def test_a_killed_run_goes_on_to_the_numbers_of_an_unbroken_one(folder, tmp_path, monkeypatch):
    assert train(folder, "--out", tmp_path / "unbroken").exit_code == 0
    monkeypatch.setattr(fit_partitioned, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    trainer = fit_partitioned.write_metrics
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 3:  # the third epoch is done and not saved yet
            raise KeyboardInterrupt
        trainer(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fit_partitioned, "write_metrics", killed)
        assert train(folder, "--out", tmp_path / "broken").exit_code != 0
    table = fit_partitioned.table_path(tmp_path / "broken")
    table.write_bytes(b"half a row")
    done = train("--resume", tmp_path / "broken")
    assert done.exit_code == 0, done.output
    one, other = (load_file(tmp_path / name / "checkpoints" / "best.safetensors") for name in ("unbroken", "broken"))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert len((tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_finished_run_that_is_resumed_stays_as_it_is(folder, tmp_path):
    assert train(folder, "--out", tmp_path / "run").exit_code == 0
    best = tmp_path / "run" / "checkpoints" / "best.safetensors"
    before = best.read_bytes()
    done = train("--resume", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert best.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"validate_every": 5}, "set validate_every=0"),
        ({"optimiser.name": "adam"}, "optimiser adam"),
        ({"kernels": "off"}, "kernels=off"),
        ({"precision": "bf16"}, "precision=bf16"),
        ({"warm_start": "elsewhere"}, "warm_start reads all rows at once"),
        ({"memory_budget": -1}, "memory_budget must be at least 0"),
        ({"dim": 1 << 20}, "holds no two rows"),
    ],
)
def test_what_cannot_keep_to_a_budget_is_refused_and_leaves_no_folder(changed, said, folder, tmp_path):
    done = train(folder, "--out", tmp_path / "run", **changed)
    assert done.exit_code != 0
    assert said in " ".join(done.output.split()) or said in str(done.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("model", "said"), [("gated", "more than rows"), ("distmult", "sampler Bernoulli")])
def test_models_and_samplers_that_need_every_entity_are_refused(model, said, folder, tmp_path):
    sampler = "uniform" if model == "gated" else "bernoulli"
    settings = ["--set=validate_every=0", "--set=memory_budget=1", f"--model={model}", f"--sampler={sampler}"]
    settings += ["--set=optimiser.name=row_adagrad", "--set=dim=8"]
    done = CliRunner().invoke(app, ["train", str(folder), "--out", str(tmp_path / "run"), *settings])
    assert done.exit_code != 0
    assert said in " ".join(done.output.split()) or said in str(done.exception)


def test_a_file_written_in_blocks_is_read_as_any_other(tmp_path):
    generator = np.random.default_rng(0)
    whole, order = generator.standard_normal((50, 7)).astype(np.float32), generator.permutation(50)
    blocks = ((order[start : start + 9], whole[order[start : start + 9]]) for start in range(0, 50, 9))
    tensors = {
        "entities": torch.zeros(3, 7),
        "b": torch.arange(6.0).view(2, 3),
        "c": torch.tensor(2.5),
        "d": torch.zeros(0),
    }
    write_rows(tmp_path / "model.safetensors", tensors, Rows("entities", 50, blocks))
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == tensors.keys()
    assert np.array_equal(found["entities"].numpy(), whole)
    for name in ("b", "c", "d"):
        assert torch.equal(found[name], tensors[name])

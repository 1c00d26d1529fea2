"""`pictokg explain` of runs whose sampler looked at pictures and words."""

from __future__ import annotations

import json
import shutil
import sys
from unittest.mock import patch

import pytest
import torch

from pictokg.assembly import build_model, build_trainer
from pictokg.cli import main as program
from pictokg.graph.query import Query, Side
from pictokg.run import load_run
from pictokg.sampling._cross_modal import CrossModalSampler
from pictokg.training.checkpoint import load_checkpoint, load_tensors, save_tensors

FACT = ("thing:4", "colour", "colour:green")
NEXT = ("thing:4", "next to", "thing:9")
SETTINGS = ["dim=8", "epochs=1", "batch_size=32", "validate_every=1"]
FEATURES = ["features.image=pixels:patches=true", "features.text=tfidf:sentences=true"]


def train(folder, out, sampler, *more):
    """Train a run with `pictokg train`."""
    settings = [part for setting in (*SETTINGS, *FEATURES, *more) for part in ("--set", setting)]
    told = ["train", str(folder), "--out", str(out), "--model", "transe", "--sampler", sampler, *settings]
    with patch.object(sys, "argv", ["pictokg", *told]), pytest.raises(SystemExit) as ended:
        program()
    assert not ended.value.code
    return out


@pytest.fixture(scope="module")
def wordy(made_folder, tmp_path_factory):
    """The folder with two sentences for every third thing, one for the others and none for some."""
    folder = shutil.copytree(made_folder, tmp_path_factory.mktemp("wordy") / "things")
    lines = (folder / "text.tsv").read_text(encoding="utf-8").splitlines()
    longer = [line + (". It has a colour." if number % 3 == 1 else "") for number, line in enumerate(lines)]
    (folder / "text.tsv").write_text("\n".join(longer[:30]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(wordy, tmp_path_factory):
    """A run of each sampler, whose best epoch was not its last: relations have moved on."""
    folder = tmp_path_factory.mktemp("runs")
    made = {sampler: train(wordy, folder / sampler, sampler) for sampler in ("mmrns", "mmrns_plus")}
    for run in made.values():
        tensors, notes = load_tensors(run / "checkpoints" / "last.safetensors")
        drawn = torch.randn(tensors["model/relations.weight"].shape, generator=torch.Generator().manual_seed(0))
        save_tensors(run / "checkpoints" / "last.safetensors", tensors | {"model/relations.weight": drawn}, notes)
    return made


def explained(pictokg, run, fact=NEXT, *options):
    code, out, err = pictokg("explain", run, *fact, "--json", *options)
    assert code == 0, err
    return json.loads(out)


def as_training_left_it(folder):
    """The trainer of a run, where its last checkpoint left it, and its sampler."""
    run = load_run(folder)
    trainer = build_trainer(run.config, build_model(run.config, run.data), run.data)
    load_checkpoint(folder / "checkpoints" / "last.safetensors", trainer)
    return run, trainer


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_the_weights_shown_are_those_that_the_trained_sampler_computes_with(sampler, runs, pictokg, monkeypatch):
    run, trainer = as_training_left_it(runs[sampler])
    assert not torch.equal(run.model.relations.weight, trainer.model.relations.weight)
    own, seen = trainer.objective.sampler, []
    attend, guide = type(own).attend, type(own).guide
    monkeypatch.setattr(type(own), "attend", lambda *a, **k: seen.append(attend(*a, **k)) or seen[-1])
    monkeypatch.setattr(type(own), "guide", lambda *a: seen.append(guide(*a)) or seen[-1])
    ids = run.data.graph.entities.id, run.data.graph.relations.id
    head, relation, tail = ids[0](NEXT[0]), ids[1](NEXT[1]), ids[0](NEXT[2])
    found = explained(pictokg, runs[sampler])
    assert found["sampler_attention"].startswith(f"This is how the sampler {sampler} looked")
    for side, anchor, answer, parts in (
        (Side.TAIL, head, tail, found["asked"]),
        (Side.HEAD, tail, head, found["given"]),
    ):
        query = Query(
            **{"head" if side is Side.TAIL else "tail": torch.tensor([anchor])}, relation=torch.tensor([relation])
        )
        seen.clear()
        own(query, torch.tensor([answer]), trainer.context)
        _, gates, entity = seen  # the pool, then the relation and the answer under it
        gated = {
            "image": entity.pictures.guided(gates.pictures.transpose(2, 3)),
            "text": entity.words.guided(gates.words),
        }
        weights = {"image": entity.pictures.weights, "text": entity.words.weights}
        assert [one["modality"] for one in parts["sampler_attention"]] == ["image", "text"]
        for one in parts["sampler_attention"]:
            shown = [slot for slot in one["slots"] if slot["key"]]
            width, rows = len(shown), len(one["by_keys"])
            for name, expected in (("independent_by", weights), ("guided_by", gated)):
                ours = torch.tensor([slot[name] for slot in shown])
                theirs = expected[one["modality"]].reshape(-1, expected[one["modality"]].shape[-1])[:rows, :width].T
                torch.testing.assert_close(ours, theirs.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_slots_are_named_sum_to_one_and_are_printed(sampler, runs, pictokg):
    given = explained(pictokg, runs[sampler])["given"]
    pictures, words = given["sampler_attention"]
    assert [slot["key"] for slot in pictures["slots"]][:2] == ["images/4.png", "images/4.png#patch 0,0"]
    assert pictures["slots"][0]["window"] is None
    assert pictures["slots"][1]["window"] == [0.0, 0.0, 0.5, 0.5]
    assert [slot["key"] for slot in words["slots"] if slot["key"]] == [f"text#sentence {n}" for n in range(3)]
    for attention in (pictures, words):
        assert sum(slot["independent"] for slot in attention["slots"]) == pytest.approx(1)
    code, out, _ = pictokg("explain", runs[sampler], *NEXT)
    assert code == 0
    assert "the sampler's attention to thing:4" in out
    assert "no part in the score" in " ".join(out.split())
    assert "text#sentence 1" in out
    assert "2 more together" in out  # of ten rows of a picture


def test_an_entity_without_pictures_and_words_has_no_slots(runs, pictokg):
    found = explained(pictokg, runs["mmrns_plus"], FACT)
    assert found["asked"]["sampler_attention"] == []
    assert len(found["given"]["sampler_attention"]) == 2


def test_a_part_of_together_is_shown_and_other_samplers_show_nothing(wordy, pictokg, tmp_path):
    both = train(wordy, tmp_path / "both", "together", "parts=uniform,mmrns_plus")
    found = explained(pictokg, both)
    assert len(found["given"]["sampler_attention"]) == 2
    _, trainer = as_training_left_it(both)
    (part,) = [one for one in trainer.objective.sampler.parts() if isinstance(one, CrossModalSampler)]
    ids = torch.tensor([load_run(both).data.graph.entities.id(NEXT[0])])
    looks = part.look(ids, torch.tensor([load_run(both).data.graph.relations.id(NEXT[1])]), Side.HEAD, trainer.context)
    shown = [slot["independent"] for slot in found["given"]["sampler_attention"][0]["slots"]]
    assert shown == pytest.approx(looks[0].independent[0].mean(dim=0).tolist(), abs=1e-6)
    plain = explained(pictokg, train(wordy, tmp_path / "plain", "uniform"))
    assert (plain["sampler_attention"], plain["asked"]["sampler_attention"]) == ("", [])


def spoil(path, how):
    if how == "missing":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(b"no checkpoint")
    else:
        tensors, notes = load_tensors(path)
        if how == "another shape":
            tensors["sampler_module/attention.picture_layer.weight"] = torch.zeros(3, 3)
        elif how == "other relations":
            tensors["model/relations.weight"] = torch.zeros(7, 8)
        else:
            tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("sampler_module/")}
        save_tensors(path, tensors, notes)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "it is kept in checkpoints/last.safetensors, which the run folder does not have."),
        ("damaged", "checkpoints/last.safetensors: cannot be read as a checkpoint"),
        ("another shape", "checkpoints/last.safetensors: the parameters do not fit the sampler: size mismatch"),
        ("other relations", "checkpoints/last.safetensors: the parameters do not fit the model: size mismatch"),
        ("without the sampler", "checkpoints/last.safetensors: the parameters do not fit the sampler: Missing key"),
    ],
)
def test_a_checkpoint_that_does_not_serve_is_said_and_the_reasons_are_there(how, says, runs, pictokg, tmp_path):
    run = shutil.copytree(runs["mmrns_plus"], tmp_path / "run")
    whole = explained(pictokg, run)
    spoil(run / "checkpoints" / "last.safetensors", how)
    found = explained(pictokg, run)
    assert found["sampler_attention"].startswith("The attention of the sampler mmrns_plus is not shown: " + says)
    assert str(tmp_path) not in found["sampler_attention"]
    assert found["asked"]["sampler_attention"] == []
    assert (found["score"], found["asked"]["contributions"]) == (whole["score"], whole["asked"]["contributions"])
    assert "is not shown" in " ".join(pictokg("explain", run, *NEXT)[1].split())

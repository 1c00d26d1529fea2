"""Attention to patches with samplers that read pictures themselves, and newcomers whose pictures are cut into parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from test_patches import make, with_patches

import pictokg
from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.prediction.newcomer import Newcomer
from pictokg.prediction.newcomers import with_newcomer
from pictokg.sampling._cross_modal import CrossModalSampler

TRAINED = [("dim", 4), ("epochs", 2), ("batch_size", 32), ("validate_every", 0)]


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_samplers_that_attend_to_the_pictures_train_with_patches(sampler, data):
    parts = {"sampler": sampler, "loss": "self_adversarial", "optimiser": "adam"}
    pictured = with_patches(data)
    config = configure("patches", parts=parts, settings=TRAINED)
    trainer = build_trainer(config, build_model(config, pictured), pictured)
    drawn = trainer.objective.sampler
    assert isinstance(drawn, CrossModalSampler)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert all(np.isfinite(report.loss) for report in trainer.epochs())
    assert drawn.pictures.slots == min(drawn.picture_slots, int(pictured.table("image").counts.max()))
    after = trainer.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"encoder.query", "encoder.at_place", "encoder.choice", "encoder.gating.structure.weight"} <= moved


@pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")
def test_a_newcomers_pictures_are_cut_and_looked_at_as_those_of_an_entity_in_training(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    names = [f"e{number}" for number in range(8)]
    for name in names:
        drawn = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((48, 48))
        drawn.save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images.tsv").write_text("".join(f"{name}\timages/{name}.png\n" for name in names))
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    (tmp_path / "train.tsv").write_text("".join(f"{head}\tr{head < 'e4'}\t{tail}\n" for head, tail in pairs))
    data = pictokg.load(tmp_path, features={"image": "pixels:patches=true,width=8"}, modalities=["image"])
    model = make(data)
    picture = tmp_path / "images" / f"{data.graph.entities.name(3)}.png"
    longer, _ = with_newcomer(model, data, Newcomer("new", images=[picture]))
    found = longer.encode(torch.tensor([data.graph.num_entities]))
    rows, presence = model.encoder.rows(torch.tensor([3]))
    assert int(presence["image"]) == 10
    torch.testing.assert_close(found, model.encoder.fuse(None, rows, presence), atol=2e-3, rtol=2e-3)
    # Places are known too: without them the same rows are looked at otherwise.
    rows["place"] = torch.zeros_like(rows["place"])
    assert (found - model.encoder.fuse(None, rows, presence)).abs().max() > 0.02

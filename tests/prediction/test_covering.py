"""Heat maps of features that show pictures as a whole: what covering windows costs, and when that cannot be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from random_data import make_data, make_table

import pictokg
from pictokg.fusion.unseen import over
from pictokg.graph.query import Query
from pictokg.prediction.covering import COVERED, PICTURES, Covering, cover
from pictokg.prediction.newcomer import Newcomer
from pictokg.prediction.newcomers import Reception
from pictokg.prediction.predictor import Predictor
from pictokg.prediction.reasons import explain
from pictokg.report.reasons import render

SIDE = 32


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    """Twelve entities in a ring, each with six pictures that show something in one corner only."""
    folder, generator = tmp_path_factory.mktemp("pictured"), np.random.default_rng(0)
    (folder / "images").mkdir()
    lines = []
    for entity in range(12):
        for number in range(PICTURES + 2):
            pixels = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
            pixels[:8, :8] = generator.integers(0, 200, size=(8, 8, 3))
            Image.fromarray(pixels).save(folder / "images" / f"{entity}-{number}.png")
            lines.append(f"e{entity}\timages/{entity}-{number}.png\n")
    (folder / "images.tsv").write_text("".join(lines))
    triples = "".join(f"e{entity}\tr{step}\te{(entity + step) % 12}\n" for entity in range(12) for step in (1, 5))
    (folder / "train.tsv").write_text(triples)
    return pictokg.load(folder, features={"image": "pixels:width=8,size=16"}, say=lambda line: None)


@pytest.fixture(scope="module", params=["gated", "ikrl"])
def predictor(request, pictured):
    model = pictokg.build(request.param, pictured, dim=6)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return Predictor(model, pictured)


def heated(found):
    return [one for one in found.asked.contributions if one.patches]


def test_heat_sums_to_what_covering_all_of_a_picture_costs(predictor, pictured):
    """Against a model whose table holds the row of the covered picture."""
    found = explain(predictor, ("e1", "r1", "e2"))
    assert found.heat == COVERED
    one = heated(found)[0]
    path = next(path for path in pictured.pictures["e2"] if path.as_posix().endswith(one.key))
    row = Covering(pictured).rows(path, np.zeros((1, 16), dtype=bool))
    table = pictured.table("image")
    values = np.array(table.values)
    values[list(table.keys).index(one.key)] = row
    model = predictor.model
    twin = over(model.encoder, {"image": replace(table, values=values)})

    def encode_covered(ids):
        with torch.no_grad():
            return twin.fuse(model.encoder.structure(ids), *twin.rows(ids))

    whole, covered = (score(predictor, encode) for encode in (model.encode, encode_covered))
    assert sum(patch.value for patch in one.patches) == pytest.approx(whole - covered, abs=1e-4)


def score(predictor, answers):
    """The score of e2 as the tail of (e1, r1, ?), its vector looked up elsewhere than that of e1."""
    graph = predictor.data.graph
    given, answer = (torch.tensor([graph.entities.id(name)]) for name in ("e1", "e2"))
    with torch.no_grad():
        both = torch.cat([predictor.model.encode(given), answers(answer)])
        query = Query(torch.tensor([0]), torch.tensor([graph.relations.id("r1")]), None)
        return predictor.model.score(query, torch.tensor([[1]]), both.__getitem__).item()


def test_heat_lies_where_the_picture_shows_something(predictor):
    for one in heated(explain(predictor, ("e1", "r1", "e2"))):
        values = np.array([patch.value for patch in one.patches])
        assert abs(values[0]) > 1e-6
        np.testing.assert_allclose(values[1:], 0, atol=1e-6)  # the rest is as white as what covers it
        assert (one.patches[0].top, one.patches[0].left, one.patches[0].width) == (0, 0, 0.25)


def test_the_pictures_that_count_most_are_looked_at(predictor):
    found = explain(predictor, ("e1", "r1", "e2"))
    pictures = [one for one in found.asked.contributions if one.modality == "image"]
    assert [bool(one.patches) for one in pictures] == [True] * PICTURES + [False] * 2
    assert sum(one.value for one in found.asked.contributions) == pytest.approx(found.asked.difference, abs=1e-5)


def test_a_newcomers_pictures_have_heat_too(predictor, pictured):
    new = Newcomer("new", images=[pictured.pictures["e3"][0]])
    longer = Reception(predictor.model, pictured).predictor(predictor, [new])
    (one,) = explain(longer, ("new", "r1", "e2")).given.contributions
    assert abs(one.patches[0].value) > 1e-6


def test_the_page_shows_heat_and_says_how(predictor, pictured):
    page = render(explain(predictor, ("e1", "r1", "e2")), pictured)
    assert COVERED in page
    assert page.count("<title>0.") + page.count("<title>−0.") >= 16
    assert page.count("<th scope='col' class=figure>") == 5


def test_features_from_elsewhere_say_why_there_is_no_heat():
    data = make_data().with_table("image", make_table("image-elsewhere", [1] * 12, width=6, seed=3))
    found = explain(Predictor(pictokg.build("gated", data, dim=6), data), ("e1", "r0", "e2"))
    assert not heated(found)
    assert found.heat.startswith("No heat maps: the features (image-elsewhere) were made elsewhere")
    assert found.heat in render(found, data)


def test_slow_encoders_say_why_there_is_no_heat(pictured, monkeypatch):
    monkeypatch.setattr("pictokg.prediction.covering.QUICK", ())
    found = explain(Predictor(pictokg.build("gated", pictured, dim=6), pictured), ("e1", "r1", "e2"))
    assert not heated(found)
    assert "too slow" in found.heat


def test_a_picture_that_is_gone_has_no_heat(pictured, tmp_path):
    gone = {name: [tmp_path / path.name for path in paths] for name, paths in pictured.pictures.items()}
    data = replace(pictured, pictures=gone)
    found = explain(Predictor(pictokg.build("gated", data, dim=6), data), ("e1", "r1", "e2"))
    assert not heated(found)


def test_models_without_pictures_say_nothing_of_heat(pictured):
    assert explain(Predictor(pictokg.build("transe", pictured, dim=6), pictured), ("e1", "r1", "e2")).heat == ""


@pytest.mark.parametrize("shape", [(4, 4, 3), (7, 5, 3), (1, 9, 3), (160, 2, 3)])
def test_windows_cover_a_picture_once(shape):
    pixels = np.random.default_rng(0).integers(0, 100, size=shape).astype(np.uint8)
    pixels[0, 0] = 255
    alone = np.eye(16, dtype=bool)
    shown = [one != np.median(pixels.reshape(-1, 3), axis=0).astype(np.uint8) for one in cover(pixels, alone)]
    total = np.sum([one.any(axis=2) for one in shown], axis=0)
    assert total.max() == 1
    np.testing.assert_array_equal(cover(pixels, np.ones((1, 16), dtype=bool))[0], pixels)

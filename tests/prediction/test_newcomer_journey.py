"""From picture files and words to answers about an entity nobody has seen, and the verbs that ask and explain."""

from __future__ import annotations

import json
import sys
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

import pictokg
from pictokg.cli import main as program
from pictokg.errors import ConfigError, DataError
from pictokg.prediction.newcomer import Newcomer
from pictokg.prediction.newcomers import Reception, with_newcomer


def main(arguments):
    """Run the command line; its exit code."""
    with patch.object(sys, "argv", ["pictokg", *arguments]):
        try:
            program()
        except SystemExit as stop:
            return stop.code or 0
    return 0


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A few letters of the embedded data set, and a run that has hardly learned."""
    from pictokg.datasets.glyphs import generate

    folder = tmp_path_factory.mktemp("letters")
    generate(folder / "data", characters=map(chr, [*range(0x41, 0x7B), *range(0xC0, 0x100)]))
    settings = ["--set", "epochs=1", "--set", "dim=8", "--set", "features.image=pixels:patches=true"]
    assert main(["train", str(folder / "data"), "--model", "gated", *settings, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture(scope="module")
def loaded(letters):
    from pictokg.run import load_run

    return load_run(letters / "run")


def test_the_pictures_and_words_of_an_entity_give_its_vector_without_its_row(loaded):
    model, data, name = loaded.model, loaded.data, "U+0041"
    twin = Newcomer("twin", data.label(name), data.descriptions.get(name, ""), data.pictures[name])
    longer, more = with_newcomer(model, data, twin)
    new, old = (more.graph.entities.id(one) for one in ("twin", name))
    rows, presence = model.encoder.rows(torch.tensor([old]))
    expected = model.encoder.fuse(None, rows, presence)[0]
    torch.testing.assert_close(longer.encode(torch.tensor([new]))[0], expected, atol=1e-3, rtol=1e-3)
    assert more.table("image").select(np.array([new])).keys[1].endswith("#patch 0,0")
    assert more.label("twin") == data.label(name)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"images": ["nothing.png"]}, "nothing.png.*no such file"),
        ({"images": ["broken.png"]}, "broken.png.*give another, or leave it out"),
        ({"text": "  "}, "empty"),
        ({"text": "…"}, "no part of the text is known"),
    ],
)
def test_pictures_and_words_that_say_nothing_are_refused(told, says, loaded, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    images = [tmp_path / name for name in told.get("images", ())]
    with pytest.raises(DataError, match=says):
        with_newcomer(loaded.model, loaded.data, Newcomer("new", text=told.get("text", ""), images=images))


def test_opened_pictures_do_as_files_do(loaded):
    path = loaded.data.pictures["U+0041"][0]
    with Image.open(path) as picture:
        models = [
            Reception(loaded.model, loaded.data).admit([Newcomer("new", images=[one])])[0] for one in (path, picture)
        ]
    last = torch.tensor([loaded.data.graph.num_entities])
    torch.testing.assert_close(models[0].encode(last), models[1].encode(last), atol=1e-5, rtol=1e-5)


def test_predict_asks_about_a_new_entity(letters, loaded, capsys, tmp_path):
    facts = tmp_path / "facts.tsv"
    facts.write_text("new\tscript\tscript:Latin\n", encoding="utf-8")
    picture = loaded.data.pictures["U+0041"][0]
    told = ["--new-entity", "new", "--image", str(picture), "--label", "LATIN CAPITAL LETTER A", "--facts", str(facts)]
    capsys.readouterr()
    assert main(["predict", str(letters / "run"), *told, "--relation", "script", "--json", "-k", "200"]) == 0
    answers = {answer["name"]: answer for answer in json.loads(capsys.readouterr().out)["answers"]}
    assert answers["script:Latin"]["known"]
    assert not answers["bidi:L"]["known"]
    assert main(["predict", str(letters / "run"), *told, "--relation", "lowercase", "--tail", "new", "-k", "1"]) == 0
    assert "lowercase  new" in capsys.readouterr().out


def test_explain_says_why_of_a_new_entity(letters, loaded, capsys, tmp_path):
    picture = loaded.data.pictures["U+0041"][0]
    told = ["--new-entity", "new", "--image", str(picture), "--label", "LATIN CAPITAL LETTER A"]
    page = ["--out", str(tmp_path / "why.html")]
    capsys.readouterr()
    assert main(["explain", str(letters / "run"), "new", "script", "script:Latin", *told, *page, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["head"], found["known"]) == ("new", False)
    given = found["given"]
    assert {one["modality"] for one in given["contributions"]} == {"image", "text"}  # it has no row of its own
    assert sum(one["value"] for one in given["contributions"]) == pytest.approx(given["difference"], abs=1e-5)
    assert "data:image/png" in (tmp_path / "why.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--text", "a letter"], "name it with --new-entity"),
        (["--new-entity", "new", "--text", " "], "--text is empty"),
        (["--new-entity", "new"], "nothing is told"),
        (["--new-entity", "U+0041", "--text", "letter"], "is taken"),
        (["--new-entity", "new", "--facts", "FACTS"], "in none of its slots"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says, letters, capsys, tmp_path):
    facts = tmp_path / "facts.tsv"
    facts.write_text("other\tscript\tscript:Latin\n", encoding="utf-8")
    options = [str(facts) if option == "FACTS" else option for option in options]
    assert main(["predict", str(letters / "run"), "--head", "U+0041", "--relation", "script", *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_explain_prints_json_a_table_and_a_page(letters, capsys, tmp_path):
    asked = ["explain", str(letters / "run"), "U+0041", "script", "script:Latin"]
    capsys.readouterr()
    assert main([*asked, "--json", "--nearest", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    given = found["given"]
    assert sum(one["value"] for one in given["contributions"]) == pytest.approx(given["difference"], abs=1e-5)
    pictures = [one for one in given["contributions"] if one["modality"] == "image"]
    assert {len(one["patches"]) for one in pictures} == {10}
    assert {(patch["height"], patch["width"]) for patch in pictures[0]["patches"]} == {(1.0, 1.0), (0.5, 0.5)}
    assert len(found["facts"]) == 2
    page = tmp_path / "why.html"
    assert main([*asked, "--side", "head", "--out", str(page)]) == 0
    assert "nearest training facts" in capsys.readouterr().out
    content = page.read_text(encoding="utf-8")
    assert content.count("data:image/png") == len(pictures)
    assert main([*asked, "--out", str(tmp_path / "why.txt")]) == 2
    assert ".html" in capsys.readouterr().err


def test_a_model_of_triples_alone_says_what_to_do(letters):
    data = pictokg.load(letters / "data", modalities=[])
    model = pictokg.build("transe", data, dim=4)
    with pytest.raises(ConfigError, match="give some facts of it, or train a model that reads pictures or words"):
        with_newcomer(model, data, Newcomer("new"))

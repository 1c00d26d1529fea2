from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from pictokg.cli.encode import encode
from pictokg.datasets.load import load
from pictokg.errors import ConfigError
from pictokg.features import store

app = typer.Typer()
app.command()(encode)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "cities"
    (root / "images").mkdir(parents=True)
    (root / "train.tsv").write_text("Paris\tcapital_of\tFrance\nRome\tcapital_of\tItaly\nFrance\tnext_to\tItaly\n")
    (root / "text.tsv").write_text("Paris\tParis\tCapital of France. Large.\nRome\tRome\tCapital of Italy.\n")
    generator = np.random.default_rng(0)
    lines = []
    for name in ("Paris", "Rome", "Italy"):
        Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(root / "images" / f"{name}.png")
        lines.append(f"{name}\timages/{name}.png\n")
    (root / "images" / "Italy.png").write_text("no picture")
    (root / "images.tsv").write_text("".join(lines))
    return root


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_pictures_and_words_are_stored_beside_the_data(folder):
    result = run(folder, "--json")
    assert result.exit_code == 0
    tables = json.loads(result.stdout)["tables"]
    assert tables["image"]["coverage"] == {
        "entities": 4,
        "present": 2,
        "missing": 2,
        "instances": 2,
        "unknown": 0,
        "unknown_examples": [],
    }
    assert tables["image"]["skipped"][0]["key"] == "images/Italy.png"
    assert list(store.stored_tables(folder / "features")) == ["image-pixels", "text-tfidf"]
    again = json.loads(run(folder, "--json").stdout)["tables"]
    assert [table["encoded"] for table in again.values()] == [0, 0]


def test_pictures_that_are_listed_and_not_there_are_said(folder):
    (folder / "images" / "Rome.png").unlink()
    result = run(folder, "--text", "none")
    assert "note: images.tsv, line 2: 'images/Rome.png' does not exist (1 such line skipped)" in result.stderr


def test_options_choose_encoders_rows_and_place(folder, tmp_path):
    result = run(folder, "--images", "pixels:size=8", "--patches", "--sentences", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert list(store.stored_tables(tmp_path / "out")) == ["image-pixels-size8-patches", "text-tfidf-sentences"]
    assert not (folder / "features").exists()
    assert "2 of 4 entities (50.0 %)" in result.stderr
    assert "1 of 3 items skipped" in result.stderr


def test_a_folder_that_cannot_be_written_is_encoded_into_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PICTOKG_CACHE", str(tmp_path / "cache"))
    folder.chmod(0o555)
    result = run(folder, "--images", "none", "--json")
    folder.chmod(0o755)
    place = json.loads(result.stdout)["tables"]["text"]["folder"]
    assert place.startswith(str(tmp_path / "cache"))
    assert "cannot be written" in result.stderr


def test_nothing_to_encode_is_an_error(folder):
    with pytest.raises(ConfigError, match="nothing to encode"):
        run(folder, "--images", "none", "--text", "none")
    with pytest.raises(ConfigError, match="did you mean 'pixels'"):
        run(folder, "--images", "pixel")


def test_loading_uses_the_table_that_the_verb_made(folder):
    run(folder, "--images", "pixels:size=8", "--patches", "--text", "none")
    said = []
    table = load(folder, modalities=["image"], say=said.append).tables["image"]
    assert table.name == "image-pixels-size8-patches"
    assert any("read from" in line for line in said)
    assert list(store.stored_tables(folder / "features")) == ["image-pixels-size8-patches"]

from __future__ import annotations

import json

import polars as pl
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from pictokg.audit.rewrite import write_resplit
from pictokg.cli.inspect import inspect
from pictokg.cli.split import split
from pictokg.errors import DataError
from pictokg.graph.read.folder import read_folder

TRAIN = [f"e{i}\tr{i % 2}\te{(i * 7 + 1) % 20}" for i in range(20)]
TRAIN += [f"e{i}\tr0\te{i + 2}" for i in range(17)]
VALID = [TRAIN[0], TRAIN[0], TRAIN[1], "e0\tr1\te19"]
TEST = ["e3\tr1\te0", "e4\tr1\te2"]


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(inspect)
    app.command()(split)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "leaky"
    (source / "images").mkdir(parents=True)
    for name, rows in {"train": TRAIN, "valid": VALID, "test": TEST}.items():
        (source / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    (source / "text.tsv").write_text("e1\tone\tthe first\n")
    (source / "images.tsv").write_text("e1\timages/one.png\ne2\timages/two.png\n")
    Image.new("RGB", (8, 8), "red").save(source / "images" / "one.png")
    (source / "images" / "two.png").write_text("no picture")
    return source


def test_inspect_says_what_is_wrong(run, folder):
    result = run("inspect", folder)
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "leak: valid shares 2 of its 3 distinct triples (3 of 4 rows) with train" in words
    assert "1 of 2 pictures cannot be decoded" in words


def test_strict_makes_leaks_an_error(run, folder):
    assert run("inspect", folder, "--strict").exit_code == 1
    (folder / "valid.tsv").write_text("e0\tr1\te19\n")
    assert run("inspect", folder, "--strict", "--no-pictures").exit_code == 0


def test_inspect_as_json(run, folder):
    result = run("inspect", folder, "--json", "--strict")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["leaks"] is True
    assert report["splits"]["valid"]["in_train"] == {"rows": 3, "distinct": 2}
    assert [broken["entity"] for broken in report["pictures"]["undecodable"]] == ["e2"]
    assert report["coverage"]["pictures"]["entities"] == 2
    assert report["coverage"]["description"]["entities"] == 1
    without = json.loads(run("inspect", folder, "--json", "--no-pictures").stdout)
    assert without["pictures"] == {"files": 2, "checked": 0, "undecodable": []}


def test_split_writes_a_whole_clean_folder(run, folder, tmp_path):
    out = tmp_path / "clean"
    result = run("split", folder, "--out", out, "--valid", "0.2")
    assert result.exit_code == 0
    assert "valid: 4 rows, 1 repeated dropped, 2 in train dropped, 1 pooled" in result.stdout
    assert run("inspect", out, "--strict").exit_code == 0
    assert (out / "test.tsv").read_text() == (folder / "test.tsv").read_text()
    assert (out / "text.tsv").read_text() == (folder / "text.tsv").read_text()
    assert (out / "images" / "one.png").stat().st_ino == (folder / "images" / "one.png").stat().st_ino
    before, after = read_folder(folder), read_folder(out)
    assert set(after.graph.entities.names) == set(before.graph.entities.names)
    assert after.labels == before.labels
    assert after.graph.entities == before.graph.entities  # in the same order: features by row still fit
    new_files = {path.name for path in out.iterdir()} - {path.name for path in folder.iterdir()}
    assert new_files == {"entities.tsv", "relations.tsv"}


def test_split_as_json_with_files_beside(run, folder, tmp_path):
    (folder / "test_negatives.tsv").write_text("e1\tr0\te1\n")
    (folder / "valid_novel.tsv").write_text("kept\n")
    report = json.loads(run("split", folder, "--out", tmp_path / "new", "--json").stdout)
    assert report["splits"] == {"train": 34, "valid": 4, "test": 2}
    assert report["changes"][0] == "train: 37 rows, 37 pooled"
    assert (tmp_path / "new" / "valid_novel.tsv").read_text() == "kept\n"
    assert (tmp_path / "new" / "test_negatives.tsv").exists()


def test_one_file_of_triples_becomes_three_splits(run, tmp_path):
    source = tmp_path / "one"
    source.mkdir()
    (source / "triples.tsv").write_text("\n".join(TRAIN) + "\n")
    result = run("split", source, "--out", tmp_path / "three", "--test", "0.1")
    assert result.exit_code == 0
    graph = read_folder(tmp_path / "three").graph
    assert sorted(graph.splits) == ["test", "train", "valid"]
    assert len(graph.triples()) == len(TRAIN)


def test_names_with_tabs_survive(run, tmp_path):
    source = tmp_path / "odd"
    source.mkdir()
    names = [f"a\tb\n{i}" for i in range(12)]
    rows = {
        "head": names + names,
        "relation": ["r"] * 24,
        "tail": names[1:] + names[:1] + names[2:] + names[:2],
    }
    pl.DataFrame(rows).write_parquet(source / "train.parquet")
    assert run("split", source, "--out", tmp_path / "new").exit_code == 0
    after = read_folder(tmp_path / "new").graph
    assert set(after.entities.names) == set(names)
    assert len(after.triples()) == 24


def test_split_refuses_a_target_with_content(run, folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    result = run("split", folder, "--out", tmp_path / "full")
    assert isinstance(result.exception, DataError)
    assert "already holds something" in str(result.exception)
    assert "outside" in str(run("split", folder, "--out", folder / "inner").exception)
    assert not (folder / "inner").exists()


def test_links_in_the_source_become_files(folder, tmp_path):
    secret = tmp_path / "elsewhere.tsv"
    secret.write_text("e1\tr0\n")
    (folder / "types.tsv").symlink_to(secret)
    graph = read_folder(folder).graph
    write_resplit(folder, tmp_path / "new", graph, graph.splits)
    assert not (tmp_path / "new" / "types.tsv").is_symlink()
    assert (tmp_path / "new" / "types.tsv").read_text() == "e1\tr0\n"


def test_a_failed_write_leaves_nothing(folder, tmp_path, monkeypatch):
    graph = read_folder(folder).graph

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(Exception, match="No space left"):
        write_resplit(folder, tmp_path / "new", graph, graph.splits)
    assert [path.name for path in tmp_path.iterdir()] == ["leaky"]

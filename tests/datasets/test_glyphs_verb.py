from __future__ import annotations

import json

import pytest

from pictokg.cli.glyphs import glyphs
from pictokg.datasets.glyphs import folder
from pictokg.errors import PictoKGError


def test_the_verb_writes_a_folder_and_sums_it_up(tmp_path, capsys, monkeypatch):
    def few(out, *, seed=0, progress=None):
        folder.generate(out, seed=seed, characters="ABCabc", progress=progress)

    monkeypatch.setattr("pictokg.datasets.glyphs.generate", few)
    glyphs(tmp_path / "out", seed=3)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5
    assert printed[0].startswith("entities   6 characters and")
    assert printed[4].endswith(str(tmp_path / "out"))
    assert "seed = 3" in (tmp_path / "out" / "manifest.toml").read_text()

    glyphs(tmp_path / "again", seed=3, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["counts"]["characters"] == 6
    assert said["folder"] == str(tmp_path / "again")


def test_the_verb_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PictoKGError, match="already holds something"):
        glyphs(tmp_path)

"""A small data folder with pictures and words, and the command line called as a user calls it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from pictokg.cli import main

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory):
    """Things of three colours: the picture shows the colour, the label names the kind."""
    folder = tmp_path_factory.mktemp("things")
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    facts, texts, images = [], [], []
    for number in range(36):
        colour, kind = list(COLOURS)[number % 3], ["cup", "hat"][number % 2]
        name = f"thing:{number}"
        facts += [
            (name, "colour", f"colour:{colour}"),
            (name, "kind", f"kind:{kind}"),
            (name, "next to", f"thing:{(number + 5) % 36}"),
        ]
        texts.append(f"{name}\t{kind} number {number}\ta {kind}")
        pixels = np.clip(np.array(COLOURS[colour]) + generator.normal(0, 20, size=(20, 20, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        images.append(f"{name}\timages/{number}.png")
    order = generator.permutation(len(facts))
    parts = {"train": order[:84], "valid": order[84:96], "test": order[96:]}
    for split, rows in parts.items():
        (folder / f"{split}.tsv").write_text("".join("\t".join(facts[row]) + "\n" for row in rows), encoding="utf-8")
    (folder / "text.tsv").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (folder / "images.tsv").write_text("\n".join(images) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def folder(made_folder, tmp_path):
    """A copy that a test may spoil."""
    import shutil

    return shutil.copytree(made_folder, tmp_path / "things")


@pytest.fixture
def pictokg(monkeypatch, capsys):
    """Call the command line: `code, stdout, stderr = pictokg("train", folder, ...)`."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pictokg", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call

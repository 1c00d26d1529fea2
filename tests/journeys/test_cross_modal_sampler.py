"""A model of triples alone, trained with a sampler that looks at pictures and words."""

from __future__ import annotations

import json
import shutil

import pytest

FAST = (
    "--model",
    "transe",
    "--set",
    "dim=8",
    "--set",
    "epochs=2",
    "--set",
    "batch_size=32",
    "--set",
    "validate_every=2",
)


def take_out(folder, *names):
    """Take files and folders away, and with them all that was encoded."""
    for path in (folder / name for name in (*names, "features")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_the_tables_of_the_sampler_are_made_and_remembered(sampler, pictokg, made_folder, tmp_path):
    out = tmp_path / "run"
    code, _, err = pictokg("train", made_folder, "--out", out, "--sampler", sampler, *FAST)
    assert code == 0, err
    assert set(json.loads((out / "run.json").read_text())["data"]["features"]) == {"image", "text"}
    assert pictokg("train", "--resume", out)[0] == 0
    assert pictokg("evaluate", out, "--json")[0] == 0


def test_a_folder_of_triples_alone_is_refused_and_no_run_is_begun(pictokg, folder, tmp_path):
    take_out(folder, "images", "images.tsv", "text.tsv")
    code, _, err = pictokg("train", folder, "--out", tmp_path / "run", "--sampler", "mmrns", *FAST)
    assert code == 2
    assert "add images/ or text.tsv" in " ".join(err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("always::pictokg.errors.DataWarning")
def test_a_folder_without_pictures_trains_and_says_what_is_compared(pictokg, folder, tmp_path):
    take_out(folder, "images", "images.tsv")
    code, _, err = pictokg("train", folder, "--out", tmp_path / "run", "--sampler", "mmrns_plus", *FAST)
    assert code == 0
    assert "warning: the data have no feature table 'image'; candidates are compared by 'text'" in err

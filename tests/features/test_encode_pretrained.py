"""The whole job with a pretrained encoder: through the verb, killed and resumed, shared by ranks, bad pictures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import alexnet
from typer.testing import CliRunner

from pictokg.cli.app import app
from pictokg.datasets.load import load
from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features import work as job
from pictokg.features.encode import encode
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.encoders.alexnet import AlexNet
from pictokg.features.items import Items
from pictokg.features.share import Share
from pictokg.graph.vocabulary import Vocabulary

PICTURES = 12


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return alexnet(tmp_path_factory.mktemp("alexnet") / "small.pth")


def build(root):
    """A data folder of a few entities, each with a picture and words."""
    (root / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    names = [f"e{number:02}" for number in range(PICTURES)]
    for name in names:
        Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(root / "images" / f"{name}.png")
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    (root / "train.tsv").write_text("".join(f"{head}\tbefore\t{tail}\n" for head, tail in pairs))
    (root / "text.tsv").write_text("".join(f"{name}\tCity {name}\tLarge. On the Seine.\n" for name in names))
    (root / "images.tsv").write_text("".join(f"{name}\timages/{name}.png\n" for name in names))
    return root


@pytest.fixture
def folder(tmp_path):
    return build(tmp_path / "data")


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of four pictures, batches of two."""
    monkeypatch.setattr(AlexNet, "part", 4)
    monkeypatch.setattr(AlexNet, "batch", 2)


def verb(*arguments):
    return CliRunner().invoke(app, ["encode", *map(str, arguments)], catch_exceptions=False)


def items_of(folder):
    names = [f"e{number:02}" for number in range(PICTURES)]
    return Items.of_pictures({n: [folder / "images" / f"{n}.png"] for n in names}, Vocabulary(names), folder)


def checksums(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_verb_encodes_with_patches_and_words(model, folder):
    result = verb(
        folder, "--images", f"hf:{model('clip')}", "--patches", "--text", f"hf:{model('bert')}", "--sentences", "--json"
    )
    assert result.exit_code == 0, result.stderr
    tables = json.loads(result.stdout)["tables"]
    assert (tables["image"]["coverage"]["instances"], tables["image"]["width"]) == (PICTURES * 17, 24)
    assert tables["text"]["coverage"]["instances"] == PICTURES * 3
    data = load(folder, modalities=["image", "text"])
    assert data.table("image").keys[:2] == ["images/e00.png", "images/e00.png#patch 0,0"]
    assert data.table("text").keys[:3] == [f"text#sentence {number}" for number in range(3)]
    assert data.features["image"].startswith(f"hf:{model('clip')},pooling=auto,patches=true,grid=4")
    again = load_encoder(data.encoders["image"])
    rows = again.encode([folder / "images" / "e03.png"]).values
    assert np.allclose(rows, data.table("image").instances(np.array([3])).values, atol=1e-5)


def test_a_choice_in_python_and_toml_is_the_same_spec(folder, weights):
    spec = f"alexnet:{weights},rectified=false"
    data = load(folder, features={"image": spec}, modalities=["image"])
    assert (data.table("image").width, data.table("image").values.min() < 0) == (10, True)
    config = folder / "run.toml"
    config.write_text(f'[model]\nname = "gated"\n\n[features]\nimage = "{spec}"\n')
    from pictokg.config import configure

    assert configure(file=config).options("features") == {"image": spec}


def test_a_run_keeps_what_encodes_entities_it_has_never_seen(folder, weights, tmp_path):
    choice = ["--set", f"features.image=alexnet:{weights}", "--set", "modalities=structure,image"]
    small = ["--set", "dim=4", "--set", "epochs=1"]
    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["train", str(folder), *choice, *small, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    encoder = load_encoder(out / "features" / "image")
    stored = store.load(next((folder / "features").glob("image-alexnet*")))
    assert np.allclose(encoder.encode([folder / "images" / "e05.png"]).values[0], stored.values[5], atol=1e-5)


def test_rows_are_those_of_encoding_in_one_process(folder, weights, tmp_path, monkeypatch):
    encoder = make_encoder(f"alexnet:{weights}")
    direct = encoder.encode(items_of(folder).values).values
    monkeypatch.setattr(job, "FEW", 0)
    for workers in (0, 2):
        made = encode(items_of(folder), encoder, tmp_path / f"t{workers}", workers=workers)
        assert np.array_equal(made.table.values, direct)


SLOW = """
import sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}]
import pictokg.features.work as job
from pictokg.features.encoders.alexnet import AlexNet
from pictokg.features.encode import encode
from pictokg.features.encoders import make_encoder
from test_encode_pretrained import items_of
AlexNet.part, AlexNet.batch, job.FEW = 4, 2, 0
plain = AlexNet.encode_ready
def slowly(self, ready):
    time.sleep({wait})
    return plain(self, ready)
AlexNet.encode_ready = slowly
made = encode(items_of(Path({folder!r})), make_encoder("alexnet:" + {weights!r}), Path({table!r}), workers=1)
print(made.encoded)
"""


def start(folder, weights, table, wait=0.0, **environment):
    tests = str(Path(__file__).parent)
    code = SLOW.format(folder=str(folder), weights=str(weights), table=str(table), wait=wait, tests=tests)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def children_of(process):
    threads = Path(f"/proc/{process}/task").iterdir()
    return [Path("/proc", child) for thread in threads for child in (thread / "children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for the children of a process")
@pytest.mark.usefixtures("small_parts")
def test_after_kill_9_nothing_is_encoded_twice_and_no_process_stays(folder, weights, tmp_path):
    process = start(folder, weights, tmp_path / "cut" / "t", wait=0.5)
    second = tmp_path / "cut" / "t.partial" / "part-00002.npz"
    while not second.is_file():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    children = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert children
    made = encode(items_of(folder), make_encoder(f"alexnet:{weights}"), tmp_path / "cut" / "t")
    assert made.encoded == PICTURES - 8
    encode(items_of(folder), make_encoder(f"alexnet:{weights}"), tmp_path / "whole" / "t")
    assert checksums(tmp_path / "cut" / "t") == checksums(tmp_path / "whole" / "t")
    deadline = time.monotonic() + 30
    while any(child.exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [child for child in children if child.exists()]


@pytest.mark.usefixtures("small_parts")
def test_two_ranks_come_to_the_table_of_one(folder, weights, tmp_path):
    ranks = [
        start(folder, weights, tmp_path / "shared" / "t", wait=0.1, RANK=str(rank), WORLD_SIZE="2") for rank in (0, 1)
    ]
    encoded = [int(rank.communicate()[0]) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert sum(encoded) == PICTURES
    encode(items_of(folder), make_encoder(f"alexnet:{weights}"), tmp_path / "whole" / "t")
    assert checksums(tmp_path / "shared" / "t") == checksums(tmp_path / "whole" / "t")
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["t"]


@pytest.mark.usefixtures("small_parts")
def test_a_rank_does_the_work_of_one_that_never_came(folder, weights, tmp_path):
    made = encode(items_of(folder), make_encoder(f"alexnet:{weights}"), tmp_path / "t", share=Share(1, 3))
    assert made.encoded == PICTURES
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("t")] == ["t"]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("spec", ["pixels:width=4,size=8", "alexnet"])
@pytest.mark.usefixtures("small_parts")
def test_ranks_in_threads_share_and_fit_once(folder, weights, tmp_path, monkeypatch, spec, ranks):
    monkeypatch.setattr("pictokg.features.encoders.pixels.Pixels.part", 2)
    chosen = f"alexnet:{weights}" if spec == "alexnet" else spec
    made = {}

    def run(rank):
        made[rank] = encode(items_of(folder), make_encoder(chosen), tmp_path / "shared" / "t", share=Share(rank, ranks))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found.encoded for found in made.values()) == PICTURES
    encode(items_of(folder), make_encoder(chosen), tmp_path / "whole" / "t")
    assert checksums(tmp_path / "shared" / "t") == checksums(tmp_path / "whole" / "t")
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["t"]


def test_ranks_that_make_no_sense_are_refused():
    for environment in ({"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}, {"RANK": "-1"}):
        with pytest.raises(ConfigError, match=r"WORLD_SIZE|rank"):
            Share.from_environment(environment)


def test_bad_pictures_are_listed_by_name(folder, weights, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60_000)
    images = folder / "images"
    whole = (images / "e00.png").read_bytes()
    (images / "e01.png").write_bytes(whole[: len(whole) // 2])
    (images / "e02.png").write_bytes(b"")
    Image.new("L", (400, 330)).save(images / "e03.png")
    Image.new("L", (300, 210)).save(images / "e07.png")
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save(images / "e04.png", "JPEG")
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(images / "e05.png", "GIF", save_all=True, append_images=frames[1:])
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(images / "e06.png")
    result = verb(folder, "--images", f"alexnet:{weights}", "--text", "none", "--workers", "0", "--json")
    assert result.exit_code == 0, result.stderr
    table = json.loads(result.stdout)["tables"]["image"]
    assert {item["key"] for item in table["skipped"]} == {f"images/e0{number}.png" for number in (1, 2, 3, 7)}
    reasons = {item["entity"]: item["reason"] for item in table["skipped"]}
    assert reasons["e02"] == "empty file"
    assert "decompression bomb" in reasons["e03"]
    assert reasons["e07"] == "300 × 210 pixels, more than the 60,000 allowed"
    listed = (next((folder / "features").glob("image-alexnet*")) / "skipped.tsv").read_text()
    assert listed.startswith("e01\timages/e01.png\t")
    assert "4 of 12 items skipped, listed in skipped.tsv" in result.stderr


def test_what_the_camera_turned_is_turned_back(weights, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    upright = Image.fromarray(values).resize((90, 60))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    rows = make_encoder(f"alexnet:{weights}").encode([tmp_path / "upright.png", tmp_path / "turned.png"]).values
    assert np.array_equal(rows[0], rows[1])


def test_when_nothing_can_be_encoded_the_error_says_so(folder, weights):
    for path in (folder / "images").iterdir():
        path.write_text("no picture")
    with pytest.raises(DataError, match=r"none of 12 items can be encoded; the first: images/e00.png of 'e00'"):
        verb(folder, "--images", f"alexnet:{weights}", "--text", "none")


@pytest.mark.usefixtures("model")
def test_what_is_missing_is_said_before_anything_is_encoded(folder, weights, tmp_path):
    with pytest.raises(DataError, match="is neither a folder nor a model that has been downloaded"):
        verb(folder, "--images", f"alexnet:{weights}", "--text", "hf:nobody/no-such-model", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stored_table_is_read_without_its_weights_while_the_pictures_stay(folder, weights, tmp_path):
    own = Path(shutil.copy(weights, tmp_path / "own.pth"))
    first = verb(folder, "--images", f"alexnet:{own}", "--text", "none", "--json")
    assert first.exit_code == 0
    own.unlink()
    said = []
    table = load(folder, modalities=["image"], say=said.append).table("image")
    assert table.width == 10
    assert any("there is no such file" in line for line in said)
    os.utime(folder / "images" / "e00.png", ns=(1, 1))
    with pytest.raises(DataError, match="there is no such file"):
        load(folder, modalities=["image"])


def test_texts_read_in_part_are_listed(model, folder):
    lines = (folder / "text.tsv").read_text().splitlines()
    lines[3] = f"e03\tCity\t{'seine ' * 40}"
    (folder / "text.tsv").write_text("\n".join(lines) + "\n")
    result = verb(folder, "--images", "none", "--text", f"hf:{model('bert')}")
    assert "1 of 12 items read in part, listed in shortened.tsv (text of 'e03': 43 tokens" in result.stderr

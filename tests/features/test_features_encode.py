from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from pictokg.errors import DataError
from pictokg.features import encode as job
from pictokg.features import store
from pictokg.features.encode import encode
from pictokg.features.encoders import load_encoder, make_encoder
from pictokg.features.encoders.pixels import Pixels
from pictokg.features.items import Items
from pictokg.graph.vocabulary import Vocabulary

ENTITIES = Vocabulary([f"e{number}" for number in range(8)])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(job, "PART", 4)
    monkeypatch.setattr(Pixels, "part", 4)


@pytest.fixture
def pictures(tmp_path):
    """Entity eN has N pictures; e3's second one is broken, and a stranger has one too."""
    generator = np.random.default_rng(0)
    found = {}
    for number in range(8):
        found[f"e{number}"] = [tmp_path / "images" / f"{number}-{place}.png" for place in range(number)]
        for path in found[f"e{number}"]:
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    found["e3"][1].write_bytes(b"broken")
    found["stranger"] = [found["e1"][0]]
    return found


def items_of(pictures, tmp_path, entities=ENTITIES):
    return Items.of_pictures(pictures, entities, tmp_path)


class Counting:
    """An encoder that counts the items it encodes, and may break off."""

    def __init__(self, stop_after=None, spec="pixels:width=4,size=8"):
        self.encoder, self.seen, self.stop_after = make_encoder(spec), 0, stop_after

    def __getattr__(self, name):
        return getattr(self.encoder, name)

    def encode(self, items):
        self.seen += len(items)
        if self.stop_after is not None and self.seen > self.stop_after:
            raise KeyboardInterrupt
        return self.encoder.encode(items)


def checksums(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_entity_gets_the_rows_of_its_own_pictures(pictures, tmp_path):
    steps = []
    made = encode(
        items_of(pictures, tmp_path),
        make_encoder("pixels:width=4,size=8"),
        tmp_path / "features" / "image-pixels",
        progress=lambda done, total: steps.append((done, total)),
    )
    table = made.table
    assert table.counts.tolist() == [0, 1, 2, 2, 4, 5, 6, 7]
    assert list(table.keys[:5]) == [f"images/{name}.png" for name in ("1-0", "2-0", "2-1", "3-0", "3-2")]
    assert [(item.entity, item.key) for item in made.skipped] == [("e3", "images/3-1.png")]
    assert made.skipped[0].reason == "cannot identify image"
    assert (made.folder / "skipped.tsv").read_text().startswith("e3\timages/3-1.png\t")
    assert made.coverage.unknown == ("stranger",)
    assert (made.items, made.encoded, made.coverage.present) == (28, 28, 7)
    assert steps == [(done, 28) for done in (4, 8, 12, 16, 20, 24, 28)]
    assert any("1 of 28 items skipped" in note for note in made.notes)
    assert made.as_dict()["skipped"][0]["entity"] == "e3"
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["image-pixels"]


def test_the_stored_encoder_encodes_what_it_has_never_seen(pictures, tmp_path):
    encoder = make_encoder("pixels:width=4,size=8")
    made = encode(items_of(pictures, tmp_path), encoder, tmp_path / "t")
    again = load_encoder(store.encoder_folder(tmp_path / "t"))
    assert np.array_equal(again.encode(pictures["e7"]).values, encoder.encode(pictures["e7"]).values)
    assert np.allclose(
        again.encode(pictures["e7"][:1]).values[0], made.table.instances(np.array([7])).values[0], atol=1e-5
    )


def test_a_second_call_returns_the_stored_table(pictures, tmp_path):
    items = items_of(pictures, tmp_path)
    first = encode(items, Counting(), tmp_path / "t")
    counting = Counting()
    second = encode(items, counting, tmp_path / "t")
    assert (counting.seen, second.cached, first.cached) == (0, True, False)
    assert np.array_equal(first.table.values, second.table.values)
    assert (second.skipped, second.coverage, second.notes) == (first.skipped, first.coverage, first.notes)


def test_a_changed_picture_or_setting_is_encoded_anew(pictures, tmp_path):
    encode(items_of(pictures, tmp_path), Counting(), tmp_path / "t")
    os.utime(pictures["e5"][2], ns=(1, 1))
    counting = Counting()
    assert not encode(items_of(pictures, tmp_path), counting, tmp_path / "t").cached
    assert counting.seen == 28
    assert encode(items_of(pictures, tmp_path), make_encoder("pixels:width=3,size=8"), tmp_path / "t").table.width == 3


def test_a_damaged_table_is_made_again(pictures, tmp_path):
    encode(items_of(pictures, tmp_path), Counting(), tmp_path / "t")
    (tmp_path / "t" / "values.npy").write_bytes(b"")
    assert encode(items_of(pictures, tmp_path), Counting(), tmp_path / "t").encoded == 28


def test_a_graph_in_another_order_is_served_from_the_same_table(pictures, tmp_path):
    first = encode(items_of(pictures, tmp_path), Counting(), tmp_path / "t")
    turned = Vocabulary([*reversed(ENTITIES.names)])
    second = encode(items_of(pictures, tmp_path, turned), Counting(), tmp_path / "t")
    assert second.cached
    assert np.array_equal(second.table.mean(), first.table.mean()[::-1])


@pytest.mark.parametrize("stop_after", [0, 3, 9, 27])
def test_an_interrupted_encoding_goes_on_where_it_was(pictures, tmp_path, stop_after):
    items = items_of(pictures, tmp_path)
    encode(items, make_encoder("pixels:width=4,size=8"), tmp_path / "whole" / "t")
    with pytest.raises(KeyboardInterrupt):
        encode(items, Counting(stop_after), tmp_path / "cut" / "t")
    assert not (tmp_path / "cut" / "t").exists()
    counting = Counting()
    made = encode(items, counting, tmp_path / "cut" / "t")
    finished = stop_after // 4 * 4
    assert made.encoded == 28 - finished
    assert checksums(tmp_path / "cut" / "t") == checksums(tmp_path / "whole" / "t")
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["t"]


def test_parts_of_another_size_are_not_taken_for_parts_of_this_one(pictures, tmp_path, monkeypatch):
    items = items_of(pictures, tmp_path)
    encode(items, make_encoder("pixels:width=4,size=8"), tmp_path / "whole" / "t")
    with pytest.raises(KeyboardInterrupt):
        encode(items, Counting(9), tmp_path / "cut" / "t")
    monkeypatch.setattr(Pixels, "part", 6)
    made = encode(items, make_encoder("pixels:width=4,size=8"), tmp_path / "cut" / "t")
    assert made.encoded == 28
    assert checksums(tmp_path / "cut" / "t") == checksums(tmp_path / "whole" / "t")


KILLED = """
import os, signal, sys
from pathlib import Path
from pictokg.features import encode as job
from pictokg.features.encoders import make_encoder
from pictokg.features.encoders.pixels import Pixels
from pictokg.features.items import Items
from pictokg.graph.vocabulary import Vocabulary
Pixels.part = 4
names = [f"e{number}" for number in range(8)]
root = Path(sys.argv[1])
found = {name: sorted((root / "images").glob(f"{name[1:]}-*.png")) for name in names}
items = Items.of_pictures(found, Vocabulary(names), root)
stop = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 12 else None
job.encode(items, make_encoder("pixels:width=4,size=8"), root / "cut" / "t", progress=stop)
"""


def test_a_killed_process_loses_only_the_part_it_was_at(pictures, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "t").exists()
    items = items_of(pictures, tmp_path)
    made = encode(items, make_encoder("pixels:width=4,size=8"), tmp_path / "cut" / "t")
    assert made.encoded == 28 - 12
    encode(items, make_encoder("pixels:width=4,size=8"), tmp_path / "whole" / "t")
    assert checksums(tmp_path / "cut" / "t") == checksums(tmp_path / "whole" / "t")


def test_parts_of_other_work_and_damaged_parts_are_not_used(pictures, tmp_path):
    items = items_of(pictures, tmp_path)
    for damage in ("other work", "damaged"):
        folder = tmp_path / damage / "t"
        with pytest.raises(KeyboardInterrupt):
            encode(items, Counting(9), folder)
        partial = folder.with_name("t.partial")
        if damage == "damaged":
            (partial / "part-00001.npz").write_bytes(b"PK damaged")
        counting = Counting(spec="pixels:width=4,size=8,seed=1" if damage == "other work" else "pixels:width=4,size=8")
        assert encode(items, counting, folder).encoded == (28 if damage == "other work" else 24)


def test_two_at_once_encode_once(pictures, tmp_path):
    items, encoders, made = items_of(pictures, tmp_path), [Counting(), Counting()], []
    threads = [
        threading.Thread(target=lambda encoder=encoder: made.append(encode(items, encoder, tmp_path / "t")))
        for encoder in encoders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(encoder.seen for encoder in encoders) == [0, 28]
    assert np.array_equal(made[0].table.values, made[1].table.values)


def test_several_rows_an_item_stay_with_their_entity_across_parts(pictures, tmp_path):
    made = encode(items_of(pictures, tmp_path), make_encoder("pixels:width=4,size=8,patches=true"), tmp_path / "t")
    assert made.table.counts.tolist() == [0, 10, 20, 20, 40, 50, 60, 70]
    assert list(made.table.keys[:2]) == ["images/1-0.png", "images/1-0.png#patch 0,0"]


def test_words_are_encoded_like_pictures(tmp_path):
    texts = {"e1": "Small letter a. Latin!", "e2": " ", "e5": "small letter b", "e6": "…", "Atlantis": "sunk"}
    items = Items.of_texts(texts, ENTITIES)
    made = encode(items, make_encoder("tfidf", sentences=True), tmp_path / "text-tfidf-sentences")
    assert made.table.counts.tolist() == [0, 2, 0, 0, 0, 1, 1, 0]
    assert list(made.table.keys)[:2] == ["text#sentence 0", "text#sentence 1"]
    assert made.coverage.unknown == ("Atlantis",)
    assert any(note.startswith("rows have width 3, not 256") for note in made.notes)


def test_when_no_picture_can_be_read_the_error_says_so(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    items = Items.of_pictures({"e1": [tmp_path / "a.png", tmp_path / "absent.png"]}, ENTITIES)
    with pytest.raises(DataError, match="none of 2 pictures can be decoded; the first: cannot identify image"):
        encode(items, make_encoder("pixels"), tmp_path / "t")
    assert not (tmp_path / "t").exists()

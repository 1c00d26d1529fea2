from __future__ import annotations

import os

import numpy as np
import pytest

from pictokg.errors import DataError, PictoKGError
from pictokg.features import store
from pictokg.features.table import FeatureTable
from pictokg.graph.vocabulary import Vocabulary

ENTITIES = Vocabulary(["Paris", "Rome\nagain", "東京"])


def a_table(dtype="float32"):
    values = np.arange(6, dtype=dtype).reshape(3, 2)
    return FeatureTable("image-pixels", values, np.array([0, 2, 2, 3]), ["a.png", "b\n.png", "ü.png"], "f" * 32)


@pytest.fixture
def folder(tmp_path):
    store.save(a_table(), tmp_path / "image-pixels", ENTITIES, modality="image", encoder='pixels:x="\x7f😀"')
    return tmp_path / "image-pixels"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_saved_is_loaded(tmp_path, dtype):
    store.save(a_table(dtype), tmp_path / "t", ENTITIES, modality="image")
    table = store.load(tmp_path / "t", ENTITIES, verify=True)
    assert isinstance(table.values, np.memmap)
    assert table.values.dtype == dtype
    assert np.array_equal(table.values, a_table(dtype).values)
    assert (table.name, table.fingerprint, list(table.keys)) == ("image-pixels", "f" * 32, a_table().keys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_the_manifest_says_what_is_stored(folder):
    manifest = store.read_manifest(folder)
    assert (manifest.modality, manifest.encoder) == ("image", 'pixels:x="\x7f😀"')
    assert (manifest.width, manifest.entities, manifest.present, manifest.instances) == (2, 3, 2, 3)
    assert store.stored_tables(folder.parent) == {"image-pixels": manifest}
    assert store.stored_tables(folder / "nowhere") == {}


def test_another_graph_gets_the_rows_by_name(folder):
    table = store.load(folder, Vocabulary(["東京", "Oslo", "Paris"]))
    assert table.counts.tolist() == [1, 0, 2]
    assert table.mean().tolist() == [[4, 5], [0, 0], [1, 2]]
    with pytest.raises(DataError, match="none of its 3 entities"):
        store.load(folder, Vocabulary(["Q1", "Q2"]))


def test_an_empty_table_can_be_stored(tmp_path):
    empty = FeatureTable("text", np.zeros((0, 4), dtype=np.float32), np.zeros(4, dtype=np.int64), [])
    store.save(empty, tmp_path / "t", ENTITIES, modality="text")
    assert store.load(tmp_path / "t").present.tolist() == [False] * 3


def test_a_missing_file_and_one_cut_short_are_found_at_once(folder):
    values = folder / "values.npy"
    values.write_bytes(values.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"values.npy: has 151 bytes, not 152 .* pictokg encode"):
        store.load(folder)
    values.unlink()
    with pytest.raises(DataError, match=r"values\.npy is missing"):
        store.load(folder)


def test_a_changed_byte_is_found_when_asked_to_verify(folder):
    content = bytearray((folder / "values.npy").read_bytes())
    content[-1] ^= 1
    (folder / "values.npy").write_bytes(content)
    store.load(folder)
    with pytest.raises(DataError, match="checksum differs"):
        store.load(folder, verify=True)


@pytest.mark.parametrize("text", ["", "no toml", "format = 1\n[files]\n", "format = 99\n"])
def test_a_damaged_manifest_is_an_error_with_its_place(folder, text):
    (folder / "manifest.toml").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.toml: "):
        store.load(folder)


def test_a_folder_without_a_table_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is no feature table"):
        store.load(tmp_path)


def test_numbers_that_are_not_finite_are_not_stored(tmp_path):
    table = a_table()
    table.values[2, 0] = np.nan
    with pytest.raises(DataError, match="entity '東京' holds nan"):
        store.save(table, tmp_path / "t", ENTITIES, modality="image")
    assert not (tmp_path / "t").exists()


def test_a_failed_write_leaves_the_old_table(folder, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(PictoKGError, match="No space left"):
        store.save(a_table(), folder, ENTITIES, modality="other")
    assert store.read_manifest(folder).modality == "image"
    assert [path.name for path in folder.parent.iterdir()] == ["image-pixels"]


def test_a_new_table_replaces_the_old_one(folder):
    store.save(a_table("float16"), folder, ENTITIES, modality="image")
    assert store.load(folder, verify=True).values.dtype == np.float16
    assert [path.name for path in folder.parent.iterdir()] == ["image-pixels"]

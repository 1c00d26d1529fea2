from __future__ import annotations

import numpy as np
import pytest

from pictokg.errors import ConfigError, DataError
from pictokg.features.align import Coverage, align, align_rows
from pictokg.features.readers import read_features
from pictokg.graph.vocabulary import Vocabulary

ENTITIES = Vocabulary(["Paris", "Rome", "東京", "Oslo"])


def test_rows_go_to_the_entity_they_name_whatever_their_order():
    values = np.arange(8, dtype=np.float64).reshape(4, 2)
    table, coverage = align("image", ["東京", "Paris", "Atlantis", "東京"], values, ENTITIES)
    assert table.counts.tolist() == [1, 0, 2, 0]
    assert table.values.tolist() == [[2, 3], [0, 1], [6, 7]]
    assert table.values.dtype == np.float32
    assert table.keys == ["row 1", "row 0", "row 3"]
    assert coverage == Coverage("image", entities=4, present=2, instances=3, unknown=("Atlantis",))
    assert "2 of 4 entities (50.0 %)" in str(coverage)
    assert "'Atlantis'" in str(coverage)
    assert coverage.as_dict()["missing"] == 2


def test_coverage_names_only_the_first_of_many_strangers():
    ids = ["Paris", *(f"stranger {number}" for number in range(1_000))]
    _, coverage = align("image", ids, np.zeros((1_001, 2)), ENTITIES)
    assert str(coverage).endswith(
        "1,000 names are no entities of the graph: 'stranger 0', 'stranger 1', 'stranger 10', …"
    )


def test_names_of_another_graph_are_an_error_and_no_empty_table():
    with pytest.raises(DataError, match=r"none of its 2 names \('Q1', 'Q2'\) is an entity .* like 'Paris'"):
        align("image", ["Q1", "Q2"], np.zeros((2, 2)), ENTITIES)


def test_a_bad_number_is_named_with_file_row_and_entity():
    values = np.zeros((3, 2))
    values[1, 1] = np.nan
    with pytest.raises(DataError, match=r"f\.npz: row 1 \(entity 'Rome'\) holds nan in column 1; 1 of 3 rows"):
        align("image", ["Paris", "Rome", "Oslo"], values, ENTITIES, source="f.npz")


def test_each_row_needs_one_name():
    with pytest.raises(DataError, match="3 rows but 2 names"):
        align("image", ["Paris", "Rome"], np.zeros((3, 2)), ENTITIES)
    with pytest.raises(DataError, match="expected numbers"):
        align("image", ["Paris"], np.array([["x"]]), ENTITIES)


def test_rows_in_a_declared_order_must_be_as_many_as_the_entities():
    table, coverage = align_rows("image", np.ones((4, 2), dtype=np.float16), ENTITIES)
    assert table.values.dtype == np.float16
    assert coverage.present == 4
    message = "features/image has 3 rows but the graph has 4 entities; row i must be entity i. Use ids"
    with pytest.raises(DataError, match=message):
        align_rows("image", np.ones((3, 2)), ENTITIES)
    with pytest.raises(DataError, match=r"row 2 \(entity '東京'\) holds inf"):
        align_rows("image", np.array([[0.0], [0.0], [np.inf], [0.0]]), ENTITIES)


def test_an_archive_is_read_by_name(tmp_path):
    path = tmp_path / "image_clip.npz"
    np.savez(path, ids=np.array(["Oslo", "Rome"]), x=np.array([[1, 2], [3, 4]], dtype=np.float16))
    table, coverage = read_features(path, ENTITIES)
    assert table.name == "image_clip"
    assert table.mean().tolist() == [[0, 0], [3, 4], [0, 0], [1, 2]]
    assert coverage.present == 2
    assert len(table.fingerprint) == 32


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"ids": np.array(["Rome"])}, "no array 'x', only: ids"),
        ({"ids": np.array([{"a": 1}], dtype=object), "x": np.zeros((1, 2))}, "Python objects"),
        ({"ids": np.array([7]), "x": np.zeros((1, 2))}, "ids should be strings"),
        ({"ids": np.array(["Rome"]), "x": np.zeros((2, 2))}, "2 rows but 1 names"),
        ({"ids": np.array(["Rome"]), "x": np.array([[np.nan]])}, r"row 0 \(entity 'Rome'\) holds nan"),
    ],
)
def test_a_bad_archive_is_refused_by_its_name(tmp_path, arrays, problem):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=problem) as caught:
        read_features(path, ENTITIES)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"is no NumPy archive|Python objects"):
        read_features(tmp_path / "bad.npz", ENTITIES)


def test_an_ending_without_a_reader_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ending .mat does not tell the format; name it with --format: ikrl, kbc"):
        read_features(tmp_path / "x.mat", ENTITIES)


def test_rows_without_names_are_no_features_of_a_folder(tmp_path):
    np.savez(tmp_path / "image_x.npz", x=np.zeros((4, 2)))
    with pytest.raises(DataError, match=r"rows without names; write names .* or declare their order: pictokg import"):
        read_features(tmp_path / "image_x.npz", ENTITIES)

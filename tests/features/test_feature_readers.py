"""Feature files of the field: small ones of exactly the shapes that its projects share."""

from __future__ import annotations

import json
import pickle

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from pictokg.errors import ConfigError, DataError
from pictokg.features.order import names_in_order
from pictokg.features.readers import formats, read_features, read_rows, usual_order
from pictokg.graph.vocabulary import Vocabulary

h5py = pytest.importorskip("h5py")
ENTITIES = Vocabulary(["Paris", "Rome", "東京", "Oslo"])
X = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def write(tmp_path):
    """Write a file with whatever writes its ending."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".pth", ".pt"):
            torch.save(content, path)
        elif path.suffix in (".pkl", ".pickle"):
            path.write_bytes(pickle.dumps(content))
        elif path.suffix == ".h5":
            with h5py.File(path, "w") as file:
                for key, array in content.items():
                    file[key] = array
        elif path.suffix == ".json":
            path.write_text(json.dumps(content), encoding="utf-8")
        else:
            path.write_text(content, encoding="utf-8")
        return path

    return write_file


# Rows in a declared order


@pytest.mark.parametrize("dress", [torch.Tensor, nn.Parameter], ids=["tensor", "parameter"])
@pytest.mark.parametrize("name", ["visual", "textual", "numeric", "audio", "video"])
def test_openke_has_a_row_an_entity_by_number(write, dress, name):
    rows = read_rows(write(f"embeddings/DB15K-{name}.pth", dress(torch.from_numpy(X))), "openke")
    assert rows.values.tolist() == X.tolist()
    assert (rows.owner.tolist(), rows.places) == ([0, 1, 2, 3], 4)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("momok", "img_features.pkl"),
        ("momok", "gat_entity_vec.pkl"),
        ("kbc", "img_vec_id_fb15k_vit.pickle"),
        ("kbc", "dscp_vec.pickle"),
    ],
)
@pytest.mark.parametrize("what", [np.asarray, torch.from_numpy, lambda x: x.astype(np.float64), lambda x: x.tolist()])
def test_momok_and_kbc_pickle_an_array(write, kind, file, what):
    rows = read_rows(write(file, what(X)), kind)
    assert rows.values.tolist() == X.tolist()
    assert rows.places == 4


def test_momok_also_saves_tensors(write):
    assert read_rows(write("text_features.pth", torch.from_numpy(X)), "momok").places == 4


def test_npy_may_hold_several_rows_an_entity(tmp_path):
    np.save(tmp_path / "matrix_wn_visual.npy", X.reshape(2, 2, 3))
    rows = read_rows(tmp_path / "matrix_wn_visual.npy")
    assert rows.owner.tolist() == [0, 0, 1, 1]
    assert rows.places == 2
    assert rows.keys == ["row 0,0", "row 0,1", "row 1,0", "row 1,1"]


@pytest.mark.parametrize(
    ("kind", "content", "problem"),
    [
        ("openke", {"a": torch.zeros(2)}, "holds dict where numbers are expected"),
        ("openke", torch.zeros(3), r"expected an array \(entities, width\) or .*, found \(3,\)"),
        ("openke", torch.zeros(3, dtype=torch.complex64), "complex64"),
        ("vista", torch.zeros(3, 2), "ndarray, not a dictionary of tensors"),
        ("vista", {"Paris": torch.zeros(1, 2), "Rome": torch.zeros(3)}, "'Rome' has rows of width 3, .* of 2"),
        ("vista", {"Paris": torch.zeros(1, 2, 2)}, r"'Paris' has an array \(1, 2, 2\)"),
        ("vista", {"Paris": "a picture"}, "'Paris' holds str where numbers are expected"),
        ("vista", {}, "holds no entity"),
    ],
)
def test_what_has_another_shape_is_refused_by_its_name(write, kind, content, problem):
    path = write("features.pth", content)
    with pytest.raises(DataError, match=problem) as caught:
        read_rows(path, kind)
    assert str(path) in str(caught.value)


# Rows by name


def test_mmrns_has_a_data_set_an_entity(write):
    """Sentences (n, 384), of which four are used; pictures (24, 383)."""
    text = {"Paris": np.full((6, 384), 0.5), "AC/DC": np.ones((1, 384), dtype=np.float32)}
    path = write("MKG_W_description_sentences.h5", text)
    rows = read_rows(path, "mmrns", {"first": "4"})
    assert rows.values.shape == (5, 384)
    assert sorted(set(rows.owner)) == ["AC/DC", "Paris"]
    assert len(read_rows(path, "mmrns").values) == 7
    images = write("MKG_W_img_BEIT_16-224.h5", {"Q90": np.zeros((24, 383))})
    assert read_rows(images, "mmrns").keys[-1] == "row 23"


def test_mmkb_pictures_belong_to_entities_by_the_index(write):
    pictures = {f"DBIMG0003{n}": np.full((1, 4096), n, dtype=np.float32) for n in range(4)}
    path = write("DB15K_ImageData.h5", pictures)
    index = write("DB15K_ImageIndex.txt", "<Rome>\tDBIMG00032\n<Paris>\tDBIMG00031\n<Oslo>\tDBIMG00099\n")
    rows = read_rows(path, "mmkb", {"index": str(index)})
    assert rows.owner == ["<Rome>", "<Paris>"]
    assert rows.values[:, 0].tolist() == [2, 1]
    assert rows.keys == ["DBIMG00032", "DBIMG00031"]
    with pytest.raises(ConfigError, match="needs the option index; give it as --set index=FILE"):
        read_rows(path, "mmkb")
    other = write("FB15K_ImageIndex.txt", "/m/1\tFBIMG1\n")
    with pytest.raises(DataError, match=r"none of the 1 keys of FB15K_ImageIndex.txt \('FBIMG1'\); it has 'DBIMG"):
        read_rows(path, "mmkb", {"index": other})


def test_hdf5_links_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["numbers"] = np.zeros((1, 2))
    for name, link in (("out", h5py.ExternalLink("secret.h5", "/numbers")), ("in", h5py.SoftLink("/elsewhere"))):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            file["Paris"] = np.zeros((1, 2))
            file["Rome"] = link
        with pytest.raises(DataError, match="'Rome' is a link to elsewhere, which is not followed"):
            read_rows(path, "mmrns")
    layout = h5py.VirtualLayout(shape=(1, 2), dtype="f4")
    layout[0] = h5py.VirtualSource(tmp_path / "secret.h5", "numbers", shape=(1, 2))[0]
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("Paris", layout)
    with pytest.raises(DataError, match="'Paris' has its numbers in another file"):
        read_rows(tmp_path / "virtual.h5", "mmrns")


def test_hdf5_files_cut_short_are_refused(write):
    path = write("MMKB.h5", {"Paris": np.zeros((4, 300))})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"MMKB.h5: is no sound HDF5 file .*; copy it anew"):
        read_rows(path, "mmrns")


def test_vista_has_as_many_rows_as_pictures(write):
    images = {"Paris": torch.zeros(3, 2), "東京": torch.ones(1, 2), "Oslo": torch.zeros(0, 2)}
    rows = read_rows(write("visual_features_ent.pt", images), "vista")
    assert rows.owner == ["Paris"] * 3 + ["東京"]
    text = read_rows(write("textual_features_ent.pt", {"Paris": torch.ones(5)}), "vista")
    assert text.values.tolist() == [[1] * 5]


def test_mygo_keeps_the_most_frequent_tokens(write):
    """BEiT's codebook has 8,192 tokens of width 32 and a row of padding."""
    book = torch.randn(8193, 32, generator=torch.Generator().manual_seed(0))
    codebook = write("tokens/visual.pth", book)
    tokens = {"Paris": [5, 8191, 5, 7, 7, 7, 3], "Rome": [0], "Oslo": []}
    path = write("tokens/DB15K-visual.json", tokens)
    rows = read_rows(path, "mygo", {"codebook": codebook, "keep": "3"})
    assert rows.keys == ["token 7", "token 5", "token 8191", "token 0"]  # equals in order of occurrence
    assert rows.owner == ["Paris"] * 3 + ["Rome"]
    assert np.array_equal(rows.values, book[[7, 5, 8191, 0]].numpy())
    first = read_rows(path, "mygo", {"codebook": codebook, "keep": 8, "first": 2})
    assert first.keys == ["token 5", "token 8191", "token 0"]


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ({"Paris": [0, 9]}, r"'Paris' has the token 9, but visual\.pth has 4 rows; give the codebook"),
        ({"Paris": [-1]}, "has the token -1"),
        ({"Paris": [0.5]}, "'Paris' has no list of whole numbers"),
        ({"Paris": "tokens"}, "'Paris' has no list"),
        ([[1]], "expected {entity: .*found list"),
    ],
)
def test_mygo_tokens_must_be_in_the_codebook(write, tokens, problem):
    codebook = write("visual.pth", nn.Parameter(torch.zeros(4, 2)))
    with pytest.raises(DataError, match=problem):
        read_rows(write("x.json", tokens), "mygo", {"codebook": codebook})


def test_mygo_needs_json_and_its_codebook(write, tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        read_rows(tmp_path / "x.json", "mygo", {"codebook": write("b.pth", torch.zeros(4, 2))})
    with pytest.raises(ConfigError, match="needs the option codebook"):
        read_rows(tmp_path / "x.json", "mygo")
    with pytest.raises(DataError, match=r"c\.pth: expected a codebook \(tokens, width\), found \(4,\)"):
        read_rows(tmp_path / "x.json", "mygo", {"codebook": write("c.pth", torch.zeros(4))})
    with pytest.raises(ConfigError, match="keep is at least 1"):
        read_rows(tmp_path / "x.json", "mygo", {"codebook": write("b.pth", torch.zeros(4, 2)), "keep": 0})


def fc7(*lines):
    return "".join(f"{key} {' '.join(map(str, row))}\n" for key, row in lines)


def test_ikrl_has_a_line_a_picture(write):
    """4,096 numbers a line, several pictures an entity, the entity before the last `_`."""
    row = np.linspace(0, 1, 4096).round(4)
    path = write("image2vec_fc7.txt", fc7(("n01_n01_1.jpg", row), ("n02_7", row * 2), ("n01_n01_3", row * 3)))
    rows = read_rows(path, "ikrl", {"counts": write("image2count.txt", "n01_n01\t2\nn02\t1\n")})
    assert rows.owner == ["n01_n01", "n02", "n01_n01"]
    np.testing.assert_allclose(rows.values, [row, row * 2, row * 3], rtol=1e-6)
    assert rows.keys[1] == "n02_7"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a_1 1 2\n\na_2 1 2 3 4\n", "line 3: expected 2 numbers, found more than 2"),
        ("a_1 1 2\na_2 1\n", "line 2: expected 2 numbers, found 1"),
        ("a_1 1 x\n", "line 1: holds words that are no numbers"),
        ("a1 1 2\n", "line 1: expected <entity>_<picture>, found 'a1'"),
        ("", "the file is empty"),
    ],
)
def test_ikrl_lines_are_checked(write, text, problem):
    with pytest.raises(DataError, match=f"image2vec_fc7.txt.*{problem}"):
        read_rows(write("image2vec_fc7.txt", text), "ikrl")


def test_ikrl_counts_must_agree(write):
    path = write("image2vec_fc7.txt", fc7(("a_1", [1, 2])))
    with pytest.raises(DataError, match=r"image2count.txt, line 2: 'b' should have 3 pictures, .* has 0"):
        read_rows(path, "ikrl", {"counts": write("image2count.txt", "a\t1\nb\t3\n")})


def test_pickled_dictionaries_have_names_or_numbers(write):
    named = read_rows(write("VGG_normalized.pkl", {"n01": X[0], "_hypernym": X[1]}), "keyed")
    assert named.owner == ["n01", "_hypernym"]
    numbered = read_rows(write("zh_id_img_feature_dict.pkl", {7: X[0], np.int64(3): X[1]}), "keyed")
    assert numbered.owner.tolist() == [7, 3]
    assert numbered.places is None


def test_safetensors_by_header_by_order_and_by_tensor(tmp_path):
    from safetensors.torch import save_file

    x, path = torch.from_numpy(X), tmp_path / "x.safetensors"
    save_file({"x": x.bfloat16()}, path, metadata={"ids": json.dumps(["Oslo", "Rome", "Oslo", "東京"])})
    assert read_rows(path).owner == ["Oslo", "Rome", "Oslo", "東京"]
    table, coverage = read_features(path, ENTITIES)
    assert table.counts.tolist() == [0, 1, 1, 2]
    assert coverage.present == 3
    save_file({"x": x}, path)
    assert read_rows(path).places == 4
    save_file({"Paris": x[:2].clone(), "Rome": x[0].clone()}, path)
    assert sorted(read_rows(path).owner) == ["Paris", "Paris", "Rome"]
    assert read_rows(path, "safetensors", {"tensor": "Paris"}).places == 2
    save_file({"x": x}, path, metadata={"ids": json.dumps(["Oslo"])})
    with pytest.raises(DataError, match="4 rows but 1 names"):
        read_rows(path)
    save_file({"x": x}, path, metadata={"ids": "Oslo"})
    with pytest.raises(DataError, match="no JSON"):
        read_rows(path)
    path.write_bytes(b"short")
    with pytest.raises(DataError, match="no sound safetensors file"):
        read_rows(path)


@pytest.mark.parametrize("kind", [pl.List(pl.Float64), pl.List(pl.Float32), pl.List(pl.Int64), pl.Array(pl.Float32, 3)])
def test_parquet_has_a_list_a_line(tmp_path, kind):
    vectors = pl.Series([[1, 2, 3], None, [4, 5, 6]], dtype=kind)
    path = tmp_path / "x.parquet"
    pl.DataFrame({"id": ["Paris", "Rome", "Paris"], "clip": vectors}).write_parquet(path)
    rows = read_rows(path, "parquet", {"name": "id", "vector": "clip"})
    assert rows.owner == ["Paris", "Paris"]
    assert rows.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(DataError, match=r"has no column 'name'; choose one of: clip, id \(--set name=COLUMN\)"):
        read_rows(path)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"name": ["a", "b"], "vector": [[1.0, 2.0], [1.0]]}, r"row 1 \('b'\) has 1 numbers, the first 2"),
        ({"name": ["a", "b"], "vector": [[1.0, 2.0], [1.0, None]]}, r"row 1 \('b'\) lacks a number"),
        ({"name": ["a", None], "vector": [[1.0], [1.0]]}, "row 1 has no name"),
        ({"name": ["a"], "vector": ["1 2"]}, "String where lists of numbers are expected"),
        ({"name": ["a"], "vector": [["x"]]}, "where lists of numbers are expected"),
    ],
)
def test_parquet_columns_are_checked(tmp_path, columns, problem):
    path = tmp_path / "x.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(DataError, match=problem):
        read_rows(path)
    path.write_text("no parquet")
    with pytest.raises(DataError, match="is no Parquet file"):
        read_rows(path)


def test_npz_may_mask_rows_of_several(tmp_path):
    path = tmp_path / "x.npz"
    mask = np.array([[True, False], [True, True]])
    np.savez(path, ids=np.array(["Paris", "Rome"]), x=X.reshape(2, 2, 3), mask=mask)
    rows = read_rows(path)
    assert rows.owner == ["Paris", "Rome", "Rome"]
    assert rows.values.tolist() == X[[0, 2, 3]].tolist()
    np.savez(path, x=X.reshape(2, 2, 3), mask=mask)
    assert read_rows(path).owner.tolist() == [0, 1, 1]
    assert read_rows(path).places == 2
    np.savez(path, x=X, mask=np.ones(3))
    with pytest.raises(DataError, match=r"the mask is float64 \(3,\), for rows \(4,\)"):
        read_rows(path)


# Formats, options and orders


def test_formats_options_and_files_that_do_not_exist(tmp_path):
    for kind in formats():
        assert isinstance(usual_order(kind, tmp_path), str)
    path = tmp_path / "x.npy"
    np.save(path, X)
    with pytest.raises(ConfigError, match=r"no format 'openk' of feature files; did you mean 'openke'"):
        read_rows(path, "openk")
    with pytest.raises(ConfigError, match="format 'npy' has no option 'first'; it has none"):
        read_rows(path, "npy", {"first": 3})
    with pytest.raises(ConfigError, match=r"format 'mmrns' has no option 'frist'; did you mean 'first'"):
        read_rows(path, "mmrns", {"frist": 3})
    with pytest.raises(ConfigError, match=r"mmrns.first should be a whole number, got 'few'"):
        read_rows(path, "mmrns", {"first": "few"})
    with pytest.raises(DataError, match="there is no such file"):
        read_rows(tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entity2id.txt", "4\nRome\t0\nParis\t1\nOslo\t3\n東京\t2\n"),
        ("entity2id.txt", "Rome 0\nParis 1\n東京 2\nOslo 3\n"),
        ("ent_id", "Rome\t0\nParis\t1\n東京\t2\nOslo\t3\n"),
        ("entities.dict", "0\tRome\n1\tParis\n3\tOslo\n2\t東京\n"),
        ("entities.tsv", "0\tRome\n1\tParis\n2\t東京\n3\tOslo\n"),
        ("entities.txt", "Rome\nParis\n東京\nOslo\n"),
        ("fb-entities2id.pkl", {"Rome": 0, "Paris": 1, "東京": np.int64(2), "Oslo": 3}),
    ],
)
def test_orders_are_read_by_the_name_of_their_file(write, file, content):
    order = names_in_order(str(write(file, content)), ENTITIES)
    assert order == {0: "Rome", 1: "Paris", 2: "東京", 3: "Oslo"}


def test_orders_of_the_graph_and_of_files_with_other_names(write):
    assert names_in_order("graph", ENTITIES)[0] == "Paris"
    assert list(names_in_order("sorted", ENTITIES).values()) == ["Oslo", "Paris", "Rome", "東京"]
    path = write("mine.txt", "7\tRome\n12\tParis\n")
    assert names_in_order(f"numbered:{path}", ENTITIES) == {7: "Rome", 12: "Paris"}
    with pytest.raises(ConfigError, match=r"mine.txt': neither graph nor sorted nor .* entity2id:FILE, numbered:FILE"):
        names_in_order(str(path), ENTITIES)


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("entities.dict", "Rome\t0\n", "line 1: expected a number and a name, found 'Rome'"),
        ("entities.dict", "0\tRome\n0\tParis\n", "number 0 stands for 'Rome' and 'Paris'"),
        ("entity2id.txt", "3\nRome\t0\nParis\t1\n", "the first line states 3 lines, but 2 follow"),
        ("ids.pkl", ["Rome"], "expected a dictionary name → number"),
        ("ids.pkl", {"Rome": "0"}, "expected a dictionary name → number"),
    ],
)
def test_broken_orders_are_refused(write, file, content, problem):
    with pytest.raises(DataError, match=problem):
        names_in_order(str(write(file, content)), ENTITIES)

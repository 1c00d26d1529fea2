from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pictokg.errors import DataError
from pictokg.graph.read.folder import read_folder

DATA = Path(os.environ.get("PICTOKG_DATA", Path(__file__).parents[3] / "shared" / "data"))
INDEX = re.compile(r"\[([\w-]+)\]\(\S+\) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) / ([\d,]+) / ([\d,]+)")


def collection():
    readme = DATA / "README.md"
    found = INDEX.findall(readme.read_text(encoding="utf-8")) if readme.exists() else []
    return [(name, [int(count.replace(",", "")) for count in counts]) for name, *counts in found]


@pytest.fixture
def folder(tmp_path):
    def fill(**files):
        for name, text in {"train.tsv": "a\tr\tb\nb\ts\tc d\na\tr\tb\n", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text, encoding="utf-8")
        return tmp_path

    return fill


def test_a_bare_folder_keeps_repeated_rows_and_orders_by_first_occurrence(folder):
    raw = read_folder(folder(**{"test.nt": "<a> <r> <b> .\n"}))
    assert raw.graph.entities.names == ("a", "b", "c d")
    assert raw.graph.split("train").tolist() == [[0, 0, 1], [1, 1, 2], [0, 0, 1]]
    assert raw.graph.split("test").tolist() == [[0, 0, 1]]
    assert (raw.labels, raw.pictures, raw.numeric, raw.negatives, raw.notes) == ({}, {}, None, {}, [])


def test_ids_come_from_the_order_files_also_for_entities_in_no_triple(folder):
    order = {"entities.tsv": "1\ta\n0\tlone\n3\tb\n2\tc d\n", "relations.tsv": "0\ts\n1\tr\n"}
    graph = read_folder(folder(**order)).graph
    assert graph.entities.names == ("lone", "a", "c d", "b")
    assert graph.split("train")[0].tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\ta\n2\tb\n", r"entities.tsv, line 2: the numbers must be 0 to 1"),
        ("0\ta\nx\tb\n", r"line 2: the numbers"),
        ("0\ta\n0\tb\n", r"line 2: the numbers"),
        ("0\ta\n1\ta\n", r"line 2: the name 'a' stands twice"),
        ("0\ta\n1\tb\n", r"train: triple 2 has the tail 'c d'"),
        ("", "entities.tsv: the file is empty"),
    ],
)
def test_a_bad_order_file_is_an_error(folder, text, message):
    with pytest.raises(DataError, match=message):
        read_folder(folder(**{"entities.tsv": text}))


def test_words_of_entities_and_relations(folder):
    raw = read_folder(
        folder(
            **{
                "text.tsv": "a\tÄ\tthe first\nb\t\tno label\nc d\tC\t\n",
                "relation_text.tsv": "r\tlikes\ns\tsees\n",
                "relation_groups.tsv": "social\tr\nvisual\ts\nsocial\ts\n",
            }
        )
    )
    assert raw.labels == {"a": "Ä", "c d": "C"}
    assert raw.descriptions == {"a": "the first", "b": "no label"}
    assert raw.relation_labels == {"r": "likes", "s": "sees"}
    assert raw.relation_groups == {"social": ["r", "s"], "visual": ["s"]}
    assert raw.notes == []


def test_numbers_with_and_without_type(folder):
    raw = read_folder(folder(**{"numeric.tsv": "a\theight\t2.5\nb\theight\t-1e3\txsd:double\n"}))
    assert raw.numeric.columns == ["entity", "attribute", "value", "type"]
    assert raw.numeric["value"].to_list() == [2.5, -1000.0]
    assert read_folder(folder(**{"numeric.tsv": "a\theight\t2\n"})).numeric.rows() == [("a", "height", 2.0)]


def test_false_triples_are_read_as_ids(folder):
    raw = read_folder(folder(**{"valid_negatives.tsv": "b\tr\ta\n", "test_negatives.tsv": "c d\ts\ta\n"}))
    assert {name: triples.tolist() for name, triples in raw.negatives.items()} == {
        "valid": [[1, 0, 0]],
        "test": [[2, 1, 0]],
    }


def test_pictures_listed_several_an_entity(folder):
    files = {
        "images.tsv": "a\timages/1.png\nb\tother/2.png\na\timages/0.png\n",
        "images/1.png": "",
        "other/2.png": "",
    }
    root = folder(**files, **{"images/0.png": ""})
    raw = read_folder(root)
    assert raw.pictures == {"a": [root / "images/1.png", root / "images/0.png"], "b": [root / "other/2.png"]}
    assert raw.notes == []


def test_pictures_in_folders_also_with_encoded_names(folder):
    train = "a/b\tr\tx y\nx%20\tr\tx y\n"
    files = {
        "images/a%2Fb/2.png": "",
        "images/a%2Fb/1.png": "",
        "images/x y/1.png": "",
        "images/x%20/1.png": "",
    }
    root = folder(**{"train.tsv": train}, **files, **{"images/a%2Fb/.hidden": ""})
    raw = read_folder(root)
    assert raw.pictures == {
        "a/b": [root / "images/a%2Fb/1.png", root / "images/a%2Fb/2.png"],
        "x y": [root / "images/x y/1.png"],
        "x%20": [root / "images/x%20/1.png"],
    }
    assert raw.notes == []


EXTRAS = {
    "text.tsv": (
        "a\tA\nFoo\tF\nBar\tB\n",
        "text.tsv, line 2: 'Foo' is not an entity of the graph",
        "2 such lines",
    ),
    "relation_text.tsv": (
        "q\tQ\n",
        "relation_text.tsv, line 1: 'q' is not a relation of the graph",
        "1 such line",
    ),
    "numeric.tsv": (
        "\na\tx\tnan\nb\tx\t1\n",
        "numeric.tsv, line 2: 'nan' is not a finite number",
        "1 such line",
    ),
    "images.tsv": (
        "a\timages/gone.png\n",
        "images.tsv, line 1: 'images/gone.png' does not exist",
        "1 such line",
    ),
    "valid_negatives.tsv": (
        "a\tr\tb\nz\tr\tb\n",
        "valid_negatives.tsv, line 2: 'z' is not an entity",
        "1 such line",
    ),
    "relation_groups.tsv": ("g\tq\n", "relation_groups.tsv, line 1: 'q' is not a relation", "1 such line"),
    "images/stranger/1.png": ("", "images: 'stranger' is not an entity of the graph", "1 such"),
    "images/loose.png": ("", "images: 'loose.png' lies in no folder of an entity", "1 such"),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_extras_are_noted_with_line_and_count_and_errors_when_strict(folder, name):
    text, start, count = EXTRAS[name]
    root = folder(**{name: text})
    (note,) = read_folder(root).notes
    assert note.startswith(start)
    assert f"({count} skipped)" in note
    with pytest.raises(DataError, match=re.escape(start.split(": ", 1)[1])):
        read_folder(root, strict=True)


def test_a_second_text_of_an_entity_is_noted(folder):
    raw = read_folder(folder(**{"text.tsv": "a\tA\na\tB\n"}))
    assert raw.labels == {"a": "A"}
    assert raw.notes == ["text.tsv, line 2: 'a' stands there twice; the first counts (1 such line skipped)"]


def test_literals_of_triples_are_noted(folder):
    raw = read_folder(folder(**{"test.nt": '<a> <r> <b> .\n<a> <r> "b" .\n'}))
    assert len(raw.notes) == 1
    assert raw.notes[0].endswith("test.nt: 1 statements whose object is a literal were skipped")


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd"])
def test_pictures_outside_the_folder_are_refused(folder, file):
    with pytest.raises(DataError, match=r"images.tsv, line 1: .* does not lie inside the folder"):
        read_folder(folder(**{"images.tsv": f"a\t{file}\n"}))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.tsv": None}, "no triples: there is neither"),
        ({"train.tsv": None, "test.tsv": "a\tr\tb\n"}, "no triples: there is neither"),
        ({"train.csv": "head,relation,tail\na,b,c\n"}, "both train.csv and train.tsv hold train"),
        ({"triples.tsv": "a\tr\tb\n"}, "both triples and splits"),
        ({"train.tsv": ""}, "train.tsv: the file is empty"),
        ({"valid.tsv": "a,b,c\n"}, "valid.tsv, line 1: .*separator"),
        ({"images.tsv": "a\n"}, "images.tsv, line 1: expected 2 columns"),
        ({"text.tsv": "a\n"}, "text.tsv, line 1: expected 2 to 3 columns"),
        ({"numeric.tsv": "a\tx\t\n"}, "numeric.tsv, line 1: the value is empty"),
    ],
)
def test_bad_folders_are_errors(folder, files, message):
    with pytest.raises(DataError, match=message):
        read_folder(folder(**files))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        read_folder(tmp_path / "nowhere")


def test_one_file_of_triples_is_split_on_request(folder):
    lines = "".join(f"e{i}\tr{i % 2}\te{(i * 7 + 3) % 20}\n" for i in range(20)) * 1
    more = "".join(f"e{i}\tr{i % 3}\te{(i + 1) % 20}\n" for i in range(20))
    raw = read_folder(folder(**{"train.tsv": None, "triples.tsv": lines + more}))
    assert raw.needs_splitting
    assert list(raw.graph.splits) == ["all"]
    done, again = (raw.with_splits(seed=1).graph for _ in range(2))
    assert {name: len(triples) for name, triples in done.splits.items()} == {
        "train": 32,
        "valid": 4,
        "test": 4,
    }
    assert done.seen_entities("train").all()
    assert all((done.split(name) == again.split(name)).all() for name in done.splits)


def test_a_folder_in_openke_form(folder):
    files = {"train2id.txt": "1\n0 1 0\n", "test2id.txt": "1\n1 0 0\n", "relation2id.txt": "1\nr\t0\n"}
    raw = read_folder(folder(**{"train.tsv": None, **files, "entity2id.txt": "3\nlone\t2\nb\t1\na\t0\n"}))
    assert raw.graph.entities.names == ("a", "b", "lone")
    assert raw.graph.split("train").tolist() == [[0, 0, 1]]
    assert raw.graph.split("test").tolist() == [[1, 0, 0]]


@pytest.mark.skipif(not collection(), reason="the data collection is not here; PICTOKG_DATA can point to it")
def test_the_whole_collection_reads_with_the_counts_of_its_index():
    for name, counts in collection():
        raw = read_folder(DATA / name, strict=True)
        sizes = [len(raw.graph.split(split)) for split in ("train", "valid", "test")]
        assert [raw.graph.num_entities, raw.graph.num_relations, *sizes] == counts, name

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.errors import ConfigError, DataError
from pictokg.graph.names import read_names, write_names
from pictokg.graph.vocabulary import Vocabulary

names = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=20)


@settings(deadline=None)
@given(names)
def test_names_of_any_script_and_with_line_breaks_survive_the_disk(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("vocabulary") / "names.txt"
    write_names(path, Vocabulary(names))
    assert read_names(path) == Vocabulary(names)
    assert path.read_bytes().count(b"\n") == len(names)


def test_every_name_finds_its_id_and_back():
    vocabulary = Vocabulary(["Zürich", "東京", "a b", ""])
    assert [vocabulary.id(name) for name in vocabulary.names] == [0, 1, 2, 3]
    assert [vocabulary.name(number) for number in range(4)] == list(vocabulary.names)
    assert "a b" in vocabulary
    assert "b" not in vocabulary


def test_unknown_names_are_minus_one_in_bulk_and_an_error_with_a_hint_alone():
    vocabulary = Vocabulary(["Paris", "Rome"])
    assert vocabulary.ids(["Rome", "Oslo", "Paris"]).tolist() == [1, -1, 0]
    with pytest.raises(ConfigError, match="did you mean 'Paris'"):
        vocabulary.id("Pariss")


def test_a_repeated_name_is_refused():
    with pytest.raises(DataError, match="'a' stands twice, as number 0 and 2"):
        Vocabulary(["a", "b", "a"]).id("b")


def test_a_vocabulary_equals_one_of_the_same_names_in_the_same_order_only():
    assert Vocabulary(["a", "b"]) == Vocabulary(("a", "b"))
    assert Vocabulary(["a", "b"]) != Vocabulary(["b", "a"])
    assert Vocabulary(["a"]) != ["a"]

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.errors import ConfigError, DataError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary

SLOTS = ["head", "relation", "tail"]
rows = st.lists(st.tuples(*[st.sampled_from(["a", "b", "ß", "d e", "_"])] * 3), max_size=12)


def frame(rows):
    return pl.DataFrame(rows, schema=dict.fromkeys(SLOTS, pl.String), orient="row")


def small():
    entities, relations = Vocabulary(["a", "b", "c"]), Vocabulary(["r"])
    return KnowledgeGraph(entities, relations, {"train": np.array([[0, 0, 1]]), "test": np.array([[2, 0, 1]])})


@settings(deadline=None)
@given(rows, rows)
def test_ids_follow_first_occurrence_row_by_row_and_spell_the_same_triples(train, test):
    graph = KnowledgeGraph.from_frames({"train": frame(train), "test": frame(test)})
    entities = list(dict.fromkeys(name for head, _, tail in train + test for name in (head, tail)))
    relations = list(dict.fromkeys(relation for _, relation, _ in train + test))
    assert list(graph.entities.names) == entities
    assert list(graph.relations.names) == relations
    for name, expected in (("train", train), ("test", test)):
        spelled = [(entities[h], relations[r], entities[t]) for h, r, t in graph.split(name).tolist()]
        assert spelled == expected


def test_a_given_order_is_kept_with_entities_that_occur_nowhere():
    graph = KnowledgeGraph.from_frames({"train": frame([("b", "r", "a")])}, ["x", "a", "b"], ["s", "r"])
    assert graph.num_entities == 3
    assert graph.split("train").tolist() == [[2, 1, 1]]
    assert graph.seen_entities().tolist() == [False, True, True]


def test_a_name_outside_the_given_order_is_an_error_with_its_place():
    with pytest.raises(DataError, match="test: triple 2 has the tail 'z'"):
        KnowledgeGraph.from_frames({"test": frame([("a", "r", "a"), ("a", "r", "z")])}, ["a"])


@settings(deadline=None)
@given(rows, st.booleans())
def test_names_that_share_a_hash_get_ids_of_their_own(train, in_order):
    """With a hash that tells only two names apart, other hashes are taken until all are told apart."""
    exact = pl.Series.hash

    def hash_few(series, seed=0, *_):
        return exact(series, seed) % 2 if seed < 2 else exact(series, seed)

    orders = [[*"abß_x", "d e"]] * 2 if in_order else []
    with pytest.MonkeyPatch.context() as patch:
        expected = KnowledgeGraph.from_frames({"train": frame(train)}, *orders)
        patch.setattr(pl.Series, "hash", hash_few)
        found = KnowledgeGraph.from_frames({"train": frame(train)}, *orders)
    assert found.entities == expected.entities
    assert found.relations == expected.relations
    assert found.split("train").tolist() == expected.split("train").tolist()


def test_a_name_that_stands_twice_in_the_given_order_is_an_error():
    with pytest.raises(DataError, match="'a' stands twice, as number 0 and 2"):
        KnowledgeGraph.from_frames({"test": frame([("a", "r", "b")])}, ["a", "b", "a"])


def test_a_missing_name_is_an_error_with_its_place():
    with pytest.raises(DataError, match="test: triple 2 has the head None"):
        KnowledgeGraph.from_frames({"test": frame([("a", "r", "b"), (None, "r", "b")])})


def test_splits_are_named_and_joined():
    graph = small()
    assert graph.triples().tolist() == [[0, 0, 1], [2, 0, 1]]
    assert graph.triples("test").tolist() == [[2, 0, 1]]
    assert graph.triples().dtype == graph.split("train").dtype == np.int32
    with pytest.raises(ConfigError, match="no split 'valid'; it has: train, test"):
        graph.split("valid")


def test_what_a_graph_says_of_itself():
    assert repr(small()) == "KnowledgeGraph(3 entities, 1 relation; train 1, test 1 triples)"


@pytest.mark.parametrize("triple", [[3, 0, 1], [0, 1, 0], [0, 0, -1]])
def test_ids_that_no_name_has_are_refused(triple):
    with pytest.raises(DataError, match="ids must lie in"):
        KnowledgeGraph(Vocabulary(["a", "b", "c"]), Vocabulary(["r"]), {"train": np.array([triple])})


def test_triples_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"the shape \(2,\)"):
        KnowledgeGraph(Vocabulary(["a"]), Vocabulary(["r"]), {"train": np.array([0, 0])})


def test_a_graph_without_splits_has_no_triples():
    assert KnowledgeGraph(Vocabulary([]), Vocabulary([]), {}).triples().shape == (0, 3)

from __future__ import annotations

import numpy as np
import pytest

from pictokg.graph.query import Side
from pictokg.serving.facts import FactIndex
from pictokg.serving.names import NameIndex, fold


def test_search_finds_exactly_what_holds_the_words():
    """Against a walk through all names."""
    generator = np.random.default_rng(0)
    letters = np.array(list("aábc _"))
    names = [f"n{number}" for number in range(300)]
    labels = ["".join(generator.choice(letters, size=generator.integers(1, 9))) for _ in names]
    index = NameIndex(names, labels, generator.integers(0, 9, size=300))
    for words in ("a", "ab", "b c", "aa", "n29", "Á", "cab"):
        wanted = fold(words)
        expected = {place for place in range(300) if wanted in fold(labels[place]) or wanted in fold(names[place])}
        found = index.search(words, 1000)
        assert len(found) == len(set(found))
        assert expected <= set(found)
        for place in set(found) - expected:  # words may stand apart, in any order
            assert all(word in f"{fold(labels[place])} {fold(names[place])}" for word in wanted.split())
        assert index.search(words, 5) == found[:5]


def test_whole_names_come_first_and_weightier_before_lighter():
    labels = ["Paris, Texas", "Paris", "Comparison", "paris", "Old Paris"]
    index = NameIndex([f"Q{n}" for n in range(5)], labels, np.array([9, 1, 9, 5, 9]))
    assert index.search("paris", 9) == [3, 1, 0, 4, 2]


def test_order_is_that_of_a_walk_through_all_names():
    """Whole, beginning so, a word beginning so, anywhere: label before name, the weightier before the lighter."""
    generator = np.random.default_rng(1)

    def pick() -> str:
        return "".join(generator.choice(list("ab "), size=generator.integers(1, 6))).strip() or "b"

    names, labels, weight = [pick() for _ in range(200)], [pick() for _ in range(200)], generator.integers(0, 5, 200)
    labels = [name if generator.random() < 0.3 else label for name, label in zip(names, labels, strict=True)]
    index = NameIndex(names, labels, weight)
    for wanted in ("a", "b", "ab", "a b", "ba", "bab a"):

        def quality(place: int, wanted: str = wanted) -> int:
            label, name = fold(labels[place]), fold(names[place])
            tests = (label == wanted, name == wanted, label.startswith(wanted), name.startswith(wanted))
            both = f"{label}\t{name}"
            return (*tests, f" {wanted}" in both, wanted in both, True).index(True)

        expected = sorted((place for place in range(200) if quality(place) < 6), key=lambda p: (quality(p), -weight[p]))
        found = index.search(wanted, 1000)
        assert [(quality(p), weight[p]) for p in found[: len(expected)]] == [(quality(p), weight[p]) for p in expected]
        for limit in (1, 7, 40):
            assert index.search(wanted, limit) == found[:limit]


@pytest.mark.parametrize("odd", ["", " ", "\n", "\t", "\x00", "́", "[a-z]+", "\\", "ß" * 200, "\ud800", "‮"])
def test_odd_words_find_nothing_and_break_nothing(odd: str):
    index = NameIndex(["x"], ["plain"], np.array([1]))
    assert index.search(odd, 5) == []
    assert index.nearest(odd) == []


def test_a_name_that_breaks_lines_is_still_one():
    index = NameIndex(["a\nb", "c"], ["line\tone", "other"], np.array([1, 2]))
    assert index.search("line one", 5) == [0]
    assert index.search("a b", 5) == [0]
    assert index.search("other", 5) == [1]


def test_nearest_names_survive_a_slip():
    index = NameIndex(["Q1", "Q2", "Q3"], ["Berlin", "London", "Madrid"], np.ones(3))
    assert index.nearest("Berlim") == ["Q1"]
    assert index.nearest("Lodnon") == ["Q2"]
    assert index.nearest("Xyzzyxy") == []


def test_facts_are_those_of_the_graph_a_few_of_each_relation(data):
    index = FactIndex(data.graph)
    triples = np.unique(data.graph.triples(), axis=0)
    for entity in range(data.graph.num_entities):
        for side in (Side.HEAD, Side.TAIL):
            own = triples[triples[:, side] == entity]
            assert index.count(entity, side) == len(own)
            assert {tuple(row) for row in index.of(entity, side, 1000).tolist()} == {tuple(row) for row in own.tolist()}
            relations = np.unique(own[:, Side.RELATION])
            assert index.relations_of(entity, side).tolist() == relations.tolist()
            few = index.of(entity, side, len(relations))
            assert len(few) == len(relations)
            assert set(few[:, Side.RELATION].tolist()) == set(relations.tolist())
    assert index.degree.sum() == 2 * len(triples)
    shape = index.relations[0]
    own = triples[triples[:, Side.RELATION] == 0]
    assert (shape.facts, shape.heads, shape.tails) == (len(own), len(set(own[:, 0])), len(set(own[:, 2])))

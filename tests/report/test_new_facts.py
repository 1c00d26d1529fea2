from __future__ import annotations

import numpy as np
import pytest

from pictokg.assembly import build
from pictokg.datasets.dataset import Dataset
from pictokg.prediction.predictor import Predictor
from pictokg.report.new_facts import find_new_facts, open_questions


def test_questions_are_about_relations_that_the_like_of_a_head_have():
    letters, digits = range(10), range(10, 14)
    category, case, value = 0, 1, 2
    known = [[head, category, 90] for head in (*letters, *digits)]
    known += [[head, case, 91] for head in letters if head != 4]
    known += [[head, value, 92] for head in digits]
    asked = open_questions(np.array(known))
    # 4 has a category alone: 9 of the 10 entities alike but for case have a case, 4 of 5 a value.
    assert asked == {case: [4], value: [4]}


def test_the_oddest_lacks_come_first_and_are_cut_off():
    known = [[head, 0, 50] for head in range(20)] + [[head, 1, 51] for head in range(10)]
    known += [[head, 2, 52] for head in range(20, 30)] + [[head, 1, 53] for head in range(20, 29)]
    assert open_questions(np.array(known), a_relation=4)[1] == [29, 10, 11, 12]


def test_lacks_that_most_of_the_like_share_are_no_questions():
    known = [[head, 0, 50] for head in range(20)] + [[head, 1, 51] for head in range(9)]
    assert open_questions(np.array(known)) == {}
    assert open_questions(np.array(known), least_share=0.45) == {1: list(range(9, 20))}


def test_a_fact_that_is_known_twice_counts_once():
    known = np.array([[0, 0, 7], [1, 0, 7], [1, 1, 8]])
    assert open_questions(np.concatenate([known, known])) == open_questions(known) == {1: [0]}


def test_new_facts_are_in_no_split_and_have_the_best_scores(data: Dataset):
    predictor = Predictor(build("distmult", data, dim=8), data)
    facts = find_new_facts(predictor, a_relation=1)
    names = data.graph.entities
    known = {tuple(triple) for triple in data.graph.triples().tolist()}
    asked = open_questions(data.graph.triples())
    assert facts
    assert len(facts) == len(asked)
    for fact, (relation, heads) in zip(facts, asked.items(), strict=True):
        head, tail = names.id(fact.head.name), names.id(fact.tail.name)
        assert head in heads
        assert (head, relation, tail) not in known
        assert fact.relation == data.graph.relations.name(relation)
        best = -float("inf")
        for asked_head in map(names.name, heads):
            answers = predictor.answers([(asked_head, fact.relation, None)], k=len(names))[0]
            best = max(best, *(a.score for a in answers if not a.known and a.name != asked_head))
        assert fact.score == pytest.approx(best)
        assert fact.head.name != fact.tail.name
        assert fact.head.label == f"entity {head}"

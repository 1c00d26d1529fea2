"""Observed domains and ranges, and answers kept within them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pictokg
from pictokg.graph.query import Query, Side
from pictokg.prediction.candidates import ObservedTypes


@pytest.fixture
def types(data):
    return ObservedTypes(data.graph)


def test_entities_are_those_seen_in_the_slot(data, types):
    triples = data.graph.triples()
    for relation in range(3):
        rows = triples[triples[:, 1] == relation]
        for side in (Side.HEAD, Side.TAIL):
            assert types.entities(relation, side).tolist() == sorted({int(e) for e in rows[:, side]})


def test_allowed_agrees_with_looking_at_every_triple(data, types):
    triples = data.graph.triples().tolist()
    heads, tails = ({(r, e[i]) for e in triples for r in [e[1]]} for i in (0, 2))
    tail_query = Query(head=torch.tensor([0, 5]), relation=torch.tensor([1, 2]))
    assert types.allowed(tail_query).tolist() == [[(r, e) in tails for e in range(12)] for r in (1, 2)]
    head_query = Query(relation=torch.tensor([1, 0]), tail=torch.tensor([0, 5]))
    assert types.allowed(head_query).tolist() == [[(r, e) in heads for e in range(12)] for r in (1, 0)]
    pairs = [(0, 1), (4, 7)]
    relation_query = Query(head=torch.tensor([0, 4]), tail=torch.tensor([1, 7]))
    expected = [[(r, h) in heads and (r, t) in tails for r in range(3)] for h, t in pairs]
    assert types.allowed(relation_query).tolist() == expected


def test_answers_stay_within_the_types_and_in_order(data, types):
    predictor = pictokg.Predictor(pictokg.build("distmult", data, dim=4), data)
    for question in [("e1", "r0", None), (None, "r1", "e2"), ("e3", None, "e4")]:
        everything = predictor.answers([question], k=99)[0]
        answers = predictor.answers([question], k=99, types=types)[0]
        query = predictor._query([question], Side(question.index(None)))
        vocabulary = data.graph.relations if question[1] is None else data.graph.entities
        fits = types.allowed(query)[0].tolist()
        assert answers == [answer for answer in everything if fits[vocabulary.id(answer.name)]]
        assert 0 < len(answers) <= np.sum(fits)

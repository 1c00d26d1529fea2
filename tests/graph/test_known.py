from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pictokg.graph.known import Known
from pictokg.graph.query import Query, Side, ask

ENTITIES, RELATIONS = 5, 3
triple = st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, RELATIONS - 1), st.integers(0, ENTITIES - 1))
triples = st.lists(triple, max_size=40)


def array(rows):
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def brute_force(rows, question, side):
    given = [slot for slot in Side if slot is not side]
    return sorted({row[side] for row in rows if all(row[slot] == question[slot] for slot in given)})


@pytest.mark.parametrize("side", Side)
@settings(deadline=None)
@given(rows=triples, questions=triples)
def test_answers_count_and_contains_equal_brute_force(side, rows, questions):
    known = Known(array(rows), ENTITIES, RELATIONS)
    query, _ = ask(torch.from_numpy(array(questions)), side)
    expected = [brute_force(rows, question, side) for question in questions]
    found_rows, found = known.answers(query)
    pairs = [(row, answer) for row, answers in enumerate(expected) for answer in answers]
    assert list(zip(found_rows.tolist(), found.tolist(), strict=True)) == pairs
    assert known.count(query).tolist() == [len(answers) for answers in expected]
    width = RELATIONS if side is Side.RELATION else ENTITIES
    candidates = torch.arange(-1, width + 1).expand(len(questions), -1)
    contained = [[candidate in answers for candidate in range(-1, width + 1)] for answers in expected]
    assert known.contains(query, candidates).tolist() == contained


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("relations", [1_000, 2**40])  # the second one passes 2⁶³ with both entities
def test_ids_of_a_large_graph_do_not_overflow(side, relations):
    entities = 3_000_000
    last = [entities - 1, relations - 1, entities - 1]
    rows = [last, [0, 0, 0], last, [entities - 1, 0, 0], [0, relations - 1, entities - 1]]
    known = Known(np.array(rows, dtype=np.int64), entities, relations)
    query, _ = ask(torch.tensor(rows), side)
    found = list(zip(*(part.tolist() for part in known.answers(query)), strict=True))
    assert found == [(i, answer) for i, row in enumerate(rows) for answer in brute_force(rows, row, side)]
    assert known.contains(query, query.with_answer(torch.tensor(rows)[:, side])[:, [side]]).all()


@pytest.mark.parametrize("rows", [[], [[0, 0, 1]]])
def test_an_empty_batch_has_no_answers(rows):
    known = Known(array(rows), 2, 1)
    query = Query(head=torch.empty(0, dtype=torch.long), relation=torch.empty(0, dtype=torch.long))
    assert [len(part) for part in known.answers(query)] == [0, 0]
    assert known.count(query).shape == (0,)
    assert known.contains(query, torch.empty(0, 4, dtype=torch.long)).shape == (0, 4)


def test_narrow_ids_are_looked_up_as_wide_ones():
    known = Known(array([[4, 2, 4]]), 100_000, 50_000)
    query = Query(head=torch.tensor([4], dtype=torch.int32), relation=torch.tensor([2], dtype=torch.int32))
    assert known.contains(query, torch.tensor([[4]], dtype=torch.int32)).tolist() == [[True]]

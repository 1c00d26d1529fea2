from __future__ import annotations

import pytest
import torch

from pictokg.graph.query import Query, Side, ask

TRIPLES = torch.tensor([[4, 1, 7], [0, 0, 2]])


@pytest.mark.parametrize("side", Side)
def test_a_question_with_its_answer_is_the_triple_again(side):
    query, answer = ask(TRIPLES, side)
    assert query.side is side
    assert len(query) == 2
    assert query.with_answer(answer).equal(TRIPLES)
    assert query[1:].with_answer(answer[1:]).equal(TRIPLES[1:])


def test_the_anchor_is_the_entity_that_is_given():
    assert ask(TRIPLES, Side.TAIL)[0].anchor.tolist() == [4, 0]
    assert ask(TRIPLES, Side.HEAD)[0].anchor.tolist() == [7, 2]


def test_one_slot_and_only_one_is_asked_for():
    with pytest.raises(ValueError, match="exactly two"):
        Query(head=torch.tensor([0]))
    with pytest.raises(ValueError, match="exactly two"):
        Query(*TRIPLES.unbind(1)[:2], torch.tensor([0]))

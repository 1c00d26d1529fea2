"""KvsAll: every entity is a candidate, and every known answer of the question counts as true."""

from __future__ import annotations

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.sampling._drawing import known_among
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of


class KVsAll(Sampler):
    """Each distinct question once an epoch, with all its answers labelled (Dettmers et al., AAAI 2018).

    A question is asked with the triple of its smallest answer and skipped with the others, so that an epoch over the
    triples is an epoch over the questions: much cheaper than 1-vs-all where questions have many answers.

    Args:
        count_answers: let a question count as often as it has answers, instead of once. With softmax an epoch then
            has exactly the loss of one of 1-vs-all, which asks the same question once an answer.
    """

    needs = frozenset({"labels"})

    def __init__(self, *, count_answers: bool = False) -> None:
        self.count_answers = count_answers

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """The questions of the batch whose turn it is."""
        asked = []
        for query, answer in super().questions(triples, context):
            turn = answer == smallest_known(query, context)
            if turn.any():
                asked.append((query[turn], answer[turn]))
        return asked

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """All ids of the pool, the known answers labelled."""
        pool = pool_of(query, context)
        column = torch.searchsorted(pool, answer.contiguous())
        rows, columns = known_among(query, pool, context)
        weight = rows.bincount(minlength=len(query)).float() if self.count_answers else None
        return Negatives(pool, labelled=(rows, columns), question_weight=weight, answer_column=column)


def smallest_known(query: Query, context: Context) -> Tensor:
    """The smallest known answer of each question (B,); there is one, because the question comes from a triple."""
    rows, ids = context.known.answers(query)
    smallest = torch.full((len(query),), torch.iinfo(torch.long).max, device=ids.device)
    return smallest.scatter_reduce(0, rows, ids, reduce="amin")

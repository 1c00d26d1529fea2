"""KvsAll: every entity is a candidate, and every known answer of the question counts as true."""

from __future__ import annotations

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of
from pictokg.sampling.one_vs_all import known_among


class KVsAll(Sampler):
    """Questions are asked once, whatever the number of their answers; all answers are labelled (Dettmers et al., 2018).

    A triple's question is skipped when an earlier triple of the batch asks the same, so a question with many answers
    still comes up more often than one with few, once per batch at most.
    """

    needs = frozenset({"labels"})

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """The distinct questions of the batch."""
        return [_distinct(query, answer) for query, answer in super().questions(triples, context)]

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """All ids of the pool with labels (B, P)."""
        pool = pool_of(query, context)
        return Negatives(
            pool,
            label=known_among(query, pool, context),
            answer_column=torch.searchsorted(pool, answer.contiguous()),
        )


def _distinct(query: Query, answer: Tensor) -> Question:
    pairs = torch.stack(query.given, dim=1)
    distinct, group = pairs.unique(dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(pairs), device=pairs.device)
    first = first.scatter_reduce(0, group, torch.arange(len(pairs), device=pairs.device), reduce="amin")
    return query[first], answer[first]

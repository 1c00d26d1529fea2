"""1-vs-all: every entity is a candidate."""

from __future__ import annotations

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.sampling._drawing import known_among
from pictokg.sampling.base import Context, Negatives, Sampler, pool_of


class OneVsAll(Sampler):
    """Each question against the whole pool, the answer being one of the candidates (Lacroix et al., ICML 2018).

    Args:
        mask_known: take the other known answers out of the candidates, instead of treating them as wrong.
    """

    def __init__(self, *, mask_known: bool = False) -> None:
        self.mask_known = mask_known

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """All ids of the pool, shared by the batch."""
        pool = pool_of(query, context)
        column = torch.searchsorted(pool, answer.contiguous())
        if not self.mask_known:
            return Negatives(pool, answer_column=column)
        weight = torch.ones(len(query), len(pool), device=pool.device)
        weight[known_among(query, pool, context)] = 0.0
        return Negatives(pool, weight=weight.scatter(1, column.unsqueeze(1), 1.0), answer_column=column)

"""Negatives that are no known facts: known answers are drawn again."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of
from pictokg.sampling.bernoulli import Bernoulli
from pictokg.sampling.uniform import at_least_one

Asked = Literal["both", "bernoulli", "coin"]


class Unknown(Sampler):
    """Uniform negatives with the training answers drawn again; what still is known after `tries` gets weight 0.

    Args:
        negatives: how many a question.
        side: "both" asks every triple from both sides; "bernoulli" from one, as in the TransH paper; "coin" from one,
            head or tail with probability ½, as in the released IKRL code.
        tries: redraws before a known answer is masked instead.
    """

    kernel = True

    def __init__(self, negatives: int = 64, *, side: Asked = "both", tries: int = 10) -> None:
        self.negatives, self.tries = at_least_one(negatives), tries
        self._asker = {"both": None, "bernoulli": Bernoulli(), "coin": Bernoulli(balanced=True)}[side]

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._asker.questions(triples, context) if self._asker else super().questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with weights (B, K)."""
        pool = pool_of(query, context)
        ids = pool[context.random_integers(len(pool), (len(query), self.negatives))]
        known = context.known.contains(query, ids)
        for _ in range(self.tries):
            if not known.any():
                break
            fresh = pool[context.random_integers(len(pool), (int(known.sum()),))]
            ids[known] = fresh
            known = context.known.contains(query, ids)
        return Negatives(ids, weight=torch.where(known, 0.0, 1.0))

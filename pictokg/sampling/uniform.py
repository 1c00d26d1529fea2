"""Uniform negatives: any entity may stand in the open slot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query
from pictokg.sampling._drawing import draw
from pictokg.sampling.base import Context, Negatives, Sampler


class Uniform(Sampler):
    """Each negative is drawn uniformly, with replacement, from the pool (Bordes et al., NeurIPS 2013).

    Args:
        negatives: how many a question.
        shared: draw one set for many questions instead of one a question; much cheaper, a little less varied.
        chunk: how many questions share a set; 0: all of a batch.
    """

    kernel = True

    def __init__(self, negatives: int = 64, *, shared: bool = False, chunk: int = 0) -> None:
        if chunk < 0:
            raise ConfigError(f"chunk must be at least 0; got {chunk}")
        self.negatives, self.shared, self.chunk = at_least_one(negatives), shared, chunk

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K), or (K,) when all of the batch share them."""
        if self.shared and self.chunk:
            sets = draw(query, (-(-len(query) // self.chunk), self.negatives), context)
            return Negatives(_repeated(sets, self.chunk)[: len(query)], chunk=self.chunk)
        return Negatives(draw(query, (self.negatives,) if self.shared else (len(query), self.negatives), context))


def _repeated(sets: Tensor, times: int) -> Tensor:
    """Each row so many times; by numpy where it can, as torch would wake its threads for it, which takes longer."""
    if sets.device.type == "cpu":
        return torch.from_numpy(np.repeat(sets.numpy(), times, axis=0))
    return sets.repeat_interleave(times, dim=0)


def at_least_one(negatives: int) -> int:
    """The number of negatives a question; ConfigError below 1, where there would be nothing to learn from."""
    if negatives < 1:
        raise ConfigError(f"negatives must be at least 1; got {negatives}")
    return negatives

"""Uniform negatives: any entity may stand in the open slot."""

from __future__ import annotations

from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query
from pictokg.sampling.base import Context, Negatives, Sampler, pool_of


class Uniform(Sampler):
    """Each negative is drawn uniformly, with replacement, from the pool (Bordes et al., NeurIPS 2013).

    Args:
        negatives: how many a question.
        shared: draw one set for the whole batch instead of one a question; much cheaper, a little less varied.
    """

    def __init__(self, negatives: int = 64, *, shared: bool = False) -> None:
        self.negatives, self.shared = at_least_one(negatives), shared

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K), or (K,) when shared."""
        pool = pool_of(query, context)
        shape = (self.negatives,) if self.shared else (len(query), self.negatives)
        return Negatives(pool[context.random_integers(len(pool), shape)])


def at_least_one(negatives: int) -> int:
    """The number of negatives a question; ConfigError below 1, where there would be nothing to learn from."""
    if negatives < 1:
        raise ConfigError(f"negatives must be at least 1; got {negatives}")
    return negatives

"""NSCaching: a cache of hard negatives for every question (Zhang et al., ICDE 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.sampling._picking import gumbel_noise, plain_scores, uniform_noise
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of
from pictokg.sampling.uniform import at_least_one
from pictokg.sampling.unknown import Asked, Unknown

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

EMPTY = -1


class NSCaching(Sampler):
    """Negatives drawn uniformly from the question's cache, which is then refreshed by importance sampling.

        C ← N₁ of C ∪ R without replacement, each in proportion to exp f(candidate);   R: N₂ uniform draws

    A cache belongs to a question: to (relation, tail) for heads, to (head, relation) for tails, to (head, tail) where
    relations are asked. It starts with N₁ uniform draws and holds each id once. After a step the caches of the
    questions asked are refreshed, each once, with the scores of the model before its update. A triple that is asked
    from one side refreshes the cache of that side alone, which it used; the paper refreshes both.

    On a small graph caches shrink to the pool, and what cannot be filled has weight 0. Memory: 4·N₁ bytes for each
    distinct training question, at most 8·N₁ bytes a training triple; it is in the checkpoint.

    Args:
        negatives: how many a question, distinct; the paper draws 1.
        cache: N₁; fresh: N₂; the paper has 50 for both.
        lazy: refresh in every (lazy + 1)-th epoch only.
        side: "bernoulli" asks one side of a triple, as in the paper; "coin" one with probability ½; "both" both.
        mask_known: keep known answers out of the caches. The paper leaves them in.
    """

    def __init__(
        self,
        negatives: int = 1,
        *,
        cache: int = 50,
        fresh: int = 50,
        lazy: int = 0,
        side: Asked = "bernoulli",
        mask_known: bool = True,
    ) -> None:
        if min(cache, fresh) < 1 or lazy < 0:
            raise ConfigError(
                f"cache and fresh must be at least 1, lazy at least 0; got cache={cache}, fresh={fresh}, lazy={lazy}"
            )
        self.negatives, self.cache, self.fresh, self.lazy = at_least_one(negatives), cache, fresh, lazy
        self.mask_known = mask_known
        self._asker = Unknown(side=side)
        self._caches: dict[Side, Tensor] = {}

    def prepare(self, context: Context) -> None:
        """Fill a cache for every training question that may be asked."""
        self._caches = {side: self._start(side, context) for side in context.sides}

    def _start(self, side: Side, context: Context) -> Int[Tensor, "questions n1"]:
        pool = torch.arange(context.model.num_relations) if side is Side.RELATION else context.pool
        shape = (context.known.questions(side), min(self.cache, len(pool)))
        drawn = pool.to(context.pool.device)[context.random_integers(len(pool), shape)]
        return distinct_rows(drawn).int()

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._asker.questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with weights (B, K), every id of a question's cache alike."""
        rows = context.known.index(query)
        cached = self._caches[query.side][rows].long()
        usable = self._usable(query, cached, context)
        noise = uniform_noise(tuple(cached.shape), context).masked_fill(~usable, -1.0)
        columns = noise.topk(min(self.negatives, cached.shape[1]), dim=1).indices
        weight = usable.gather(1, columns)
        # Padding is the answer itself: an id that is encoded anyway
        ids = torch.where(weight, cached.gather(1, columns), answer.unsqueeze(1))
        return Negatives(ids, weight=weight.float(), memory=(query, rows))

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> None:
        """Refresh the caches of these questions; the scores of the drawn alone do not help."""
        if context.epoch % (self.lazy + 1):
            return
        query, rows = negatives.memory
        once, place = rows.unique(return_inverse=True)
        first = torch.full_like(once, len(rows)).scatter_reduce(
            0, place, torch.arange(len(rows), device=rows.device), reduce="amin"
        )
        self._refresh(query[first], once, context)

    def _refresh(self, query: Query, rows: Int[Tensor, " batch"], context: Context) -> None:
        """Keep N₁ of the cached and of N₂ fresh ids, by Gumbel noise on their scores."""
        pool, cache = pool_of(query, context), self._caches[query.side]
        fresh = pool[context.random_integers(len(pool), (len(rows), self.fresh))]
        union = distinct_rows(torch.cat([cache[rows].long(), fresh], dim=1))
        usable = self._usable(query, union, context)
        scores = plain_scores(context.model, query, union.clamp_min(0))
        keys = (scores + gumbel_noise(tuple(union.shape), context)).masked_fill(~usable, -torch.inf)
        kept = keys.topk(cache.shape[1], dim=1)
        cache[rows] = torch.where(kept.values > -torch.inf, union.gather(1, kept.indices), EMPTY).int()

    def _usable(self, query: Query, ids: Int[Tensor, "batch n"], context: Context) -> Bool[Tensor, "batch n"]:
        """Where an id is there and, if so wanted, no known answer."""
        return (ids != EMPTY) & ~context.known.contains(query, ids) if self.mask_known else ids != EMPTY

    def state(self) -> dict[str, Tensor]:
        """The caches, by the side they answer."""
        return {side.name.lower(): cache for side, cache in self._caches.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore the caches; ConfigError when they are of another size."""
        for side, cache in self._caches.items():
            saved = state.get(side.name.lower())
            if saved is None or saved.shape != cache.shape:
                raise ConfigError(f"the checkpoint's caches of {side.name.lower()} questions have another size")
            cache.copy_(saved)


def distinct_rows(ids: Int[Tensor, "batch n"]) -> Int[Tensor, "batch n"]:
    """Each row ascending, with −1 in place of the second and later times that an id occurs.

    >>> distinct_rows(torch.tensor([[4, 1, 4, 4, 0]])).tolist()
    [[0, 1, 4, -1, -1]]
    """
    ordered = ids.sort(dim=1).values
    repeated = torch.zeros_like(ordered, dtype=torch.bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(repeated, EMPTY)

"""SANS: negatives from the neighbourhood of the entity that a question keeps (Ahrabian et al., EMNLP 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.sampling._neighbourhoods import Neighbourhoods, adjacency, walked, within
from pictokg.sampling.base import Context, Negatives, Question, Sampler
from pictokg.sampling.unknown import Asked, Unknown

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


class Sans(Sampler):
    """Uniform draws from the entities within k hops of the kept entity, known answers drawn again.

        N_k(e) = support of row e of Aᵏ + Aᵏ⁻¹,   A the adjacency of the training graph, either direction, any relation

    or, with `walks`, from where so many random walks of k steps from e end (RW-SANS). Every walk starts at e; the
    released code forgot that, so that its second walk went on where the first had ended. Walks are made once, before
    the first step. Where nothing of a neighbourhood is left, negatives come from the whole pool; what is known even
    then has weight 0. Nothing is learned; self-adversarial weights are a loss here and may be added. Wrong
    relations have no neighbourhood and are drawn from all. Memory: 4 bytes an id of a neighbourhood, 2 GiB at most.

    Args:
        negatives: how many a question.
        hops: k; the paper tries 2 to 5.
        walks: random walks an entity (the paper: 1,000 to 4,500); 0 takes the exact neighbourhoods.
        side: "both" asks every triple from both sides; "bernoulli" and "coin" from one.
        tries: redraws before a known answer counts as not to be replaced.
    """

    def __init__(
        self, negatives: int = 64, *, hops: int = 2, walks: int = 0, side: Asked = "both", tries: int = 10
    ) -> None:
        if hops < 1 or walks < 0:
            raise ConfigError(f"hops must be at least 1 and walks at least 0; got hops={hops}, walks={walks}")
        self.hops, self.walks, self.tries = hops, walks, tries
        self._uniform = Unknown(negatives, side=side, tries=tries)
        self._near: Neighbourhoods | None = None

    def prepare(self, context: Context) -> None:
        """Find who is near whom."""
        entities, device = context.model.num_entities, context.pool.device
        near = adjacency(context.data.graph.split("train"), entities)
        pool = np.zeros(entities, dtype=bool)
        pool[context.pool.cpu().numpy()] = True
        found = walked(near, self.hops, self.walks, pool, context) if self.walks else within(near, self.hops, pool)
        self._near = Neighbourhoods(found.offsets.to(device), found.members.to(device))

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._uniform.questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with weights (B, K)."""
        if query.side is Side.RELATION:
            return self._uniform(query, answer, context)
        assert self._near is not None, "prepare comes first"
        ids = self._near.draw(query.anchor, self._uniform.negatives, context)
        wrong = _out_of_use(query, ids, context)
        for _ in range(self.tries):
            if not wrong.any():
                break
            ids[wrong] = self._near.draw(query.anchor[wrong.nonzero()[:, 0]], 1, context)[:, 0]
            wrong = _out_of_use(query, ids, context)
        weight = torch.where(wrong, 0.0, 1.0)
        barren = wrong.all(dim=1).nonzero()[:, 0]
        if len(barren):
            anywhere = self._uniform(query[barren], answer[barren], context)
            assert anywhere.weight is not None, "unknown weighs what it draws"
            ids[barren], weight[barren] = anywhere.ids, anywhere.weight
        return Negatives(ids, weight=weight)


def _out_of_use(query: Query, ids: Int[Tensor, "batch k"], context: Context) -> Bool[Tensor, "batch k"]:
    """Where a draw is a known answer, or nobody was there to be drawn."""
    return context.known.contains(query, ids) | (ids < 0)

"""Attention of a few queries, common to all entities, to the rows of features that each entity owns, gathering no row.

Rows are read where they are, once forwards and once backwards: memory is what this costs, and an entity's rows stay in
the cache for all queries.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _aspects
from pictokg.kernels.independent import array, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ENTITIES_A_TASK = 64


def owned(
    rows: Float[Tensor, "rows width"],
    spot: Int[Tensor, " rows"],
    first: Int[Tensor, " entities"],
    count: Int[Tensor, " entities"],
) -> _aspects.Owned:
    """What belongs to whom: entity u owns rows first[u] … first[u] + count[u] − 1; float32, on the CPU."""
    place = np.append(0, np.cumsum(count.numpy())).astype(np.int64)
    return _aspects.Owned(array(rows), array(spot), array(first), place)


def look(
    queries: Float[Tensor, "width aspects"], bias: Float[Tensor, "spots aspects"], rows: _aspects.Owned
) -> Float[Tensor, "entities aspects width"]:
    """Σ_p α_ap x_p of each entity's rows, α_a = softmax_p(x_p · q_a + b_a,spot(p)); differentiable in q and b.

    Args:
        queries: q, a column an aspect; bias: b; both of float32 on the CPU.
        rows: of `owned`; an entity without rows sees 0.
    """
    return _Look.apply(queries, bias, rows)


class _Look(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, bias: Tensor, rows: _aspects.Owned) -> Tensor:
        seen = torch.empty(len(rows.first), queries.shape[1], queries.shape[0])
        weights = np.empty((queries.shape[1], rows.place[-1]), np.float32)
        work = partial(_aspects.look_block, rows, array(queries.T), array(bias), weights, array(seen))
        run([partial(work, block) for block in spans(len(seen), ENTITIES_A_TASK)])
        ctx.rows, ctx.weights, ctx.spots = rows, weights, len(bias)
        return seen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        pulled = array(gradients[0])
        blocks = spans(len(pulled), ENTITIES_A_TASK)
        by_query = np.zeros((len(blocks), *pulled.shape[1:]), np.float32)
        by_bias = np.zeros((len(blocks), ctx.spots, pulled.shape[1]), np.float32)
        work = partial(_aspects.learn_block, ctx.rows, ctx.weights, pulled)
        run([partial(work, by_query[b], by_bias[b], block) for b, block in enumerate(blocks)])
        return torch.from_numpy(by_query.sum(axis=0).T.copy()), torch.from_numpy(by_bias.sum(axis=0)), None

"""What several samplers do with the pool: draw from it, and find the known answers in it."""

from __future__ import annotations

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side
from pictokg.sampling.base import Context, pool_of


def draw(query: Query, shape: tuple[int, ...], context: Context) -> Tensor:
    """Ids that may stand in the open slot, drawn uniformly with replacement."""
    pool = pool_of(query, context)
    drawn = context.random_integers(len(pool), shape)
    everything = context.model.num_relations if query.side is Side.RELATION else context.model.num_entities
    return drawn if len(pool) == everything else pool[drawn]


def known_among(query: Query, pool: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """(rows, columns) of the candidates of the (sorted) pool that are known answers of the question; rows ascending."""
    rows, ids = context.known.answers(query)
    columns = torch.searchsorted(pool, ids).clamp_max(len(pool) - 1)
    inside = pool[columns] == ids
    return rows[inside], columns[inside]

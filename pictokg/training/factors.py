"""What regularisers read of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from pictokg.graph.query import Query

if TYPE_CHECKING:
    from pictokg.models.base import Model
    from pictokg.sampling.base import Negatives


def factors_of(
    model: Model, query: Query, answer: Tensor, negatives: Negatives, encode: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Moduli of the vectors of anchor, answer and relation of every fact that the batch holds true."""
    if negatives.labelled is not None:  # a question once for each of its answers
        row, column = negatives.labelled
        query, answer = query[row], negatives.ids[column]
    anchor, relation, _ = model.direct(query)
    moduli, condition = model.scoring.moduli, model.encoder.condition
    entities = [moduli(condition(encode(ids), relation)) for ids in (anchor, answer)]
    return [*entities, moduli(model.relations(relation))]

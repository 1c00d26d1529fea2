"""A score as a similarity of what is expected with what is there: what searches and fast paths need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

    from pictokg.graph.query import Query
    from pictokg.models.base import Model


def similarity_of(model: Model) -> str:
    """The kernel of the scoring function where score = similarity(expected, encode(candidate)), else ""."""
    return model.scoring.kernel if len(model.encoder.views) == 1 and not model.depends_on_relation else ""


def expect(model: Model, query: Query, encode: Callable[[Tensor], Tensor]) -> Float[Tensor, "batch e"]:
    """The vector that the open slot of each entity question should have, for models with one view."""
    anchor, relation, side = model.direct(query)
    return model.scoring.expect(model.encoder.condition(encode(anchor), relation), model.relations(relation), side)

"""A score as a similarity of what is expected with what is there: what searches and fast paths need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.fusion.linear import WeightedParts, fold

if TYPE_CHECKING:
    from jaxtyping import Float

    from pictokg.graph.query import Query
    from pictokg.models.base import Model
    from pictokg.scoring.base import ScoringFunction


def similarity_of(model: Model) -> str:
    """The kernel of the scoring function where score = similarity(expected, encode(candidate)), else ""."""
    return model.scoring.kernel if len(model.encoder.views) == 1 and not model.depends_on_relation else ""


def expect(model: Model, query: Query, encode: Callable[[Tensor], Tensor]) -> Float[Tensor, "batch e"]:
    """The vector that the open slot of each entity question should have, for models with one view."""
    anchor, relation, side = model.direct(query)
    return model.scoring.expect(model.encoder.condition(encode(anchor), relation), model.relations(relation), side)


def folds(model: Model) -> bool:
    """Whether scores of candidates that look different to each relation are dot products with what does not."""
    return (
        model.scoring.kernel == "dot"
        and not model.scoring.projects
        and len(model.encoder.views) == 1
        and isinstance(model.encoder, WeightedParts)
    )


def shared_similarity_of(model: Model) -> str:
    """As `similarity_of`, of what `expect_of_shared` and `shared_vectors` give."""
    return "dot" if folds(model) else similarity_of(model)


def expect_of_shared(model: Model, query: Query, encode: Callable[[Tensor], Tensor]) -> Float[Tensor, "batch wide"]:
    """What questions expect, to be compared with `shared_vectors` of candidates that all of them share."""
    expected, relation = expect(model, query, encode), model.direct(query)[1]
    return fold(model.encoder, expected, relation) if isinstance(model.encoder, WeightedParts) else expected


def shared_vectors(model: Model, static: Tensor) -> Float[Tensor, "candidates wide"]:
    """Candidates as `expect_of_shared` wants them."""
    return static.flatten(1) if isinstance(model.encoder, WeightedParts) else static


def is_linear(scoring: ScoringFunction) -> bool:
    """Whether the score is linear in the vector of a candidate, a dot product with what is expected."""
    one, other, expected = torch.randn(3, 1, scoring.entity_width, generator=torch.Generator().manual_seed(0))
    apart = scoring.similarity(expected, one) + scoring.similarity(expected, other)
    together = scoring.similarity(expected, one + other)  # of a distance it is off by about the width
    return bool(torch.allclose(apart, together, rtol=1e-4, atol=1e-4 * scoring.entity_width))

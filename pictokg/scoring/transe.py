"""TransE: a relation is a step from head to tail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.scoring._vectors import unit, within_unit_ball
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_norm

if TYPE_CHECKING:
    from jaxtyping import Float


class TransE(ScoringFunction):
    """Score a triple by how far a step of r from h ends from t.

        score = −‖h + r − t‖ₚ

    Bordes et al., *Translating embeddings for modeling multi-relational data*, NeurIPS 2013.

    Args:
        dim: values per entity and relation.
        norm: 1 for the L1 distance, 2 for the Euclidean.
        constrain: keep entity vectors at length 1, as published.
        ball: instead keep entities and relations at length 1 or less, as IKRL does.

    Raises:
        ConfigError: when `norm` is neither 1 nor 2.

    >>> from pictokg.graph.query import Side
    >>> head, relation, tail = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[1.0, 1.0]]])
    >>> TransE(dim=2).score(head, relation, tail, Side.TAIL).item()
    -1.0
    """

    composition = "sum"

    def __init__(self, dim: int, *, norm: int = 1, constrain: bool = True, ball: bool = False) -> None:
        super().__init__(dim)
        self.constrain, self.ball = constrain, ball
        self._similarity, self.kernel = negative_norm(norm), f"l{norm}"

    def expect_tail(
        self, head: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return h + r."""
        return head + relation

    def expect_head(
        self, tail: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return t − r."""
        return tail - relation

    def similarity(
        self, expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative distance."""
        return self._similarity(expected, candidates)

    def constrain_entities(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Scale entities to length 1, or those that are longer into the ball."""
        if not self.constrain:
            return rows
        return within_unit_ball(rows) if self.ball else unit(rows)

    def constrain_relations(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Scale relations that are longer than 1 into the ball, where that is asked for."""
        return within_unit_ball(rows) if self.constrain and self.ball else rows

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw all rows from ±6/√d; relations are scaled to length 1 once, entities if constrained."""
        bound = 6 / self.dim**0.5
        relations.uniform_(-bound, bound, generator=generator)
        relations.copy_(unit(relations))
        entities.uniform_(-bound, bound, generator=generator)
        entities.copy_(self.constrain_entities(entities))

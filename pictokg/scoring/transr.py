"""TransR: a relation is a step in a space of its own, reached by a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Side
from pictokg.scoring._vectors import unit, within_unit_ball
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_norm

if TYPE_CHECKING:
    from jaxtyping import Float


class TransR(ScoringFunction):
    """Score a triple by a step between h and t after the relation's matrix has moved them to its space.

        score = −‖h M + r − t M‖ₚ

    A relation's row is [r (k); M (d × k) row by row]. The paper squares the distance, which ranks candidates
    the same; its constraint that projected entities stay within length 1 is not imposed, because it binds
    pairs of rows.

    Lin et al., *Learning entity and relation embeddings for knowledge graph completion*, AAAI 2015.

    Args:
        dim: values per entity, d.
        relation_dim: dimensions of the relation's space, k; `dim` unless given.
        norm: 1 for the L1 distance, 2 for the Euclidean.
        constrain: keep entities and r within length 1, as published.

    Raises:
        ConfigError: when `norm` is neither 1 nor 2, or `relation_dim` is below 1.

    >>> head, tail = torch.tensor([[[1.0, 5.0]], [[3.0, -7.0]]])
    >>> relation = torch.tensor([[2.0, 1.0, 0.0]])  # a step of two in a space that keeps the first dimension
    >>> TransR(dim=2, relation_dim=1).score(head, relation, tail, Side.TAIL).item()
    -0.0
    """

    projects = True

    def __init__(self, dim: int, *, relation_dim: int | None = None, norm: int = 2, constrain: bool = True) -> None:
        space = dim if relation_dim is None else relation_dim
        if space < 1:
            raise ConfigError(f"relation_dim is {relation_dim}; the relation's space needs a dimension")
        super().__init__(dim, relation_width=space * (1 + dim))
        self.relation_dim = space
        self.constrain = constrain
        self._similarity = negative_norm(norm)

    def project(
        self, entities: Float[Tensor, "*some dim"], relation: Float[Tensor, "*#some relation"], slot: Side
    ) -> Float[Tensor, "*some k"]:
        """Return e M."""
        matrix = relation[..., self.relation_dim :].unflatten(-1, (self.dim, self.relation_dim))
        return torch.einsum("...d,...dk->...k", entities, matrix)

    def expect_tail(
        self, head: Float[Tensor, "batch k"], relation: Float[Tensor, "batch relation"]
    ) -> Float[Tensor, "batch k"]:
        """Return h M + r."""
        return head + relation[..., : self.relation_dim]

    def expect_head(
        self, tail: Float[Tensor, "batch k"], relation: Float[Tensor, "batch relation"]
    ) -> Float[Tensor, "batch k"]:
        """Return t M − r."""
        return tail - relation[..., : self.relation_dim]

    def similarity(
        self, expected: Float[Tensor, "batch k"], candidates: Float[Tensor, "*some k"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative distance."""
        return self._similarity(expected, candidates)

    def constrain_entities(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Keep entities within length 1."""
        return within_unit_ball(rows) if self.constrain else rows

    def constrain_relations(self, rows: Float[Tensor, "n relation"]) -> Float[Tensor, "n relation"]:
        """Keep r within length 1, and leave M."""
        if not self.constrain:
            return rows
        step, matrix = rows[..., : self.relation_dim], rows[..., self.relation_dim :]
        return torch.cat([within_unit_ball(step), matrix], dim=-1)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations relation"],
        generator: torch.Generator,
    ) -> None:
        """Draw the vectors as TransE does; every matrix starts as the identity, as published."""
        entities.uniform_(-6 / self.dim**0.5, 6 / self.dim**0.5, generator=generator)
        entities.copy_(self.constrain_entities(entities))
        step, matrix = relations[:, : self.relation_dim], relations[:, self.relation_dim :]
        bound = 6 / self.relation_dim**0.5
        step.uniform_(-bound, bound, generator=generator)
        step.copy_(unit(step))
        matrix.copy_(torch.eye(self.dim, self.relation_dim).flatten())

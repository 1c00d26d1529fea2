"""TransH: a relation is a step on its own hyperplane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Side
from pictokg.scoring._vectors import unit, within_unit_ball
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_norm

if TYPE_CHECKING:
    from jaxtyping import Float


class TransH(ScoringFunction):
    """Score a triple by a step between the shadows of h and t on the relation's hyperplane.

        score = −‖h⊥ + d − t⊥‖ₚ,  e⊥ = e − (w·e) w

    A relation's row is [d; w], with w the unit normal of the hyperplane. The paper squares the distance,
    which ranks candidates the same. Its soft constraint that d lies on the hyperplane is not imposed.

    Wang et al., *Knowledge graph embedding by translating on hyperplanes*, AAAI 2014.

    Args:
        dim: values per entity.
        norm: 1 for the L1 distance, 2 for the Euclidean.
        constrain: keep entity vectors within length 1, as published; w has length 1 in any case.

    Raises:
        ConfigError: when `norm` is neither 1 nor 2.

    >>> head, tail = torch.tensor([[[1.0, 5.0]], [[3.0, -7.0]]])
    >>> relation = torch.tensor([[2.0, 0.0, 0.0, 1.0]])  # two to the right, whatever the height
    >>> TransH(dim=2).score(head, relation, tail, Side.TAIL).item()
    -0.0
    """

    projects = True

    def __init__(self, dim: int, *, norm: int = 2, constrain: bool = True) -> None:
        super().__init__(dim, relation_width=2 * dim)
        self.constrain = constrain
        self._similarity = negative_norm(norm)

    def project(
        self, entities: Float[Tensor, "*some dim"], relation: Float[Tensor, "*#some twice_dim"], slot: Side
    ) -> Float[Tensor, "*some dim"]:
        """Return e − (w·e) w."""
        normal = relation[..., self.dim :]
        return entities - (entities * normal).sum(dim=-1, keepdim=True) * normal

    def expect_tail(
        self, head: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return h⊥ + d."""
        return head + relation[..., : self.dim]

    def expect_head(
        self, tail: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return t⊥ − d."""
        return tail - relation[..., : self.dim]

    def similarity(
        self, expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative distance."""
        return self._similarity(expected, candidates)

    def constrain_entities(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Keep entities within length 1."""
        return within_unit_ball(rows) if self.constrain else rows

    def constrain_relations(self, rows: Float[Tensor, "n twice_dim"]) -> Float[Tensor, "n twice_dim"]:
        """Give w length 1: without it, `project` would not be a projection."""
        return torch.cat([rows[..., : self.dim], unit(rows[..., self.dim :])], dim=-1)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations twice_dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw all rows from ±6/√d as TransE does, then impose the constraints."""
        bound = 6 / self.dim**0.5
        for rows in (entities, relations):
            rows.uniform_(-bound, bound, generator=generator)
        steps = relations[:, : self.dim]
        steps.copy_(unit(steps))
        relations.copy_(self.constrain_relations(relations))
        entities.copy_(self.constrain_entities(entities))

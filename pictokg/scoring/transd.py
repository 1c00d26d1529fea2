"""TransD: TransR whose matrix is made of two vectors, one of the entity and one of the relation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.errors import ConfigError
from pictokg.graph.query import Side
from pictokg.scoring._vectors import unit, within_unit_ball
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_norm

if TYPE_CHECKING:
    from jaxtyping import Float


class TransD(ScoringFunction):
    """Score a triple by a step between h and t, moved to the relation's space by a matrix of rank one plus I.

        score = −‖h⊥ + r − t⊥‖ₚ,  e⊥ = (r_p e_pᵀ + I) e = (e_p·e) r_p + I e

    An entity's row is [e (d); e_p (d)], a relation's [r (k); r_p (k)]; I is k × d and cuts or pads with
    zeros. The paper squares the distance, which ranks candidates the same.

    Ji et al., *Knowledge graph embedding via dynamic mapping matrix*, ACL 2015.

    Args:
        dim: values of an entity's vector, d.
        relation_dim: dimensions of the relation's space, k; `dim` unless given.
        norm: 1 for the L1 distance, 2 for the Euclidean.
        constrain: keep e and r within length 1.

    Raises:
        ConfigError: when `norm` is neither 1 nor 2, or `relation_dim` is below 1.

    >>> head, tail = torch.tensor([[[1.0, 1.0]], [[5.0, 0.0]]])  # e = 1 with e_p = 1, e = 5 with e_p = 0
    >>> relation = torch.tensor([[1.0, 3.0]])  # 1 becomes 1 · 3 + 1, and then the step of 1
    >>> TransD(dim=1).score(head, relation, tail, Side.TAIL).item()
    -0.0
    """

    projects = True

    def __init__(self, dim: int, *, relation_dim: int | None = None, norm: int = 2, constrain: bool = True) -> None:
        space = dim if relation_dim is None else relation_dim
        if space < 1:
            raise ConfigError(f"relation_dim is {relation_dim}; the relation's space needs a dimension")
        super().__init__(dim, entity_width=2 * dim, relation_width=2 * space)
        self.relation_dim = space
        self.constrain = constrain
        self._similarity = negative_norm(norm)

    def project(
        self,
        entities: Float[Tensor, "*some twice_dim"],
        relation: Float[Tensor, "*#some twice_k"],
        slot: Side,
    ) -> Float[Tensor, "*some k"]:
        """Return (e_p·e) r_p + I e."""
        vector, transfer = entities.chunk(2, dim=-1)
        same = F.pad(vector, (0, self.relation_dim - self.dim))  # a negative width cuts
        return same + (transfer * vector).sum(dim=-1, keepdim=True) * relation[..., self.relation_dim :]

    def expect_tail(
        self, head: Float[Tensor, "batch k"], relation: Float[Tensor, "batch twice_k"]
    ) -> Float[Tensor, "batch k"]:
        """Return h⊥ + r."""
        return head + relation[..., : self.relation_dim]

    def expect_head(
        self, tail: Float[Tensor, "batch k"], relation: Float[Tensor, "batch twice_k"]
    ) -> Float[Tensor, "batch k"]:
        """Return t⊥ − r."""
        return tail - relation[..., : self.relation_dim]

    def similarity(
        self, expected: Float[Tensor, "batch k"], candidates: Float[Tensor, "*some k"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative distance."""
        return self._similarity(expected, candidates)

    def constrain_entities(self, rows: Float[Tensor, "n twice_dim"]) -> Float[Tensor, "n twice_dim"]:
        """Keep e within length 1, and leave e_p."""
        return self._constrain_first_half(rows)

    def constrain_relations(self, rows: Float[Tensor, "n twice_k"]) -> Float[Tensor, "n twice_k"]:
        """Keep r within length 1, and leave r_p."""
        return self._constrain_first_half(rows)

    def _constrain_first_half(self, rows: Tensor) -> Tensor:
        if not self.constrain:
            return rows
        vector, transfer = rows.chunk(2, dim=-1)
        return torch.cat([within_unit_ball(vector), transfer], dim=-1)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities twice_dim"],
        relations: Float[Tensor, "relations twice_k"],
        generator: torch.Generator,
    ) -> None:
        """Draw the vectors as TransE does; r_p = 0, so that every matrix starts as I, as published."""
        bound = 6 / self.dim**0.5
        entities.uniform_(-bound, bound, generator=generator)
        transfer = entities[:, self.dim :]
        transfer.copy_(unit(transfer))
        entities.copy_(self.constrain_entities(entities))
        step = relations.zero_()[:, : self.relation_dim]
        step.uniform_(-bound, bound, generator=generator)
        step.copy_(unit(step))

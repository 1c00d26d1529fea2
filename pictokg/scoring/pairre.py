"""PairRE: a relation weighs head and tail, each with a vector of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Side
from pictokg.scoring._vectors import unit
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_l1

if TYPE_CHECKING:
    from jaxtyping import Float


class PairRE(ScoringFunction):
    """Score a triple by how near the weighed head comes to the weighed tail; both have length 1 before.

        score = −‖ĥ ∘ r_H − t̂ ∘ r_T‖₁,  ê = e / ‖e‖₂

    A relation's row is [r_H; r_T].

    Chao et al., *PairRE: knowledge graph embeddings via paired relation vectors*, ACL 2021.

    Args:
        dim: values per entity.
        init_margin: γ of the published first values, which lie within ±(γ + 2)/dim; best the loss's margin.

    >>> head, tail = torch.tensor([[[2.0, 0.0]], [[0.0, 3.0]]])
    >>> PairRE(dim=2).score(head, torch.tensor([[5.0, 1.0, 1.0, 4.0]]), tail, Side.TAIL).item()
    -9.0
    """

    projects = True

    def __init__(self, dim: int, *, init_margin: float = 12.0) -> None:
        super().__init__(dim, relation_width=2 * dim)
        self.init_margin = init_margin

    def project(
        self, entities: Float[Tensor, "*some dim"], relation: Float[Tensor, "*#some twice_dim"], slot: Side
    ) -> Float[Tensor, "*some dim"]:
        """Return ê ∘ r_H for heads, ê ∘ r_T for tails."""
        weights = relation[..., : self.dim] if slot is Side.HEAD else relation[..., self.dim :]
        return unit(entities) * weights

    def expect_tail(
        self, head: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return the projected head: it should equal the projected tail."""
        return head

    def expect_head(
        self, tail: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return the projected tail: it should equal the projected head."""
        return tail

    def similarity(
        self, expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative L1 distance."""
        return negative_l1(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations twice_dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw all rows from ±(γ + 2)/d."""
        bound = (self.init_margin + 2) / self.dim
        for rows in (entities, relations):
            rows.uniform_(-bound, bound, generator=generator)

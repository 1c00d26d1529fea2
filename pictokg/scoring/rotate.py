"""RotatE: a relation turns each complex number of the head by an angle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.scoring._vectors import complex_moduli, complex_product
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.distance import negative_modulus

if TYPE_CHECKING:
    from jaxtyping import Float


class RotatE(ScoringFunction):
    """Score a triple by how far h, turned by the relation's angles, is from t.

        score = −Σⱼ |hⱼ exp(i rⱼ) − tⱼ|

    An entity's row is [real; imaginary], 2 · dim values; a relation's holds `dim` phases in radians.

    Sun et al., *RotatE: knowledge graph embedding by relational rotation in complex space*, ICLR 2019.

    Args:
        dim: complex numbers per entity.
        init_margin: γ of the published first values, which lie within ±(γ + 2)/dim; best the loss's margin.

    >>> from pictokg.graph.query import Side
    >>> one, i = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> quarter_turn = torch.tensor([[math.pi / 2]])
    >>> RotatE(dim=1).score(one, quarter_turn, torch.cat([i, -i]), Side.TAIL).round().tolist()
    [[-0.0, -2.0]]
    """

    kernel = "modulus"
    composition = "turn"

    def __init__(self, dim: int, *, init_margin: float = 12.0) -> None:
        super().__init__(dim, entity_width=2 * dim)
        self.init_margin = init_margin

    def expect_tail(
        self, head: Float[Tensor, "batch twice_dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch twice_dim"]:
        """Return h ∘ exp(i r)."""
        return complex_product(head, _turn(relation))

    def expect_head(
        self, tail: Float[Tensor, "batch twice_dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch twice_dim"]:
        """Return t ∘ exp(−i r): turning back keeps distances."""
        return complex_product(tail, _turn(-relation))

    def similarity(
        self, expected: Float[Tensor, "batch twice_dim"], candidates: Float[Tensor, "*some twice_dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the negative sum of the moduli of the differences."""
        return negative_modulus(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities twice_dim"],
        relations: Float[Tensor, "relations dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw entities from ±(γ + 2)/d and phases from ±π."""
        bound = (self.init_margin + 2) / self.dim
        entities.uniform_(-bound, bound, generator=generator)
        relations.uniform_(-math.pi, math.pi, generator=generator)

    def moduli(self, vectors: Float[Tensor, "*some width"]) -> Float[Tensor, "*some dim"]:
        """Return the complex moduli of entities; those of relations, given as phases, are 1."""
        return complex_moduli(vectors if vectors.shape[-1] == self.entity_width else _turn(vectors))


def _turn(phases: Tensor) -> Tensor:
    """Return exp(i phase) as [real; imaginary]."""
    return torch.cat([phases.cos(), phases.sin()], dim=-1)

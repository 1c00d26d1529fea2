"""ComplEx: DistMult over complex numbers, where head and tail differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.scoring._vectors import complex_moduli, complex_product, conjugate
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.similarity import dot

if TYPE_CHECKING:
    from jaxtyping import Float


class ComplEx(ScoringFunction):
    """Score a triple by the real part of a complex product; rows are [real; imaginary], 2 · dim values.

        score = Re Σⱼ hⱼ rⱼ conj(tⱼ)

    Trouillon et al., *Complex embeddings for simple link prediction*, ICML 2016; initialised as in Lacroix et
    al., *Canonical tensor decomposition for knowledge base completion*, ICML 2018, whose N3 suits it.

    Args:
        dim: complex numbers per entity and relation.
        init_scale: standard deviation of the first values.

    >>> from pictokg.graph.query import Side
    >>> one, i = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> ComplEx(dim=1).score(one, i, i, Side.TAIL).item(), ComplEx(dim=1).score(i, i, one, Side.TAIL).item()
    (1.0, -1.0)
    """

    kernel = "dot"
    composition = "complex"

    def __init__(self, dim: int, *, init_scale: float = 1e-3) -> None:
        super().__init__(dim, entity_width=2 * dim, relation_width=2 * dim)
        self.init_scale = init_scale

    def expect_tail(
        self, head: Float[Tensor, "batch twice_dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch twice_dim"]:
        """Return h ∘ r."""
        return complex_product(head, relation)

    def expect_head(
        self, tail: Float[Tensor, "batch twice_dim"], relation: Float[Tensor, "batch twice_dim"]
    ) -> Float[Tensor, "batch twice_dim"]:
        """Return t ∘ conj(r): the real part of a product does not change when all of it is conjugated."""
        return complex_product(tail, conjugate(relation))

    def similarity(
        self, expected: Float[Tensor, "batch twice_dim"], candidates: Float[Tensor, "*some twice_dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return Re Σ expected · conj(candidate), which is the dot product of [real; imaginary]."""
        return dot(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities twice_dim"],
        relations: Float[Tensor, "relations twice_dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw all values from a normal distribution of standard deviation `init_scale`."""
        entities.normal_(0, self.init_scale, generator=generator)
        relations.normal_(0, self.init_scale, generator=generator)

    def moduli(self, vectors: Float[Tensor, "*some twice_dim"]) -> Float[Tensor, "*some dim"]:
        """Return the complex moduli."""
        return complex_moduli(vectors)

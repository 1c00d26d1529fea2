"""DistMult: a relation weighs each dimension of a dot product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.similarity import dot

if TYPE_CHECKING:
    from jaxtyping import Float


class DistMult(ScoringFunction):
    """Score a triple by a product over its three vectors; head and tail may be exchanged.

        score = Σⱼ hⱼ rⱼ tⱼ

    Yang et al., *Embedding entities and relations for learning and inference in knowledge bases*, ICLR 2015.

    >>> from pictokg.graph.query import Side
    >>> head, relation, tail = torch.tensor([[[1.0, 2.0]], [[3.0, 1.0]], [[1.0, 1.0]]])
    >>> DistMult(dim=2).score(head, relation, tail, Side.TAIL).item()
    5.0
    """

    kernel = "dot"
    composition = "product"

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def expect_tail(
        self, head: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return h ∘ r."""
        return head * relation

    def expect_head(
        self, tail: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch dim"]:
        """Return t ∘ r."""
        return tail * relation

    def similarity(
        self, expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the dot product."""
        return dot(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw both tables by Xavier's uniform rule."""
        nn.init.xavier_uniform_(entities, generator=generator)
        nn.init.xavier_uniform_(relations, generator=generator)

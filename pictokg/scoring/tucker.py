"""TuckER: a core tensor, shared by all relations, joins the three vectors of a triple."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.scoring._vectors import batch_normalise
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.similarity import dot

if TYPE_CHECKING:
    from jaxtyping import Float


class TuckER(ScoringFunction):
    """Score a triple by a full three-way product with a learned core W (k × d × d).

        score = Σ_{ijk} W_{kij} r_k h_i t_j

    with batch normalisation and dropout of h and of the expected tail, as published. Defined for tail
    queries; head queries need reciprocal relations.

    Balažević et al., *TuckER: tensor factorization for knowledge graph completion*, EMNLP 2019.

    Args:
        dim: values per entity, d.
        relation_dim: values per relation, k; `dim` unless given.
        input_dropout: share of h that is dropped in training.
        matrix_dropout: share of the relation's matrix W ×₁ r that is dropped (the paper's hidden dropout 1).
        output_dropout: share of the expected tail that is dropped (the paper's hidden dropout 2).

    Raises:
        ConfigError: when `relation_dim` is below 1.

    >>> from pictokg.graph.query import Side
    >>> function = TuckER(dim=1).eval()
    >>> _ = function.core.data.fill_(2.0)
    >>> head, relation, tail = torch.tensor([[[3.0]], [[5.0]], [[7.0]]])
    >>> round(function.score(head, relation, tail, Side.TAIL).item(), 1)  # 2 · 3 · 5 · 7
    210.0
    """

    tail_only = True

    kernel = "dot"

    def __init__(
        self,
        dim: int,
        *,
        relation_dim: int | None = None,
        input_dropout: float = 0.3,
        matrix_dropout: float = 0.4,
        output_dropout: float = 0.5,
    ) -> None:
        width = dim if relation_dim is None else relation_dim
        if width < 1:
            raise ConfigError(f"relation_dim is {relation_dim}; a relation needs at least one dimension")
        super().__init__(dim, relation_width=width)
        self.core = nn.Parameter(torch.zeros(width, dim, dim))
        self.input_norm, self.output_norm = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)
        self.input_dropout = nn.Dropout(input_dropout)
        self.matrix_dropout = nn.Dropout(matrix_dropout)
        self.output_dropout = nn.Dropout(output_dropout)

    def expect_tail(
        self, head: Float[Tensor, "batch dim"], relation: Float[Tensor, "batch k"]
    ) -> Float[Tensor, "batch dim"]:
        """Return h (W ×₁ r)."""
        head = self.input_dropout(batch_normalise(self.input_norm, head))
        matrices = self.matrix_dropout((relation @ self.core.flatten(1)).unflatten(1, (self.dim, self.dim)))
        expected = torch.bmm(head.unsqueeze(1), matrices).squeeze(1)
        return self.output_dropout(batch_normalise(self.output_norm, expected))

    def similarity(
        self, expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
    ) -> Float[Tensor, "batch n"]:
        """Return the dot product."""
        return dot(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim"],
        relations: Float[Tensor, "relations k"],
        generator: torch.Generator,
    ) -> None:
        """Draw the core from ±1 and both tables by Xavier's normal rule."""
        self.core.uniform_(-1, 1, generator=generator)
        nn.init.xavier_normal_(entities, generator=generator)
        nn.init.xavier_normal_(relations, generator=generator)

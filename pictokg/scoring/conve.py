"""ConvE: a convolution over head and relation, laid out as pictures, says which tail to expect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.scoring._vectors import batch_normalise
from pictokg.scoring.base import ScoringFunction
from pictokg.scoring.similarity import dot

if TYPE_CHECKING:
    from jaxtyping import Float

KERNEL = 3  # height and width of a filter, as published


class ConvE(ScoringFunction):
    """Score a triple by a dot product of t with what a small convolutional network makes of h and r.

        score = relu(vec(relu([h̄; r̄] * ω)) W) · t + b_t

    h̄ and r̄ are the vectors as pictures of `height` rows, one above the other; batch normalisation and dropout
    stand where the published code has them. An entity's row is [e (d); b], with b its bias. Defined for tail
    queries; head queries need reciprocal relations.

    Dettmers et al., *Convolutional 2D knowledge graph embeddings*, AAAI 2018.

    Args:
        dim: values of an entity's vector and of a relation, d.
        height: rows of a picture, a divisor of `dim`; unless given, the smallest that is at least √dim.
        channels: filters of the convolution.
        input_dropout: share of the picture's points that are dropped in training.
        feature_map_dropout: share of whole feature maps that are dropped.
        hidden_dropout: share of the expected tail that is dropped.

    Raises:
        ConfigError: when `height` does not divide `dim`, or the picture is smaller than a filter.

    >>> from pictokg.graph.query import Side
    >>> function = ConvE(dim=12, channels=2).eval()
    >>> function.height, function.entity_width, function.relation_width
    (4, 13, 12)
    >>> function.score(torch.zeros(5, 13), torch.zeros(5, 12), torch.zeros(7, 13), Side.TAIL).shape
    torch.Size([5, 7])
    """

    tail_only = True

    def __init__(
        self,
        dim: int,
        *,
        height: int | None = None,
        channels: int = 32,
        input_dropout: float = 0.2,
        feature_map_dropout: float = 0.2,
        hidden_dropout: float = 0.3,
    ) -> None:
        super().__init__(dim, entity_width=dim + 1)
        self.height = _picture_height(dim) if height is None else height
        maps = _feature_map_size(dim, self.height)
        self.convolution = nn.Conv2d(1, channels, KERNEL)
        self.dense = nn.Linear(channels * maps, dim)
        self.input_norm, self.map_norm = nn.BatchNorm2d(1), nn.BatchNorm2d(channels)
        self.output_norm = nn.BatchNorm1d(dim)
        self.input_dropout = nn.Dropout(input_dropout)
        self.feature_map_dropout = nn.Dropout2d(feature_map_dropout)
        self.hidden_dropout = nn.Dropout(hidden_dropout)

    def expect_tail(
        self, head: Float[Tensor, "batch dim_and_bias"], relation: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch dim_and_bias"]:
        """Return the expected vector and a 1, which a dot product multiplies with the candidate's bias."""
        picture = torch.cat([head[:, : self.dim], relation], dim=1).unflatten(1, (1, 2 * self.height, -1))
        picture = self.input_dropout(self.input_norm(picture))
        maps = self.feature_map_dropout(self.map_norm(self.convolution(picture)).relu())
        hidden = self.hidden_dropout(self.dense(maps.flatten(1)))
        expected = batch_normalise(self.output_norm, hidden).relu()
        return torch.cat([expected, torch.ones_like(expected[:, :1])], dim=1)

    def similarity(
        self, expected: Float[Tensor, "batch dim_and_bias"], candidates: Float[Tensor, "*some dim_and_bias"]
    ) -> Float[Tensor, "batch n"]:
        """Return the dot product, the candidate's bias included."""
        return dot(expected, candidates)

    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities dim_and_bias"],
        relations: Float[Tensor, "relations dim"],
        generator: torch.Generator,
    ) -> None:
        """Draw both tables by Xavier's normal rule, biases 0, the network from ±1/√(inputs)."""
        nn.init.xavier_normal_(entities.zero_()[:, : self.dim], generator=generator)
        nn.init.xavier_normal_(relations, generator=generator)
        for layer in (self.convolution, self.dense):
            bound = layer.weight[0].numel() ** -0.5
            for values in layer.parameters():
                values.uniform_(-bound, bound, generator=generator)


def _picture_height(dim: int) -> int:
    """Return the smallest divisor of dim from its square root on: 200 becomes 20 × 10, as published."""
    return next(height for height in range(math.isqrt(dim - 1) + 1, dim + 1) if dim % height == 0)


def _feature_map_size(dim: int, height: int) -> int:
    """Count the places of a filter on the stacked pictures of head and relation."""
    if height < 1 or dim % height:
        raise ConfigError(f"height is {height}, which does not divide dim {dim}; choose a divisor")
    rows, columns = 2 * height - KERNEL + 1, dim // height - KERNEL + 1
    if rows < 1 or columns < 1:
        raise ConfigError(
            f"dim {dim} and height {height} make a picture of {2 * height} × {dim // height} points, "
            f"less than a {KERNEL} × {KERNEL} filter; choose a height from 2 to dim / {KERNEL}"
        )
    return rows * columns

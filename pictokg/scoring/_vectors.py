"""Small formulas on vectors that several scoring functions share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

if TYPE_CHECKING:
    from jaxtyping import Float


def unit(vectors: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Scale every vector to length 1; a zero vector stays zero, and its gradient stays finite.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / norms.masked_fill(norms == 0, 1)


def within_unit_ball(vectors: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Scale the vectors that are longer than 1 to length 1 and leave the others.

    >>> within_unit_ball(torch.tensor([[0.0, 2.0], [0.5, 0.0]])).tolist()
    [[0.0, 1.0], [0.5, 0.0]]
    """
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=1)


def complex_product(
    left: Float[Tensor, "*#batch twice_dim"], right: Float[Tensor, "*#batch twice_dim"]
) -> Float[Tensor, "*#batch twice_dim"]:
    """Multiply complex vectors [real; imaginary] element by element.

    >>> complex_product(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])).tolist()  # i · i
    [-1.0, 0.0]
    """
    (a, b), (c, d) = left.chunk(2, dim=-1), right.chunk(2, dim=-1)
    return torch.cat([a * c - b * d, a * d + b * c], dim=-1)


def conjugate(vectors: Float[Tensor, "*batch twice_dim"]) -> Float[Tensor, "*batch twice_dim"]:
    """Negate the imaginary half of complex vectors [real; imaginary]."""
    real, imaginary = vectors.chunk(2, dim=-1)
    return torch.cat([real, -imaginary], dim=-1)


def complex_moduli(vectors: Float[Tensor, "*batch twice_dim"]) -> Float[Tensor, "*batch dim"]:
    """Return the moduli of complex vectors [real; imaginary], with gradient zero (not NaN) at zero.

    >>> complex_moduli(torch.tensor([3.0, 1.0, 4.0, 0.0])).tolist()
    [5.0, 1.0]
    """
    real, imaginary = vectors.chunk(2, dim=-1)
    # The floor cuts the gradient at zero; a norm over an axis of two would do so too, forty times slower.
    return (real * real + imaginary * imaginary).clamp(min=torch.finfo(vectors.dtype).tiny).sqrt()


def batch_normalise(layer: nn.BatchNorm1d, batch: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    """Apply batch normalisation; a single row has no variance, so it is measured by the running figures."""
    if layer.training and len(batch) == 1:
        return F.batch_norm(
            batch,
            layer.running_mean,
            layer.running_var,
            layer.weight,
            layer.bias,
            training=False,
            eps=layer.eps,
        )
    return layer(batch)

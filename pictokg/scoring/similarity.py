"""How near a candidate is to the vector that a query expects: higher is nearer; distances stand in distance.py.

Candidates come in two shapes: each question's own, (B, K, e), and shared by all questions, (N, e). Shared
ones never make a tensor of B × N × e values: 4 GB for 256 questions, 15,000 entities and e = 256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def dot(expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]) -> Float[Tensor, "batch n"]:
    """Return the dot product of every expected vector with its candidates, own (B, K, e) or shared (N, e).

    >>> import torch
    >>> dot(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 3.0]])).tolist()
    [[3.0, 6.0]]
    """
    if candidates.dim() == 3:
        return (candidates @ expected.unsqueeze(2)).squeeze(2)
    return expected @ candidates.T

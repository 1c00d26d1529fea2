"""Lp: the p-th power of the absolute values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pictokg.regularisers.base import Regulariser

if TYPE_CHECKING:
    from torch import Tensor


class Lp(Regulariser):
    """λ · mean over the batch of Σ_factors Σ_i |x_i|^p.

    >>> Lp(weight=0.5, power=2)([torch.tensor([[1.0, 2.0]])]).item()
    2.5
    """

    def __init__(self, weight: float = 1e-3, power: int = 2) -> None:
        self.weight, self.power = weight, power

    def __call__(self, factors: Sequence[Tensor]) -> Tensor:
        """Weighted penalty of the batch."""
        per_factor = [(moduli**self.power).sum(dim=-1).mean() for moduli in factors]
        return self.weight * torch.stack(per_factor).sum()

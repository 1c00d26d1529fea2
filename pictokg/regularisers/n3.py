"""N3: the nuclear 3-norm of the tensor, by the cubes of its factors' moduli."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pictokg.regularisers.base import Regulariser
from pictokg.regularisers.lp import Lp

if TYPE_CHECKING:
    from torch import Tensor


class N3(Regulariser):
    """λ · mean over the batch of ‖a‖₃³ + ‖r‖₃³ + ‖t‖₃³, complex numbers by modulus (Lacroix et al., ICML 2018)."""

    def __init__(self, weight: float = 0.01) -> None:
        self._cubes = Lp(weight, power=3)

    def __call__(self, factors: Sequence[Tensor]) -> Tensor:
        """Weighted penalty of the batch."""
        return self._cubes(factors)

"""What every regulariser is: a penalty on the vectors of the batch's triples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Regulariser(ABC):
    """`regulariser(factors)` is the penalty of a batch, already weighted; 0 is none."""

    @abstractmethod
    def __call__(self, factors: Sequence[Tensor]) -> Tensor:
        """Penalise the moduli (B, d) of the anchor, the relation and the answer of each question."""

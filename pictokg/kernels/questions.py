"""What goes into a kernel and what comes out, for the kernels and for their twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions with what is expected in their open slot, their answers and their negatives.

    Attributes:
        expected: the vector that the open slot should have, (B, d).
        answers: row of the table of each answer, (B,).
        candidates: rows of the negatives: (B, K), each question's own; or (C, N), each shared by a chunk of questions.
        weight: of each negative, (B, K); 0 takes it out; None: all 1.
        starts: where each chunk's questions start and the last one's end, (C + 1,); None: candidates are own.
    """

    expected: Float[Tensor, "batch dim"]
    answers: Int[Tensor, " batch"]
    candidates: Int[Tensor, "chunks negatives"]
    weight: Float[Tensor, "batch negatives"] | None = None
    starts: Int[Tensor, " chunks_and_1"] | None = None

    def each(self) -> Int[Tensor, "batch negatives"]:
        """The candidates of every question."""
        return self.candidates if self.starts is None else self.candidates.repeat_interleave(self.starts.diff(), dim=0)


class Step(NamedTuple):
    """An optimiser's step: its rule, a name of `formulas.RULES`; its rate; its state, (E, 1) or (E, d), else empty."""

    rule: str
    rate: float
    sums: Tensor


class Asked(NamedTuple):
    """What asking gives: the loss (B,), the gradient of `expected` (B, d), the rows touched, and notes for `move`."""

    loss: Tensor
    gradient: Tensor
    touched: Tensor
    memory: Any

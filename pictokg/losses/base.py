"""What every loss reads (`Scored`) and what it returns: one number per question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a batch of questions: of the answer, and of candidates that are (mostly) wrong.

    Attributes:
        positive: score of the answer, (B,); with a trailing term axis (B, E) for losses that ask per term.
        negative: scores of the candidates, (B, K) or (B, K, E).
        weight: weight of each candidate, broadcastable to (B, K); 0 takes it out. None: all 1.
        label: 1 where the candidate is itself a known answer, (B, K). None: all 0.
        answer_column: where the answer stands among the candidates, (B,), when it is one of them.
    """

    positive: Tensor
    negative: Tensor
    weight: Tensor | None = None
    label: Tensor | None = None
    answer_column: Tensor | None = None

    def mean_over_negatives(self, values: Float[Tensor, "batch candidates"]) -> Float[Tensor, " batch"]:
        """Average one value per candidate, with the weights: Σ w v / Σ w (0 where no candidate is left)."""
        if self.weight is None:
            return values.mean(dim=1)
        weight = self.weight.expand_as(values)
        return (weight * values).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-12)

    @property
    def masked_negative(self) -> Float[Tensor, "batch candidates"]:
        """The candidates' scores with log-weights added, so that softmax sees each `weight` times; −∞ where 0."""
        return self.negative if self.weight is None else self.negative + self.weight.log()

    def without_answer(self) -> Scored:
        """The same scores with the answer's own column weighted 0, for losses that want only wrong candidates."""
        if self.answer_column is None:
            return self
        weight = self.negative.new_ones(()) if self.weight is None else self.weight
        weight = weight.expand(self.negative.shape[:2]).scatter(1, self.answer_column.unsqueeze(1), 0.0)
        return replace(self, weight=weight, answer_column=None)


class Loss(ABC):
    """A loss: `loss(scored)` is one number per question, lower is better.

    Class attributes state what a loss reads: `per_term` (scores come with a term axis), `reads_labels`, and
    `reads_answer_column` (else the answer's own column is masked before the loss sees it); `kernel` names what the
    fast paths may take it for, as "softmax".
    """

    per_term = False
    kernel = ""
    reads_labels = False
    reads_answer_column = False

    @abstractmethod
    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Compute the loss of each question (B,)."""


def has_candidates(scored: Scored) -> Float[Tensor, " batch"]:
    """1.0 for questions that still have a candidate, 0.0 for those whose every candidate has weight 0."""
    if scored.weight is None:
        return torch.ones_like(scored.positive)
    return (scored.weight.expand(scored.negative.shape[:2]).sum(dim=1) > 0).to(scored.positive.dtype)

"""Binary cross-entropy over candidates with label smoothing: each candidate is its own yes-or-no question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import binary_cross_entropy_with_logits

from pictokg.errors import ConfigError
from pictokg.losses.base import Loss, Scored

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Binary(Loss):
    """−mean_j [ y_j ln σ(f_j) + (1 − y_j) ln(1 − σ(f_j)) ],  y ← (1 − ε) y + ε / K (Dettmers et al., AAAI 2018).

    Without labels the mean runs over the answer (y = 1) and its negatives (y = 0); with labels (KvsAll) over the
    candidates alone, the answer being one of them.
    """

    reads_labels = True

    def __init__(self, smoothing: float = 0.1) -> None:
        if not 0 <= smoothing < 1:
            raise ConfigError(f"smoothing is a fraction in [0, 1); got {smoothing}")
        self.smoothing = smoothing

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Mean binary cross-entropy of each question."""
        floor = self.smoothing / scored.negative.shape[1]
        if scored.label is not None:
            target = (1 - self.smoothing) * scored.label.to(scored.negative.dtype) + floor
            return scored.mean_over_negatives(self._entropy(scored.negative, target))
        positive = self._entropy(scored.positive, scored.positive.new_full((), 1 - self.smoothing + floor))
        negative = self._entropy(scored.negative, scored.negative.new_full((), floor))
        count = negative.shape[1] if scored.weight is None else scored.weight.expand_as(negative).sum(dim=1)
        return (positive + scored.mean_over_negatives(negative) * count) / (1 + count)

    @staticmethod
    def _entropy(scores: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(scores, target.expand_as(scores), reduction="none")

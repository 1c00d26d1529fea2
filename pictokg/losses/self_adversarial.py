"""Self-adversarial weighting: harder negatives count more. It draws nothing, it weighs, so it is a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from pictokg.losses.base import Loss, Scored, has_candidates

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class SelfAdversarial(Loss):
    """½ [ −ln σ(γ + f⁺) − Σ p_j ln σ(−γ − f_j⁻) ],  p = softmax(α f⁻) held constant (Sun et al., ICLR 2019).

    Args:
        margin: γ; distance models need it (their scores are −distance), dot products take 0.
        temperature: α; 0 weighs all negatives alike and gives `logistic`.
    """

    kernel = "self_adversarial"

    def __init__(self, margin: float = 9.0, temperature: float = 1.0) -> None:
        self.margin, self.temperature = margin, temperature

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Weighted logistic loss of each question."""
        logits = (self.temperature * scored.negative).detach()
        if scored.weight is not None:
            # The least number rather than −∞, so that a row that is masked throughout is no NaN.
            logits = (logits + scored.weight.log()).clamp_min(torch.finfo(logits.dtype).min)
        negative = (logits.softmax(dim=1) * softplus(scored.negative + self.margin)).sum(dim=1)
        return (softplus(-scored.positive - self.margin) + has_candidates(scored) * negative) / 2

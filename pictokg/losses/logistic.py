"""Logistic loss with a margin, negatives averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import softplus

from pictokg.losses.base import Loss, Scored

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Logistic(Loss):
    """½ [ −ln σ(γ + f⁺) − mean ln σ(−γ − f⁻) ] (Trouillon et al., ICML 2016; γ as in Sun et al., ICLR 2019).

    γ shifts the scores of distance models, which are never positive; 0 is right for dot-product models.

    >>> import torch
    >>> loss = Logistic()(Scored(torch.tensor([0.0]), torch.tensor([[0.0]])))
    >>> round(loss.item(), 4)
    0.6931
    """

    kernel = "logistic"

    def __init__(self, margin: float = 0.0) -> None:
        self.margin = margin

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Logistic loss of each question."""
        negative = scored.mean_over_negatives(softplus(scored.negative + self.margin))
        return (softplus(-scored.positive - self.margin) + negative) / 2

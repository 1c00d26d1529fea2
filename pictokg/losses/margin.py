"""Margin ranking loss: the answer must beat each negative by γ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import relu

from pictokg.losses.base import Loss, Scored

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Margin(Loss):
    """max(0, γ − f⁺ + f⁻), averaged over the negatives (Bordes et al., NeurIPS 2013).

    For a model with several energy terms the hinge is on their sum, as in the IKRL paper.

    >>> import torch
    >>> Margin(margin=1.0)(Scored(torch.tensor([2.0]), torch.tensor([[1.5, 0.0]]))).tolist()
    [0.25]
    """

    kernel = "margin"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Mean hinge of each question."""
        return scored.mean_over_negatives(relu(self.margin - scored.positive.unsqueeze(1) + scored.negative))

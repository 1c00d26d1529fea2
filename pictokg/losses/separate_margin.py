"""One hinge for each energy term, as the released IKRL code trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import relu

from pictokg.errors import ConfigError
from pictokg.losses.base import Loss, Scored

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class SeparateMargin(Loss):
    """Σ_e w_e max(0, γ − f_e⁺ + f_e⁻) over the terms e, averaged over the negatives.

    The IKRL paper puts one hinge on the sum of its four energies; its released code gives each energy its own, with
    half the step size for the two mixed ones: weights=1,0.5,0.5,1.

    Args:
        margin: γ, the same for every term.
        weights: of the terms' hinges, in the model's order; all 1 by default.

    >>> import torch
    >>> positive, negative = torch.tensor([[2.0, 0.0]]), torch.tensor([[[0.0, 0.0]]])
    >>> SeparateMargin(margin=1.0)(Scored(positive, negative)).tolist()
    [1.0]
    """

    per_term = True

    def __init__(self, margin: float = 1.0, weights: list[float] | None = None) -> None:
        self.margin, self.weights = margin, weights

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Mean over negatives of the sum of the terms' hinges."""
        hinges = relu(self.margin - scored.positive.unsqueeze(1) + scored.negative)
        if not self.weights:
            return scored.mean_over_negatives(hinges.sum(dim=-1))
        if len(self.weights) != hinges.shape[-1]:
            raise ConfigError(
                f"separate_margin has {len(self.weights)} weights, the model {hinges.shape[-1]} terms; give one a term"
            )
        return scored.mean_over_negatives(hinges @ hinges.new_tensor(self.weights))

"""Self-adversarial weighting for each energy term apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pictokg.errors import ConfigError
from pictokg.losses.base import Loss, Scored
from pictokg.losses.self_adversarial import SelfAdversarial

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class SeparateSelfAdversarial(Loss):
    """Σ_e w_e L(f_e), L being the self-adversarial loss (Sun et al., ICLR 2019) of the scores of term e alone.

    For models whose entities have several views. A loss of the sum of terms lets one that fits well hide those that do
    not; here each pair of views has to tell answers from negatives by itself, and has hard negatives of its own.

    Args:
        margin: γ; temperature: α; both as in `self_adversarial`, the same for every term.
        weights: of the terms, in the model's order; all 1 by default.

    >>> positive, negative = torch.zeros(1, 2), torch.zeros(1, 3, 2)
    >>> one = SelfAdversarial(6.0)(Scored(positive[..., 0], negative[..., 0]))
    >>> bool(SeparateSelfAdversarial(6.0, weights=[1.0, 0.5])(Scored(positive, negative)) == 1.5 * one)
    True
    """

    per_term = True

    def __init__(self, margin: float = 6.0, temperature: float = 1.0, weights: list[float] | None = None) -> None:
        self._loss, self.weights = SelfAdversarial(margin, temperature), weights

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Weighted sum over the terms of the loss of each question."""
        terms = scored.positive.shape[-1]
        weights = self.weights or [1.0] * terms
        if len(weights) != terms:
            raise ConfigError(
                f"separate_self_adversarial has {len(weights)} weights, the model {terms} terms; give one a term"
            )
        each = [
            self._loss(Scored(scored.positive[..., term], scored.negative[..., term], scored.weight))
            for term in range(terms)
        ]
        return torch.stack(each, dim=1) @ scored.positive.new_tensor(weights)

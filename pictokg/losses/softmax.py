"""Cross-entropy over the candidates: the answer must win the softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from pictokg.losses.base import Loss, Scored

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Softmax(Loss):
    """−f⁺ + ln( e^{f⁺} + Σ_j w_j e^{f_j⁻} ) (Kadlec et al., RepL4NLP 2017; Lacroix et al., ICML 2018).

    With labels (KvsAll) the target is uniform over the known answers.

    >>> round(Softmax()(Scored(torch.tensor([0.0]), torch.tensor([[0.0]]))).item(), 4)
    0.6931
    """

    kernel = "softmax"
    reads_labels = True
    reads_answer_column = True

    def __call__(self, scored: Scored) -> Float[Tensor, " batch"]:
        """Cross-entropy of each question."""
        if scored.label is not None:
            expected = (scored.negative * scored.label).sum(dim=1) / scored.label.sum(dim=1).clamp_min(1)
            return scored.masked_negative.logsumexp(dim=1) - expected
        if scored.answer_column is not None:
            scores = scored.negative if scored.weight is None else scored.masked_negative
            return cross_entropy(scores, scored.answer_column, reduction="none")
        # Together in one sum: where every negative is masked, the answer keeps it (and its gradient) finite.
        together = torch.cat([scored.positive.unsqueeze(1), scored.masked_negative], dim=1)
        return together.logsumexp(dim=1) - scored.positive

"""Drawing without replacement with Gumbel noise: the largest of log q + noise are draws from q."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.fusion.gather import gather

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

BARRED = -1e30  # far below every logit, and finite: a softmax of nothing else is uniform, where −∞ would make it NaN


def gumbel_like(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise −ln(−ln u), u uniform, of the shape of `logits`."""
    uniform = torch.rand(logits.shape, generator=generator, device=generator.device)
    return uniform.clamp_min_(2.0**-25).log_().neg_().log_().neg_().to(logits.device)  # u is a multiple of 2⁻²⁴


def top_k_draws(
    log_q: Float[Tensor, "batch pool"], count: int, generator: torch.Generator
) -> tuple[Int[Tensor, "batch count"], Bool[Tensor, "batch count"]]:
    """Draw distinct columns from q, all at once: exactly sampling without replacement (Kool et al., ICML 2019).

    Returns columns, and False where a row had no more that may be drawn (log q at BARRED or below).
    """
    keys = log_q.detach() + gumbel_like(log_q, generator)
    columns = keys.topk(count, dim=1).indices
    return columns, log_q.detach().gather(1, columns) > BARRED / 2


def successive_draws(
    logits: Float[Tensor, "batch pool"],
    barred: Bool[Tensor, "batch pool"],
    vectors: Float[Tensor, "pool width"],
    count: int,
    generator: torch.Generator,
    softness: float = 1.0,
) -> tuple[Int[Tensor, "batch count"], Bool[Tensor, "batch count"], Float[Tensor, "batch count width"]]:
    """Draw one column after another by hard Gumbel-softmax, each barred for the draws after it.

    A drawn vector is its row of `vectors`; backwards, the choice is the soft one: Σ_c y_c v_c with
    y = softmax((logits + g) / softness).

    Returns columns, False where nothing was left to draw, and the vectors.
    """
    rows = torch.arange(len(logits), device=logits.device)
    blocked, fixed = barred.clone(), vectors.detach().float()
    columns, allowed, choices = [], [], []
    for _ in range(count):
        soft = ((logits.masked_fill(blocked, BARRED) + gumbel_like(logits, generator)) / softness).softmax(dim=1)
        column = soft.detach().argmax(dim=1)
        columns.append(column)
        allowed.append(~blocked[rows, column])
        choices.append(soft @ fixed)
        blocked = blocked.index_put((rows, column), torch.ones_like(rows, dtype=torch.bool))
    drawn, choice = torch.stack(columns, dim=1), torch.stack(choices, dim=1)
    return drawn, torch.stack(allowed, dim=1), gather(vectors, drawn) + (choice - choice.detach()).to(vectors.dtype)

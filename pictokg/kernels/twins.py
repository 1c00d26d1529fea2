"""The kernels in plain torch: what they compute, in a form that can be read, and that runs on any device.

Tests hold the kernels against these, in values, gradients and updated rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from pictokg.kernels.formulas import LOSSES, SIMILARITIES, Formula
from pictokg.kernels.questions import Asked, Questions, Step

if TYPE_CHECKING:
    from jaxtyping import Float, Int

EPSILON = 1e-10


def score_own(
    expected: Float[Tensor, "batch dim"],
    vectors: Float[Tensor, "entities dim"],
    candidates: Int[Tensor, "batch k"],
    similarity: str,
) -> Float[Tensor, "batch k"]:
    """f(expected_b, vectors[candidates_bk])."""
    return compare(SIMILARITIES[similarity], expected.unsqueeze(1), vectors[candidates])


def compare(kind: int, x: Float[Tensor, "*some dim"], e: Float[Tensor, "*some dim"]) -> Float[Tensor, "*some"]:
    """One of x · e, −‖x − e‖₁, −‖x − e‖₂ and −Σ |x_j − e_j| over complex numbers [real; imaginary]."""
    if kind == SIMILARITIES["dot"]:
        return (x * e).sum(dim=-1)
    if kind in (SIMILARITIES["l1"], SIMILARITIES["l2"]):
        return -torch.linalg.vector_norm(x - e, ord=1 if kind == SIMILARITIES["l1"] else 2, dim=-1)
    real, imaginary = (x - e).chunk(2, dim=-1)
    return -(real.square() + imaginary.square()).clamp(min=torch.finfo(e.dtype).tiny).sqrt().sum(dim=-1)


def losses(
    formula: Formula, positive: Float[Tensor, " batch"], negative: Float[Tensor, "batch k"], weight: Tensor | None
) -> Float[Tensor, " batch"]:
    """The loss of each question, before scaling."""
    weight = torch.ones_like(negative) if weight is None else weight
    if formula.loss == LOSSES["softmax"]:
        together = torch.cat([positive.unsqueeze(1), negative + weight.log()], dim=1)
        return together.logsumexp(dim=1) - positive
    if formula.loss == LOSSES["margin"]:
        hinge = relu(formula.margin - positive.unsqueeze(1) + negative)
        return (weight * hinge).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-12)
    # The least number rather than −∞, so that a question with no negative left has shares, which then count 0.
    least = torch.finfo(negative.dtype).min
    logits = (formula.temperature * negative.detach() + weight.log()).clamp_min(least)
    share = logits.softmax(dim=1)
    wrong = (share * softplus(negative + formula.margin)).sum(dim=1) * (weight.sum(dim=1) > 0)
    return (softplus(-positive - formula.margin) + wrong) / 2


class Twin:
    """`independent.Independent` and `shared.Shared` by autograd, dense gradients and a dense step."""

    def __init__(self, table: Tensor) -> None:
        self._table = table

    def ask(self, questions: Questions, formula: Formula, given: Int[Tensor, " rows"], step: Step) -> Asked:
        """Score, weigh and differentiate; `given` are the entities of the gradients that `move` will be given."""
        with torch.enable_grad():
            table = self._table.detach().requires_grad_()
            expected = questions.expected.detach().requires_grad_()
            candidates = questions.each()
            positive = compare(formula.similarity, expected, table[questions.answers])
            negative = compare(formula.similarity, expected.unsqueeze(1), table[candidates])
            loss = losses(formula, positive, negative, questions.weight)
            gradient, by_row = torch.autograd.grad(loss.sum() * formula.scale, [expected, table])
        touched = torch.cat([candidates.reshape(-1), questions.answers, given]).unique()
        return Asked(loss.detach(), gradient, touched, (by_row, given, step))

    @torch.no_grad()
    def move(self, asked: Asked, gradients: Float[Tensor, "rows dim"]) -> None:
        """Let every touched row take the optimiser's step."""
        by_row, given, step = asked.memory
        move(self._table.data, by_row.index_add(0, given, gradients), step)


@torch.no_grad()
def move(table: Float[Tensor, "entities dim"], gradient: Float[Tensor, "entities dim"], step: Step) -> None:
    """Take one step of all rows in place."""
    if step.rule == "sgd":
        table -= step.rate * gradient
        return
    square = gradient.square()
    step.sums.add_(square.mean(dim=1, keepdim=True) if step.rule == "row_adagrad" else square)
    table -= step.rate * gradient / (step.sums.sqrt() + EPSILON)

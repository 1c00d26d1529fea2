"""Cross-entropy over every entity: losses and gradients a block of questions at a time, never all scores at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

# Scores held at once, in one place for all blocks: a matrix product of fewer rows is slower, more rows gain nothing.
BLOCK_BYTES = 1 << 25
FEWEST_ROWS = 64


class Targets(NamedTuple):
    """The true candidates of a batch of questions: question `row` has candidate `column`, which counts `weight`."""

    row: Tensor
    column: Tensor
    weight: Tensor


def cross_entropy_over_all(
    expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "candidates dim"], targets: Targets
) -> Float[Tensor, ""]:
    """Sum over the targets (i, j, w) of −w ln softmax_j(⟨expected_i, candidates⟩).

    Gradients are computed together with the loss: P = softmax(E Cᵀ) − targets, ∂E = P C, ∂C = Pᵀ E. So the three
    matrix products of a step are all its work, and a block of scores is all its memory. Under autocast the products
    are taken in its precision; sums and gradients stay in that of the vectors.

    Args:
        expected: what each question expects (B, d); candidates: vectors (N, d).
        targets: at least one a question, or the question has no loss; rows ascending.

    >>> e, c = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> round(cross_entropy_over_all(e, c, Targets(torch.tensor([0]), torch.tensor([1]), torch.ones(1))).item(), 4)
    0.6931
    """
    return _CrossEntropyOverAll.apply(expected, candidates, *targets)


class _CrossEntropyOverAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, expected: Tensor, candidates: Tensor, row: Tensor, column: Tensor, weight: Tensor) -> Tensor:
        device = expected.device.type
        products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else expected.dtype
        with torch.autocast(device, enabled=False):
            loss, by_expected, by_candidates = _loss_and_gradients(
                expected.to(products), candidates.to(products), Targets(row, column, weight)
            )
        ctx.save_for_backward(by_expected, by_candidates)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_expected, by_candidates = ctx.saved_tensors
        # Not in place: a second backward pass through the same loss must find them unchanged.
        return by_expected * gradients[0], by_candidates * gradients[0], None, None, None


def _loss_and_gradients(expected: Tensor, candidates: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, and its gradients by expected and candidates, in float32 or better."""
    exact = torch.promote_types(expected.dtype, torch.float32)
    loss = torch.zeros((), dtype=exact, device=expected.device)
    by_expected = torch.empty_like(expected, dtype=exact)
    by_candidates = torch.zeros_like(candidates, dtype=exact)
    total = torch.zeros(len(expected), dtype=exact, device=expected.device)
    total.index_add_(0, targets.row, targets.weight.to(exact))
    rows = max(FEWEST_ROWS, BLOCK_BYTES // (expected.element_size() * max(1, len(candidates))))
    # One look at the targets for all blocks, so that a GPU is not waited for between them.
    starts = torch.arange(0, len(expected) + rows, rows, device=expected.device)
    bounds = torch.searchsorted(targets.row.contiguous(), starts).tolist()
    place = expected.new_empty(min(rows, len(expected)), len(candidates))
    for number, block in enumerate(expected.split(rows)):
        part, start = slice(bounds[number], bounds[number + 1]), number * rows
        row, column, weight = (field[part] for field in targets)
        scores = torch.mm(block, candidates.T, out=place[: len(block)])
        largest = scores.amax(dim=1)
        reached = scores[row - start, column].to(exact)
        share = torch.softmax(scores, dim=1, out=scores)
        # The largest share is at least 1/N, so its logarithm is exact where that of a target's own may underflow.
        normaliser = largest.to(exact) - share.amax(dim=1).to(exact).log()
        loss += ((normaliser[row - start] - reached) * weight.to(exact)).sum()
        share *= total[start : start + len(block)].unsqueeze(1)
        share.index_put_((row - start, column), -weight.to(share.dtype), accumulate=True)
        by_expected[start : start + len(block)] = share @ candidates
        if share.dtype == exact:
            by_candidates.addmm_(share.T, block)
        else:
            by_candidates += share.T @ block
    return loss, by_expected, by_candidates

"""Scores of each question's own candidates among distinct vectors, as an autograd function that gathers nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _blocks
from pictokg.kernels.formulas import RULES, SIMILARITIES
from pictokg.kernels.independent import NO_WEIGHT, QUESTIONS_A_TASK, ROWS_A_TASK, array, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def score_own(
    expected: Float[Tensor, "batch dim"],
    vectors: Float[Tensor, "entities dim"],
    candidates: Int[Tensor, "batch k"],
    similarity: str,
) -> Float[Tensor, "batch k"]:
    """f(expected_b, vectors[candidates_bk]), differentiable in both, on the CPU and in float32.

    The same as `twins.score_own`, without B · K · d numbers in memory forwards or backwards.

    Args:
        expected: (B, d); vectors: distinct entities (U, d); candidates: rows of `vectors`.
        similarity: a name of `formulas.SIMILARITIES`.
    """
    return _ScoreOwn.apply(expected, vectors, candidates, SIMILARITIES[similarity])


class _ScoreOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, expected: Tensor, vectors: Tensor, candidates: Tensor, kind: int) -> Tensor:
        scores = torch.empty(candidates.shape)
        batch = _batch(expected, vectors, candidates, scores)
        run([partial(_blocks.score_block, kind, batch, block) for block in spans(len(candidates), QUESTIONS_A_TASK)])
        ctx.save_for_backward(expected, vectors, candidates, scores)
        ctx.kind = kind
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        expected, vectors, candidates, scores = ctx.saved_tensors
        slopes = gradients[0]
        if ctx.kind == SIMILARITIES["l2"]:
            slopes = torch.where(scores < 0, slopes / -scores, 0.0)
        batch = _batch(expected, vectors, candidates, slopes)
        run(
            [
                partial(_blocks.gradient_block, ctx.kind, batch, block)
                for block in spans(len(candidates), QUESTIONS_A_TASK)
            ]
        )
        by_vector = torch.zeros_like(vectors)
        count, entities = candidates.numel(), len(vectors)
        places = _blocks.Places(
            np.empty(entities, np.int64),
            np.empty(entities + 1, np.int64),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
        )
        distinct = _blocks.group(batch.candidates, batch.candidates[0, :0], np.full(entities, -1, np.int32), places)
        step = _blocks.Step(RULES["gradient"], 0.0, array(by_vector), NO_WEIGHT)
        work = partial(_blocks.row_block, ctx.kind, batch, NO_WEIGHT, places, step)
        run([partial(work, block) for block in spans(distinct, ROWS_A_TASK)])
        return torch.from_numpy(batch.gradient), by_vector, None, None


def _batch(expected: Tensor, vectors: Tensor, candidates: Tensor, slopes: Tensor) -> Any:
    rows = array(expected)
    return _blocks.Batch(
        array(vectors), rows, array(candidates), NO_WEIGHT, np.empty(0, np.float32), array(slopes), np.empty_like(rows)
    )

"""Ranking on the processor: scores of questions with candidates that all share, and counts while scores are hot.

Every kernel computes a candidate in the same way wherever it stands, so equal rows have equal scores, and ties stay
ties. Sums are taken in another order than torch takes them: scores that differ by less than the rounding of float32
may change places, no others.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _ranking, _tiles
from pictokg.kernels.formulas import SIMILARITIES
from pictokg.kernels.independent import array, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int

CANDIDATES_A_TASK, ANSWERS_A_TASK = 512, 16


def score_all(
    expected: Float[Tensor, "questions dim"], vectors: Float[Tensor, "candidates dim"], similarity: str
) -> Float[Tensor, "questions candidates"]:
    """f(expected_q, vectors_n) for a name of `formulas.SIMILARITIES`, in tiles that stay in the cache.

    >>> score_all(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0], [0.0, 4.0]]), "l1").tolist()
    [[0.0, -3.0]]
    """
    scores = torch.empty(len(expected), len(vectors))
    work = partial(_tiles.score_tiles, SIMILARITIES[similarity], array(expected), array(vectors), scores.numpy())
    run([partial(work, block) for block in spans(len(vectors), CANDIDATES_A_TASK)] if len(expected) else [])
    return scores


def count(
    scores: Float[Tensor, "questions candidates"],
    question: Int[Tensor, " answers"],
    own: Float[Tensor, " answers"],
    columns: int,
) -> tuple[Int[Tensor, " answers"], Int[Tensor, " answers"]]:
    """Count, for each answer to a question, the first `columns` scores higher than its own and those at least as high.

    >>> higher, at_least = count(torch.tensor([[3.0, 1.0, 2.0, 2.0]]), torch.tensor([0]), torch.tensor([2.0]), 4)
    >>> higher.tolist(), at_least.tolist()
    ([1], [3])
    """
    found = np.empty((2, len(own)), np.int64)
    answers = _ranking.Answers(array(question), array(own), columns, *found)
    work = partial(_ranking.count_block, array(scores), answers)
    run([partial(work, block) for block in spans(len(own), ANSWERS_A_TASK)])
    higher, at_least = torch.from_numpy(found)
    return higher, at_least

"""Training on negatives that chunks of questions share: few rows, many scores, so that every row is read from cache.

The plain form of all this is `pictokg.kernels.twins`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _blocks
from pictokg.kernels.formulas import Formula
from pictokg.kernels.independent import NO_WEIGHT, array, move_given, spans
from pictokg.kernels.questions import Asked, Questions, Step
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Shared:
    """Steps on one table of rows (E, d), float32 and contiguous, whose questions share candidates in chunks."""

    def __init__(self, table: Tensor) -> None:
        self._table = array(table)
        self._slot = np.full(len(table), -1, np.int32)

    def ask(self, questions: Questions, formula: Formula, given: Int[Tensor, " rows"], step: Step) -> Asked:
        """Score, weigh and differentiate; `given` are the entities of the gradients that `move` will be given."""
        assert questions.starts is not None, "own candidates are for Independent"
        count, (chunks, negatives) = len(questions.expected), questions.candidates.shape
        batch = _blocks.SharedBatch(
            self._table,
            array(questions.expected),
            array(questions.answers),
            array(questions.candidates),
            array(questions.starts),
            NO_WEIGHT if questions.weight is None else array(questions.weight.float()),
            np.empty(count, np.float32),
            np.empty((count, negatives + 1), np.float32),
            np.empty(questions.expected.shape, np.float32),
            np.empty((chunks * negatives + count, self._table.shape[1]), np.float32),
        )
        run([partial(_blocks.shared_block, formula, batch, block) for block in spans(chunks, 1)])
        ids = torch.cat([questions.candidates.reshape(-1), questions.answers, given])
        memory = torch.from_numpy(batch.pulled), step
        return Asked(torch.from_numpy(batch.loss), torch.from_numpy(batch.gradient), ids, memory)

    def move(self, asked: Asked, gradients: Float[Tensor, "rows dim"]) -> None:
        """Let every touched row take the optimiser's step."""
        pulled, step = asked.memory
        move_given(self._table, self._slot, asked.touched, torch.cat([pulled, gradients]), step)

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
from pictokg.kernels.independent import NO_WEIGHT, Independent, array, batch_of, spans
from pictokg.kernels.questions import Asked, Questions, Step

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Shared(Independent):
    """Steps on one table of rows (E, d), float32 and contiguous, whose questions share candidates in chunks.

    A question has one candidate of its own, the answer. The gradients of shared ones are added up a chunk, and are
    then given to rows as those of `given` are.
    """

    def ask(self, questions: Questions, formula: Formula, given: Int[Tensor, " rows"], step: Step) -> Asked:
        """Score, weigh and differentiate; `given` are the entities of the gradients that `move` will be given."""
        assert questions.starts is not None, "own candidates are for Independent"
        own = batch_of(self._table, questions.expected, questions.answers.unsqueeze(1), None)
        weight = NO_WEIGHT if questions.weight is None else array(questions.weight.float())
        rows = torch.cat([questions.candidates.reshape(-1), given])
        self._pulled = np.empty((len(rows), self._table.shape[1]), np.float32)
        batch = _blocks.SharedBatch(own, array(questions.candidates), array(questions.starts), weight, self._pulled)
        blocks = spans(len(questions.candidates), 1)
        tasks = [partial(_blocks.shared_block, formula, batch, block) for block in blocks]
        return self._asked(tasks, formula.similarity, own, rows, step)

    def move(self, asked: Asked, gradients: Float[Tensor, "rows dim"]) -> None:
        """Let every touched row take the optimiser's step."""
        self._pulled[len(self._pulled) - len(gradients) :] = gradients
        super().move(asked, torch.from_numpy(self._pulled))

"""Training on negatives of each question's own: scores, loss, gradients and the optimiser's step, row by row.

Autograd gathers every candidate's row, B · K · d numbers, and carries as many gradients back. Here a question reads its
candidates where they are; then every touched row adds up its gradients, in one order, and takes its step at once. So
nothing of B · K · d ever stands in memory, and the numbers are the same for any number of threads.

The plain form of all this is `pictokg.kernels.twins`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _blocks
from pictokg.kernels.formulas import RULES, SIMILARITIES, Formula
from pictokg.kernels.questions import Asked, Questions, Step
from pictokg.kernels.workers import Task, run

if TYPE_CHECKING:
    from jaxtyping import Float, Int

QUESTIONS_A_TASK, ROWS_A_TASK = 64, 512
NO_WEIGHT = np.empty((0, 0), np.float32)


class Independent:
    """Steps on one table of rows (E, d), float32 and contiguous, whose questions have candidates of their own."""

    def __init__(self, table: Tensor) -> None:
        self._table = array(table)
        self._slot = np.full(len(table), -1, np.int32)

    def ask(self, questions: Questions, formula: Formula, given: Int[Tensor, " rows"], step: Step) -> Asked:
        """Score, weigh and differentiate; `given` are the entities of the gradients that `move` will be given."""
        batch = own_batch(self._table, questions)
        blocks = spans(len(batch.candidates), QUESTIONS_A_TASK)
        tasks = [partial(_blocks.question_block, formula, batch, block) for block in blocks]
        return self._asked(tasks, formula.similarity, batch, given, step)

    def move(self, asked: Asked, gradients: Float[Tensor, "rows dim"]) -> None:
        """Let every touched row take the optimiser's step."""
        kind, batch, places, step = asked.memory
        work = partial(_blocks.row_block, kind, batch, array(gradients), places, moving_as(step, self._table))
        run([partial(work, block) for block in spans(len(asked.touched), ROWS_A_TASK)])

    def _asked(self, tasks: Sequence[Task], kind: int, batch: Any, given: Tensor, step: Step) -> Asked:
        """Run tasks that fill in the slopes of a batch; find meanwhile where each row stands in it and in `given`."""
        places = empty_places(batch.candidates.size + len(given), len(self._table))
        found: list[int] = []
        run([lambda: found.append(_blocks.group(batch.candidates, array(given), self._slot, places)), *tasks])
        touched = torch.from_numpy(places.entities[: found[0]])
        notes = kind, batch, places, step
        return Asked(torch.from_numpy(batch.loss), torch.from_numpy(batch.gradient), touched, notes)


class Hurried(Independent):
    """As `Independent`, but candidates move as soon as their question is answered, without waiting for other threads.

    Questions asked later see the rows moved by earlier ones, and threads overwrite each other's work now and then: no
    two runs are the same. Gradients that are given are applied afterwards.
    """

    def ask(self, questions: Questions, formula: Formula, given: Int[Tensor, " rows"], step: Step) -> Asked:
        """Score, weigh, differentiate and move the candidates."""
        batch = own_batch(self._table, questions)
        moving = moving_as(step, self._table)
        work = partial(_blocks.hurried_block, formula, batch, moving)
        run([partial(work, block) for block in spans(len(batch.candidates), QUESTIONS_A_TASK)])
        touched = torch.cat([torch.from_numpy(batch.candidates).reshape(-1), given])
        return Asked(torch.from_numpy(batch.loss), torch.from_numpy(batch.gradient), touched, (given, step))

    def move(self, asked: Asked, gradients: Float[Tensor, "rows dim"]) -> None:
        """Let the rows whose gradients are given take the step."""
        given, step = asked.memory
        nothing = batch_of(self._table, gradients[:0], given.new_empty(0, 1), None)
        super().move(self._asked([], SIMILARITIES["dot"], nothing, given, step), gradients)


def own_batch(table: np.ndarray, questions: Questions) -> Any:
    """Questions with their candidates, the answer last, as compiled loops take them."""
    candidates = torch.cat([questions.candidates, questions.answers.unsqueeze(1)], dim=1)
    return batch_of(table, questions.expected, candidates, questions.weight)


def batch_of(table: np.ndarray, expected: Tensor, candidates: Tensor, weight: Tensor | None) -> Any:
    """Questions with candidates (B, K), as compiled loops take them."""
    return _blocks.Batch(
        table,
        array(expected),
        array(candidates),
        NO_WEIGHT if weight is None else array(weight.float()),
        np.empty(len(candidates), np.float32),
        np.empty(candidates.shape, np.float32),
        np.empty(expected.shape, np.float32),
    )


def empty_places(places: int, entities: int) -> Any:
    """Room for so many places of so many entities at most."""
    most = min(places, entities)
    return _blocks.Places(
        np.empty(most, np.int64), np.empty(most + 1, np.int64), np.empty(places, np.int32), np.empty(places, np.int32)
    )


def moving_as(step: Step, table: np.ndarray) -> Any:
    """A step of a table's rows, as compiled loops take it."""
    return _blocks.Step(RULES[step.rule], step.rate, table, array(step.sums))


def array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor in place, contiguous."""
    return tensor.detach().contiguous().numpy()


def spans(count: int, size: int) -> list[tuple[int, int]]:
    """Ranges of at most `size` that cover 0 … count − 1."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]

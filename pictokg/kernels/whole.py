"""A whole step where what questions expect follows a closed form: nothing between its parts but the cache.

From anchors and relations to what is expected, scores, loss, gradients, and the optimiser's step of every row that was
touched. A chunk of questions goes all this way at once, and threads meet once, before rows move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _blocks, _expected, _whole
from pictokg.kernels.formulas import COMPOSITIONS, Formula
from pictokg.kernels.independent import NO_WEIGHT, array, batch_of, empty_places, moving_as, own_batch
from pictokg.kernels.questions import Questions, Step
from pictokg.kernels.workers import together

if TYPE_CHECKING:
    from jaxtyping import Float, Int

QUESTIONS_A_PIECE = 32  # that share no candidates


class Answered(NamedTuple):
    """What a step gives: the loss (B,), and the rows touched."""

    loss: Float[Tensor, " batch"]
    touched: Int[Tensor, " rows"]


class Composed(NamedTuple):
    """Anchors and relations (B,) of questions; sign (B,): 1 for tails and −1 for heads; rows of relations (R, d)."""

    anchor: Int[Tensor, " batch"]
    relation: Int[Tensor, " batch"]
    sign: Float[Tensor, " batch"]
    relations: Float[Tensor, "relations dim"]


class Moving(NamedTuple):
    """The next step of entities; that of relations, and the rows (R, d) that it is for."""

    entities: Step
    relations: Step
    target: Float[Tensor, "relations dim"]


class Whole:
    """Steps on one table of rows (E, d), float32, contiguous and on the CPU.

    Args:
        table: rows of entities.
        composition: what is expected of an anchor a and a relation r: "sum" (a + r, for heads a − r), "product"
            (a ∘ r), or "complex": a product of complex numbers [real; imaginary], for heads with r conjugated.
        lock_free: candidates move as soon as their question is answered; no two runs are the same then.
    """

    def __init__(self, table: Tensor, composition: str, *, lock_free: bool = False) -> None:
        self._table, self._kind, self._lock_free = array(table), COMPOSITIONS[composition], lock_free
        self._slot, self._relation_slot = np.full(len(table), -1, np.int32), np.empty(0, np.int32)

    def step(self, asked: Composed, questions: Questions, formula: Formula, moving: Moving) -> Answered:
        """Answer questions, whose `expected` is still to be filled in, and move rows unless the loss is no number."""
        if questions.starts is None:
            own = batch = own_batch(self._table, questions)
            listed = own.candidates[:0] if self._lock_free else own.candidates
            starts = np.append(np.arange(0, len(own.candidates), QUESTIONS_A_PIECE), len(own.candidates))
            work = self._work(asked, asked.anchor, (listed, starts), moving)
            job = _whole.hurried_step if self._lock_free else _whole.own_step
        else:
            own = batch_of(self._table, questions.expected, questions.answers.unsqueeze(1), None)
            given = torch.cat([questions.candidates.reshape(-1), asked.anchor])
            starts = array(questions.starts)
            work = self._work(asked, given, (own.candidates, starts), moving)
            weight = NO_WEIGHT if questions.weight is None else array(questions.weight.float())
            chunks = array(questions.candidates), starts, weight
            batch, job = _blocks.SharedBatch(own, *chunks, work.pulled), _whole.shared_step
        together(job, formula, batch, work, moving_as(moving.entities, self._table))
        touched = torch.from_numpy(work.places.entities[: work.counters[_whole.ENTITIES]])
        if self._lock_free:  # candidates that moved at once are not among the places
            touched = torch.cat([torch.from_numpy(own.candidates).reshape(-1), touched])
        return Answered(torch.from_numpy(own.loss), touched)

    def _work(self, asked: Composed, given: Tensor, pieces: tuple[np.ndarray, np.ndarray], moving: Moving) -> Any:
        """Room for what a step makes of questions with candidates of their own, and cuts into pieces."""
        relations, (candidates, starts) = array(asked.relations), pieces
        if len(self._relation_slot) != len(relations):
            self._relation_slot = np.full(len(relations), -1, np.int32)
        return _whole.Work(
            starts,
            self._kind,
            _expected.Composed(self._table, relations, *map(array, asked[:3])),
            array(given),
            np.empty((len(given), self._table.shape[1]), np.float32),
            moving_as(moving.relations, array(moving.target)),
            candidates,
            self._slot,
            empty_places(candidates.size + len(given), len(self._table)),
            self._relation_slot,
            empty_places(len(asked.relation), len(relations)),
            np.zeros(_whole.COUNTERS, np.int64),
        )

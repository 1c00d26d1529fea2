"""A whole step in compiled code, on any number of threads: what is expected, scores, gradients, then rows that move.

Each thread takes the next piece of work until there is none, waits for the others' last ones, and goes on to the rows.
A piece writes what no other does, so the numbers do not depend on who took it; only `hurried_step` moves rows at once.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def, call-arg"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._blocks import Places, Step, group, hurried_block, question_block, row_block, shared_block
from pictokg.kernels._expected import Composed, expect_block, pull_block
from pictokg.kernels._similarities import ZERO
from pictokg.kernels._turns import APART, reached, take
from pictokg.kernels.compiled import compiled, inlined

COUNTERS = 6 * APART
QUESTIONS, ANSWERED, ROWS, MOVED, ENTITIES, RELATIONS = range(0, COUNTERS, APART)  # their places
ROWS_A_PIECE, RELATIONS_A_PIECE = 256, 2


class Work(NamedTuple):
    """What a step is made of beside its questions.

    Attributes:
        starts: where each piece's questions start and the last one's end, (P + 1,).
        composition: code of `formulas.COMPOSITIONS`; composed: the questions' anchors and relations.
        given, pulled: entities (G,) and their gradients (G, d), of which those of the anchors are the last; written.
        relation_step: how the relations that were asked with move.
        candidates: (B, K), or none where they move at once.
        slot, places: of `candidates` and `given`; relation_slot, relation_places: of relations (see `group`).
        counters: how far everything is; all 0 at first.
    """

    starts: np.ndarray
    composition: int
    composed: Composed
    given: np.ndarray
    pulled: np.ndarray
    relation_step: Step
    candidates: np.ndarray
    slot: np.ndarray
    places: Places
    relation_slot: np.ndarray
    relation_places: Places
    counters: np.ndarray


@compiled
def own_step(formula, batch, work, step):
    """A step of questions with candidates of their own; whether it is over (see `in_two_phases`)."""
    return in_two_phases(answer_own, formula, batch, batch, work, step)


@compiled
def shared_step(formula, batch, work, step):
    """As `own_step`, of questions that share candidates in chunks (a `SharedBatch`)."""
    return in_two_phases(answer_shared, formula, batch, batch.own, work, step)


@compiled
def hurried_step(formula, batch, work, step):
    """As `own_step`, but candidates move as soon as their question is answered."""
    return in_two_phases(answer_hurried, formula, batch, batch, work, step)


@compiled
def answer_own(formula, batch, work, step, piece):
    span = (work.starts[piece], work.starts[piece + 1])
    expect_block(work.composition, work.composed, batch.expected, span)
    question_block(formula, batch, span)
    pull_anchors(batch, work, span)


@compiled
def answer_hurried(formula, batch, work, step, piece):
    span = (work.starts[piece], work.starts[piece + 1])
    expect_block(work.composition, work.composed, batch.expected, span)
    hurried_block(formula, batch, step, span)
    pull_anchors(batch, work, span)


@compiled
def answer_shared(formula, batch, work, step, piece):
    span = (work.starts[piece], work.starts[piece + 1])
    expect_block(work.composition, work.composed, batch.own.expected, span)
    shared_block(formula, batch, (piece, piece + 1))
    pull_anchors(batch.own, work, span)


@inlined
def pull_anchors(own, work, span):
    """From the gradients of what a span of questions expected, those of anchors and relations."""
    anchors = work.pulled[len(work.pulled) - len(own.expected) :]
    pull_block(work.composition, work.composed, own.gradient, anchors, span)


@inlined
def span_of(piece, size, count):
    return piece * size, min((piece + 1) * size, count)


@inlined
def in_two_phases(answer, formula, batch, own, work, step):
    """Take part in a step until it is over; False where others have been waited for in vain: then call again.

    Rows of entities move only if the loss is a number.
    """
    counters, pieces = work.counters, len(work.starts) - 1
    piece: int = take(counters, QUESTIONS)
    while piece < pieces + 2:
        if piece == 0:
            counters[ENTITIES] = group(work.candidates, work.given, work.slot, work.places)
        elif piece == 1:
            relations = work.composed.relation
            counters[RELATIONS] = group(own.candidates[:0], relations, work.relation_slot, work.relation_places)
        else:
            answer(formula, batch, work, step, piece - 2)
        take(counters, ANSWERED)
        piece = take(counters, QUESTIONS)
    if not reached(counters, ANSWERED, pieces + 2):
        return False
    loss = ZERO
    for b in range(len(own.loss)):
        loss += own.loss[b]
    if loss - loss != ZERO:
        return True
    first = -(-counters[RELATIONS] // RELATIONS_A_PIECE)
    pieces = first + -(-counters[ENTITIES] // ROWS_A_PIECE)
    piece = take(counters, ROWS)
    while piece < pieces:
        if piece < first:
            span = span_of(piece, RELATIONS_A_PIECE, counters[RELATIONS])
            row_block(formula.similarity, own, own.gradient, work.relation_places, work.relation_step, span)
        else:
            span = span_of(piece - first, ROWS_A_PIECE, counters[ENTITIES])
            row_block(formula.similarity, own, work.pulled, work.places, step, span)
        take(counters, MOVED)
        piece = take(counters, ROWS)
    return reached(counters, MOVED, pieces)

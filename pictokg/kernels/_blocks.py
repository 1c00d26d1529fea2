"""Compiled passes over blocks of questions and blocks of rows; any number of threads may each take some blocks.

A block of questions writes only what belongs to its questions, a block of rows only its rows, and every row adds up
its gradients in one order. So the numbers do not depend on how many threads there are; only `hurried_block` lets
threads write to the same rows.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._loops import DOT, ZERO, add_gradients, move, over_distance, pull_one, similarities, slopes
from pictokg.kernels.compiled import compiled, inlined


class Batch(NamedTuple):
    """B questions with K candidates of their own each, the last of which is the answer.

    Attributes:
        table: rows of entities, (E, d); expected: (B, d).
        candidates: (B, K); weight: of all but the answer, (B, K − 1), or (0, 0) where each counts 1.
        loss: (B,), slopes: (B, K), gradient: of `expected`, (B, d); these three are written.
    """

    table: np.ndarray
    expected: np.ndarray
    candidates: np.ndarray
    weight: np.ndarray
    loss: np.ndarray
    slopes: np.ndarray
    gradient: np.ndarray


class SharedBatch(NamedTuple):
    """B questions in C chunks; chunk c is questions starts[c] … starts[c + 1] − 1 and shares N candidates.

    Attributes:
        table: (E, d); expected: (B, d); answers: (B,); candidates: (C, N); starts: (C + 1,); weight: (B, N) or (0, 0).
        loss, slopes, gradient: as in `Batch`, with the answer's slope last; pulled: (C · N + B, d), gradients of the
            candidates, chunk by chunk, then of the answers; these four are written.
    """

    table: np.ndarray
    expected: np.ndarray
    answers: np.ndarray
    candidates: np.ndarray
    starts: np.ndarray
    weight: np.ndarray
    loss: np.ndarray
    slopes: np.ndarray
    gradient: np.ndarray
    pulled: np.ndarray


class Places(NamedTuple):
    """Where each distinct entity stands: entity u at places starts[u] … starts[u + 1] − 1.

    A place is column `column` of question `question`; where that is −1, row `column` of the given gradients.
    """

    entities: np.ndarray
    starts: np.ndarray
    question: np.ndarray
    column: np.ndarray


class Step(NamedTuple):
    """How rows move: an optimiser's rule, its rate, the rows to write and their state (one number a row or as many)."""

    rule: int
    rate: float
    target: np.ndarray
    sums: np.ndarray


@inlined
def score_question(kind, batch, b, scores):
    """Scores of the candidates of question b."""
    count = len(scores)
    for k in range(0, count, 4):
        found = similarities(kind, batch.expected[b], batch.table, four(batch.candidates, b, k, count - 1))
        store(scores, k, count, found)


@inlined
def store(scores, k, count, found):
    """Put four numbers at k … k + 3, as far as there is room."""
    scores[k] = found[0]
    if k + 1 < count:
        scores[k + 1] = found[1]
    if k + 2 < count:
        scores[k + 2] = found[2]
    if k + 3 < count:
        scores[k + 3] = found[3]


@inlined
def four(candidates, b, k, last):
    """Candidates k … k + 3 of question b; beyond the last one the last again."""
    return (
        candidates[b, k],
        candidates[b, min(k + 1, last)],
        candidates[b, min(k + 2, last)],
        candidates[b, min(k + 3, last)],
    )


@inlined
def four_slopes(slopes, b, k, last):
    """Their slopes; 0 beyond the last one."""
    return (
        slopes[b, k],
        slopes[b, k + 1] if k + 1 <= last else ZERO,
        slopes[b, k + 2] if k + 2 <= last else ZERO,
        slopes[b, k + 3] if k + 3 <= last else ZERO,
    )


@compiled
def score_block(kind, batch, span):
    """Scores (into `slopes`) of each question's own candidates."""
    for b in range(span[0], span[1]):
        score_question(kind, batch, b, batch.slopes[b])


@compiled
def gradient_block(kind, batch, span):
    """The gradient of what was expected, from the slopes of the scores."""
    last = batch.candidates.shape[1] - 1
    for b in range(span[0], span[1]):
        batch.gradient[b, :] = ZERO
        for k in range(0, last + 1, 4):
            rows, slope = four(batch.candidates, b, k, last), four_slopes(batch.slopes, b, k, last)
            add_gradients(kind, slope, batch.expected[b], batch.table, rows, batch.gradient[b])


@compiled
def question_block(formula, batch, span):
    """Scores, loss, slopes, and the gradient of what was expected, while the candidates' rows are at hand."""
    kind, last = formula.similarity, batch.candidates.shape[1] - 1
    scores, ones = np.empty(last + 1, np.float32), np.ones(last, np.float32)
    for b in range(span[0], span[1]):
        x, slope, gradient = batch.expected[b], batch.slopes[b], batch.gradient[b]
        weight = batch.weight[b] if len(batch.weight) else ones
        score_question(kind, batch, b, scores)
        batch.loss[b] = slopes(formula, scores, weight, slope)
        for k in range(last + 1):
            slope[k] = over_distance(kind, slope[k], scores[k])
        gradient[:] = ZERO
        for k in range(0, last + 1, 4):
            pull = four_slopes(batch.slopes, b, k, last)
            if pull != (ZERO, ZERO, ZERO, ZERO):
                add_gradients(kind, pull, x, batch.table, four(batch.candidates, b, k, last), gradient)


@compiled
def row_block(kind, batch, given, places, step, span):
    """Add up the gradient of each distinct entity over all its places, then take its step."""
    width, most = batch.table.shape[1], 0
    for u in range(span[0], span[1]):
        most = max(most, places.starts[u + 1] - places.starts[u])
    # The candidate's places first, padded to a multiple of four: whether one is a candidate's cannot be foreseen, and
    # a processor that guesses wrong in the inner loop loses more than the loop takes.
    question, slope = np.zeros(most + 3, np.int64), np.zeros(most + 3, np.float32)
    gradient = np.empty(width, np.float32)
    for u in range(span[0], span[1]):
        entity, found = places.entities[u], 0
        row = batch.table[entity]
        gradient[:] = ZERO
        for i in range(places.starts[u], places.starts[u + 1]):
            b = places.question[i]
            if b >= 0:
                question[found], slope[found] = b, batch.slopes[b, places.column[i]]
                found += 1
            else:
                for j in range(width):
                    gradient[j] += given[places.column[i], j]
        slope[found : found + 3] = ZERO
        for i in range(0, found, 4):
            rows = (question[i], question[i + 1], question[i + 2], question[i + 3])
            pull = (slope[i], slope[i + 1], slope[i + 2], slope[i + 3])
            add_gradients(kind, pull, row, batch.expected, rows, gradient)
        move(step.rule, step.rate, step.target, entity, gradient, step.sums)


@compiled
def hurried_block(formula, batch, step, span):
    """As `question_block`, but every candidate moves at once, whoever else reads or writes its row."""
    kind, last = formula.similarity, batch.candidates.shape[1] - 1
    scores, ones = np.empty(last + 1, np.float32), np.ones(last, np.float32)
    pull = np.empty(batch.table.shape[1], np.float32)
    for b in range(span[0], span[1]):
        x, slope, gradient = batch.expected[b], batch.slopes[b], batch.gradient[b]
        weight = batch.weight[b] if len(batch.weight) else ones
        score_question(kind, batch, b, scores)
        batch.loss[b] = slopes(formula, scores, weight, slope)
        gradient[:] = ZERO
        for k in range(last + 1):
            pulled = over_distance(kind, slope[k], scores[k])
            if pulled != ZERO:
                pull_one(kind, pulled, x, batch.table, batch.candidates[b, k], pull)
                if kind == DOT:
                    for j in range(len(x)):
                        gradient[j] += pulled * batch.table[batch.candidates[b, k], j]
                else:
                    for j in range(len(x)):
                        gradient[j] -= pull[j]
                move(step.rule, step.rate, step.target, batch.candidates[b, k], pull, step.sums)


@compiled
def shared_block(formula, batch, span):
    """As `question_block` for chunks of questions that share candidates; the gradients of candidates are kept."""
    kind, shared = formula.similarity, batch.candidates.shape[1]
    scores, ones = np.empty(shared + 1, np.float32), np.ones(shared, np.float32)
    for c in range(span[0], span[1]):
        first, end = batch.starts[c], batch.starts[c + 1]
        for b in range(first, end):
            x, gradient = batch.expected[b], batch.gradient[b]
            for k in range(0, shared, 4):
                found = similarities(kind, x, batch.table, four(batch.candidates, c, k, shared - 1))
                store(scores, k, shared, found)
            answer = batch.answers[b]
            scores[shared] = similarities(kind, x, batch.table, (answer, answer, answer, answer))[0]
            weight = batch.weight[b] if len(batch.weight) else ones
            batch.loss[b] = slopes(formula, scores, weight, batch.slopes[b])
            for k in range(shared + 1):
                batch.slopes[b, k] = over_distance(kind, batch.slopes[b, k], scores[k])
            gradient[:] = ZERO
            for k in range(0, shared, 4):
                pull, rows = four_slopes(batch.slopes, b, k, shared - 1), four(batch.candidates, c, k, shared - 1)
                add_gradients(kind, pull, x, batch.table, rows, gradient)
            pull = batch.slopes[b, shared]
            pull_one(kind, pull, x, batch.table, answer, batch.pulled[len(batch.candidates) * shared + b])
            add_gradients(kind, (pull, ZERO, ZERO, ZERO), x, batch.table, (answer, answer, answer, answer), gradient)
        for k in range(shared):
            out = batch.pulled[c * shared + k]
            row = batch.table[batch.candidates[c, k]]
            out[:] = ZERO
            for b in range(first, end, 4):
                rows = (b, min(b + 1, end - 1), min(b + 2, end - 1), min(b + 3, end - 1))
                pull = (
                    batch.slopes[b, k],
                    batch.slopes[b + 1, k] if b + 1 < end else ZERO,
                    batch.slopes[b + 2, k] if b + 2 < end else ZERO,
                    batch.slopes[b + 3, k] if b + 3 < end else ZERO,
                )
                add_gradients(kind, pull, row, batch.expected, rows, out)


@compiled
def group(candidates, given, slot, places):
    """Fill `places`, entities in order of appearance; the number of entities.

    `given` (R,) are the entities of the rows of gradients that are given; `slot` is −1 for every entity, and left so.
    """
    distinct = 0
    for i in range(candidates.size + len(given)):
        entity = candidates.flat[i] if i < candidates.size else given[i - candidates.size]
        if slot[entity] < 0:
            slot[entity] = distinct
            places.entities[distinct] = entity
            places.starts[distinct + 1] = 0
            distinct += 1
        places.starts[slot[entity] + 1] += 1
    places.starts[0] = 0
    for u in range(distinct):
        places.starts[u + 1] += places.starts[u]
    for b in range(candidates.shape[0]):
        for k in range(candidates.shape[1]):
            put(places, slot[candidates[b, k]], b, k)
    for r in range(len(given)):
        put(places, slot[given[r]], -1, r)
    for u in range(distinct, 0, -1):  # every start has moved to the next one's
        places.starts[u] = places.starts[u - 1]
    places.starts[0] = 0
    for u in range(distinct):
        slot[places.entities[u]] = -1
    return distinct


@inlined
def put(places, u, question, column):
    """Fill the next place of entity u."""
    i = places.starts[u]
    places.question[i], places.column[i] = question, column
    places.starts[u] = i + 1

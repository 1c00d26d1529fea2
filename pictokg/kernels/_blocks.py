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

from pictokg.kernels._loops import ONE, move, slopes
from pictokg.kernels._prefetch import fetch_row
from pictokg.kernels._similarities import (
    DOT,
    L1,
    L2,
    ZERO,
    add_dot,
    add_l1,
    add_l2,
    add_modulus,
    four_dot,
    four_l1,
    four_l2,
    four_modulus,
    over_distance,
    pull_one,
)
from pictokg.kernels._tiles import pull_tiles, score_tiles
from pictokg.kernels.compiled import compiled, inlined

AHEAD = 8  # candidates between asking for a row and reading it


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
        own: the questions with their answers, each the one candidate of its own.
        candidates: (C, N); starts: (C + 1,); weight: (B, N) or (0, 0).
        pulled: gradients of the candidates, chunk by chunk, (at least C · N, d); written.
    """

    own: Batch
    candidates: np.ndarray
    starts: np.ndarray
    weight: np.ndarray
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
    if kind == DOT:
        score_each(four_dot, batch, b, scores)
    elif kind == L1:
        score_each(four_l1, batch, b, scores)
    elif kind == L2:
        score_each(four_l2, batch, b, scores)
    else:
        score_each(four_modulus, batch, b, scores)


@inlined
def score_each(similarities, batch, b, scores):
    """As `score_question`, of one similarity."""
    x, count = batch.expected[b], len(scores)
    for k in range(0, count, 4):
        for ahead in range(b * count + k + AHEAD, b * count + k + AHEAD + 4):  # those of the next question follow
            fetch_row(batch.table, batch.candidates.flat[min(ahead, batch.candidates.size - 1)])
        store(scores, k, count, similarities(x, batch.table, four_of(batch.candidates[b], k, count - 1)))


@inlined
def pull_question(kind, batch, b):
    """Add the gradient of what question b expected, from the slopes of its scores."""
    if kind == DOT:
        pull_each(add_dot, batch, b)
    elif kind == L1:
        pull_each(add_l1, batch, b)
    elif kind == L2:
        pull_each(add_l2, batch, b)
    else:
        pull_each(add_modulus, batch, b)


@inlined
def pull_each(add, batch, b):
    """As `pull_question`, of one similarity."""
    x, slope, gradient = batch.expected[b], batch.slopes[b], batch.gradient[b]
    last = len(slope) - 1
    for k in range(0, last + 1, 4):
        pull = (
            slope[k],
            slope[k + 1] if k + 1 <= last else ZERO,
            slope[k + 2] if k + 2 <= last else ZERO,
            slope[k + 3] if k + 3 <= last else ZERO,
        )
        if pull != (ZERO, ZERO, ZERO, ZERO):
            add(pull, x, batch.table, four_of(batch.candidates[b], k, last), gradient)


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
def four_of(numbers, i, last):
    """Numbers i … i + 3; beyond the last one the last again."""
    return numbers[i], numbers[min(i + 1, last)], numbers[min(i + 2, last)], numbers[min(i + 3, last)]


@compiled
def score_block(kind, batch, span):
    """Scores (into `slopes`) of each question's own candidates."""
    for b in range(span[0], span[1]):
        score_question(kind, batch, b, batch.slopes[b])


@compiled
def gradient_block(kind, batch, span):
    """The gradient of what was expected, from the slopes of the scores."""
    for b in range(span[0], span[1]):
        batch.gradient[b, :] = ZERO
        pull_question(kind, batch, b)


@compiled
def question_block(formula, batch, span):
    """Scores, loss, slopes, and the gradient of what was expected, while the candidates' rows are at hand."""
    kind, last = formula.similarity, batch.candidates.shape[1] - 1
    scores, ones = np.empty(last + 1, np.float32), np.ones(last, np.float32)
    for b in range(span[0], span[1]):
        slope, weight = batch.slopes[b], batch.weight[b] if len(batch.weight) else ones
        score_question(kind, batch, b, scores)
        batch.loss[b] = slopes(formula, scores, weight, slope)
        for k in range(last + 1):
            slope[k] = over_distance(kind, slope[k], scores[k])
        batch.gradient[b, :] = ZERO
        pull_question(kind, batch, b)


@compiled
def row_block(kind, batch, given, places, step, span):
    """Add up the gradient of each distinct entity over all its places, then take its step."""
    gradient = np.empty(batch.table.shape[1], np.float32)
    for u in range(span[0], span[1]):
        fetch_row(batch.table, places.entities[min(u + 1, span[1] - 1)])
        first, end = places.starts[u], places.starts[u + 1]
        middle = first  # the candidate's places stand first
        while middle < end and places.question[middle] >= 0:
            middle += 1
        gradient[:] = ZERO
        if kind == DOT:
            add_candidates(add_dot, batch.table[places.entities[u]], batch, places, (first, middle), gradient)
        elif kind == L1:
            add_candidates(add_l1, batch.table[places.entities[u]], batch, places, (first, middle), gradient)
        elif kind == L2:
            add_candidates(add_l2, batch.table[places.entities[u]], batch, places, (first, middle), gradient)
        else:
            add_candidates(add_modulus, batch.table[places.entities[u]], batch, places, (first, middle), gradient)
        for i in range(middle, end, 4):
            whole = (ONE, ONE if i + 1 < end else ZERO, ONE if i + 2 < end else ZERO, ONE if i + 3 < end else ZERO)
            add_dot(whole, gradient, given, four_of(places.column, i, end - 1), gradient)
        move(step.rule, step.rate, step.target, places.entities[u], gradient, step.sums)


@inlined
def add_candidates(add, row, batch, places, span, gradient):
    """Add up what pulls at a row in the places where it is a candidate."""
    for i in range(span[0], span[1], 4):
        pull = slopes_of(batch.slopes, places, i, span[1] - 1)
        add(pull, row, batch.expected, four_of(places.question, i, span[1] - 1), gradient)


@inlined
def slopes_of(slopes, places, i, last):
    """The slopes at places i … i + 3; 0 beyond the last one."""
    question, column = places.question, places.column
    return (
        slopes[question[i], column[i]],
        slopes[question[i + 1], column[i + 1]] if i + 1 <= last else ZERO,
        slopes[question[i + 2], column[i + 2]] if i + 2 <= last else ZERO,
        slopes[question[i + 3], column[i + 3]] if i + 3 <= last else ZERO,
    )


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
            slope[k] = over_distance(kind, slope[k], scores[k])
        pull_question(kind, batch, b)
        for k in range(last + 1):
            if slope[k] != ZERO:
                pull_one(kind, slope[k], x, batch.table, batch.candidates[b, k], pull)
                move(step.rule, step.rate, step.target, batch.candidates[b, k], pull, step.sums)


@compiled
def shared_block(formula, batch, span):
    """As `question_block` for chunks of questions that share candidates; the gradients of candidates are kept."""
    kind, own, count = formula.similarity, batch.own, batch.candidates.shape[1]
    vectors, ones = np.empty((count, own.table.shape[1]), np.float32), np.ones(count, np.float32)
    for c in range(span[0], span[1]):
        first, end = batch.starts[c], batch.starts[c + 1]
        expected, gradient = own.expected[first:end], own.gradient[first:end]
        scores = np.empty((end - first, count + 1), np.float32)
        slope = np.empty((end - first, count + 1), np.float32)
        for k in range(count):
            vectors[k] = own.table[batch.candidates[c, k]]
        score_tiles(kind, expected, vectors, scores, (0, count))
        for b in range(first, end):
            q = b - first
            score_question(kind, own, b, scores[q, count:])
            own.loss[b] = slopes(formula, scores[q], batch.weight[b] if len(batch.weight) else ones, slope[q])
            for k in range(count + 1):
                slope[q, k] = over_distance(kind, slope[q, k], scores[q, k])
            own.slopes[b, 0] = slope[q, count]
        pull_tiles(kind, slope[:, :count], expected, vectors, gradient)
        for b in range(first, end):
            pull_question(kind, own, b)
        pull_tiles(kind, slope.T[:count], vectors, expected, batch.pulled[c * count : (c + 1) * count])


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

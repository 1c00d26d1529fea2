"""Compiled passes of ranking: distances of some pairs, and counts in hot rows of scores."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._loops import ONE
from pictokg.kernels._similarities import ZERO, root, square
from pictokg.kernels.compiled import compiled, inlined

STRIDE = 1024  # scores counted at a time, in single precision
HALF_UNIT = 2.0**-24  # largest relative error of rounding to single precision


class Answers(NamedTuple):
    """Answers to rank: the question and the own score of each, the candidates there are, and two counts, written."""

    question: np.ndarray
    own: np.ndarray
    columns: int
    higher: np.ndarray
    at_least: np.ndarray


class Near(NamedTuple):
    """Questions (Q, d), candidates (N, d), their products (Q, N), |e|² / 2 (N,) and the largest |e|."""

    expected: np.ndarray
    vectors: np.ndarray
    products: np.ndarray
    halves: np.ndarray
    largest: float


@compiled
def count_block(scores, answers, span):
    """How many of the first `columns` scores of its question are above each answer's own, and how many not below."""
    columns, higher, at_least = answers.columns, answers.higher, answers.at_least
    for b in range(span[0], span[1]):
        row, limit = scores[answers.question[b]], answers.own[b]
        higher[b] = at_least[b] = 0
        for start in range(0, columns, STRIDE):
            above = not_below = ZERO
            for n in range(start, min(start + STRIDE, columns)):
                above += ONE if row[n] > limit else ZERO
                not_below += ONE if row[n] >= limit else ZERO
            higher[b] += np.int64(above)
            at_least[b] += np.int64(not_below)


@inlined
def negative_l2(x, e):
    """−‖x − e‖₂, whose last bits do not depend on where the rows stand."""
    total = ZERO
    for j in range(len(x)):
        total += square(x[j] - e[j])
    return -root(total)


@compiled
def pair_block(expected, vectors, question, column, scores, span):
    """−‖x − e‖₂ of pairs."""
    for i in range(span[0], span[1]):
        scores[i] = negative_l2(expected[question[i]], vectors[column[i]])


@compiled
def count_near_block(near, answers, span):
    """As `count_block` for −‖x − e‖₂, from products x · e and halves |e|² / 2, by an interval that holds the truth.

    ‖x − e‖² < D² where |e|²/2 − x · e < (D² − |x|²)/2. Products in single precision err by less than
    γ = (d + 8) 2⁻²⁴ of |x| |e|; what lies so near to the limit that this could matter is computed from differences.
    """
    columns, higher, at_least, halves = answers.columns, answers.higher, answers.at_least, near.halves
    width = near.expected.shape[1]
    bound = 2 * (width + 8) * HALF_UNIT
    for b in range(span[0], span[1]):
        q, limit = answers.question[b], answers.own[b]
        x, row = near.expected[q], near.products[q]
        norm = 0.0
        for j in range(width):
            norm += np.float64(x[j]) * np.float64(x[j])
        middle = (np.float64(limit) * np.float64(limit) - norm) / 2
        around = bound * (np.sqrt(norm) + near.largest) ** 2
        low, high = np.float32(middle - around), np.float32(middle + around)
        sure = np.isfinite(low) and np.isfinite(high)
        higher[b] = at_least[b] = 0
        for start in range(0, columns, STRIDE):
            end = min(start + STRIDE, columns)
            surely = maybe = ZERO
            for n in range(start, end):
                shifted = halves[n] - row[n]
                surely += ONE if shifted < low else ZERO
                maybe += ONE if shifted <= high else ZERO
            higher[b] += np.int64(surely)
            at_least[b] += np.int64(surely)
            if surely == maybe and sure:
                continue
            for n in range(start, end):
                shifted = halves[n] - row[n]
                if not sure or (not shifted < low and shifted <= high):
                    exact = negative_l2(x, near.vectors[n])
                    higher[b] += 1 if exact > limit else 0
                    at_least[b] += 1 if exact >= limit else 0

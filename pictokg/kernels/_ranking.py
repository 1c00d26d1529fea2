"""Compiled passes over questions × shared candidates: distances of all pairs, of some pairs, and counts in hot rows."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._loops import L1, ONE, ZERO, modulus, root, square
from pictokg.kernels.compiled import compiled, inlined

TILE = 64  # candidates that stay in the first cache while all questions pass by
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


@inlined
def eight(kind, x, y, table, rows):
    """−‖· − e‖₁ or −Σ |· − e| over complex numbers, of two vectors and four rows: each is read once for the others."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = ZERO
    if kind == L1:
        for j in range(len(x)):
            a, b = x[j], y[j]
            e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
            f0 += abs(a - e0)
            f1 += abs(a - e1)
            f2 += abs(a - e2)
            f3 += abs(a - e3)
            g0 += abs(b - e0)
            g1 += abs(b - e1)
            g2 += abs(b - e2)
            g3 += abs(b - e3)
    else:
        half = len(x) // 2
        for j in range(half):
            a, b, c, d = x[j], x[half + j], y[j], y[half + j]
            e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
            i0, i1, i2, i3 = table[r0, half + j], table[r1, half + j], table[r2, half + j], table[r3, half + j]
            f0 += modulus(a - e0, b - i0)
            f1 += modulus(a - e1, b - i1)
            f2 += modulus(a - e2, b - i2)
            f3 += modulus(a - e3, b - i3)
            g0 += modulus(c - e0, d - i0)
            g1 += modulus(c - e1, d - i1)
            g2 += modulus(c - e2, d - i2)
            g3 += modulus(c - e3, d - i3)
    return (-f0, -f1, -f2, -f3), (-g0, -g1, -g2, -g3)


@compiled
def distance_block(kind, expected, vectors, scores, span):
    """Scores of all questions with candidates span[0] … span[1] − 1."""
    questions, end = len(expected), span[1]
    for first in range(span[0], end, TILE):
        for q in range(0, questions, 2):
            other = min(q + 1, questions - 1)
            for n in range(first, min(first + TILE, end), 4):
                rows = (n, min(n + 1, end - 1), min(n + 2, end - 1), min(n + 3, end - 1))
                one, two = eight(kind, expected[q], expected[other], vectors, rows)
                for i in range(4):  # beyond the last the last again, with the same number
                    scores[q, rows[i]] = one[i]
                    scores[other, rows[i]] = two[i]


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

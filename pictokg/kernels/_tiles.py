"""All pairs of a block of questions and a block of candidates: their scores, and the gradients of one side.

A number that was read serves several pairs while it is in a register, and a tile of candidates serves all questions
while it is in the first cache.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from pictokg.kernels._similarities import (
    DOT,
    L1,
    L2,
    ZERO,
    add_dot,
    add_l1,
    add_l2,
    add_modulus,
    eight_dot,
    eight_l1,
    eight_l2,
    eight_modulus,
)
from pictokg.kernels.compiled import compiled, inlined

TILE = 8192  # numbers that stay in the first cache while all questions pass by


@inlined
def rows_a_tile(vectors):
    """Rows that make a tile, a multiple of four."""
    return max(TILE // vectors.shape[1] // 4 * 4, 4)


@compiled
def score_tiles(kind, expected, vectors, scores, span):
    """Scores (Q, N) of all questions with candidates span[0] … span[1] − 1."""
    if kind == DOT:
        score_all(eight_dot, expected, vectors, scores, span)
    elif kind == L1:
        score_all(eight_l1, expected, vectors, scores, span)
    elif kind == L2:
        score_all(eight_l2, expected, vectors, scores, span)
    else:
        score_all(eight_modulus, expected, vectors, scores, span)


@inlined
def score_all(eight, expected, vectors, scores, span):
    """As `score_tiles`, of one similarity."""
    questions, end, tile = len(expected), span[1], rows_a_tile(vectors)
    for first in range(span[0], end, tile):
        for q in range(0, questions, 2):
            other = min(q + 1, questions - 1)
            x, y = expected[q], expected[other]
            for n in range(first, min(first + tile, end), 4):
                rows = (n, min(n + 1, end - 1), min(n + 2, end - 1), min(n + 3, end - 1))
                one, two = eight(x, y, vectors, rows)
                for i in range(4):  # beyond the last the last again, with the same number
                    scores[q, rows[i]] = one[i]
                    scores[other, rows[i]] = two[i]


@compiled
def pull_tiles(kind, slopes, expected, vectors, gradient):
    """Set `gradient` (Q, d) to Σ_n slope_qn ∂f(x_q, e_n)/∂x_q; for L2 slopes come divided by the distance already."""
    gradient[:, :] = ZERO
    if kind == DOT:
        pull_all(add_dot, slopes, expected, vectors, gradient)
    elif kind == L1:
        pull_all(add_l1, slopes, expected, vectors, gradient)
    elif kind == L2:
        pull_all(add_l2, slopes, expected, vectors, gradient)
    else:
        pull_all(add_modulus, slopes, expected, vectors, gradient)


@inlined
def pull_all(add, slopes, expected, vectors, gradient):
    """As `pull_tiles`, of one similarity."""
    (questions, count), tile = slopes.shape, rows_a_tile(vectors)
    for first in range(0, count, tile):
        end = min(first + tile, count)
        fours = end - (end - first) % 4
        for q in range(questions):
            x, out = expected[q], gradient[q]
            for n in range(first, fours, 4):
                pull = (slopes[q, n], slopes[q, n + 1], slopes[q, n + 2], slopes[q, n + 3])
                add(pull, x, vectors, (n, n + 1, n + 2, n + 3), out)
            for n in range(fours, end):
                add((slopes[q, n], ZERO, ZERO, ZERO), x, vectors, (n, n, n, n), out)

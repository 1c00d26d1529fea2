"""Compiled passes over entities and the rows of features that each owns; an entity's rows are read where they are.

A block of entities writes only what belongs to its entities, so any number of threads give the same numbers.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pictokg.kernels._loops import ONE, ZERO, exponential, square
from pictokg.kernels.compiled import compiled, inlined

ATTENTION, AVERAGE, MAXIMUM = 0, 1, 2
HALF_TO_SINGLE = np.float32(2.0**112)  # between the exponents' biases, 15 and 127


class Ragged(NamedTuple):
    """Rows of features, entity by entity.

    Attributes:
        single: the rows as float32 (P, w), or none of them; half: the bits of rows of float16, or none.
        first: where each entity's rows start, (U,); place: where their weights start, and the end, (U + 1,).
        shorten: scale rows longer than 1 to length 1.
    """

    single: np.ndarray
    half: np.ndarray
    first: np.ndarray
    place: np.ndarray
    shorten: bool


@inlined
def read(ragged, row, x, out):
    """Put one row of features f into `out`, and say f · x."""
    total = ZERO
    if len(ragged.half):
        for j in range(len(out)):
            bits = np.int32(ragged.half[row, j])
            moved = ((bits & np.int32(0x7FFF)) << np.int32(13)) | ((bits & np.int32(0x8000)) << np.int32(16))
            value = np.int32(moved).view(np.float32) * HALF_TO_SINGLE
            out[j] = value
            total += value * x[j]
    else:
        for j in range(len(out)):
            out[j] = ragged.single[row, j]
            total += out[j] * x[j]
    if ragged.shorten:
        length = ZERO
        for j in range(len(out)):
            length += square(out[j])
        if length > ONE:
            scale = ONE / np.float32(math.sqrt(length))
            total *= scale
            for j in range(len(out)):
                out[j] *= scale
    return total


@inlined
def add_up(rows, weights, out):
    """Add Σ_k w_k row_k to `out`, four rows at a time."""
    count = len(weights)
    for k in range(0, count - 3, 4):
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for j in range(len(out)):
            out[j] += w0 * rows[k, j] + w1 * rows[k + 1, j] + w2 * rows[k + 2, j] + w3 * rows[k + 3, j]
    for k in range(count // 4 * 4, count):
        for j in range(len(out)):
            out[j] += weights[k] * rows[k, j]


@inlined
def weigh(kind, weights):
    """From logits to weights, in place."""
    count = len(weights)
    if kind == AVERAGE or count == 1:
        weights[:] = ONE / np.float32(count)
        return
    best = 0
    for k in range(1, count):
        best = k if weights[k] > weights[best] else best
    if kind == MAXIMUM:
        weights[:] = ZERO
        weights[best] = ONE
        return
    largest, total = weights[best], ZERO
    for k in range(count):
        weights[k] = exponential(weights[k] - largest)
        total += weights[k]
    for k in range(count):
        weights[k] /= total


@inlined
def most_rows(ragged, span):
    most = 0
    for u in range(span[0], span[1]):
        most = max(most, ragged.place[u + 1] - ragged.place[u])
    return most


@compiled
def pool_block(kind, ragged, queries, weights, pooled, span):
    """The weights of each entity's rows, and their weighted sum; an entity without rows has 0."""
    rows = np.empty((most_rows(ragged, span), pooled.shape[1]), np.float32)
    for u in range(span[0], span[1]):
        start, count = ragged.place[u], ragged.place[u + 1] - ragged.place[u]
        own = weights[start : start + count]
        pooled[u, :] = ZERO
        for k in range(count):
            own[k] = read(ragged, ragged.first[u] + k, queries[u], rows[k])
        if count:
            weigh(kind, own)
            add_up(rows, own, pooled[u])


@compiled
def query_block(ragged, weights, pulled, gradient, span):
    """The gradient of each entity's query, from that of its weighted sum: Σ_k a_k (g · f_k − Σ_i a_i g · f_i) f_k."""
    rows = np.empty((most_rows(ragged, span), gradient.shape[1]), np.float32)
    slopes = np.empty(len(rows), np.float32)
    for u in range(span[0], span[1]):
        start, count = ragged.place[u], ragged.place[u + 1] - ragged.place[u]
        gradient[u, :] = ZERO
        if count < 2:  # the one weight is 1 whatever the query
            continue
        mean = ZERO
        for k in range(count):
            slopes[k] = read(ragged, ragged.first[u] + k, pulled[u], rows[k])
            mean += weights[start + k] * slopes[k]
        for k in range(count):
            slopes[k] = weights[start + k] * (slopes[k] - mean)
        add_up(rows, slopes[:count], gradient[u])

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
def read(ragged, row, out):
    """Put one row of features into `out`."""
    if len(ragged.half):
        for j in range(len(out)):
            bits = np.int32(ragged.half[row, j])
            moved = ((bits & np.int32(0x7FFF)) << np.int32(13)) | ((bits & np.int32(0x8000)) << np.int32(16))
            out[j] = np.int32(moved).view(np.float32) * HALF_TO_SINGLE
    else:
        for j in range(len(out)):
            out[j] = ragged.single[row, j]
    if ragged.shorten:
        total = ZERO
        for j in range(len(out)):
            total += square(out[j])
        if total > ONE:
            scale = ONE / np.float32(math.sqrt(total))
            for j in range(len(out)):
                out[j] *= scale


@inlined
def dot(x, y):
    total = ZERO
    for j in range(len(x)):
        total += x[j] * y[j]
    return total


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
            read(ragged, ragged.first[u] + k, rows[k])
            own[k] = dot(queries[u], rows[k]) if kind != AVERAGE and count > 1 else ZERO
        if count:
            weigh(kind, own)
        for k in range(count):
            if own[k] != ZERO:
                for j in range(pooled.shape[1]):
                    pooled[u, j] += own[k] * rows[k, j]


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
            read(ragged, ragged.first[u] + k, rows[k])
            slopes[k] = dot(pulled[u], rows[k])
            mean += weights[start + k] * slopes[k]
        for k in range(count):
            slope = weights[start + k] * (slopes[k] - mean)
            for j in range(gradient.shape[1]):
                gradient[u, j] += slope * rows[k, j]

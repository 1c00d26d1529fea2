"""Compiled passes over entities and the parts of pictures that each owns, which a few queries common to all look at.

A block of entities writes what belongs to its entities, and sums of its own over them; so any number of threads give
the same numbers.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._attention import ATTENTION, add_up, weigh
from pictokg.kernels._loops import ZERO
from pictokg.kernels.compiled import compiled, inlined


class Owned(NamedTuple):
    """Parts of pictures, entity by entity.

    Attributes:
        rows: features (P, w); spot: where in its picture each is (P,).
        first: where each entity's rows start, (U,); place: where their weights start, and the end, (U + 1,).
    """

    rows: np.ndarray
    spot: np.ndarray
    first: np.ndarray
    place: np.ndarray


@inlined
def dots(rows, x, out):
    """Put row_k · x into `out`, four rows at a time."""
    count = len(out)
    for k in range(0, count - 3, 4):
        t0, t1, t2, t3 = ZERO, ZERO, ZERO, ZERO
        for j in range(len(x)):
            t0 += rows[k, j] * x[j]
            t1 += rows[k + 1, j] * x[j]
            t2 += rows[k + 2, j] * x[j]
            t3 += rows[k + 3, j] * x[j]
        out[k], out[k + 1], out[k + 2], out[k + 3] = t0, t1, t2, t3
    for k in range(count // 4 * 4, count):
        total = ZERO
        for j in range(len(x)):
            total += rows[k, j] * x[j]
        out[k] = total


@compiled
def look_block(owned, queries, bias, weights, seen, span):
    """What each query sees of each entity: Σ_p α_p row_p, α = softmax_p(query · row_p + bias at its spot)."""
    for u in range(span[0], span[1]):
        first, start, end = owned.first[u], owned.place[u], owned.place[u + 1]
        rows = owned.rows[first : first + end - start]
        for a in range(len(queries)):
            seen[u, a, :] = ZERO
            if end == start:
                continue
            own = weights[a, start:end]
            dots(rows, queries[a], own)
            for k in range(len(own)):
                own[k] += bias[owned.spot[first + k], a]
            weigh(ATTENTION, own)
            add_up(rows, own, seen[u, a])


@compiled
def learn_block(owned, weights, pulled, by_query, by_bias, span):
    """The gradients of queries and biases, summed over the block's entities, from those of what is seen."""
    most = 0
    for u in range(span[0], span[1]):
        most = max(most, owned.place[u + 1] - owned.place[u])
    kept = np.empty(most, np.float32)
    for u in range(span[0], span[1]):
        first, start, end = owned.first[u], owned.place[u], owned.place[u + 1]
        if end - start < 2:  # the one weight is 1 whatever the query
            continue
        rows = owned.rows[first : first + end - start]
        slopes = kept[: end - start]
        for a in range(len(by_query)):
            own = weights[a, start:end]
            dots(rows, pulled[u, a], slopes)
            mean = ZERO
            for k in range(len(own)):
                mean += own[k] * slopes[k]
            for k in range(len(own)):
                slopes[k] = own[k] * (slopes[k] - mean)
                by_bias[owned.spot[first + k], a] += slopes[k]
            add_up(rows, slopes, by_query[a])

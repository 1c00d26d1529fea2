"""Compiled passes from anchors and relations to what questions expect, and from its gradient back to both."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels._similarities import ZERO
from pictokg.kernels.compiled import compiled
from pictokg.kernels.formulas import COMPOSITIONS

SUM, PRODUCT = COMPOSITIONS["sum"], COMPOSITIONS["product"]


class Composed(NamedTuple):
    """B questions: entities (E, d), relations (R, d), and rows of both (B,); sign (B,): 1 for tails, −1 for heads."""

    entities: np.ndarray
    relations: np.ndarray
    anchor: np.ndarray
    relation: np.ndarray
    sign: np.ndarray


@compiled
def expect_block(kind, asked, expected, span):
    """A + s r, a ∘ r, or a ∘ r over complex numbers [real; imaginary], where s = −1 conjugates r."""
    a, r, width = asked.entities, asked.relations, expected.shape[1]
    half = width // 2
    for b in range(span[0], span[1]):
        i, k, s = asked.anchor[b], asked.relation[b], asked.sign[b]
        if kind == SUM:
            for j in range(width):
                expected[b, j] = a[i, j] + s * r[k, j]
        elif kind == PRODUCT:
            for j in range(width):
                expected[b, j] = a[i, j] * r[k, j]
        else:
            for j in range(half):
                expected[b, j] = a[i, j] * r[k, j] - s * a[i, half + j] * r[k, half + j]
                expected[b, half + j] = s * a[i, j] * r[k, half + j] + a[i, half + j] * r[k, j]


@compiled
def anchor_block(kind, asked, gradient, by_anchor, span):
    """The gradients of anchors (B, d), from those of what was expected."""
    r, g, width = asked.relations, gradient, gradient.shape[1]
    half = width // 2
    for b in range(span[0], span[1]):
        k, s = asked.relation[b], asked.sign[b]
        if kind == SUM:
            for j in range(width):
                by_anchor[b, j] = g[b, j]
        elif kind == PRODUCT:
            for j in range(width):
                by_anchor[b, j] = g[b, j] * r[k, j]
        else:
            for j in range(half):
                by_anchor[b, j] = g[b, j] * r[k, j] + s * g[b, half + j] * r[k, half + j]
                by_anchor[b, half + j] = g[b, half + j] * r[k, j] - s * g[b, j] * r[k, half + j]


@compiled
def relation_block(kind, asked, gradient, by_relation, places, span):
    """The gradients of relations (R, d), each added up over its questions in one order."""
    a, g, width = asked.entities, gradient, gradient.shape[1]
    half, out = width // 2, np.empty(width, np.float32)
    for u in range(span[0], span[1]):
        out[:] = ZERO
        for place in range(places.starts[u], places.starts[u + 1]):
            b = places.question[place]
            i, s = asked.anchor[b], asked.sign[b]
            if kind == SUM:
                for j in range(width):
                    out[j] += s * g[b, j]
            elif kind == PRODUCT:
                for j in range(width):
                    out[j] += g[b, j] * a[i, j]
            else:
                for j in range(half):
                    out[j] += g[b, j] * a[i, j] + g[b, half + j] * a[i, half + j]
                    out[half + j] += s * (g[b, half + j] * a[i, j] - g[b, j] * a[i, half + j])
        by_relation[places.entities[u]] = out

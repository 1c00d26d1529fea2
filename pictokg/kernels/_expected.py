"""Compiled passes from anchors and relations to what questions expect, and from its gradient back to both."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
def pull_block(kind, asked, gradient, by_anchor, span):
    """From the gradients of what was expected, those of anchors (B, d), and in their place those of relations."""
    a, r, width = asked.entities, asked.relations, gradient.shape[1]
    half = width // 2
    for b in range(span[0], span[1]):
        i, k, s = asked.anchor[b], asked.relation[b], asked.sign[b]
        if kind == SUM:
            for j in range(width):
                g = gradient[b, j]
                by_anchor[b, j], gradient[b, j] = g, s * g
        elif kind == PRODUCT:
            for j in range(width):
                g = gradient[b, j]
                by_anchor[b, j], gradient[b, j] = g * r[k, j], g * a[i, j]
        else:
            for j in range(half):
                g, h = gradient[b, j], gradient[b, half + j]
                by_anchor[b, j] = g * r[k, j] + s * h * r[k, half + j]
                by_anchor[b, half + j] = h * r[k, j] - s * g * r[k, half + j]
                gradient[b, j] = g * a[i, j] + h * a[i, half + j]
                gradient[b, half + j] = s * (h * a[i, j] - g * a[i, half + j])

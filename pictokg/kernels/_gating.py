"""Compiled passes over rows: gates and what they let in, added up; and dropout whose mask is never in memory."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from pictokg.kernels._loops import ONE, ZERO, exponential
from pictokg.kernels.compiled import compiled, inlined

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def gate_block(part, out, span):
    """Add what one modality contributes, p g z, to `out`."""
    gates, values, kept = part
    for u in range(span[0], span[1]):
        present = kept[u]
        for j in range(values.shape[1]):
            out[u, j] += present * gates[u, j] * values[u, j]


@compiled
def pull_block(part, pulled, by_logits, by_values, span):
    """The gradients of u, g = σ(u), and z of one modality, from that of the sum.

    One array is written a loop: with more the compiler cannot rule out that they overlap, and does not vectorise.
    """
    gates, values, kept = part
    for u in range(span[0], span[1]):
        present = kept[u]
        for j in range(values.shape[1]):
            by_values[u, j] = present * pulled[u, j] * gates[u, j]
        for j in range(values.shape[1]):
            by_logits[u, j] = by_values[u, j] * values[u, j] * (ONE - gates[u, j])


@inlined
def logistic(x):
    """1 / (1 + exp(−x)), of a power that is never above 0."""
    small = exponential(-abs(x))
    return (ONE if x >= ZERO else small) / (ONE + small)


@compiled
def open_block(part, out, span):
    """Add p σ(b + u ∘ z) ∘ z of one modality to `out`."""
    values, weight, bias, kept = part
    for i in range(span[0], span[1]):
        present = kept[i]
        for j in range(values.shape[1]):
            out[i, j] += present * logistic(bias[j] + weight[j] * values[i, j]) * values[i, j]


@compiled
def pull_open_block(part, pulled, by_values, sums, span):
    """The gradient of z of one modality, and those of u and b summed over these rows, from that of the sum.

    With g = σ(b + u z): by z, p (g + u z g (1 − g)); by b, p z g (1 − g); by u, z times that. One array is written a
    loop, as in `pull_block`.
    """
    values, weight, bias, kept = part
    width = values.shape[1]
    gate, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(span[0], span[1]):
        present = kept[i]
        for j in range(width):
            gate[j] = logistic(bias[j] + weight[j] * values[i, j])
        for j in range(width):
            slope[j] = present * pulled[i, j] * values[i, j] * gate[j] * (ONE - gate[j])
        for j in range(width):
            by_values[i, j] = present * pulled[i, j] * gate[j] + weight[j] * slope[j]
        for j in range(width):
            sums[0, j] += slope[j] * values[i, j]
        for j in range(width):
            sums[1, j] += slope[j]


@inlined
def mixed(counter):
    """64 bits that look random, from a counter (the last steps of SplitMix64)."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def drop_block(rows, whole, law, out, span):
    """Each number times `scale` with probability bound / 65,536, else 0; rows that are `whole` stay as they are.

    64 bits decide four numbers, a quarter of the row apart, so that neighbours are written together.
    """
    seed, bound, scale = law
    width = rows.shape[1]
    quarter = (width + 3) // 4
    drawn = np.empty(quarter, np.uint64)
    for u in range(span[0], span[1]):
        if whole[u]:
            for j in range(width):
                out[u, j] = rows[u, j]
            continue
        first = seed + np.uint64(u * quarter) * GOLDEN
        for j in range(quarter):
            drawn[j] = mixed(first + np.uint64(j) * GOLDEN)
        for part in range(4):
            start, shift = part * quarter, np.uint64(16 * part)
            for j in range(max(min(quarter, width - start), 0)):
                bits = (drawn[j] >> shift) & np.uint64(0xFFFF)
                out[u, start + j] = rows[u, start + j] * (scale if bits < bound else ZERO)

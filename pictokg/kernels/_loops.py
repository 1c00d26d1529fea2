"""Loops over the scores of one question, which give its loss and their slopes, and over a row that moves."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np

from pictokg.kernels._similarities import ZERO, root, square
from pictokg.kernels.compiled import inlined
from pictokg.kernels.formulas import LOSSES, RULES

SOFTMAX, MARGIN = LOSSES["softmax"], LOSSES["margin"]
SGD, ADAGRAD, ROW_ADAGRAD = (RULES[name] for name in ("sgd", "adagrad", "row_adagrad"))
EPSILON = np.float32(1e-10)  # that of both Adagrads
HALF, ONE = np.float32(0.5), np.float32(1)


@inlined
def exponential(x):
    """e^x to single precision for x ≤ 0 (below −87 it is 0 for all that follows), in steps that are vectorised."""
    x = max(x, np.float32(-87.0))
    whole = np.floor(x * np.float32(1.4426950408889634) + HALF)
    rest = (x - whole * np.float32(0.693359375)) + whole * np.float32(2.12194440e-4)  # ln 2 in two parts
    p = np.float32(1.9875691500e-4) * rest + np.float32(1.3981999507e-3)
    p = p * rest + np.float32(8.3334519073e-3)
    p = p * rest + np.float32(4.1665795894e-2)
    p = p * rest + np.float32(1.6666665459e-1)
    p = p * rest + HALF
    p = p * rest * rest + rest + ONE
    return p * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def log_one_plus(x):
    """ln(1 + x) for x in [0, 1]: 2 artanh(x / (2 + x))."""
    z = x / (np.float32(2) + x)
    y = z * z
    p = y * np.float32(2 / 13) + np.float32(2 / 11)
    p = p * y + np.float32(2 / 9)
    p = p * y + np.float32(2 / 7)
    p = p * y + np.float32(2 / 5)
    p = p * y + np.float32(2 / 3)
    return (p * y + np.float32(2)) * z


@inlined
def slopes(formula, scores, weight, out):
    """The loss of one question, whose answer comes last; `out` gets the scaled slopes of all its scores."""
    if formula.loss == SOFTMAX:
        return softmax_slopes(formula, scores, weight, out)
    if formula.loss == MARGIN:
        return margin_slopes(formula, scores, weight, out)
    return adversarial_slopes(formula, scores, weight, out)


@inlined
def adversarial_slopes(formula, scores, weight, out):
    """½ [softplus(−γ − f⁺) + Σ p_k softplus(γ + f_k)], p = softmax(α f + ln w) held constant."""
    count, gamma, alpha = len(scores) - 1, np.float32(formula.margin), np.float32(formula.temperature)
    scale = np.float32(formula.scale) * HALF
    largest, total, value = -np.float32(np.inf), ZERO, ZERO
    for k in range(count):
        largest = max(largest, alpha * scores[k] if weight[k] > ZERO else largest)
    for k in range(count):
        out[k] = weight[k] * exponential(min(alpha * scores[k] - largest, ZERO))
        total += out[k]
    inverse = ONE / total if total > ZERO else ZERO
    for k in range(count):
        shifted = scores[k] + gamma
        small = exponential(-abs(shifted))
        share = out[k] * inverse
        value += share * (max(shifted, ZERO) + log_one_plus(small))
        out[k] = share * scale * (ONE if shifted >= ZERO else small) / (ONE + small)
    shifted = -scores[count] - gamma
    small = exponential(-abs(shifted))
    out[count] = -scale * (ONE if shifted >= ZERO else small) / (ONE + small)
    return HALF * (value + max(shifted, ZERO) + log_one_plus(small))


@inlined
def softmax_slopes(formula, scores, weight, out):
    """−f⁺ + ln(e^f⁺ + Σ w_k e^f_k)."""
    count, scale = len(scores) - 1, np.float32(formula.scale)
    largest = scores[count]
    for k in range(count):
        largest = max(largest, scores[k] if weight[k] > ZERO else largest)
    total = ZERO
    for k in range(count):
        out[k] = weight[k] * exponential(min(scores[k] - largest, ZERO))
        total += out[k]
    out[count] = exponential(scores[count] - largest)
    total += out[count]
    for k in range(count + 1):
        out[k] *= scale / total
    out[count] -= scale
    return np.float32(math.log(total)) + largest - scores[count]


@inlined
def margin_slopes(formula, scores, weight, out):
    """max(0, γ − f⁺ + f_k), averaged with the weights."""
    count, scale = len(scores) - 1, np.float32(formula.scale)
    total, value, pulled = ZERO, ZERO, ZERO
    for k in range(count):
        total += weight[k]
    inverse = ONE / max(total, np.float32(1e-12))
    for k in range(count):
        violation = np.float32(formula.margin) - scores[count] + scores[k]
        share = weight[k] * inverse
        value += share * max(violation, ZERO)
        out[k] = share * scale if violation > ZERO else ZERO
        pulled += out[k]
    out[count] = -pulled
    return value


@inlined
def move(rule, rate, table, row, gradient, sums):
    """Take the optimiser's step of one row of a table; its state is the same row of `sums`."""
    width, rate = len(gradient), np.float32(rate)
    if rule == SGD:
        for j in range(width):
            table[row, j] -= rate * gradient[j]
    elif rule == ADAGRAD:
        for j in range(width):
            sums[row, j] += square(gradient[j])
            table[row, j] -= rate * gradient[j] / (root(sums[row, j]) + EPSILON)
    elif rule == ROW_ADAGRAD:
        total = ZERO
        for j in range(width):
            total += square(gradient[j])
        sums[row, 0] += total / np.float32(width)
        step = rate / (root(sums[row, 0]) + EPSILON)
        for j in range(width):
            table[row, j] -= step * gradient[j]
    else:  # no step: the gradient itself is wanted
        for j in range(width):
            table[row, j] = gradient[j]

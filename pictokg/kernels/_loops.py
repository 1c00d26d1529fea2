"""Loops over one vector and one row of a table, and over the scores of one question: what all kernels are made of.

A similarity f(x, e) is symmetric, so one function gives its gradient for both sides.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np

from pictokg.kernels.compiled import inlined
from pictokg.kernels.formulas import LOSSES, RULES, SIMILARITIES

DOT, L1, L2 = (SIMILARITIES[name] for name in ("dot", "l1", "l2"))
SOFTMAX, MARGIN = LOSSES["softmax"], LOSSES["margin"]
SGD, ADAGRAD, ROW_ADAGRAD = (RULES[name] for name in ("sgd", "adagrad", "row_adagrad"))
TINY = np.float32(np.finfo(np.float32).tiny)
EPSILON = np.float32(1e-10)  # that of both Adagrads
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@inlined
def similarities(kind, x, table, rows):
    """f(x, e) of four rows e of the table: x · e, −‖x − e‖₁, −‖x − e‖₂ or −Σ |x_j − e_j| over complex numbers.

    Four at a time, because x is then read once for the four, and their sums do not wait for each other.
    """
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = ZERO
    if kind == DOT:
        for j in range(len(x)):
            f0 += x[j] * table[r0, j]
            f1 += x[j] * table[r1, j]
            f2 += x[j] * table[r2, j]
            f3 += x[j] * table[r3, j]
    elif kind == L1:
        for j in range(len(x)):
            f0 -= abs(x[j] - table[r0, j])
            f1 -= abs(x[j] - table[r1, j])
            f2 -= abs(x[j] - table[r2, j])
            f3 -= abs(x[j] - table[r3, j])
    elif kind == L2:
        for j in range(len(x)):
            f0 += square(x[j] - table[r0, j])
            f1 += square(x[j] - table[r1, j])
            f2 += square(x[j] - table[r2, j])
            f3 += square(x[j] - table[r3, j])
        f0, f1, f2, f3 = -root(f0), -root(f1), -root(f2), -root(f3)
    else:
        half = len(x) // 2
        for j in range(half):
            f0 -= modulus(x[j] - table[r0, j], x[half + j] - table[r0, half + j])
            f1 -= modulus(x[j] - table[r1, j], x[half + j] - table[r1, half + j])
            f2 -= modulus(x[j] - table[r2, j], x[half + j] - table[r2, half + j])
            f3 -= modulus(x[j] - table[r3, j], x[half + j] - table[r3, half + j])
    return f0, f1, f2, f3


@inlined
def add_gradients(kind, slope, x, table, rows, out):
    """Add Σ slope · ∂f(x, e)/∂x over four rows to `out`; for L2 slopes come divided by the distance already."""
    r0, r1, r2, r3 = rows
    s0, s1, s2, s3 = slope
    if kind == DOT:
        for j in range(len(x)):
            out[j] += s0 * table[r0, j] + s1 * table[r1, j] + s2 * table[r2, j] + s3 * table[r3, j]
    elif kind == L1:
        for j in range(len(x)):
            first = signed(s0, x[j] - table[r0, j]) + signed(s1, x[j] - table[r1, j])
            out[j] -= first + signed(s2, x[j] - table[r2, j]) + signed(s3, x[j] - table[r3, j])
    elif kind == L2:
        for j in range(len(x)):
            first = s0 * (x[j] - table[r0, j]) + s1 * (x[j] - table[r1, j])
            out[j] -= first + s2 * (x[j] - table[r2, j]) + s3 * (x[j] - table[r3, j])
    else:
        half = len(x) // 2
        for j in range(half):
            a0, b0 = x[j] - table[r0, j], x[half + j] - table[r0, half + j]
            a1, b1 = x[j] - table[r1, j], x[half + j] - table[r1, half + j]
            a2, b2 = x[j] - table[r2, j], x[half + j] - table[r2, half + j]
            a3, b3 = x[j] - table[r3, j], x[half + j] - table[r3, half + j]
            t0, t1 = over_modulus(s0, a0, b0), over_modulus(s1, a1, b1)
            t2, t3 = over_modulus(s2, a2, b2), over_modulus(s3, a3, b3)
            out[j] -= t0 * a0 + t1 * a1 + t2 * a2 + t3 * a3
            out[half + j] -= t0 * b0 + t1 * b1 + t2 * b2 + t3 * b3


@inlined
def pull_one(kind, slope, x, table, row, out):
    """Set `out` to slope · ∂f(x, e)/∂e for one row e of the table."""
    if kind == DOT:
        for j in range(len(x)):
            out[j] = slope * x[j]
    elif kind == L1:
        for j in range(len(x)):
            out[j] = signed(slope, x[j] - table[row, j])
    elif kind == L2:
        for j in range(len(x)):
            out[j] = slope * (x[j] - table[row, j])
    else:
        half = len(x) // 2
        for j in range(half):
            real, imaginary = x[j] - table[row, j], x[half + j] - table[row, half + j]
            turn = over_modulus(slope, real, imaginary)
            out[j], out[half + j] = turn * real, turn * imaginary


@inlined
def square(value):
    return value * value


@inlined
def root(value):
    return np.float32(math.sqrt(value))


@inlined
def modulus(real, imaginary):
    return root(max(real * real + imaginary * imaginary, TINY))


@inlined
def over_modulus(slope, real, imaginary):
    """The slope over |real + i imaginary|, and 0 at 0."""
    below = real * real + imaginary * imaginary
    return slope / root(max(below, TINY)) if below >= TINY else ZERO


@inlined
def signed(slope, difference):
    """The slope times the difference's sign, which is 0 at 0."""
    return slope if difference > ZERO else (-slope if difference < ZERO else ZERO)


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
def over_distance(kind, slope, score):
    """A slope as `add_gradient` wants it: for L2 divided by the distance, and 0 where that is 0."""
    if kind == L2:
        return slope / -score if score < ZERO else ZERO
    return slope


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

"""The similarities f(x, e), each in the forms that loops are made of: one vector or two with four rows, and gradients.

Four rows at a time, because x is then read once for the four and their sums do not wait for each other. Every f is
symmetric, so one function gives its gradient for both sides. Each similarity has functions of its own: a loop that
chooses its formula inside is half as fast as one that was chosen before.
"""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np

from pictokg.kernels.compiled import inlined
from pictokg.kernels.formulas import SIMILARITIES

DOT, L1, L2 = (SIMILARITIES[name] for name in ("dot", "l1", "l2"))
TINY = np.float32(np.finfo(np.float32).tiny)
ZERO = np.float32(0)


@inlined
def four_dot(x, table, rows):
    """X · e of four rows e."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = ZERO
    for j in range(len(x)):
        f0 += x[j] * table[r0, j]
        f1 += x[j] * table[r1, j]
        f2 += x[j] * table[r2, j]
        f3 += x[j] * table[r3, j]
    return f0, f1, f2, f3


@inlined
def four_l1(x, table, rows):
    """−‖x − e‖₁ of four rows e."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = ZERO
    for j in range(len(x)):
        f0 -= abs(x[j] - table[r0, j])
        f1 -= abs(x[j] - table[r1, j])
        f2 -= abs(x[j] - table[r2, j])
        f3 -= abs(x[j] - table[r3, j])
    return f0, f1, f2, f3


@inlined
def four_l2(x, table, rows):
    """−‖x − e‖₂ of four rows e."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = ZERO
    for j in range(len(x)):
        f0 += square(x[j] - table[r0, j])
        f1 += square(x[j] - table[r1, j])
        f2 += square(x[j] - table[r2, j])
        f3 += square(x[j] - table[r3, j])
    f0, f1, f2, f3 = -root(f0), -root(f1), -root(f2), -root(f3)
    return f0, f1, f2, f3


@inlined
def four_modulus(x, table, rows):
    """−Σ |x_j − e_j| over complex numbers, of four rows e."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = ZERO
    half = len(x) // 2
    for j in range(half):
        f0 -= modulus(x[j] - table[r0, j], x[half + j] - table[r0, half + j])
        f1 -= modulus(x[j] - table[r1, j], x[half + j] - table[r1, half + j])
        f2 -= modulus(x[j] - table[r2, j], x[half + j] - table[r2, half + j])
        f3 -= modulus(x[j] - table[r3, j], x[half + j] - table[r3, half + j])
    return f0, f1, f2, f3


@inlined
def eight_dot(x, y, table, rows):
    """As `four_dot`, of two vectors: each row is read once for both."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = ZERO
    for j in range(len(x)):
        a, b = x[j], y[j]
        e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
        f0 += a * e0
        f1 += a * e1
        f2 += a * e2
        f3 += a * e3
        g0 += b * e0
        g1 += b * e1
        g2 += b * e2
        g3 += b * e3
    return (f0, f1, f2, f3), (g0, g1, g2, g3)


@inlined
def eight_l1(x, y, table, rows):
    """As `four_l1`, of two vectors: each row is read once for both."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = ZERO
    for j in range(len(x)):
        a, b = x[j], y[j]
        e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
        f0 -= abs(a - e0)
        f1 -= abs(a - e1)
        f2 -= abs(a - e2)
        f3 -= abs(a - e3)
        g0 -= abs(b - e0)
        g1 -= abs(b - e1)
        g2 -= abs(b - e2)
        g3 -= abs(b - e3)
    return (f0, f1, f2, f3), (g0, g1, g2, g3)


@inlined
def eight_l2(x, y, table, rows):
    """As `four_l2`, of two vectors: each row is read once for both."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = ZERO
    for j in range(len(x)):
        a, b = x[j], y[j]
        e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
        f0 += square(a - e0)
        f1 += square(a - e1)
        f2 += square(a - e2)
        f3 += square(a - e3)
        g0 += square(b - e0)
        g1 += square(b - e1)
        g2 += square(b - e2)
        g3 += square(b - e3)
    f0, f1, f2, f3 = -root(f0), -root(f1), -root(f2), -root(f3)
    g0, g1, g2, g3 = -root(g0), -root(g1), -root(g2), -root(g3)
    return (f0, f1, f2, f3), (g0, g1, g2, g3)


@inlined
def eight_modulus(x, y, table, rows):
    """As `four_modulus`, of two vectors: each row is read once for both."""
    r0, r1, r2, r3 = rows
    f0 = f1 = f2 = f3 = g0 = g1 = g2 = g3 = ZERO
    half = len(x) // 2
    for j in range(half):
        a, b, c, d = x[j], x[half + j], y[j], y[half + j]
        e0, e1, e2, e3 = table[r0, j], table[r1, j], table[r2, j], table[r3, j]
        i0, i1, i2, i3 = table[r0, half + j], table[r1, half + j], table[r2, half + j], table[r3, half + j]
        f0 -= modulus(a - e0, b - i0)
        f1 -= modulus(a - e1, b - i1)
        f2 -= modulus(a - e2, b - i2)
        f3 -= modulus(a - e3, b - i3)
        g0 -= modulus(c - e0, d - i0)
        g1 -= modulus(c - e1, d - i1)
        g2 -= modulus(c - e2, d - i2)
        g3 -= modulus(c - e3, d - i3)
    return (f0, f1, f2, f3), (g0, g1, g2, g3)


@inlined
def add_dot(slope, x, table, rows, out):
    """Add Σ slope · ∂f(x, e)/∂x over four rows e to `out`."""
    r0, r1, r2, r3 = rows
    s0, s1, s2, s3 = slope
    for j in range(len(x)):
        out[j] += s0 * table[r0, j] + s1 * table[r1, j] + s2 * table[r2, j] + s3 * table[r3, j]


@inlined
def add_l1(slope, x, table, rows, out):
    """As `add_dot`; the gradient of an absolute value at 0 is 0."""
    r0, r1, r2, r3 = rows
    s0, s1, s2, s3 = slope
    for j in range(len(x)):
        first = signed(s0, x[j] - table[r0, j]) + signed(s1, x[j] - table[r1, j])
        out[j] -= first + signed(s2, x[j] - table[r2, j]) + signed(s3, x[j] - table[r3, j])


@inlined
def add_l2(slope, x, table, rows, out):
    """As `add_dot`; slopes come divided by the distance already."""
    r0, r1, r2, r3 = rows
    s0, s1, s2, s3 = slope
    for j in range(len(x)):
        first = s0 * (x[j] - table[r0, j]) + s1 * (x[j] - table[r1, j])
        out[j] -= first + s2 * (x[j] - table[r2, j]) + s3 * (x[j] - table[r3, j])


@inlined
def add_modulus(slope, x, table, rows, out):
    """As `add_dot`; the gradient of a modulus at 0 is 0."""
    r0, r1, r2, r3 = rows
    s0, s1, s2, s3 = slope
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
def over_distance(kind, slope, score):
    """A slope as `add_l2` wants it: for L2 divided by the distance, and 0 where that is 0."""
    if kind == L2:
        return slope / -score if score < ZERO else ZERO
    return slope


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

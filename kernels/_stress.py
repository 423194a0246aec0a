"""Passes over the pairs of a packed band.

Every pass takes quads of 4 rows against all columns of their strip. The group on the diagonal
holds both halves and gives to its rows only; every other pair gives to its row and, with the
opposite sign, to its column.

    w   weight of a pair: 0 where it is missing, else 1, that of a matrix, or a power of delta
    g   w max(delta - tau, 0)
"""

import math

import numpy as np

from kernels._jit import njit

UNIT, GIVEN, POWER = 0, 1, 2
TINY = 1e-30  # of a squared distance: coincident points are 1e-15 apart, and give 0


@njit
def weight_of(delta, given, kind, power, floor):
    """w of one pair, in float64."""
    if not delta >= 0:
        return 0.0
    if kind == UNIT:
        return 1.0
    if kind == GIVEN:
        return given
    return max(delta, floor) ** power


@njit
def guttman(values, weights, kind, power, floor, first, strips, groups, x, tau, out):
    """out[i] += sum of g / dist (x_i - x_j): rows of B(X)X. x, out (16 groups, d) float64."""
    d = x.shape[1]
    difference = np.empty(d)
    at = 0
    for strip in range(first, first + strips):
        for quad in range(4):
            for group in range(strip, groups):
                for r in range(4):
                    i = strip * 16 + quad * 4 + r
                    for lane in range(16):
                        delta = np.float64(values[at])
                        given = np.float64(weights[at]) if kind == GIVEN else 1.0
                        at += 1
                        j = group * 16 + lane
                        w = weight_of(delta, given, kind, power, floor)
                        square = TINY
                        for k in range(d):
                            difference[k] = x[i, k] - x[j, k]
                            square += difference[k] * difference[k]
                        ratio = w * max(delta - tau, 0.0) / math.sqrt(square) if w > 0 else 0.0
                        for k in range(d):
                            out[i, k] += ratio * difference[k]
                            if group > strip:
                                out[j, k] -= ratio * difference[k]


@njit
def residual(values, weights, kind, power, floor, first, strips, groups, x, tau, out):
    """out[i] += sum of (g / dist - w) (x_i - x_j): rows of B(X)X - V X. Returns the sum of
    w dist^2 over the pairs."""
    d = x.shape[1]
    difference = np.empty(d)
    at, eta = 0, 0.0
    for strip in range(first, first + strips):
        for quad in range(4):
            for group in range(strip, groups):
                for r in range(4):
                    i = strip * 16 + quad * 4 + r
                    for lane in range(16):
                        delta = np.float64(values[at])
                        given = np.float64(weights[at]) if kind == GIVEN else 1.0
                        at += 1
                        j = group * 16 + lane
                        w = weight_of(delta, given, kind, power, floor)
                        square = 0.0
                        for k in range(d):
                            difference[k] = x[i, k] - x[j, k]
                            square += difference[k] * difference[k]
                        eta += w * square * (1.0 if group > strip else 0.5)
                        ratio = 0.0
                        if w > 0:
                            ratio = w * (max(delta - tau, 0.0) / math.sqrt(square + TINY) - 1.0)
                        for k in range(d):
                            out[i, k] += ratio * difference[k]
                            if group > strip:
                                out[j, k] -= ratio * difference[k]
    return eta


@njit
def laplacian(values, weights, kind, power, floor, first, strips, groups, p, out):
    """out[i] += sum of w (p_i - p_j): rows of V P."""
    d = p.shape[1]
    at = 0
    for strip in range(first, first + strips):
        for quad in range(4):
            for group in range(strip, groups):
                for r in range(4):
                    i = strip * 16 + quad * 4 + r
                    for lane in range(16):
                        delta = np.float64(values[at])
                        given = np.float64(weights[at]) if kind == GIVEN else 1.0
                        at += 1
                        j = group * 16 + lane
                        w = weight_of(delta, given, kind, power, floor)
                        for k in range(d):
                            out[i, k] += w * (p[i, k] - p[j, k])
                            if group > strip:
                                out[j, k] -= w * (p[i, k] - p[j, k])


@njit
def stress(values, weights, kind, power, floor, first, strips, groups, x, tau):
    """Sums over the pairs: w (max(delta - tau, 0) - dist)^2, w max(delta - tau, 0)^2,
    w max(delta - tau, 0) dist, w dist^2. In float64, pair by pair."""
    d = x.shape[1]
    at = 0
    total = np.zeros(4)
    for strip in range(first, first + strips):
        for quad in range(4):
            row = np.zeros(4)
            for group in range(strip, groups):
                share = 1.0 if group > strip else 0.5
                for r in range(4):
                    i = strip * 16 + quad * 4 + r
                    for lane in range(16):
                        delta = np.float64(values[at])
                        given = np.float64(weights[at]) if kind == GIVEN else 1.0
                        at += 1
                        if not delta >= 0:
                            continue
                        j = group * 16 + lane
                        w = weight_of(delta, given, kind, power, floor) * share
                        square = 0.0
                        for k in range(d):
                            square += (x[i, k] - x[j, k]) ** 2
                        wanted, there = max(delta - tau, 0.0), math.sqrt(square)
                        row[0] += w * (wanted - there) ** 2
                        row[1] += w * wanted * wanted
                        row[2] += w * wanted * there
                        row[3] += w * square
            total += row
    return total


@njit
def summary(values, weights, kind, power, floor, first, strips, groups, counts, degrees):
    """counts, degrees (16 groups,) grow by each point's known pairs with w > 0, and their weights.

    Returns, over the pairs, (known, w delta^2, delta, smallest delta > 0 or inf, largest)."""
    at = 0
    known, squares, total = 0.0, 0.0, 0.0
    low, high = np.inf, 0.0
    for strip in range(first, first + strips):
        for quad in range(4):
            square, plain = 0.0, 0.0
            for group in range(strip, groups):
                for r in range(4):
                    i = strip * 16 + quad * 4 + r
                    for lane in range(16):
                        delta = np.float64(values[at])
                        given = np.float64(weights[at]) if kind == GIVEN else 1.0
                        at += 1
                        j = group * 16 + lane
                        if not delta >= 0 or (group == strip and j < i):
                            continue
                        w = weight_of(delta, given, kind, power, floor)
                        if w > 0:
                            known += 1
                            counts[i] += 1
                            counts[j] += 1
                            degrees[i] += w
                            degrees[j] += w
                        square += w * delta * delta
                        plain += delta
                        high = max(high, delta)
                        if delta > 0:
                            low = min(low, delta)
            squares += square
            total += plain
    return known, squares, total, low, high

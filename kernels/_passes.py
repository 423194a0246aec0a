"""Passes over a packed band with the vector code of `_quads`: rows and columns in tiles that stay
in the caches, sums in float64 beyond a tile."""

import numpy as np

from kernels._jit import njit
from kernels._quads import BOTH, ROW, quad

TILE = 512  # groups of columns
CHUNK = 32  # strips between two additions to the columns' float64 sums


@njit
def _begin(groups, first, strip):
    """Elements before a strip of a band whose first strip is `first`."""
    before = strip - first
    return 256 * (before * groups - (first + strip - 1) * before // 2)


@njit
def _give_rows(out, sums, row, d):
    for r in range(4):
        for k in range(d):
            out[row + r, k] += sums[r * d + k]
            sums[r * d + k] = 0.0


@njit
def _give_columns(out, columns, column, count):
    for k, part in enumerate(columns):
        for j in range(count):
            out[column + j, k] += part[j]
            part[j] = 0


@njit
def run_pass(values, weights, code, mode, heat, first, strips, n, xs, columns, out, low):
    """What a band of `strips` strips from `first` on gives to all rows, see `_quads`.

    code, mode, heat, xs   as in `quad`
    columns                d arrays of 16 TILE zeros, reals as in xs
    out (16 groups, d)     float64: grows by the rows, in units of 1 / FACTOR but for the laplacian
    low                    the total of number 2 to begin with: 0, of a minimum infinity
    Returns the totals of the mode, (4,) float64.
    """
    d, groups = len(xs), (n + 15) // 16
    sums = np.zeros(4 * d + 4)
    sums[4 * d + 2] = low
    for chunk in range(first, first + strips, CHUNK):
        last = min(chunk + CHUNK, first + strips)
        for left in range(chunk, groups, TILE):
            right = min(left + TILE, groups)
            for strip in range(chunk, min(last, right)):
                wide = groups - strip
                low = max(left, strip + 1)
                for number in range(4):
                    row = strip * 16 + number * 4
                    at = _begin(groups, first, strip) + number * wide * 64
                    if left <= strip:
                        quad(
                            values, weights, at, code, mode, heat, xs, row, strip * 16, 1,
                            columns, 0, sums, ROW,
                        )  # fmt: skip
                    if low < right:
                        quad(
                            values, weights, at + (low - strip) * 64, code, mode, heat, xs, row,
                            low * 16, right - low, columns, (low - left) * 16, sums, BOTH,
                        )  # fmt: skip
                    _give_rows(out, sums, row, d)
            _give_columns(out, columns, left * 16, (right - left) * 16)
    return sums[4 * d :]

"""Bands of the upper triangle of a dissimilarity matrix, packed for a pass over all pairs.

Rows and columns come in groups of STRIP. A strip is STRIP rows and the columns from its own group
on; a band is some strips in a row. In memory a strip is four quads of 4 rows; a quad is a sequence
of cells of 4 x STRIP values, so that one pass over 4 rows reads one stream from its begin to its
end:

    strip s, quad q, group g >= s:   cell at offset(s) + (q * (groups - s) + g - s) * 64

The cells of group s, on the diagonal, hold both halves. What is no pair (the diagonal, rows and
columns beyond the last) is missing, as are pairs without a dissimilarity: -1 in int16, NaN in
floats.
"""

import itertools

import numpy as np

from kernels._jit import njit

STRIP = 16
QUAD = 4  # rows that a pass takes at a time
CELL = QUAD * STRIP
MOST_BANDS = 64
BAND_RECORDS = 1250  # fewer in a band, and adding its sums takes longer than finding them
MISSING = -1


def band_ranges(n: int) -> list[tuple[int, int]]:
    """(start, stop) of bands of equal areas of the triangle; starts are multiples of STRIP.

    A function of n only: the bands, and the order in which their sums are added, must not depend
    on who computes them. None for n = 0.
    """
    groups = -(-n // STRIP)
    if not groups:
        return []
    bands = max(1, min(MOST_BANDS, groups // 4, max(4, n // BAND_RECORDS)))
    areas = np.cumsum(np.arange(groups, 0, -1))
    cuts = [0]
    for part in range(1, bands):
        cuts.append(int(np.searchsorted(areas, areas[-1] * part // bands)) + 1)
    cuts = [*sorted(set(cuts)), groups]
    ends = [(a * STRIP, min(b * STRIP, n)) for a, b in itertools.pairwise(cuts)]
    return [(start, stop) for start, stop in ends if start < stop]


def packed_size(n: int, start: int, stop: int) -> int:
    """Elements of the packed band of rows start..stop-1."""
    groups = -(-n // STRIP)
    first, last = start // STRIP, -(-stop // STRIP)
    return STRIP * STRIP * sum(groups - strip for strip in range(first, last))


def new_band(n: int, start: int, stop: int, dtype: str | np.dtype) -> np.ndarray:
    """A packed band in which every pair is missing."""
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.int16), np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {dtype!r}; choose one of float32, float64, int16")
    if start % STRIP:
        raise ValueError(f"a band starts at a multiple of {STRIP}, not at {start}")
    fill = MISSING if kind.kind == "i" else np.nan
    return np.full(packed_size(n, start, stop), fill, kind)


def fill_band(
    values: np.ndarray,
    place: np.ndarray | tuple[int, int, int],
    row: int,
    column: int,
    block: np.ndarray,
    scale: float = 1.0,
) -> None:
    """Store a piece of the matrix in a packed band.

    values      as `new_band` made them
    place       start, stop of the band, n
    block       (r, c) float or int16: matrix[row : row + r, column : column + c]; NaN or negative
                is missing. What is outside of the band or below the diagonal is not looked at.
    scale       the band holds block / scale; int16 rounds it. int16 into int16 is copied as it is.
    """
    start, stop, n = (int(number) for number in place)
    block = np.asarray(block)
    if values.dtype != np.int16:
        block = np.asarray(block, np.float64 if values.dtype == np.float64 else np.float32)
        _fill(values, start, stop, n, row, column, block, values.dtype.type(1.0 / scale))
    elif block.dtype == np.int16:
        _copy(values, start, stop, n, row, column, block)
    else:
        with np.errstate(invalid="ignore"):
            scaled = np.rint(np.asarray(block, np.float64) / scale)
            if (scaled > 32767).any():
                raise ValueError(f"a dissimilarity is more than 32767 times the scale {scale:g}")
            whole = np.where(scaled >= 0, scaled, MISSING).astype(np.int16)
        _copy(values, start, stop, n, row, column, whole)


@njit
def _offset(groups, first, strip):
    """Elements before a strip of a band whose first strip is `first`."""
    before = strip - first
    return 256 * (before * groups - (first + strip - 1) * before // 2)


@njit
def _at(groups, first, i, j):
    """Where the pair of row i and column j of the same or a later group lies."""
    strip = i // 16
    cell = (i % 16) // 4 * (groups - strip) + j // 16 - strip
    return _offset(groups, first, strip) + cell * 64 + i % 4 * 16 + j % 16


@njit
def _copy_row(values, groups, first, i, begin, end, column, line):
    """Columns begin..end-1 of row i, value by value; `line` begins at `column`."""
    base = _at(groups, first, i, i // 16 * 16)
    for j in range(max(begin, i + 1), end):
        value = max(line[j - column], np.int16(-1))
        ahead = j // 16 - i // 16
        values[base + ahead * 64 + j % 16] = value
        if ahead == 0:
            values[_at(groups, first, j, i)] = value


@njit
def _copy(values, start, stop, n, row, column, block):
    groups, first = (n + 15) // 16, start // 16
    i, last = max(start, row), min(stop, row + block.shape[0])
    end = min(n, column + block.shape[1])
    while i < last:
        rows = min(4 - i % 4, last - i)
        # cells behind the diagonal that the block has whole
        low = min(max(i // 16 + 1, (column + 15) // 16) * 16, end)
        high = max(end // 16 * 16, low)
        if rows < 4:
            low = high = end
        for r in range(i, i + rows):
            _copy_row(values, groups, first, r, column, low, column, block[r - row])
            _copy_row(values, groups, first, r, high, end, column, block[r - row])
        at = _at(groups, first, i, i // 16 * 16) + (low // 16 - i // 16) * 64
        for j in range(low - column, high - column, 16):
            for q in range(4):
                for k in range(16):
                    values[at + q * 16 + k] = max(block[i - row + q, j + k], np.int16(-1))
            at += 64
        i += rows


@njit
def _fill(values, start, stop, n, row, column, block, factor):
    groups, first = (n + 15) // 16, start // 16
    for r in range(max(start - row, 0), min(stop - row, block.shape[0])):
        i = row + r
        base = _at(groups, first, i, i // 16 * 16)
        for c in range(max(i + 1 - column, 0), min(n - column, block.shape[1])):
            j = column + c
            value = block[r, c] * factor
            if not value >= 0:
                value = values.dtype.type(np.nan)
            ahead = j // 16 - i // 16
            values[base + ahead * 64 + j % 16] = value
            if ahead == 0:
                values[_at(groups, first, j, i)] = value


def unpack(values: np.ndarray, place: np.ndarray | tuple[int, int, int], scale: float):
    """(stop - start, n - start) float64: the rows of a band; NaN is missing, the diagonal, and
    what lies below the diagonal."""
    start, stop, n = (int(number) for number in place)
    rows = np.full((stop - start, n - start), np.nan)
    _unpack(values, start, stop, n, rows)
    rows[rows < 0] = np.nan
    return rows * scale


@njit
def _unpack(values, start, stop, n, rows):
    groups, first = (n + 15) // 16, start // 16
    for i in range(start, stop):
        for j in range(i + 1, n):
            rows[i - start, j - start] = values[_at(groups, first, i, j)]

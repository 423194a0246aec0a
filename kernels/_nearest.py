"""The nearest centroid of every point: two filters, and the definition for what they leave open.

Labels are those of the float64 definition in `kmeans`. Each filter measures all centroids in
coarser numbers and bounds its error: where the second smallest distance, less the error, is above
the smallest, plus the error, the label is certain. The few points that the filter with int16
leaves open go to the one with float32, and what that leaves open is measured by the definition.

int16. Points and centroids around the origin, at most 1 long, are rounded to multiples of
1 / grain, and the distances of the rounded ones are computed exactly. They differ from the true
ones by at most `blur`, the sum of how far the rounding moved a point and a centroid.

float32. Let s be half the squared distance of y and c, u = 2**-24. Rounding of the inputs, of
|y|^2/2 in four chains, of |c|^2/2 and of a chain of d multiply-adds moves a score by at most
slack * (|y| + |c|)^2, slack = (1.25 d + 10) u / 2. With |c| <= |y| + sqrt(2 s) that is at most
slack * (9 |y|^2/2 + 18 s): it depends on the distance of that centroid only, so a far centroid
does not blur the near ones. Adding 10 slack |y|^2/2 beforehand keeps all scores positive. Packing
lowers a score by at most 2**-20 of it.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import njit
from kernels._tiles import (
    LANES,
    MEMBERS,
    PACKED_BITS,
    TILE,
    bits_float,
    round_half,
    score_blocks,
    split_rows,
    square_norms,
    transpose_rows,
)

HIGHEST = 0x7F000000  # bits of 1.7e38: above every score in float32
HIGHEST_PAIR = 0x5FFFFF00  # above every score in int16, and |y|^2 / 2 may be added
LOW_BITS = (1 << PACKED_BITS) - 1
BATCH = 1024  # rows, at most
LONGEST_PAIR = 32700.0  # of a point in units of 1 / grain
SAFE = np.float32(1 - 2**-20)


class Centre(NamedTuple):
    """Centroids as the loops want them.

    packed, halves   flat float32, see _tiles.score_blocks; the last block is filled up
    pairs, pair_halves   the same in pairs of int16; empty where these are not to be used
    centroids, columns   (k, d) and (d, k) float64
    origin (d,), origins (TILE * d,)   of the points' dtype, the second repeats the first
    scale            power of two that makes points at most 1 long
    grain            for int16, scaled points are rounded to multiples of 1 / grain
    slack, blur      see above; blur of the centroids only
    """

    packed: np.ndarray
    halves: np.ndarray
    pairs: np.ndarray
    pair_halves: np.ndarray
    centroids: np.ndarray
    columns: np.ndarray
    origin: np.ndarray
    origins: np.ndarray
    scale: float
    grain: float
    slack: float
    blur: float


class Work(NamedTuple):
    """Scratch for a batch of rows: a whole number of tiles.

    A batch, not a tile, is the unit of the functions below: calling one, or slicing an array,
    costs Numba hundreds of cycles for the counting of references.
    """

    tiles: np.ndarray  # (batch * d,) float32
    rows: np.ndarray  # the same before it is transposed, and LANES to read beyond
    pair_tiles: np.ndarray  # (batch * pairs,) int32
    halves: np.ndarray  # int16: rows of pairs, and LANES to read beyond
    pair_rows: np.ndarray  # int32, the same memory
    flat: np.ndarray  # (batch * d,) int16: rows without the column that makes them pairs
    pair_norms: np.ndarray  # (batch,) int32
    norms: np.ndarray  # (batch,) float32, and all below
    best: np.ndarray  # int32
    second: np.ndarray  # int32
    blocks: np.ndarray  # int32
    numbers: np.ndarray  # int64: which rows they are
    low: np.ndarray  # float32
    high: np.ndarray  # float32
    found: np.ndarray  # int32
    again: np.ndarray  # int64: places of rows that int16 left open
    open_numbers: np.ndarray  # int64, and the same three of these rows
    open_low: np.ndarray
    open_high: np.ndarray
    open_found: np.ndarray
    distances: np.ndarray  # (k,) float64


def work_for(d: int, k: int) -> Work:
    """Scratch for points (n, d) and k centroids. Not compiled: that would take longer than all
    other loops here together."""
    batch = max(min(BATCH, 32768 // d // TILE * TILE), TILE)
    pairs = pairs_of.py_func(d)
    halves = np.zeros(2 * (batch * pairs + LANES), np.int16)
    floats, whole = (lambda n: np.zeros(n, np.float32)), (lambda n: np.zeros(n, np.int32))
    return Work(
        floats(d * batch), floats(d * batch + LANES), whole(pairs * batch), halves,
        halves.view(np.int32), np.zeros(batch * d, np.int16), whole(batch), floats(batch),
        whole(batch), whole(batch), whole(batch), np.zeros(batch, np.int64), floats(batch),
        floats(batch), whole(batch), np.zeros(batch, np.int64), np.zeros(batch, np.int64),
        floats(batch), floats(batch), whole(batch), np.zeros(k),
    )  # fmt: skip


@njit
def pairs_of(d):
    """Pairs of columns that rows of d columns are made to: what tiles are made of quickly."""
    return 4 if d == 5 or d == 6 else (d + 1) // 2


@njit
def transpose_all(rows, width, count, tiles):
    """rows (count, width), flat, as tiles of columns; count: whole tiles."""
    many = count // TILE
    if width == 1:
        split_rows(rows, many, tiles, 1)
    elif width == 2:
        split_rows(rows, many, tiles, 2)
    elif width == 4:
        split_rows(rows, many, tiles, 4)
    else:
        for column in range(0, width, LANES):
            left = min(width - column, LANES)
            transpose_rows(rows, width, many, column, left, tiles)


@njit
def round_rows(points, count, start, centre, work):
    """Rows as pairs of int16: those from `start` on, or, where that is negative, the first `count`
    of work.numbers."""
    d = points.shape[1]
    out, origin, origins = work.halves, centre.origin, centre.origins
    factor = points.dtype.type(centre.scale * centre.grain)
    wide = pairs_of(d) * 2
    if start < 0:
        numbers = work.numbers
        for p in range(count):
            number, to = numbers[p], p * wide
            for c in range(d):
                value = (points[number, c] - origin[c]) * factor
                out[to + c] = round_half(np.float32(value))
        return
    source = points.reshape(-1)
    flat = out if wide == d else work.flat
    step = TILE * d  # a period of origins, long enough for whole vectors
    for first in range(0, count * d, step):
        # slices, since sums of numbers as an index might be negative for all Numba knows
        given, rounded = source[start * d + first :], flat[first : first + step]
        for t in range(step):
            rounded[t] = round_half(np.float32((given[t] - origins[t]) * factor))
    if wide > d:  # unsigned numbers, for the same reason
        width, paired = np.uint64(d), np.uint64(wide)
        for p in range(np.uint64(count)):
            for c in range(width):
                out[p * paired + c] = flat[p * width + c]


@njit
def fill_pairs(points, count, start, centre, work):
    """The first `count` (whole tiles) rows of work.numbers as tiles of pairs of int16, and their
    squared lengths. start: the row of the first one where they follow each other, else -1."""
    n, d = points.shape
    pairs = pairs_of(d)
    round_rows(points, count, start if start + count <= n else -1, centre, work)
    transpose_all(work.pair_rows, pairs, count, work.pair_tiles)
    square_norms(work.pair_tiles, count // TILE, pairs, work.pair_norms)


@njit
def measure_pairs(d, count, blur, centre, work):
    """As measure_tiles, from pairs of int16; blur: of points and centroids together."""
    packed, halves, pairs = centre.pairs, centre.pair_halves, pairs_of(d)
    n_blocks = halves.shape[0] // MEMBERS
    best, second, blocks, norms = work.best, work.second, work.blocks, work.pair_norms
    found, highs, lows = work.found, work.high, work.low
    best[:count] = HIGHEST_PAIR
    second[:count] = HIGHEST_PAIR
    score_blocks(
        work.pair_tiles, count // TILE, pairs, packed, halves, work.norms, n_blocks, best, second,
        blocks,
    )  # fmt: skip
    up, down = np.float32((1 + 1e-6) / centre.grain), np.float32((1 - 1e-6) / centre.grain)
    wide, two, nothing = np.float32(blur), np.float32(2), np.float32(0)
    for p in range(count):
        half = norms[p] >> 1
        nearest = half + (best[p] & ~LOW_BITS) + 10  # what halving and packing took away
        other = half + (second[p] & ~LOW_BITS)
        high = np.sqrt(two * max(np.float32(nearest), nothing)) * up + wide
        low = np.sqrt(two * max(np.float32(other), nothing)) * down - wide
        low = max(low, nothing) * SAFE
        label = blocks[p] * MEMBERS + (best[p] & LOW_BITS)
        found[p] = label if high < low else -1
        highs[p] = high
        lows[p] = low


@njit
def fill_tiles(points, numbers, count, centre, work):
    """The first `count` (whole tiles) rows of numbers, around the origin and scaled, as columns of
    tiles."""
    d = points.shape[1]
    rows, origin = work.rows, centre.origin
    scale = points.dtype.type(centre.scale)
    for p in range(count):
        row, to = numbers[p], p * d
        for c in range(d):
            rows[to + c] = (points[row, c] - origin[c]) * scale
    transpose_all(rows, d, count, work.tiles)


@njit
def norm_tiles(d, count, centre, work):
    """Half the squared lengths of the points in the tiles, summed in four chains."""
    half, bias = np.float32(0.5), np.float32(1 + 10 * centre.slack)
    tiles, norms = work.tiles, work.norms
    sums = np.zeros((4, TILE), np.float32)
    for first in range(0, count, TILE):
        sums[:] = 0
        for c in range(d):
            chain, column = sums[c % 4], tiles[first * d + c * TILE :]
            for p in range(TILE):
                chain[p] += column[p] * column[p]
        here = norms[first : first + TILE]
        for p in range(TILE):
            here[p] = ((sums[0, p] + sums[1, p]) + (sums[2, p] + sums[3, p])) * half * bias


@njit
def measure_tiles(d, count, centre, work, found, highs, lows):
    """Bounds of the smallest and second smallest distance of the tiles' points, and the labels.

    found is the label, or -1 where it is not certain; highs bound the smallest distance from
    above, lows the others from below (scaled)."""
    packed, halves, slack = centre.packed, centre.halves, centre.slack
    n_blocks = halves.shape[0] // MEMBERS
    best, second, blocks, norms = work.best, work.second, work.blocks, work.norms
    best[:count] = HIGHEST
    second[:count] = HIGHEST
    score_blocks(
        work.tiles, count // TILE, d, packed, halves, norms, n_blocks, best, second, blocks
    )
    above, below = np.float32(1 + 40 * slack + 2**-18), np.float32(1 - 20 * slack - 2**-20)
    blur, tiny, two = np.float32(21 * slack), np.float32(1e-37), np.float32(2)
    for p in range(count):
        high = bits_float(best[p] & ~LOW_BITS) * above + tiny
        low = (bits_float(second[p] & ~LOW_BITS) - blur * norms[p]) * below
        low = max(low, np.float32(0))
        label = blocks[p] * MEMBERS + (best[p] & LOW_BITS)
        found[p] = label if high < low else -1
        highs[p] = np.sqrt(two * high)
        lows[p] = np.sqrt(two * low) * SAFE


@njit
def by_definition(points, row, columns, distances):
    """(label, smallest, second smallest squared distance) of one row, in float64."""
    d, k = columns.shape
    for j in range(k):
        distances[j] = 0.0
    for c in range(d):
        x = np.float64(points[row, c])
        for j in range(k):
            apart = x - columns[c, j]
            distances[j] += apart * apart
    label, smallest, second = 0, np.inf, np.inf
    for j in range(k):
        if distances[j] < smallest:
            second, smallest, label = smallest, distances[j], j
        elif distances[j] < second:
            second = distances[j]
    return label, smallest, second


@njit
def make_certain(points, numbers, count, centre, distances, found, highs, lows):
    """Measure by the definition where the label is not certain. distances (k,): scratch."""
    scale, columns = centre.scale, centre.columns
    for p in range(count):
        if found[p] < 0:
            label, smallest, second = by_definition(points, numbers[p], columns, distances)
            found[p] = label
            highs[p] = np.float32(np.sqrt(smallest) * scale * (1 + 1e-6)) + np.float32(1e-37)
            lows[p] = np.float32(min(np.sqrt(second) * scale, 1e30) * (1 - 1e-6))


@njit
def whole_tiles(count, numbers):
    """count, rounded up to whole tiles; the numbers of the last row fill them up."""
    while count % TILE:
        numbers[count] = numbers[count - 1]
        count += 1
    return count


@njit
def measure_exactly(points, numbers, count, centre, work, found, highs, lows):
    """Labels of the first `count` rows of numbers, and bounds of their distances: from the float32
    filter and the definition."""
    full = whole_tiles(count, numbers)
    fill_tiles(points, numbers, full, centre, work)
    norm_tiles(points.shape[1], full, centre, work)
    measure_tiles(points.shape[1], full, centre, work, found, highs, lows)
    make_certain(points, numbers, count, centre, work.distances, found, highs, lows)


@njit
def measure(points, count, start, blur, centre, work):
    """Labels of the first `count` rows of work.numbers (which follow each other from `start` on,
    unless that is -1), and bounds of their distances. blur: of points and centroids, or negative:
    int16 is not to be used. Returns how many rows are left open by int16."""
    found, highs, lows, numbers = work.found, work.high, work.low, work.numbers
    again, open_numbers = work.again, work.open_numbers
    open_ = count
    if blur >= 0:
        full = whole_tiles(count, numbers)
        fill_pairs(points, full, start, centre, work)
        measure_pairs(points.shape[1], full, blur, centre, work)
        open_ = 0
        for p in range(count):
            open_ += found[p] < 0
        if open_ == 0:
            return 0
        open_ = 0
        for p in range(count):
            again[open_] = p
            open_ += found[p] < 0
    else:
        for p in range(count):
            again[p] = p
    for q in range(open_):
        open_numbers[q] = numbers[again[q]]
    measure_exactly(
        points, open_numbers, open_, centre, work, work.open_found, work.open_high, work.open_low
    )
    for q in range(open_):
        p = again[q]
        found[p] = work.open_found[q]
        highs[p] = work.open_high[q]
        lows[p] = work.open_low[q]
    return open_


@njit
def rounding_of(points, centre):
    """How far rounding to multiples of 1 / grain moves a point at most (scaled)."""
    n, d = points.shape
    factor = points.dtype.type(centre.scale * centre.grain)
    worst = 0.0
    for row in range(n):
        squared = 0.0
        for c in range(d):
            value = np.float32((points[row, c] - centre.origin[c]) * factor)
            rounded = np.float64(round_half(value))
            exact = np.float64(points[row, c]) - np.float64(centre.origin[c])
            apart = rounded / centre.grain - exact * centre.scale
            squared += apart * apart
        worst = max(worst, squared)
    return np.sqrt(worst) * (1 + 1e-9)

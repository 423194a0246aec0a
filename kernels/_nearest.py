"""The nearest centroid of every point, and sums over the points of each: the inner loops of KMeans.

Labels are those of the float64 definition in `kmeans`. Scores of tiles are a filter in float32
whose error is bounded: where the second smallest score is above the smallest one by more than the
bound, the label is certain; the few other points are measured by the definition.

The bound. Let y and c be a point and a centroid around the origin, s half their squared distance,
u = 2**-24. Rounding of the inputs, of |y|^2/2 in four chains, of |c|^2/2 and of a chain of d
multiply-adds moves a score by at most slack * (|y| + |c|)^2, slack = (1.25 d + 10) u / 2. With
|c| <= |y| + sqrt(2 s) that is at most slack * (9 |y|^2/2 + 18 s): it depends on the distance of
that centroid only, so a far centroid does not blur the near ones. Adding 10 slack |y|^2/2
beforehand keeps all scores positive. Packing lowers a score by at most 2**-20 of it.

Bounds of Hamerly (2010): `upper` of the distance to the own centroid and `lower` of that to any
other are kept per point in float32, rounded to the safe side, relative to how far the centroids
have moved in all, so that a test changes nothing. A point is skipped while upper < lower.
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
    score_block,
    transpose_rows,
)

HIGHEST = 0x7F000000  # bits of 1.7e38: above every score
LOW_BITS = (1 << PACKED_BITS) - 1
SAFE = np.float32(1 - 2**-20)
SCAN = 1024  # rows that are tested before their survivors are measured


class Packed(NamedTuple):
    """Centroids as the loops want them.

    packed, halves   flat float32, see _tiles.score_block; the last block is filled up
    centroids, columns   (k, d) and (d, k) float64
    origin (d,)      of the points' dtype; scale: power of two; scaled points are at most 1 long
    slack            see above
    """

    packed: np.ndarray
    halves: np.ndarray
    centroids: np.ndarray
    columns: np.ndarray
    origin: np.ndarray
    scale: float
    slack: float


class Bounds(NamedTuple):
    """labels (n,) int32; upper, lower (n,) float32, relative: distances are upper + moved[label]
    and lower - furthest; moved_up, moved_down (k,) float32 and furthest (2,) float32 (rounded up
    and down) are sums of moves in scaled units."""

    labels: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    moved_up: np.ndarray
    moved_down: np.ndarray
    furthest: np.ndarray


class Sums(NamedTuple):
    """Exact sums: totals (k, d + 1) int64 of rint(weight * (x - origin) * steps[column]), and of
    rint(weight * steps[d]); weights (n,) float64 or (0,) for all 1. keep: whether totals follow
    the labels; if not, they are not touched."""

    totals: np.ndarray
    origin: np.ndarray
    steps: np.ndarray
    weights: np.ndarray
    keep: bool


class Work(NamedTuple):
    """Scratch of one call."""

    tile: np.ndarray  # (d * TILE,) float32
    rows: np.ndarray  # (LANES, d) float32
    norms: np.ndarray  # (TILE,) float32
    best: np.ndarray  # (TILE,) int32, and the next two
    second: np.ndarray
    blocks: np.ndarray
    distances: np.ndarray  # (k,) float64
    numbers: np.ndarray  # (TILE,) int64
    low: np.ndarray  # (TILE,) float32, and the next
    high: np.ndarray
    found: np.ndarray  # (TILE,) int32


@njit
def work_for(d, k):
    return Work(
        np.zeros(d * TILE, np.float32), np.zeros((LANES, d), np.float32),
        np.zeros(TILE, np.float32), np.zeros(TILE, np.int32), np.zeros(TILE, np.int32),
        np.zeros(TILE, np.int32), np.zeros(k, np.float64), np.zeros(TILE, np.int64),
        np.zeros(TILE, np.float32), np.zeros(TILE, np.float32), np.zeros(TILE, np.int32),
    )  # fmt: skip


@njit
def fill_tile(points, centre, work):
    """Points of the rows work.numbers, around the origin and scaled, as columns; their norms."""
    d = points.shape[1]
    tile, rows, norms, numbers = work.tile, work.rows, work.norms, work.numbers
    origin, scale = centre.origin, points.dtype.type(centre.scale)
    if d >= LANES:
        for first in range(0, TILE, LANES):
            for p in range(LANES):
                row = numbers[first + p]
                for c in range(d):
                    rows[p, c] = (points[row, c] - origin[c]) * scale
            for c in range(0, d - LANES + 1, LANES):
                transpose_rows(rows, c, tile, first)
            if d % LANES:
                transpose_rows(rows, d - LANES, tile, first)
    else:
        for p in range(TILE):
            row = numbers[p]
            for c in range(d):
                tile[c * TILE + p] = (points[row, c] - origin[c]) * scale
    half, bias = np.float32(0.5), np.float32(1 + 10 * centre.slack)
    for p in range(TILE):
        a = b = e = f = np.float32(0)
        c = 0
        while c + 4 <= d:
            a += tile[c * TILE + p] * tile[c * TILE + p]
            b += tile[(c + 1) * TILE + p] * tile[(c + 1) * TILE + p]
            e += tile[(c + 2) * TILE + p] * tile[(c + 2) * TILE + p]
            f += tile[(c + 3) * TILE + p] * tile[(c + 3) * TILE + p]
            c += 4
        while c < d:
            a += tile[c * TILE + p] * tile[c * TILE + p]
            c += 1
        norms[p] = ((a + b) + (e + f)) * half * bias


@njit
def measure_tile(d, centre, work):
    """Bounds of the smallest and second smallest distance of the tile's points, and the label.

    work.found is the label, or -1 where it is not certain; work.high bounds the smallest distance
    from above, work.low the others from below (scaled)."""
    best, second, blocks = work.best, work.second, work.blocks
    for p in range(TILE):
        best[p] = HIGHEST
        second[p] = HIGHEST
    for block in range(centre.halves.shape[0] // MEMBERS):
        score_block(
            work.tile, d, centre.packed, centre.halves, work.norms, block, best, second, blocks
        )
    slack = centre.slack
    above, below = np.float32(1 + 40 * slack + 2**-18), np.float32(1 - 20 * slack - 2**-20)
    blur, tiny, two = np.float32(21 * slack), np.float32(1e-37), np.float32(2)
    for p in range(TILE):
        high = bits_float(best[p] & ~LOW_BITS) * above + tiny
        low = (bits_float(second[p] & ~LOW_BITS) - blur * work.norms[p]) * below
        low = max(low, np.float32(0))
        label = blocks[p] * MEMBERS + (best[p] & LOW_BITS)
        work.found[p] = label if high < low else -1
        work.high[p] = np.sqrt(two * high)
        work.low[p] = np.sqrt(two * low) * SAFE


@njit
def by_definition(points, row, columns, distances):
    """(label, smallest, second smallest squared distance) of one row, in float64."""
    d, k = columns.shape
    for j in range(k):
        distances[j] = 0.0
    for c in range(d):
        x = np.float64(points[row, c])
        line = columns[c]
        for j in range(k):
            apart = x - line[j]
            distances[j] += apart * apart
    label, smallest, second = 0, np.inf, np.inf
    for j in range(k):
        if distances[j] < smallest:
            second, smallest, label = smallest, distances[j], j
        elif distances[j] < second:
            second = distances[j]
    return label, smallest, second


@njit
def book(points, row, label, times, sums):
    """Add a row to the totals of its label, or take it away (times = -1)."""
    d = points.shape[1]
    weighted = sums.weights.shape[0] > 0
    weight = sums.weights[row] if weighted else 1.0
    line = sums.totals[label]
    for c in range(d):
        value = (np.float64(points[row, c]) - sums.origin[c]) * weight
        line[c] += times * np.int64(np.rint(value * sums.steps[c]))
    line[d] += times * np.int64(np.rint(weight * sums.steps[d]))


@njit
def settle_tile(points, count, centre, bounds, sums, work):
    """Write labels, bounds and totals of the first `count` rows of the tile."""
    for p in range(count):
        if work.found[p] < 0:
            row = work.numbers[p]
            label, smallest, second = by_definition(points, row, centre.columns, work.distances)
            work.found[p] = label
            work.high[p] = np.float32(np.sqrt(smallest) * centre.scale * (1 + 1e-6)) + 1e-37
            work.low[p] = np.float32(min(np.sqrt(second) * centre.scale, 1e30) * (1 - 1e-6))
    rounding, furthest = np.float32(2**-22), bounds.furthest[1]
    for p in range(count):
        row, label = work.numbers[p], work.found[p]
        moved = bounds.moved_down[label]
        bounds.upper[row] = (work.high[p] - moved) + (work.high[p] + moved) * rounding
        total = work.low[p] + furthest
        bounds.lower[row] = total - total * rounding
        old = bounds.labels[row]
        if old != label:
            bounds.labels[row] = label
            if sums.keep:
                book(points, row, label, 1, sums)
                if old >= 0:
                    book(points, row, old, -1, sums)


@njit
def label_all(points, centre, bounds, sums):
    """Measure every row."""
    n, d = points.shape
    work = work_for(d, centre.centroids.shape[0])
    for start in range(0, n, TILE):
        count = min(TILE, n - start)
        for p in range(TILE):
            work.numbers[p] = start + min(p, count - 1)
        fill_tile(points, centre, work)
        measure_tile(d, centre, work)
        settle_tile(points, count, centre, bounds, sums, work)


@njit
def count_candidates(bounds):
    """Rows whose bounds do not tell that they stay."""
    found = 0
    furthest = bounds.furthest[0]
    for row in range(bounds.labels.shape[0]):
        upper = bounds.upper[row] + bounds.moved_up[bounds.labels[row]]
        found += not (upper < (bounds.lower[row] - furthest) * SAFE)
    return found


@njit
def _distance(points, row, centroids, label):
    """Squared distance to a centroid, good to a few ulps."""
    a = b = 0.0
    d = points.shape[1]
    line = centroids[label]
    for c in range(0, d - 1, 2):
        x = np.float64(points[row, c]) - line[c]
        y = np.float64(points[row, c + 1]) - line[c + 1]
        a += x * x
        b += y * y
    if d % 2:
        x = np.float64(points[row, d - 1]) - line[d - 1]
        a += x * x
    return a + b


@njit
def label_candidates(points, centre, bounds, sums, tighten):
    """Measure the rows whose bounds do not tell that they stay. tighten: look at the distance to
    the own centroid first. Returns the number of rows measured."""
    n, d = points.shape
    work = work_for(d, centre.centroids.shape[0])
    waiting = np.empty(SCAN + TILE, np.int64)
    left, measured, furthest = 0, 0, bounds.furthest[0]
    rounding = np.float32(2**-22)
    for start in range(0, n, SCAN):
        stop = min(n, start + SCAN)
        for row in range(start, stop):
            label = bounds.labels[row]
            upper = bounds.upper[row] + bounds.moved_up[label]
            waiting[left] = row
            left += not (upper < (bounds.lower[row] - furthest) * SAFE)
        if tighten:
            kept = 0
            for place in range(left):
                row = waiting[place]
                label = bounds.labels[row]
                squared = _distance(points, row, centre.centroids, label)
                high = np.float32(np.sqrt(squared) * centre.scale * (1 + 1e-6)) + np.float32(1e-37)
                moved = bounds.moved_down[label]
                bounds.upper[row] = (high - moved) + (high + moved) * rounding
                waiting[kept] = row
                kept += not (high < (bounds.lower[row] - furthest) * SAFE)
            left = kept
        done = 0
        last = stop == n
        while left - done >= TILE or (last and done < left):
            count = min(TILE, left - done)
            for p in range(TILE):
                work.numbers[p] = waiting[done + min(p, count - 1)]
            fill_tile(points, centre, work)
            measure_tile(d, centre, work)
            settle_tile(points, count, centre, bounds, sums, work)
            done += count
        measured += done
        for place in range(left - done):
            waiting[place] = waiting[done + place]
        left -= done
    return measured


@njit
def label_by_definition(points, centre, bounds, sums):
    """What label_all does, without the filter: for inputs that it is not made for."""
    work = work_for(points.shape[1], centre.centroids.shape[0])
    for start in range(0, points.shape[0], TILE):
        count = min(TILE, points.shape[0] - start)
        for p in range(count):
            work.numbers[p] = start + p
            work.found[p] = -1
        settle_tile(points, count, centre, bounds, sums, work)


@njit
def squared_distances(points, centroids, labels, distances):
    """(n,) float64 by the definition, to the centroid of each row's label."""
    for row in range(points.shape[0]):
        total = 0.0
        for c in range(points.shape[1]):
            apart = np.float64(points[row, c]) - centroids[labels[row], c]
            total += apart * apart
        distances[row] = total


@njit
def plain_sums(points, labels, origin, weights, totals):
    """totals (k, d + 1) float64 of weight * (x - origin) and weight, row after row."""
    d = points.shape[1]
    for row in range(points.shape[0]):
        weight = weights[row] if weights.shape[0] else 1.0
        line = totals[labels[row]]
        for c in range(d):
            line[c] += (np.float64(points[row, c]) - origin[c]) * weight
        line[d] += weight


@njit
def squared_norms(points, origin, weights):
    """Sum of weight * |x - origin|^2, row after row."""
    total = 0.0
    for row in range(points.shape[0]):
        norm = 0.0
        for c in range(points.shape[1]):
            apart = np.float64(points[row, c]) - origin[c]
            norm += apart * apart
        total += norm * (weights[row] if weights.shape[0] else 1.0)
    return total

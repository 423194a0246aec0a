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
    score_blocks,
    transpose_rows,
)

HIGHEST = 0x7F000000  # bits of 1.7e38: above every score
LOW_BITS = (1 << PACKED_BITS) - 1
SAFE = np.float32(1 - 2**-20)
SCAN = 1024  # rows that are tested before their survivors are measured


class Packed(NamedTuple):
    """Centroids as the loops want them.

    packed, halves   flat float32, see _tiles.score_blocks; the last block is filled up
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
    """Scratch for a batch of rows: a whole number of tiles.

    A batch, not a tile, is the unit of the functions below: calling one costs Numba a thousand
    cycles for the counting of references.
    """

    tiles: np.ndarray  # (batch * d,) float32
    rows: np.ndarray  # (LANES, d) float32
    norms: np.ndarray  # (batch,) float32, and all below
    best: np.ndarray  # int32
    second: np.ndarray  # int32
    blocks: np.ndarray  # int32
    numbers: np.ndarray  # int64: which rows they are
    low: np.ndarray  # float32
    high: np.ndarray  # float32
    found: np.ndarray  # int32
    distances: np.ndarray  # (k,) float64


@njit
def work_for(d, k):
    batch = max(min(1024, 32768 // d // TILE * TILE), TILE)
    return Work(
        np.zeros(d * batch, np.float32), np.zeros((LANES, d), np.float32),
        np.zeros(batch, np.float32), np.zeros(batch, np.int32), np.zeros(batch, np.int32),
        np.zeros(batch, np.int32), np.zeros(batch, np.int64), np.zeros(batch, np.float32),
        np.zeros(batch, np.float32), np.zeros(batch, np.int32), np.zeros(k, np.float64),
    )  # fmt: skip


@njit
def fill_tiles(points, count, centre, work):
    """The first `count` rows of work.numbers, around the origin and scaled, as columns of tiles.
    The last tile is filled up with its last row."""
    d = points.shape[1]
    tiles, rows, numbers = work.tiles, work.rows, work.numbers
    origin, scale = centre.origin, points.dtype.type(centre.scale)
    while count % TILE:
        numbers[count] = numbers[count - 1]
        count += 1
    for first in range(0, count, LANES):
        place = first // TILE * TILE * d
        at = first % TILE
        if d < LANES:
            for p in range(LANES):
                row = numbers[first + p]
                for c in range(d):
                    tiles[place + c * TILE + at + p] = (points[row, c] - origin[c]) * scale
        else:
            tile = tiles[place : place + d * TILE]
            for p in range(LANES):
                row = numbers[first + p]
                for c in range(d):
                    rows[p, c] = (points[row, c] - origin[c]) * scale
            for c in range(0, d - LANES + 1, LANES):
                transpose_rows(rows, c, tile, at)
            if d % LANES:
                transpose_rows(rows, d - LANES, tile, at)
    return count


@njit
def norm_tiles(d, count, centre, work):
    """Half the squared lengths of the points in the tiles, summed in four chains."""
    half, bias = np.float32(0.5), np.float32(1 + 10 * centre.slack)
    tiles, norms = work.tiles, work.norms
    sums = np.zeros(4 * TILE, np.float32)
    for first in range(0, count, TILE):
        sums[:] = 0
        for c in range(d):
            chain, place = c % 4 * TILE, first * d + c * TILE
            for p in range(TILE):
                x = tiles[place + p]
                sums[chain + p] += x * x
        for p in range(TILE):
            total = (sums[p] + sums[TILE + p]) + (sums[2 * TILE + p] + sums[3 * TILE + p])
            norms[first + p] = total * half * bias


@njit
def measure_tiles(d, count, centre, work):
    """Bounds of the smallest and second smallest distance of the tiles' points, and the labels.

    work.found is the label, or -1 where it is not certain; work.high bounds the smallest distance
    from above, work.low the others from below (scaled)."""
    packed, halves, slack = centre.packed, centre.halves, centre.slack
    n_blocks = halves.shape[0] // MEMBERS
    best, second, blocks, norms = work.best, work.second, work.blocks, work.norms
    found, highs, lows = work.found, work.high, work.low
    best[:count] = HIGHEST
    second[:count] = HIGHEST
    for first in range(0, count, TILE):
        last = first + TILE
        score_blocks(
            work.tiles[first * d : last * d], d, packed, halves, norms[first:last], n_blocks,
            best[first:last], second[first:last], blocks[first:last],
        )  # fmt: skip
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
def make_certain(points, count, centre, work):
    """Measure by the definition where the label is not certain."""
    found, numbers, scale = work.found, work.numbers, centre.scale
    columns, distances = centre.columns, work.distances
    for p in range(count):
        if found[p] < 0:
            label, smallest, second = by_definition(points, numbers[p], columns, distances)
            found[p] = label
            work.high[p] = np.float32(np.sqrt(smallest) * scale * (1 + 1e-6)) + np.float32(1e-37)
            work.low[p] = np.float32(min(np.sqrt(second) * scale, 1e30) * (1 - 1e-6))


@njit
def book_changes(points, count, bounds, sums, work):
    """Write the labels, and carry the rows whose label changed from one total to the other."""
    d, labels = points.shape[1], bounds.labels
    found, numbers = work.found, work.numbers
    totals, origin, steps, weights = sums.totals, sums.origin, sums.steps, sums.weights
    weighted, keep = weights.shape[0] > 0, sums.keep
    for p in range(count):
        row, label = numbers[p], found[p]
        old = labels[row]
        if old == label:
            continue
        labels[row] = label
        if not keep:
            continue
        weight = weights[row] if weighted else 1.0
        last = np.int64(np.rint(weight * steps[d]))
        totals[label, d] += last
        if old < 0:
            for c in range(d):
                value = (np.float64(points[row, c]) - origin[c]) * weight
                totals[label, c] += np.int64(np.rint(value * steps[c]))
            continue
        totals[old, d] -= last
        for c in range(d):
            value = (np.float64(points[row, c]) - origin[c]) * weight
            whole = np.int64(np.rint(value * steps[c]))
            totals[label, c] += whole
            totals[old, c] -= whole


@njit
def label_all(points, centre, bounds, sums):
    """Measure every row. The centroids count as not moved since."""
    n, d = points.shape
    work = work_for(d, centre.centroids.shape[0])
    batch, numbers = work.norms.shape[0], work.numbers
    upper, lower = bounds.upper, bounds.lower
    for start in range(0, n, batch):
        count = min(batch, n - start)
        for p in range(count):
            numbers[p] = start + p
        full = fill_tiles(points, count, centre, work)
        norm_tiles(d, full, centre, work)
        measure_tiles(d, full, centre, work)
        make_certain(points, count, centre, work)
        upper[start : start + count] = work.high[:count]
        lower[start : start + count] = work.low[:count]
        book_changes(points, count, bounds, sums, work)


@njit
def count_candidates(bounds):
    """Rows whose bounds do not tell that they stay."""
    labels, uppers, lowers, moved = bounds.labels, bounds.upper, bounds.lower, bounds.moved_up
    found, furthest = 0, bounds.furthest[0]
    for row in range(labels.shape[0]):
        upper = uppers[row] + moved[labels[row]]
        found += not (upper < (lowers[row] - furthest) * SAFE)
    return found


@njit
def candidates_in(start, stop, bounds, waiting, left):
    """Append the rows whose bounds do not tell that they stay to the first `left` of waiting."""
    labels, uppers, lowers, moved = bounds.labels, bounds.upper, bounds.lower, bounds.moved_up
    furthest = bounds.furthest[0]
    for row in range(start, stop):
        upper = uppers[row] + moved[labels[row]]
        waiting[left] = row
        left += not (upper < (lowers[row] - furthest) * SAFE)
    return left


@njit
def tightened(points, centre, bounds, waiting, done, left):
    """Look at the distance to the own centroid of waiting[done:left]; those stay that still may
    be nearer to another one. Returns the new `left`."""
    d = points.shape[1]
    labels, uppers, lowers = bounds.labels, bounds.upper, bounds.lower
    moved_down, furthest, centroids = bounds.moved_down, bounds.furthest[0], centre.centroids
    rounding, kept = np.float32(2**-22), done
    for place in range(done, left):
        row = waiting[place]
        label = labels[row]
        even = odd = 0.0
        for c in range(0, d - 1, 2):
            x = np.float64(points[row, c]) - centroids[label, c]
            y = np.float64(points[row, c + 1]) - centroids[label, c + 1]
            even += x * x
            odd += y * y
        if d % 2:
            x = np.float64(points[row, d - 1]) - centroids[label, d - 1]
            even += x * x
        high = np.float32(np.sqrt(even + odd) * centre.scale * (1 + 1e-6)) + np.float32(1e-37)
        moved = moved_down[label]
        uppers[row] = (high - moved) + (high + moved) * rounding
        waiting[kept] = row
        kept += not (high < (lowers[row] - furthest) * SAFE)
    return kept


@njit
def measure_waiting(points, count, centre, bounds, sums, work):
    """Measure the first `count` rows of work.numbers and write what is found."""
    full = fill_tiles(points, count, centre, work)
    norm_tiles(points.shape[1], full, centre, work)
    measure_tiles(points.shape[1], full, centre, work)
    make_certain(points, count, centre, work)
    rounding, furthest = np.float32(2**-22), bounds.furthest[1]
    found, numbers, high, low = work.found, work.numbers, work.high, work.low
    upper, lower, moved_down = bounds.upper, bounds.lower, bounds.moved_down
    for p in range(count):
        moved, total = moved_down[found[p]], low[p] + furthest
        upper[numbers[p]] = (high[p] - moved) + (high[p] + moved) * rounding
        lower[numbers[p]] = total - total * rounding
    book_changes(points, count, bounds, sums, work)


@njit
def label_candidates(points, centre, bounds, sums, tighten):
    """Measure the rows whose bounds do not tell that they stay. tighten: look at the distance to
    the own centroid first. Returns the number of rows measured."""
    n, d = points.shape
    work = work_for(d, centre.centroids.shape[0])
    batch = work.norms.shape[0]
    waiting = np.empty(SCAN + batch, np.int64)
    left, measured = 0, 0
    for start in range(0, n, SCAN):
        stop = min(n, start + SCAN)
        before = left
        left = candidates_in(start, stop, bounds, waiting, left)
        if tighten:
            left = tightened(points, centre, bounds, waiting, before, left)
        done = 0
        while left - done >= batch or (stop == n and done < left):
            count = min(batch, left - done)
            work.numbers[:count] = waiting[done : done + count]
            measure_waiting(points, count, centre, bounds, sums, work)
            done += count
        measured += done
        for place in range(left - done):
            waiting[place] = waiting[done + place]
        left -= done
    return measured


@njit
def label_by_definition(points, centre, bounds, sums):
    """What label_all does, without the filter: for inputs that it is not made for."""
    n, d = points.shape
    work = work_for(d, centre.centroids.shape[0])
    batch = work.norms.shape[0]
    for start in range(0, n, batch):
        count = min(batch, n - start)
        for p in range(count):
            work.numbers[p] = start + p
            work.found[p] = -1
        make_certain(points, count, centre, work)
        book_changes(points, count, bounds, sums, work)


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

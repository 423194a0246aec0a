"""Labels, bounds and sums of a block of points: the loops of an iteration of KMeans.

Bounds of Hamerly (2010): `upper` of the distance to the own centroid and `lower` of that to any
other are kept per point in float32, rounded to the safe side, relative to how far the centroids
have moved in all, so that a test changes nothing. A point is skipped while upper < lower, which
leaves its label what the definition says. Sums are of integers, so they do not depend on the order
in which points come and go.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import njit
from kernels._nearest import SAFE, make_certain, measure

SCAN = 8192  # rows that are tested before those that did not pass are measured
NONE, ALL, LOOSE, TIGHT = -1, 0, 1, 2


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


@njit
def changed_places(count, start, labels, work):
    """How many of the first `count` rows of work.numbers (which follow each other from `start` on,
    unless that is -1) have a new label; work.again: which."""
    found, numbers, again = work.found, work.numbers, work.again
    changed = 0
    if start >= 0:
        before = labels[start : start + count]
        for p in range(count):
            changed += found[p] != before[p]
        if changed == 0:
            return 0
        changed = 0
    for p in range(count):
        again[changed] = p
        changed += found[p] != labels[numbers[p]]
    return changed


@njit
def book_changes(points, count, start, bounds, sums, work):
    """Write the labels, and carry the rows whose label changed from one total to the other.
    start: see changed_places."""
    d, labels = points.shape[1], bounds.labels
    found, numbers, again = work.found, work.numbers, work.again
    totals, origin, steps, weights = sums.totals, sums.origin, sums.steps, sums.weights
    weighted, keep = weights.shape[0] > 0, sums.keep
    for q in range(changed_places(count, start, labels, work)):
        p = again[q]
        row, label = numbers[p], found[p]
        old = labels[row]
        labels[row] = label
        if not keep:
            continue
        weight = weights[row] if weighted else 1.0
        last = np.int64(np.rint(weight * steps[d]))
        to, point = totals[label], points[row]
        to[d] += last
        if old < 0:
            for c in range(d):
                value = (np.float64(point[c]) - origin[c]) * weight
                to[c] += np.int64(np.rint(value * steps[c]))
            continue
        away = totals[old]
        away[d] -= last
        for c in range(d):
            value = (np.float64(point[c]) - origin[c]) * weight
            whole = np.int64(np.rint(value * steps[c]))
            to[c] += whole
            away[c] -= whole


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
def bound_measured(count, bounds, work):
    """Keep the bounds of the first `count` rows of work.numbers."""
    rounding, furthest = np.float32(2**-22), bounds.furthest[1]
    found, numbers, high, low = work.found, work.numbers, work.high, work.low
    upper, lower, moved_down = bounds.upper, bounds.lower, bounds.moved_down
    for p in range(count):
        moved, total = moved_down[found[p]], low[p] + furthest
        upper[numbers[p]] = (high[p] - moved) + (high[p] + moved) * rounding
        lower[numbers[p]] = total - total * rounding


@njit
def label_rows(points, blur, centre, bounds, sums, which, work):
    """Measure rows and write what is found. blur: see _nearest.measure; work: scratch.

    which   ALL: every row; the centroids count as not moved since. LOOSE: those whose bounds do
            not tell that they stay. TIGHT: the same, after a look at their own centroids.
    Returns how many rows were measured, and how many of these int16 left open.
    """
    n = points.shape[0]
    batch, numbers = work.norms.shape[0], work.numbers
    open_, measured = 0, 0
    if which == ALL:
        for start in range(0, n, batch):
            count = min(batch, n - start)
            for p in range(count):
                numbers[p] = start + p
            open_ += measure(points, count, start, blur, centre, work)
            bounds.upper[start : start + count] = work.high[:count]
            bounds.lower[start : start + count] = work.low[:count]
            book_changes(points, count, start, bounds, sums, work)
        return n, open_
    waiting, left = np.empty(SCAN + batch, np.int64), 0
    for start in range(0, n, SCAN):
        stop = min(n, start + SCAN)
        before = left
        left = candidates_in(start, stop, bounds, waiting, left)
        if which == TIGHT:
            left = tightened(points, centre, bounds, waiting, before, left)
        done = 0
        while left - done >= batch or (stop == n and done < left):
            count = min(batch, left - done)
            numbers[:count] = waiting[done : done + count]
            open_ += measure(points, count, -1, blur, centre, work)
            bound_measured(count, bounds, work)
            book_changes(points, count, -1, bounds, sums, work)
            done += count
        measured += done
        for place in range(left - done):
            waiting[place] = waiting[done + place]
        left -= done
    return measured, open_


@njit
def label_by_definition(points, centre, bounds, sums, work):
    """Measure every row without a filter: for inputs that the filters are not made for."""
    n = points.shape[0]
    batch = work.norms.shape[0]
    for start in range(0, n, batch):
        count = min(batch, n - start)
        for p in range(count):
            work.numbers[p] = start + p
            work.found[p] = -1
        make_certain(
            points, work.numbers, count, centre, work.distances, work.found, work.high, work.low
        )
        book_changes(points, count, start, bounds, sums, work)


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


@njit
def unpacked_sums(totals, steps, centroids, origin, norms):
    """(sums (k, d), weights (k,), inertia (1,)) float64 from integer totals; norms: the sum of
    squares around the origin."""
    k, d = centroids.shape
    sums, weights, inertia = np.empty((k, d)), np.empty(k), np.empty(1)
    factors = 1.0 / steps
    rest = norms
    for j in range(k):
        weight = totals[j, d] * factors[d]
        weights[j] = weight
        for c in range(d):
            total = totals[j, c] * factors[c]
            sums[j, c] = total
            around = centroids[j, c] - origin[c]
            rest += around * (weight * around - 2.0 * total)
    inertia[0] = max(rest, 0.0)
    return sums, weights, inertia


@njit
def follow(centroids, before, scale, moved):
    """Add to moved (k,) how far each centroid went, in scaled units and not too little; before
    becomes centroids. Returns the longest way."""
    k, d = centroids.shape
    longest = 0.0
    for j in range(k):
        squared = 0.0
        for c in range(d):
            apart = centroids[j, c] - before[j, c]
            squared += apart * apart
            before[j, c] = centroids[j, c]
        way = np.sqrt(squared) * (scale * (1 + 1e-12))
        moved[j] += way
        longest = max(longest, way)
    return longest

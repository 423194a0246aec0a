"""The loops of `interpolation`: items placed among landmarks that stay where they are.

Items move in lanes, ITEMS at once; one that has arrived makes room for the next, so that none waits
for a slower one.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import njit
from kernels._lanes import ITEMS, step_lanes
from kernels._minima import lowest_bit

BATCH = 512  # items, at most
VALUES = 2**18  # positions and distances in a batch, about
FLAT = 1e-24  # of a squared length: what is left of a direction in a hull by rounding


class Batch(NamedTuple):
    """Items that have a way to go, one behind the other, and the lanes. All flat, float64.

    A batch, not an item, is the unit of the functions below: calling one costs Numba hundreds of
    cycles for the counting of references."""

    rows: np.ndarray  # (many,) int64: which rows they are
    known: np.ndarray  # (many,) int64: how many distances are known
    anchors: np.ndarray  # (many, k, d)
    deltas: np.ndarray  # (many, k)
    starts: np.ndarray  # (many, d)
    means: np.ndarray  # (many, d)
    normal: np.ndarray  # (d, d): scratch of lift
    lane_anchors: np.ndarray  # (k, d, ITEMS), and on: see step_lanes
    lane_deltas: np.ndarray  # (k, ITEMS)
    lane_shares: np.ndarray  # (k, ITEMS)
    items: np.ndarray  # (4, ITEMS)
    z: np.ndarray  # (d, ITEMS)
    mean: np.ndarray  # (d, ITEMS)
    moved: np.ndarray  # (d, ITEMS)
    rules: np.ndarray  # (1,): tol
    in_lane: np.ndarray  # (ITEMS,) int64: which row is in a lane, -1 where none is


def batch_for(k: int, d: int, tol: float) -> Batch:
    """Scratch for k landmarks in d dimensions. Not compiled: that would take long."""
    many = max(min(BATCH, VALUES // (k * (d + 1))), ITEMS)
    sizes = [many * size for size in (k * d, k, d, d)]
    lanes = [ITEMS * size for size in (k * d, k, k, 4, d, d, d)]
    numbers = np.zeros(many, np.int64), np.zeros(many, np.int64)
    vectors = map(np.zeros, [*sizes, d * d, *lanes])
    return Batch(*numbers, *vectors, np.full(1, float(tol)), np.full(ITEMS, -1))


@njit
def place_rows(indices, distances, at, max_iter, batch, placed, cut_off):
    """placed (n, d) from indices and distances (n, k) and the landmarks' positions at (m, d);
    cut_off (n,) bool: those that took all the steps they may."""
    k, d, row, n = indices.shape[1], at.shape[1], np.int64(0), indices.shape[0]
    while row < n:
        row, count = gather(row, indices, distances, at, batch, placed, cut_off)
        start_items(count, k, d, batch)
        move_items(count, k, d, max_iter, row == n, batch, placed, cut_off)


@njit
def gather(row, indices, distances, at, batch, placed, cut_off):
    """Fill the batch with items from `row` on; those without a way to go are placed at once.
    Returns the row after the last one, and how many items the batch has."""
    k, d, count = indices.shape[1], at.shape[1], 0
    anchors, deltas = batch.anchors, batch.deltas
    while row < indices.shape[0] and count < batch.rows.shape[0]:
        known, on, first = 0, -1, count * k
        for i in range(k):
            number, delta = indices[row, i], distances[row, i]
            if number < 0 or not 0 <= delta < np.inf:
                continue
            if delta == 0 and on < 0:
                on = number
            deltas[first + known] = delta
            for c in range(d):
                anchors[(first + known) * d + c] = at[number, c]
            known += 1
        if known == 0 or on >= 0:
            cut_off[row] = False
            for c in range(d):
                placed[row, c] = at[on, c] if on >= 0 else np.nan
        else:
            batch.rows[count], batch.known[count] = row, known
            count += 1
        row += 1
    return row, count


@njit
def start_items(count, k, d, batch):
    """batch.means of the landmarks of each item, and batch.starts."""
    anchors, means, starts = batch.anchors, batch.means, batch.starts
    for item in range(count):
        known = batch.known[item]
        for c in range(d):
            total = 0.0
            for i in range(known):
                total += anchors[(item * k + i) * d + c]
            means[item * d + c] = starts[item * d + c] = total / known
        if known <= d:
            lift(item, known, k, d, batch)


@njit
def lift(item, known, k, d, batch):
    """Lift a start off the flat hull of its landmarks, so high that the mean squared distance is
    that of the deltas; not where that is lower than the mean itself."""
    anchors, deltas, means, starts = batch.anchors, batch.deltas, batch.means, batch.starts
    height = 0.0
    for i in range(item * k, item * k + known):
        height += deltas[i] * deltas[i]
        for c in range(d):
            apart = anchors[i * d + c] - means[item * d + c]
            height -= apart * apart
    if height > 0:
        axis, length = normal_to_hull(item, known, k, d, batch)
        for c in range(d):
            starts[item * d + c] += np.sqrt(height / known) * (batch.normal[axis * d + c] / length)


@njit
def normal_to_hull(item, known, k, d, batch):
    """A direction at right angles to the hull of at most d landmarks: what it leaves of the axis
    that it leaves most of. Returns (which row of batch.normal it is, its length)."""
    rest, anchors, means = batch.normal, batch.anchors, batch.means
    side = np.empty(d)
    for a in range(d):
        for b in range(d):
            rest[a * d + b] = a == b
    for i in range(item * k, item * k + known - 1):
        length = square = 0.0  # Gram and Schmidt: rest is the projection off the hull so far
        for a in range(d):
            side[a] = 0.0
            for b in range(d):
                side[a] += rest[a * d + b] * (anchors[i * d + b] - means[item * d + b])
            square += side[a] * side[a]
            length += (anchors[i * d + a] - means[item * d + a]) ** 2
        if square > FLAT * length:
            for a in range(d):
                for b in range(d):
                    rest[a * d + b] -= side[a] * side[b] / square
    best = 0
    for a in range(d):  # equal ones but for rounding: the first
        if rest[a * d + a] > rest[best * d + best] * (1 + 1e-9):
            best = a
    return best, np.sqrt(rest[best * d + best])


@njit
def move_items(count, k, d, max_iter, is_last, batch, placed, cut_off):
    """Move the items of the batch, and write where they have arrived, until there is room for the
    next batch; if this is the last one until all have arrived."""
    known, deltas, in_lane = batch.known, batch.deltas, batch.in_lane
    items, z, mean = batch.items, batch.z, batch.mean
    lane_anchors, lane_deltas, lane_shares = (
        batch.lane_anchors, batch.lane_deltas, batch.lane_shares,
    )  # fmt: skip
    free = item = 0
    for lane in range(ITEMS):
        free |= (in_lane[lane] < 0) << lane
    while True:
        while free and item < count:
            lane = lowest_bit(free)
            free &= free - 1
            in_lane[lane] = batch.rows[item]
            total = 0.0
            for i in range(k):
                delta = deltas[item * k + i] if i < known[item] else 0.0
                total += delta * delta
                lane_deltas[i * ITEMS + lane] = delta
                lane_shares[i * ITEMS + lane] = i < known[item]
            for i in range(k * d):
                lane_anchors[i * ITEMS + lane] = batch.anchors[item * k * d + i]
            for c in range(d):
                z[c * ITEMS + lane] = batch.starts[item * d + c]
                mean[c * ITEMS + lane] = batch.means[item * d + c]
            items[lane], items[ITEMS + lane] = 1 / known[item], 1 / total
            items[2 * ITEMS + lane], items[3 * ITEMS + lane] = np.inf, max_iter
            item += 1
        if free and not (is_last and free < (1 << ITEMS) - 1):
            return
        arrived = ~free & step_lanes(
            (k, d), lane_anchors, lane_deltas, lane_shares, items, z, mean, batch.moved,
            batch.rules,
        )  # fmt: skip
        free |= arrived
        while arrived:
            lane = lowest_bit(arrived)
            arrived &= arrived - 1
            cut_off[in_lane[lane]] = items[3 * ITEMS + lane] < 0
            for c in range(d):
                placed[in_lane[lane], c] = z[c * ITEMS + lane]
            in_lane[lane] = -1


@njit
def stress_rows(positions, indices, distances, at, residuals, squares):
    """residuals and squares (n,) as interpolation.placement_stress tells them."""
    d = at.shape[1]
    for row in range(indices.shape[0]):
        known, residual, total = 0, 0.0, 0.0
        for i in range(indices.shape[1]):
            number, delta = indices[row, i], distances[row, i]
            if number < 0 or not 0 <= delta < np.inf:
                continue
            square = 0.0
            for c in range(d):
                apart = positions[row, c] - at[number, c]
                square += apart * apart
            misfit = np.sqrt(square) - delta
            residual += misfit * misfit
            total += delta * delta
            known += 1
        residuals[row] = residual if known else np.nan
        squares[row] = total

"""The loops of `neighbours`: a filter over blocks of landmarks, and the definition for what passes.

The filter scores all landmarks in coarser numbers, int16 or float32, whose errors `_nearest`
bounds, and keeps the smallest score of each block of MEMBERS landmarks. The k-th smallest of the
minima of groups of blocks bounds the k-th smallest score from above, since groups share no
landmark. A block can hold one of the k nearest only where its minimum is not above that bound, plus
what the errors make of it; the landmarks of such blocks are measured in float64.

Where the filter is not to be trusted (squares would overflow, more groups are asked for than there
are) every block passes, so that nothing but time depends on it.
"""

import numpy as np

from kernels._jit import njit
from kernels._landmarks import CANDIDATES, Landmarks, work_for
from kernels._minima import (
    GROUP,
    bit_count,
    block_minima,
    blocks_at_most,
    count_at_most,
    fetch,
    fold_minima,
    is_any_at_most,
    keep_smaller,
    lowest_bit,
    measure_lanes,
    members_at_most,
)
from kernels._nearest import LONGEST_PAIR, pairs_of, transpose_all
from kernels._tiles import MEMBERS, TILE, bits_float, float_bits, round_half

EVERYTHING = 2**31 - 1
CHUNK = 2**16  # values of landmarks that are scored before the next tile is
FAR_POINT = 1e14  # scaled length of a point beyond which float32 is not used
DENSE = GROUP * TILE // 2  # so many of the blocks of a group pass that all are measured
ROUNDS = 12  # of halving, at most


def search(
    points: np.ndarray, landmarks: Landmarks, indices: np.ndarray, distances: np.ndarray
) -> None:
    """indices and distances (n, k) of the landmarks nearest to the points (n, q) float64."""
    n, k = indices.shape
    work, numbers, later = work_for(landmarks, k), np.arange(n), np.empty(n, np.int64)
    if landmarks.pairs.size and landmarks.scale > 0:
        n = search_rows(points, numbers, n, True, landmarks, work, later, indices, distances)
        numbers = later
    if n:
        search_rows(points, numbers, n, False, landmarks, work, later, indices, distances)


@njit
def search_rows(points, numbers, count, paired, landmarks, work, later, indices, distances):
    """Search for the first `count` rows of numbers, filtered with int16 (paired) or float32.

    later: the rows that int16 cannot hold, and all that are left once it has shown to be too
    coarse. Returns how many these are."""
    k, batch = indices.shape[1], work.numbers.shape[0]
    blocks = landmarks.halves.shape[0] // MEMBERS
    hits = left = np.int64(0)
    for start in range(0, count, batch):
        if paired and start >= 4 * TILE and hits > start * (2 * k + blocks // 16):
            for p in range(start, count):
                later[left] = numbers[p]
                left += 1
            return left
        given = min(batch, count - start)
        full = (given + TILE - 1) // TILE * TILE
        for p in range(full):
            work.numbers[p] = numbers[start + min(p, given - 1)]
        load_rows(points, full, paired, landmarks, work)
        score_batch(full, paired, landmarks, work)
        for tile in range(full // TILE):
            bound_tile(tile, k, paired, landmarks, work)
            hits += measure_tile(tile, k, paired, landmarks, work)
            for p in range(tile * TILE, min(given, (tile + 1) * TILE)):
                if paired and work.is_far[p]:
                    later[left] = work.numbers[p]
                    left += 1
                    continue
                row, lane = work.numbers[p], p - tile * TILE
                for i in range(k):
                    indices[row, i] = work.found[i * TILE + lane]
                    distances[row, i] = np.sqrt(work.nearest[i * TILE + lane])
    return left


@njit
def load_rows(points, full, paired, landmarks, work):
    """The rows of work.numbers as they are, around the origin, and rounded; their lengths."""
    q, scale, origin = points.shape[1], landmarks.scale, landmarks.origin
    values, rows, halves, wide = work.values, work.rows, work.halves, pairs_of(points.shape[1]) * 2
    reach = LONGEST_PAIR / landmarks.grain if paired else FAR_POINT
    factor, bias = np.float32(landmarks.grain), 0.5 * (1 + 10 * landmarks.slack)
    for p in range(full):
        number, to, square = work.numbers[p], p * q, 0.0
        for c in range(q):
            values[to + c] = points[number, c]
        for c in range(q):
            rows[to + c] = (values[to + c] - origin[c]) * scale
        for c in range(q):
            square += np.float64(rows[to + c]) * np.float64(rows[to + c])
        is_near = scale > 0 and square < reach * reach
        work.is_far[p] = not is_near
        if not is_near:
            for c in range(q):
                rows[to + c] = 0
            square = 0.0
        work.norms[p] = square * bias
        if paired:
            at, whole = p * wide, 0
            for c in range(q):
                halves[at + c] = round_half(rows[to + c] * factor)
            for c in range(q):
                whole += np.int64(halves[at + c]) * np.int64(halves[at + c])
            square = np.float64(whole)
        work.squares[p] = square


@njit
def score_batch(full, paired, landmarks, work):
    """work.minima of the first `full` (whole tiles) rows of the batch."""
    blocks, q = landmarks.halves.shape[0] // MEMBERS, landmarks.origin.shape[0]
    columns = pairs_of(q) if paired else q
    if paired:
        transpose_all(work.pair_rows, columns, full, work.pair_tiles)
    else:
        transpose_all(work.rows, columns, full, work.tiles)
    groups, step = blocks // GROUP, max(CHUNK // (columns * MEMBERS * GROUP), 1)
    for start in range(0, groups, step):
        stop = min(start + step, groups)
        if paired:
            block_minima(
                work.pair_tiles, full // TILE, columns, landmarks.pairs, landmarks.pair_halves,
                work.norms, start, stop, groups, work.minima, work.groups,
            )  # fmt: skip
        else:
            block_minima(
                work.tiles, full // TILE, columns, landmarks.packed, landmarks.halves, work.norms,
                start, stop, groups, work.minima, work.groups,
            )  # fmt: skip


@njit
def bound_tile(tile, k, paired, landmarks, work):
    """work.limits: the highest score that one of the k nearest of each point can have."""
    blocks = landmarks.halves.shape[0] // MEMBERS
    first, limits, high = tile * blocks * TILE, work.limits, work.high
    for lane in range(TILE):
        limits[lane] = EVERYTHING
    if blocks < k:
        return
    if blocks < 4 * k * GROUP:
        bound_smallest(work.minima, first, blocks, k, work)
    else:
        bound_smallest(work.groups, first // GROUP, blocks // GROUP, k, work)
    slack, blur = landmarks.slack, landmarks.blur
    above, below = 1 + 40 * slack + 2.0**-18, 1 - 20 * slack - 2.0**-20
    for lane in range(TILE):
        p = tile * TILE + lane
        if work.is_far[p]:
            continue
        if paired:
            half = 0.5 * work.squares[p]
            reach = np.sqrt(2 * (half + high[lane] + 1)) * (1 + 1e-9) + 2 * blur
            limits[lane] = np.int32(min(0.5 * reach * reach - half + 1, 2.0**31 - 1))
        else:
            reach = np.float64(bits_float(high[lane])) * above + 1e-37
            reach = (reach / below + 21 * slack * work.norms[p]) * (1 + 1e-6) + 1e-37
            limits[lane] = float_bits(np.float32(min(reach, 1e38)))


@njit
def bound_smallest(values, first, many, k, work):
    """work.high: at least the k-th smallest of the `many` values of each lane, and little more."""
    low, high, middle, counts = work.low, work.high, work.middle, work.counts
    tops = work.tops  # the smallest of each k-th part of the values: their largest is a bound
    fold_minima(values, first, k, many // k, tops)
    for lane in range(TILE):
        low[lane] = high[lane] = tops[lane]
    for i in range(1, k):
        for lane in range(TILE):
            low[lane] = min(low[lane], tops[i * TILE + lane])
            high[lane] = max(high[lane], tops[i * TILE + lane])
    enough = k + k // 8
    for _ in range(ROUNDS):
        for lane in range(TILE):
            middle[lane] = (np.int64(low[lane]) + np.int64(high[lane])) >> 1
        count_at_most(values, first, many, middle, counts)
        wanting = 0
        for lane in range(TILE):
            is_bound = counts[lane] >= k
            wanting += counts[lane] < k or counts[lane] > enough
            high[lane] = middle[lane] if is_bound else high[lane]
            low[lane] = low[lane] if is_bound else middle[lane]
        if wanting == 0:
            return


@njit
def measure_tile(tile, k, paired, landmarks, work):
    """work.nearest and work.found: the k nearest of each point. Returns how many blocks passed."""
    blocks, q = landmarks.halves.shape[0] // MEMBERS, landmarks.origin.shape[0]
    minima, groups, limits = work.minima, work.groups, work.limits
    lanes, candidates, begin = work.lanes, work.candidates, tile * TILE
    columns, exact = pairs_of(q) if paired else q, landmarks.exact.reshape(-1)
    for i in range(TILE * k):
        work.nearest[i] = np.inf
    hits = count = np.int64(0)
    for group in range(0, blocks, GROUP):
        at = begin * blocks + group * TILE
        if not is_any_at_most(groups, at // GROUP, limits):
            continue
        passed = blocks_at_most(minima, at, limits)
        if bit_count(passed) > DENSE:
            keep_nearest(begin, count, k, landmarks, work)
            keep_group(tile, group, k, landmarks, work)
            hits += bit_count(passed)
            count = passed = np.int64(0)
        while passed:
            bit = lowest_bit(passed)
            passed &= passed - 1
            hits += 1
            lane, block = bit % TILE, group + bit // TILE
            p = begin + lane
            if paired:
                near = members_at_most(
                    work.pair_rows, p * columns, columns, landmarks.pairs, landmarks.pair_halves,
                    work.norms[p], block, limits[lane],
                )  # fmt: skip
            else:
                near = members_at_most(
                    work.rows, p * columns, columns, landmarks.packed, landmarks.halves,
                    work.norms[p], block, limits[lane],
                )  # fmt: skip
            while near:
                lanes[count] = lane
                candidates[count] = block * MEMBERS + lowest_bit(near)
                for line in range(0, q, 8):
                    fetch(exact, candidates[count] * q + line)
                near &= near - 1
                count += 1
        if count > CANDIDATES:
            keep_nearest(begin, count, k, landmarks, work)
            count = np.int64(0)
    keep_nearest(begin, count, k, landmarks, work)
    return hits


@njit
def keep_nearest(begin, count, k, landmarks, work):
    """Measure the first `count` candidates, by definition, and keep the k nearest of each point.
    Landmarks come in the order of their numbers, so that equally near ones are in order too."""
    values, exact, squares, numbers = work.values, landmarks.exact, work.near, work.near_numbers
    lanes, candidates, filled, nearest = work.lanes, work.candidates, work.counts, work.nearest
    q, most = exact.shape[1], 0
    for lane in range(TILE):
        filled[lane] = 0
    for i in range(count):
        filled[lanes[i]] += 1
    for lane in range(TILE):
        most = max(most, filled[lane])
        filled[lane] = 0
    for i in range(most * TILE):
        squares[i] = np.inf
    for i in range(count):
        lane, landmark = lanes[i], candidates[i]
        first, square = (begin + lane) * q, 0.0
        for c in range(q):
            apart = values[first + c] - exact[landmark, c]
            square += apart * apart
        place = filled[lane] * TILE + lane
        squares[place], numbers[place] = square, landmark
        filled[lane] += 1
    for i in range(most):
        keep_smaller(squares, numbers, i * TILE, nearest, work.found, k)


@njit
def keep_group(tile, group, k, landmarks, work):
    """Measure all landmarks of a group of blocks, and keep the k nearest of each point."""
    q, squares, numbers = landmarks.origin.shape[0], work.near, work.near_numbers
    begin, exact = tile * TILE * q, landmarks.exact.reshape(-1)
    for c in range(q):
        for lane in range(TILE):
            work.columns[c * TILE + lane] = work.values[begin + lane * q + c]
    for landmark in range(group * MEMBERS, (group + GROUP) * MEMBERS):
        measure_lanes(work.columns, np.int64(0), q, exact, landmark * q, squares)
        is_nearer = False
        for lane in range(TILE):
            numbers[lane] = landmark
            is_nearer |= squares[lane] < work.nearest[(k - 1) * TILE + lane]
        if is_nearer:
            keep_smaller(squares, numbers, np.int64(0), work.nearest, work.found, k)

"""The loops of `neighbours`: a filter over blocks of landmarks, and the definition for what passes.

The filter scores all landmarks in coarser numbers, int16 or float32, whose errors `_nearest`
bounds, and keeps the smallest score of each block of MEMBERS landmarks. The k-th smallest of the
minima of groups of blocks bounds the k-th smallest score from above, since groups share no
landmark. A block can hold one of the k nearest only where its minimum is not above that bound, plus
what the errors make of it; the landmarks of such blocks are measured in float64.

Where the filter is not to be trusted (squares would overflow, more groups are asked for than there
are) every block passes, so that nothing but time depends on it.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import njit
from kernels._kmeans_blocks import (
    FILL,
    LONGEST,
    MOST_COLUMNS,
    SHORTEST,
    in_blocks,
    pack_pairs,
)
from kernels._minima import (
    GROUP,
    block_minima,
    blocks_at_most,
    count_at_most,
    fold_minima,
    lowest_bit,
    members_at_most,
)
from kernels._nearest import LONGEST_PAIR, pairs_of, transpose_all
from kernels._tiles import LANES, MEMBERS, TILE, bits_float, float_bits, round_half

EVERYTHING = 2**31 - 1
MOST_TILES = 16  # of a batch
MINIMA = 2**16  # of a batch: they should stay in the second-level cache
CANDIDATES = 2048  # that are measured together, at least those of a group
CHUNK = 2**16  # values of landmarks that are scored before the next tile is
BEYOND = 1.25  # points as much longer than the longest landmark still fit int16
FAR_POINT = 1e14  # scaled length of a point beyond which float32 is not used
ROUNDS = 12  # of halving, at most


class Landmarks(NamedTuple):
    """Landmarks as the loops want them.

    packed, halves        flat float32, see _tiles.score_blocks; the last block is filled up
    pairs, pair_halves    the same in pairs of int16; empty where these are not to be used
    exact                 (MEMBERS * blocks, q) float64; filled up with infinity
    origin                (q,) float64, mean of the landmarks
    scale                 power of two that makes them at most 1 long, seen from there; 0: the
                          filter is not to be used
    grain                 for int16, scaled values are rounded to multiples of 1 / grain
    slack                 relative error of scores in float32, see _nearest
    blur                  how far rounding to int16 moves a landmark and a point, in 1 / grain
    """

    packed: np.ndarray
    halves: np.ndarray
    pairs: np.ndarray
    pair_halves: np.ndarray
    exact: np.ndarray
    origin: np.ndarray
    scale: float
    grain: float
    slack: float
    blur: float


class Work(NamedTuple):
    """Scratch for a batch of rows: a whole number of tiles."""

    numbers: np.ndarray  # (batch,) int64: which rows they are
    values: np.ndarray  # (batch * q,) float64: the rows as they are
    rows: np.ndarray  # (batch * q + LANES,) float32: around the origin, scaled
    tiles: np.ndarray  # (batch * q,) float32
    halves: np.ndarray  # int16: rows as pairs, and LANES to read beyond
    pair_rows: np.ndarray  # int32, the same memory
    pair_tiles: np.ndarray  # int32
    norms: np.ndarray  # (batch,) float32: half squared lengths
    squares: np.ndarray  # (batch,) float64: squared lengths of the rounded rows
    is_far: np.ndarray  # (batch,) bool: too far for the filter
    minima: np.ndarray  # (batch * blocks,) int32
    groups: np.ndarray  # (blocks * TILE,) int32: minima of groups, of one tile
    tops: np.ndarray  # (TILE * k,) int32
    low: np.ndarray  # (TILE,) int32, as the next four
    high: np.ndarray
    middle: np.ndarray
    counts: np.ndarray
    limits: np.ndarray
    lanes: np.ndarray  # (CANDIDATES,) int64: candidates: which point, which landmark
    candidates: np.ndarray  # int64
    measured: np.ndarray  # float64: squared distances of the candidates
    nearest: np.ndarray  # (TILE * k,) float64: smallest squared distances so far
    found: np.ndarray  # (TILE * k,) int32


def pack(landmarks: np.ndarray) -> Landmarks:
    """Landmarks (m, q) for the loops."""
    m, q = landmarks.shape
    count = -(-m // (MEMBERS * GROUP)) * MEMBERS * GROUP
    exact = np.full((count, q), np.inf)
    exact[:m] = landmarks
    origin = exact[:m].mean(axis=0)
    centred = exact[:m] - origin
    largest = float(np.abs(centred).max()) or 1.0
    longest = float(np.sqrt(np.square(centred / largest).sum(axis=1).max())) * largest * 1.0001
    is_usable = SHORTEST < longest < LONGEST and q <= MOST_COLUMNS
    share, power = np.frexp(longest if is_usable else 1.0)
    scale = float(np.ldexp(1.0, -power))
    grain = LONGEST_PAIR / (float(share) * BEYOND)
    centred *= scale
    values, halves = np.zeros((count, q), np.float32), np.full(count, FILL, np.float32)
    values[:m] = -centred
    halves[:m] = np.square(centred).sum(axis=1) / 2
    pairs, pair_halves, blur = pack_pairs(centred, grain, count)
    return Landmarks(
        in_blocks(values), halves, pairs, pair_halves, exact, origin,
        scale if is_usable else 0.0, grain, (1.25 * q + 10) * 2.0**-25,
        blur * grain + 0.51 * np.sqrt(q),
    )  # fmt: skip


def work_for(landmarks: Landmarks, k: int) -> Work:
    """Scratch of a thread. Not compiled, as that of _nearest."""
    q, blocks = len(landmarks.origin), len(landmarks.halves) // MEMBERS
    most = min(max(MINIMA // (blocks * TILE), 1), max(32768 // (q * TILE), 1), MOST_TILES)
    batch = TILE * most
    halves = np.zeros(2 * (batch * pairs_of.py_func(q) + LANES), np.int16)
    lanes = [np.zeros(TILE, np.int32) for _ in range(5)]
    many = CANDIDATES + GROUP * MEMBERS * TILE
    return Work(
        np.zeros(batch, np.int64), np.zeros(batch * q), np.zeros(batch * q + LANES, np.float32),
        np.zeros(batch * q, np.float32), halves, halves.view(np.int32),
        np.zeros(len(halves) // 2, np.int32), np.zeros(batch, np.float32), np.zeros(batch),
        np.zeros(batch, np.bool_), np.zeros(batch * blocks, np.int32),
        np.zeros(blocks * TILE, np.int32), np.zeros(TILE * k, np.int32), *lanes,
        np.zeros(many, np.int64), np.zeros(many, np.int64), np.zeros(many), np.zeros(TILE * k),
        np.zeros(TILE * k, np.int32),
    )  # fmt: skip


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
                row, first = work.numbers[p], (p - tile * TILE) * k
                for i in range(k):
                    indices[row, i] = work.found[first + i]
                    distances[row, i] = np.sqrt(work.nearest[first + i])
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
    step = max(CHUNK // (columns * MEMBERS), 1)
    for start in range(0, blocks, step):
        stop = min(start + step, blocks)
        if paired:
            block_minima(
                work.pair_tiles, full // TILE, columns, landmarks.pairs, landmarks.pair_halves,
                work.norms, start, stop, blocks, work.minima,
            )  # fmt: skip
        else:
            block_minima(
                work.tiles, full // TILE, columns, landmarks.packed, landmarks.halves, work.norms,
                start, stop, blocks, work.minima,
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
        fold_minima(work.minima, first, blocks // GROUP, GROUP, work.groups)
        bound_smallest(work.groups, np.int64(0), blocks // GROUP, k, work)
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
    fold_minima(values, first, 1, many, low)
    fold_minima(values, first, k, many // k, work.tops)
    for lane in range(TILE):
        high[lane] = low[lane]
    for i in range(k):
        for lane in range(TILE):
            high[lane] = max(high[lane], work.tops[i * TILE + lane])
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
    minima, limits, columns = work.minima, work.limits, pairs_of(q) if paired else q
    lanes, candidates, begin = work.lanes, work.candidates, tile * TILE
    for i in range(TILE * k):
        work.nearest[i] = np.inf
    hits = count = np.int64(0)
    for group in range(0, blocks, GROUP):
        passed = blocks_at_most(minima, (begin * blocks) + group * TILE, limits)
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
    values, exact, measured = work.values, landmarks.exact, work.measured
    lanes, candidates, nearest, found = work.lanes, work.candidates, work.nearest, work.found
    q = exact.shape[1]
    for i in range(count):
        landmark, first = candidates[i], (begin + lanes[i]) * q
        square = 0.0
        for c in range(q):
            apart = values[first + c] - exact[landmark, c]
            square += apart * apart
        measured[i] = square
    for i in range(count):
        first, square = lanes[i] * k, measured[i]
        at = first + k - 1
        if square < nearest[at]:
            while at > first and nearest[at - 1] > square:
                nearest[at], found[at] = nearest[at - 1], found[at - 1]
                at -= 1
            nearest[at], found[at] = square, candidates[i]

"""Landmarks packed for the loops of `_neighbours`, and the scratch of these."""

import threading
from typing import NamedTuple

import numpy as np

from kernels._kmeans_blocks import FILL, LONGEST, MOST_COLUMNS, SHORTEST, in_blocks, pack_pairs
from kernels._minima import GROUP
from kernels._nearest import LONGEST_PAIR, pairs_of
from kernels._tiles import LANES, MEMBERS, TILE

MOST_TILES = 16  # of a batch
MINIMA = 2**16  # of a batch: they should stay in the second-level cache
CANDIDATES = 512  # from which on they are measured
SAMPLE = 500  # landmarks that the origin is the median of, about
BEYOND = 1.25  # points as much longer than the longest landmark still fit int16


class Landmarks(NamedTuple):
    """Landmarks as the loops want them.

    packed, halves        flat float32, see _tiles.score_blocks; the last block is filled up
    pairs, pair_halves    the same in pairs of int16; empty where these are not to be used
    exact                 (MEMBERS * blocks, q) float64; filled up with infinity
    origin                (q,) float64, the median of some landmarks
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
    groups: np.ndarray  # (batch * blocks / GROUP,) int32: minima of groups of them
    tops: np.ndarray  # (TILE * k,) int32
    low: np.ndarray  # (TILE,) int32, as the next four
    high: np.ndarray
    middle: np.ndarray
    counts: np.ndarray
    limits: np.ndarray
    lanes: np.ndarray  # int64: candidates: which point of the tile, which landmark
    candidates: np.ndarray  # int64
    columns: np.ndarray  # (q, TILE) float64: the points of a tile
    near: np.ndarray  # (.., TILE) float64: squared distances of the candidates of each point
    near_numbers: np.ndarray  # (.., TILE) int64: which landmarks
    nearest: np.ndarray  # (k, TILE) float64: the smallest so far
    found: np.ndarray  # (k, TILE) int64


class _Last:
    """The landmarks that were packed last: the blocks of a run share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[np.ndarray, Landmarks] | None = None

    def packed(self, landmarks: np.ndarray) -> Landmarks:
        with self._lock:
            if self._kept is None or not np.array_equal(self._kept[0], landmarks):
                self._kept = landmarks.copy(), pack(landmarks)
            return self._kept[1]


last = _Last()


def pack(landmarks: np.ndarray) -> Landmarks:
    """Landmarks (m, q) for the loops."""
    m, q = landmarks.shape
    count = -(-m // (MEMBERS * GROUP)) * MEMBERS * GROUP
    exact = np.full((count, q), np.inf)
    exact[:m] = landmarks
    # outliers move the mean, and float32 loses what is small beside |point - origin|
    origin = np.median(exact[: m : max(m // SAMPLE, 1)], axis=0)
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
        np.zeros(batch * blocks // GROUP, np.int32), np.zeros(TILE * k, np.int32), *lanes,
        np.zeros(many, np.int64), np.zeros(many, np.int64), np.zeros(q * TILE),
        np.zeros(many * TILE), np.zeros(many * TILE, np.int64), np.zeros(TILE * k),
        np.zeros(TILE * k, np.int64),
    )  # fmt: skip

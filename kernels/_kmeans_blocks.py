"""What KMeans keeps of a block between calls, and which loops it runs on it."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from kernels import _lloyd, _nearest
from kernels._lloyd import Bounds, Sums
from kernels._nearest import HIGHEST_PAIR, LONGEST_PAIR, Centre
from kernels._tiles import HAS_PAIRS, LANES, MEMBERS, TILE

MOST_COLUMNS = 100_000  # beyond, the error bound of the filter says nothing
SHORTEST, LONGEST = 1e-140, 1e150  # of points: beyond, squares underflow or overflow
FAR = 1e6  # scaled length of a centroid beyond which the filter is not used
FILL = 1e30  # half squared length of the centroids that fill the last block
COARSE = 1e-11  # of the typical deviation in a column: sums of larger steps are not made
USELESS_SHARE = 0.4  # left open by int16, from which on it is not used for the block any more


class _Last:
    """The centroids that were packed last: the blocks of one iteration share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Any, ...] = ()
        self._value: tuple[Centre, bool] | None = None

    def packed(self, centroids: np.ndarray, frame: Any, dtype: np.dtype) -> tuple[Centre, bool]:
        """The packed centroids, and whether the filters may be used."""
        with self._lock:
            old = self._key
            if not (
                old
                and old[0] == dtype
                and old[1] is frame.origin
                and old[2].shape == centroids.shape
                and np.array_equal(old[2], centroids)
            ):
                centre = pack(centroids, frame, dtype)
                self._value = centre, is_filtered(centre, frame)
                self._key = (dtype, frame.origin, centre.centroids)
            assert self._value is not None
            return self._value


class _Scratch(threading.local):
    """The scratch of each thread, kept while points and centroids have the same shape."""

    shape: tuple[int, int] | None = None
    work: _nearest.Work

    def of(self, d: int, k: int) -> _nearest.Work:
        if self.shape != (d, k):
            self.work, self.shape = _nearest.work_for(d, k), (d, k)
        return self.work


_last, _scratch = _Last(), _Scratch()


def scale_of(frame: Any) -> tuple[float, float]:
    """The power of two that makes every point at most 1 long, seen from the origin; and how long
    they are then at most."""
    largest = float(frame.spread.max(initial=0.0)) or 1.0
    longest = math.sqrt(float(np.sum(np.square(frame.spread / largest)))) * largest * 1.0001
    if not SHORTEST < longest < LONGEST:
        return 1.0, 1.0
    share, power = math.frexp(longest)
    return math.ldexp(1.0, -power), share


def pack(centroids: np.ndarray, frame: Any, dtype: np.dtype) -> Centre:
    """Centroids (k, d) float64 for the loops over points of that dtype."""
    k, d = centroids.shape
    scale, longest = scale_of(frame)
    grain = LONGEST_PAIR / longest
    origin = frame.origin.astype(dtype)
    centred = (centroids - origin.astype(np.float64)) * scale
    count = -(-k // MEMBERS) * MEMBERS
    values = np.zeros((count, d), np.float32)
    halves = np.full(count, FILL, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        values[:k] = -centred
        halves[:k] = np.square(centred).sum(axis=1) / 2
    pairs, pair_halves, blur = pack_pairs(centred, grain, count)
    return Centre(
        in_blocks(values), halves, pairs, pair_halves, centroids.copy(),
        np.ascontiguousarray(centroids.T), origin, np.tile(origin, TILE), scale, grain,
        (1.25 * d + 10) * 2.0**-25, blur,
    )  # fmt: skip


def in_blocks(values: np.ndarray) -> np.ndarray:
    """Rows (count, columns) as blocks of MEMBERS rows, column after column, flat."""
    blocks = values.reshape(-1, MEMBERS, values.shape[1])
    return np.ascontiguousarray(blocks.transpose(0, 2, 1)).ravel()


def pack_pairs(
    centred: np.ndarray, grain: float, count: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """pairs and pair_halves of a Centre of `count` places, and how far rounding moves a centroid at
    most."""
    k, d = centred.shape
    if not HAS_PAIRS or not np.all(
        np.square(centred * grain).sum(axis=1) <= (LONGEST_PAIR + 1) ** 2
    ):
        return np.zeros(0, np.int32), np.zeros(0, np.int32), 0.0
    rounded = np.rint(centred * grain)
    values = np.zeros((count, 2 * _nearest.pairs_of.py_func(d)), np.int16)
    values[:k, :d] = -rounded
    halves = np.full(count, HIGHEST_PAIR, np.int32)
    halves[:k] = np.floor(np.square(rounded).sum(axis=1) / 2)
    blur = float(np.sqrt(np.square(rounded / grain - centred).sum(axis=1)).max(initial=0.0))
    return in_blocks(values.view(np.int32)), halves, blur * (1 + 1e-9)


def is_filtered(centre: Centre, frame: Any) -> bool:
    """Whether the filters may be used."""
    d = centre.centroids.shape[1]
    spread = frame.spread.max(initial=0.0)
    usual = d <= MOST_COLUMNS and (spread == 0 or SHORTEST < spread < LONGEST)
    return usual and bool(np.all(centre.halves[: len(centre.centroids)] < FAR**2))


def steps_of(frame: Any) -> tuple[np.ndarray, bool]:
    """(d + 1,) float64 powers of two that values are multiplied with before they are rounded to
    integers, and whether sums of these are fine enough."""
    bits = min(51, 62 - int(frame.most_rows).bit_length())
    weight = max(frame.most_weight, 1e-300)
    largest = np.append(frame.spread * weight, weight)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        steps = np.ldexp(1.0, bits - np.frexp(np.maximum(largest, 1e-290))[1])
        typical = np.sqrt(frame.variances)
        least = min(frame.least_weight, weight)
        fine = (1 / steps[:-1] <= COARSE * typical * least) | (frame.spread == 0)
        fine = np.append(fine, 1 / steps[-1] <= COARSE * least)
    return steps, bool(np.all(fine) and np.all(np.isfinite(steps)))


class Memory:
    """Labels, bounds and totals of a block with so many centroids."""

    def __init__(self, block: Any, centroids: np.ndarray, frame: Any):
        k, d = centroids.shape
        n = len(block.points)
        self.weights = np.zeros(0) if block.sample_weight is None else block.sample_weight
        self.origin = frame.origin
        steps, self.exact = steps_of(frame)
        self.sums = Sums(
            np.zeros((k, d + 1), np.int64), frame.origin, steps, self.weights, self.exact
        )
        self.labels = np.full(n, -1, np.int32)
        self.upper, self.lower = np.zeros(n, np.float32), np.zeros(n, np.float32)
        self.loose = 1  # rows that bounds could not hold last time
        self.ratio = 0.5  # how many of them a look at their own centroids does not hold either
        self.rounding = -1.0  # how far int16 moves a point; -1: not known yet; inf: too far
        self.norms = _lloyd.squared_norms(block.points, frame.origin, self.weights)
        self.centroids = centroids.copy()
        self.rest()

    def blur(self, points: np.ndarray, centre: Centre) -> float:
        """Of points and centroids in int16, or -1 where that is not to be used."""
        if not len(centre.pairs) or self.rounding == math.inf:
            return -1.0
        if self.rounding < 0:
            self.rounding = _nearest.rounding_of(points, centre)
        return (self.rounding + centre.blur) * (1 + 1e-6)

    def fits(self, centroids: np.ndarray, frame: Any) -> bool:
        """Whether this is the memory of so many centroids and that frame."""
        same = self.origin is frame.origin or np.array_equal(self.origin, frame.origin)
        return same and self.centroids.shape == centroids.shape

    def which(self) -> int:
        """Which rows to measure: a matter of speed only. Costs are in cycles of a core."""
        loose = _lloyd.count_candidates(self.bounds())
        if not loose:
            return _lloyd.NONE
        k, d = self.centroids.shape
        measuring = k * d / (2 * LANES if HAS_PAIRS else LANES) + 40
        scattered = loose * measuring * 1.3
        looking = loose * (d + 25) + scattered * self.ratio
        everything = len(self.labels) * measuring
        cheapest = min(everything, scattered, looking)
        if cheapest == everything:
            self.ratio = max(self.ratio * 0.9, 0.05)  # not for ever
            return _lloyd.ALL
        self.loose = loose
        return _lloyd.LOOSE if cheapest == scattered else _lloyd.TIGHT

    def learn(self, which: int, blur: float, measured: int, left_open: int) -> None:
        """Remember what did not help."""
        if which == _lloyd.TIGHT:
            self.ratio = measured / self.loose
        if blur >= 0 and left_open > USELESS_SHARE * measured and measured > len(self.labels) / 8:
            self.rounding = math.inf

    def rest(self) -> None:
        """Forget how far the centroids have moved: right before all rows are measured."""
        self.moved = np.zeros(len(self.centroids))
        self.furthest = 0.0
        self._bounds: Bounds | None = None

    def bounds(self) -> Bounds:
        """As the loops want them."""
        if self._bounds is None:
            moved = self.moved.astype(np.float32)
            below = np.float32(self.furthest)
            furthest = np.array([_up(below), _down(below)])
            self._bounds = Bounds(
                self.labels, self.upper, self.lower, _up(moved), _down(moved), furthest
            )
        return self._bounds

    def follow(self, centroids: np.ndarray, scale: float) -> None:
        """Note how far the centroids have moved since the last call."""
        self._bounds = None
        self.furthest += _lloyd.follow(centroids, self.centroids, scale, self.moved)


def _up(values: Any) -> Any:
    return np.nextafter(values, np.float32(np.inf))


def _down(values: Any) -> Any:
    return np.maximum(np.nextafter(values, np.float32(-np.inf)), np.float32(0))


def label(block: Any, centroids: np.ndarray, frame: Any, bounds: bool) -> Memory:
    """Bring the block's memory up to these centroids."""
    memory = block.memory.get("kmeans")
    centre, filtered = _last.packed(centroids, frame, block.points.dtype)
    if memory is None or not memory.fits(centroids, frame):
        memory = block.memory["kmeans"] = Memory(block, centroids, frame)
        bounds = False
    points, work = block.points, _scratch.of(centroids.shape[1], len(centroids))
    if not filtered:
        memory.centroids = centroids.copy()
        memory.rest()
        _lloyd.label_by_definition(points, centre, memory.bounds(), memory.sums, work)
        memory.lower[:] = 0
        return memory
    memory.follow(centroids, centre.scale)
    which = memory.which() if bounds else _lloyd.ALL
    if which == _lloyd.NONE:
        return memory
    if which == _lloyd.ALL:
        memory.rest()
    blur = memory.blur(points, centre)
    found = _lloyd.label_rows(points, blur, centre, memory.bounds(), memory.sums, which, work)
    memory.learn(which, blur, *found)
    return memory


def partial_sums(block: Any, centroids: np.ndarray, frame: Any, bounds: bool) -> tuple[Any, ...]:
    """See kmeans.partial_sums."""
    centroids = np.ascontiguousarray(centroids, np.float64)
    memory = label(block, centroids, frame, bounds)
    totals = memory.sums.totals
    steps = memory.sums.steps
    if not memory.exact:
        totals, steps = np.zeros(totals.shape), np.ones(steps.shape)
        _lloyd.plain_sums(block.points, memory.labels, frame.origin, memory.weights, totals)
    return _lloyd.unpacked_sums(totals, steps, centroids, frame.origin, memory.norms)


def assign(block: Any, centroids: np.ndarray, frame: Any) -> tuple[Any, Any]:
    """See kmeans.assign_block."""
    centroids = np.ascontiguousarray(centroids, np.float64)
    memory = label(block, centroids, frame, True)
    distances = np.empty(len(memory.labels))
    _lloyd.squared_distances(block.points, centroids, memory.labels, distances)
    return memory.labels.copy(), distances

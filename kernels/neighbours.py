"""The k nearest landmarks of every point, exactly.

The distance of a point and a landmark is the square root of the sum of (x - c)**2 over the columns
from first to last, in float64; of landmarks equally near the lower index comes first. Everything
faster only ever skips what cannot change that answer.

    indices, distances = neighbours.nearest(points, landmarks, k=10)
    indices, distances = neighbours.select_block(rows_of_distances, k=10)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from kernels import _neighbours
from kernels._jit import njit
from kernels._landmarks import last

FEWEST_ROWS = 1024  # of a job, where there is more than one
FARTHEST = 1e150  # values, beyond which squares overflow
JOBS_PER_THREAD = 8  # so that threads end together


def nearest(
    points: Any, landmarks: Any, k: int, *, n_threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k landmarks nearest to each point, nearest first.

    points     (n, q) float32 or float64, finite; landmarks (m, q) finite, k at most m
    n_threads  default: all usable cores. It does not change the result.
    Returns (indices (n, k) int32, distances (n, k) float64). Raises ValueError for arrays that are
    not finite matrices of the same width, and for k beyond 1 to m.
    """
    search = Search(points, landmarks, k)
    over_rows(search.rows, len(search.points), n_threads)
    return search.indices, search.distances


class Search:
    """A search whose rows can be done in any order; see `nearest`."""

    def __init__(self, points: Any, landmarks: Any, k: int) -> None:
        self.points, given = as_matrix(points, "points"), as_matrix(landmarks, "landmarks")
        if self.points.shape[1] != given.shape[1]:
            raise ValueError(
                f"points have {self.points.shape[1]} columns, landmarks {given.shape[1]}: "
                "both must have the same"
            )
        if not 1 <= k <= len(given):
            raise ValueError(f"k must be 1 to {len(given)}, the number of landmarks; not {k}")
        _check_reach(self.points, given)
        self.landmarks = last.packed(given)
        self.indices = np.empty((len(self.points), k), np.int32)
        self.distances = np.empty((len(self.points), k))

    def rows(self, start: int, stop: int) -> None:
        """Fill indices and distances of rows start to stop."""
        rows = slice(start, stop)
        points = self.points[rows].astype(np.float64, copy=False)  # loops are compiled once
        _neighbours.search(points, self.landmarks, self.indices[rows], self.distances[rows])


def select_block(distances: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest known distances of each row, smallest first, of equal ones the lower index.

    distances (b, m) float32 or float64; missing are NaN, infinite and negative ones.
    Returns (indices (b, k) int32, distances (b, k) float64); places that no known distance fills
    have index -1 and distance NaN.
    """
    given = np.asarray(distances)
    if given.ndim != 2 or k < 1:
        raise ValueError(f"distances of shape {given.shape} and k = {k}: needed are rows and k > 0")
    if given.dtype not in (np.float32, np.float64):
        given = given.astype(np.float64)
    indices = np.full((len(given), k), -1, np.int32)
    chosen = np.full((len(given), k), np.nan)
    _select(np.ascontiguousarray(given), indices, chosen)
    return indices, chosen


def as_matrix(values: Any, name: str) -> np.ndarray:
    """values as a C-contiguous float32 or float64 matrix. Raises ValueError where it is none, and
    where a row has a value that is not finite."""
    given = np.asarray(values)
    if given.dtype not in (np.float32, np.float64):
        given = given.astype(np.float64)
    if given.ndim != 2 or given.shape[1] == 0:
        raise ValueError(f"{name} have shape {given.shape}: needed is a matrix with columns")
    finite = np.isfinite(given)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise ValueError(f"{name} must be finite: row {row} has NaN or infinite values")
    return np.ascontiguousarray(given)


def _check_reach(points: np.ndarray, landmarks: np.ndarray) -> None:
    largest = max(float(np.abs(a).max(initial=0)) for a in (points, landmarks))
    if not largest < FARTHEST:
        raise ValueError(
            f"points have values beyond {FARTHEST:.0e}, and squared distances overflow; "
            "divide all of them by a large number"
        )


def over_rows(work: Callable[[int, int], None], n: int, n_threads: int | None) -> None:
    """work(start, stop) over pieces of n rows, on that many threads."""
    threads = n_threads or len(os.sched_getaffinity(0))
    rows = max(-(-n // (threads * JOBS_PER_THREAD)), FEWEST_ROWS)
    starts = range(0, n, rows)
    if threads == 1 or len(starts) < 2:
        for start in starts:
            work(start, min(start + rows, n))
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: work(start, min(start + rows, n)), starts))


@njit
def _select(rows, indices, distances):
    for row in range(rows.shape[0]):
        _smallest(rows[row], indices[row], distances[row])


@njit
def _smallest(values, indices, chosen):
    """The smallest known values in order, of equal ones the first; returns how many there are."""
    k, count = indices.shape[0], 0
    worst = np.inf
    for j in range(values.shape[0]):
        value = np.float64(values[j])
        if not (value < worst and value >= 0):
            continue
        at = min(count, k - 1)
        while at > 0 and chosen[at - 1] > value:
            chosen[at], indices[at] = chosen[at - 1], indices[at - 1]
            at -= 1
        chosen[at], indices[at] = value, j
        count = min(count + 1, k)
        if count == k:
            worst = chosen[k - 1]
    return count

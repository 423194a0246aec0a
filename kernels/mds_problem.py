"""What a run of multidimensional scaling minimises, found from its bands; and where it starts.

`over(function, *args)` stands for [function(band, *args) for each band], wherever the bands are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kernels import mds, mds_start
from kernels._bands import _at as packed_at
from kernels._jit import njit
from kernels.kmeans import joined
from kernels.mds import Band, Summary, Weighting, weight_of

Over = Callable[..., list[Any]]
NOISE = {"float64": 1e-13, "float32": 1e-7, "int16": 1e-7}  # of the stress, in parts of constant
SMALLEST, LARGEST = 1e-10, 1e15  # largest dissimilarity: its square is a float32, and not noise
MOST_LANDMARKS = 500  # of a classical start


class Problem(NamedTuple):
    """What does not change during a run.

    weighted   V is not n times the centring matrix: weights, or missing pairs
    degrees    (n,) sums of each point's weights
    squares    sum of w delta^2 over the pairs; high, low: largest and smallest positive delta
    noise      relative to the constant: a rise of the stress that is rounding
    """

    n: int
    n_components: int
    weighting: Weighting
    weighted: bool
    degrees: np.ndarray
    known: float
    squares: float
    high: float
    low: float
    relax: bool = True
    tol: float = 1e-6
    max_iter: int = 300
    cooling: float = 0.0
    cg_tol: float = 0.1
    ordinal: bool = False
    noise: float = 1e-13


def problem_of(
    summary: Summary, n_components: int, weighting: Weighting, dtype: str = "float64",
    **options: Any,
) -> Problem:  # fmt: skip
    """The problem of all bands' summary; options: the later fields of Problem.

    Raises ValueError for a point without any known dissimilarity of weight.
    """
    n = len(summary.counts)
    alone = np.flatnonzero(summary.counts == 0)
    if n > 1 and len(alone):
        raise ValueError(f"point {int(alone[0])} has no known dissimilarity to any other")
    missing = summary.known < n * (n - 1) / 2
    return Problem(
        n, n_components, weighting, weighting.kind != "none" or missing, summary.degrees,
        summary.known, summary.squares, summary.high, summary.low, noise=NOISE[dtype], **options,
    )  # fmt: skip


def problem_over(
    over: Over, weights: Any, n_components: int, dtype: str, **options: Any
) -> Problem:
    """The problem of some bands.

    weights   as in `mds.weighting_of`; anything but a text: the bands hold them
    dtype     of the bands; options: the later fields of Problem
    Raises ValueError for options that do not exist, naming a point that nothing connects, and
    (UnitError) naming a largest dissimilarity whose square float32 does not hold.
    """
    if n_components < 1:
        raise ValueError(f"n_components must be at least 1, not {n_components}")
    summary: Summary = joined(mds.join_summaries, over(mds.summary_block, Weighting()))
    check_unit(summary.high)
    mean = summary.total / summary.known if summary.known else 0.0
    weighting = mds.weighting_of(weights if isinstance(weights, str) else "given", mean)
    if weighting.kind != "none":
        summary = joined(mds.join_summaries, over(mds.summary_block, weighting))
    problem = problem_of(summary, n_components, weighting, dtype, **options)
    few = problem.n > 1 and summary.counts.min() <= problem.n // 2
    if few:  # else any two points have a third one in common
        check_connected(joined(join_components, over(components_block, weighting)))
    return problem


class UnitError(ValueError):
    """Dissimilarities in a unit in which float32 does not hold their squares."""


def check_unit(largest: float) -> None:
    """Raises UnitError for the largest dissimilarity of all."""
    if largest > 0 and not SMALLEST <= largest <= LARGEST:
        raise UnitError(
            f"the largest dissimilarity is {largest:.3g}, not in {SMALLEST:g} to {LARGEST:g}: "
            "give them in another unit"
        )


def start_over(
    over: Over, init: Any, problem: Problem, random_state: int, run: int = 0
) -> np.ndarray:
    """(n, d): where a run begins.

    init   'classical', 'random' or (n, d); runs after the first one begin at random
    """
    n, d = problem.n, problem.n_components
    if isinstance(init, str) and init not in ("classical", "random"):
        raise ValueError(f"init is {init!r}; choose classical, random, or give coordinates")
    if run == 0 and not isinstance(init, str):
        given = np.asarray(init, np.float64)
        if given.shape != (n, d) or not np.isfinite(given).all():
            raise ValueError(f"init must be finite numbers of shape {(n, d)}, not {given.shape}")
        return given
    if run == 0 and init == "classical":
        return classical_over(over, n, d, random_state)
    total = float(problem.degrees.sum()) / 2
    width = math.sqrt(problem.squares / total) if total > 0 else 1.0
    return mds_start.random_start(n, d, width, random_state, run)


def classical_over(over: Over, n: int, n_components: int, random_state: int) -> np.ndarray:
    """(n, d): classical scaling of all points, of more than MOST_LANDMARKS by so many of them."""
    rng = np.random.default_rng((random_state, 0x1A4D))
    chosen = mds_start.landmarks(n, MOST_LANDMARKS, rng)
    parts = over(between_block, chosen)
    between = joined(np.fmax, parts)
    np.fill_diagonal(between, 0.0)
    if len(chosen) == n:
        return mds_start.classical(between, n_components)
    operator, mean = mds_start.triangulation(between, n_components)
    found = joined(np.add, over(mds_start.triangulate_block, chosen, operator, mean))
    return found - found.mean(axis=0)


def between_block(band: Band, chosen: np.ndarray) -> np.ndarray:
    """(m, m) float64: dissimilarities among chosen points whose rows the band holds; else NaN."""
    start, stop, n = band.place
    found = np.full((len(chosen), len(chosen)), np.nan)
    _between(band.values, start, stop, n, chosen, found)
    found[found < 0] = np.nan
    return found * band.scale


@njit
def _between(values, start, stop, n, chosen, found):
    groups, first = (n + 15) // 16, start // 16
    for a in range(len(chosen)):
        if start <= chosen[a] < stop:
            for b in range(a + 1, len(chosen)):
                value = values[packed_at(groups, first, chosen[a], chosen[b])]
                found[a, b] = value
                found[b, a] = value


def components_block(band: Band, weighting: Weighting) -> np.ndarray:
    """(n,) int64: the lowest number of a point that pairs of the band join each point with."""
    start, stop, n = band.place
    kind, power, floor = mds.weighting_code(band, weighting)
    weights = band.weights if band.weights is not None else np.empty(0, np.float32)
    return _components(band.values, weights, kind, power, floor, start, stop, n)


def join_components(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of the pairs of both."""
    return _joined(left, right)


def check_connected(labels: np.ndarray) -> None:
    """ValueError naming two points that no known pairs connect."""
    apart = np.flatnonzero(labels != 0)
    if len(apart):
        raise ValueError(
            f"no known dissimilarities connect point {int(apart[0])} with point 0 "
            f"({len(apart):,} of {len(labels):,} points are apart from it)"
        )


@njit
def _root(parents, i):
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@njit
def _components(values, weights, kind, power, floor, start, stop, n):
    groups, first = (n + 15) // 16, start // 16
    parents = np.arange(n)
    left = n
    for i in range(start, stop):
        for j in range(i + 1, n):
            if left == 1:
                break
            at = packed_at(groups, first, i, j)
            given = np.float64(weights[at]) if len(weights) else 1.0
            if weight_of(np.float64(values[at]), given, kind, power, floor) > 0:
                a, b = _root(parents, i), _root(parents, j)
                if a != b:
                    parents[max(a, b)] = min(a, b)
                    left -= 1
    for i in range(n):
        parents[i] = _root(parents, i)
    return parents


@njit
def _joined(left, right):
    parents = left.copy()
    for i in range(len(parents)):
        a, b = _root(parents, i), _root(parents, right[i])
        if a != b:
            parents[max(a, b)] = min(a, b)
    for i in range(len(parents)):
        parents[i] = _root(parents, i)
    return parents

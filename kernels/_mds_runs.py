"""Runs of multidimensional scaling over bands in one process: the whole function, without Dask."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from kernels import mds, mds_problem, mds_steps
from kernels.kmeans import joined
from kernels.mds import Band
from kernels.mds_problem import Problem

SCALINGS = ("absolute", "ratio", "ordinal")
DTYPES = ("auto", "float32", "float64", "int16")
MOST_ORDINAL = 5000
CHECKED_ROWS = 128


class Smacof(NamedTuple):
    """What a run found.

    embedding (n, d)
    stress             sum of w (delta - dist)^2 over the pairs, of the scaled dissimilarities
    normalized         stress / sum of w delta^2; stress1: sqrt of the smallest sum over a factor b
                       of w (b delta - dist)^2, over sum of w dist^2
    n_iter             Guttman transforms of the best start; history: stress after each
    """

    embedding: np.ndarray
    stress: float
    normalized: float
    stress1: float
    n_iter: int
    converged: bool
    history: list[float]


def run(
    dissimilarities: Any,
    *,
    n_components: int = 2,
    weights: Any = "none",
    init: Any = "classical",
    n_init: int = 1,
    anneal: bool = False,
    cooling: float = 0.95,
    relax: bool = True,
    max_iter: int = 300,
    tol: float = 1e-6,
    cg_tol: float = 0.1,
    scaling: str = "absolute",
    dtype: str = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
) -> Smacof:
    """What `mds.smacof` does, with everything it found."""
    matrix = checked(dissimilarities)
    bands = bands_of(matrix, weights, dtype, scaling == "ordinal")
    threads = n_threads or len(os.sched_getaffinity(0))
    if scaling not in SCALINGS:
        raise ValueError(f"scaling is {scaling!r}; choose one of {', '.join(SCALINGS)}")
    with ThreadPoolExecutor(threads) as pool:
        over = functools.partial(_over, pool, bands)
        weighting = "none" if scaling == "ordinal" else weights
        problem = mds_problem.problem_over(
            over, weighting, n_components, str(bands[0].values.dtype), relax=relax, tol=tol,
            max_iter=max_iter, cooling=cooling if anneal else 0.0, cg_tol=cg_tol,
            ordinal=scaling == "ordinal",
        )  # fmt: skip
        found = [
            descend(over, mds_problem.start_over(over, init, problem, random_state, k), problem)
            for k in range(n_init)
        ]
        best = min(found, key=lambda one: one[0].stress)
        return finished(over, *best, problem, scaling)


def _over(pool: ThreadPoolExecutor, bands: list[Band], function: Any, *args: Any) -> list[Any]:
    return list(pool.map(lambda band: function(band, *args), bands))


def checked(dissimilarities: Any) -> np.ndarray:
    """(n, n) floats. Raises ValueError naming what is wrong, and where."""
    matrix = np.asarray(dissimilarities)
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize < 4:
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"dissimilarities must be square, not of shape {matrix.shape}")
    if not len(matrix):
        raise ValueError("dissimilarities must have at least one record")
    diagonal = np.nan_to_num(np.diagonal(matrix))
    if diagonal.any():
        i = int(np.flatnonzero(diagonal)[0])
        raise ValueError(f"dissimilarities[{i}, {i}] is {matrix[i, i]}, not 0")
    largest = max(np.nanmax(rows, initial=0.0) for _, rows in _stripes(matrix))
    for first, rows in _stripes(matrix):
        for what, wrong in (("infinite", np.isinf(rows)), ("negative", rows < 0)):
            if wrong.any():
                i, j = np.argwhere(wrong)[0]
                raise ValueError(f"dissimilarities[{first + i}, {j}] is {rows[i, j]}: {what}")
        mirrored = matrix[:, first : first + len(rows)].T
        apart = np.abs(rows - mirrored) > 1e-6 * largest
        apart |= np.isnan(rows) != np.isnan(mirrored)
        if apart.any():
            i, j = np.argwhere(apart)[0]
            raise ValueError(
                f"dissimilarities are not symmetric: [{first + i}, {j}] is {rows[i, j]}, "
                f"[{j}, {first + i}] is {mirrored[i, j]}"
            )
    return matrix


def _stripes(matrix: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, rows) of pieces of the matrix: checks need little memory of their own."""
    for first in range(0, len(matrix), CHECKED_ROWS):
        yield first, matrix[first : first + CHECKED_ROWS]


def bands_of(matrix: np.ndarray, weights: Any, dtype: str, whole: bool) -> list[Band]:
    """The matrix, and given weights, as packed bands; `whole`: as one."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; choose one of {', '.join(DTYPES)}")
    n, kind = len(matrix), str(matrix.dtype) if dtype == "auto" else dtype
    largest = max(float(np.nanmax(rows, initial=0.0)) for _, rows in _stripes(matrix))
    scale = largest / 32767 if kind == "int16" and largest > 0 else 1.0
    given = None if isinstance(weights, str) else _given(weights, n)
    if whole and n > MOST_ORDINAL:
        raise ValueError(
            f"scaling 'ordinal' sorts all pairs in memory and takes at most {MOST_ORDINAL:,} "
            f"records, not {n:,}"
        )
    bands = []
    for start, stop in [(0, n)] if whole else mds.band_ranges(n):
        place = (start, stop, n)
        values = mds.new_band(n, start, stop, kind)
        mds.fill_band(values, place, start, start, matrix[start:stop, start:], scale)
        packed = None
        if given is not None:
            packed = mds.new_band(n, start, stop, np.float32)
            mds.fill_band(packed, place, start, start, given[start:stop, start:])
            packed = np.nan_to_num(packed)
        bands.append(Band(values, place, scale, packed))
    return bands


def _given(weights: Any, n: int) -> np.ndarray:
    given = np.asarray(weights, np.float64)
    if given.shape != (n, n):
        raise ValueError(f"weights have shape {given.shape}, not {(n, n)}")
    if not np.isfinite(given).all() or (given < 0).any() or (given != given.T).any():
        raise ValueError("weights must be finite, not negative, and symmetric")
    return given


def descend(over: Any, x: np.ndarray, problem: Problem) -> tuple[mds_steps.State, list[float]]:
    """(last state, stress of each configuration that was accepted)."""
    state, name, history = mds_steps.start_state(x, problem), "heat", []
    while name != "stop":
        total = joined(mds_steps.add, over(_map, name, state, problem))
        accepted = state.accepted
        state, following = mds_steps.update(name, state, total, problem)
        if name == "guttman" and state.accepted > accepted:
            history.append(state.stress)
        name = following
    return state, history


def _map(band: Band, name: str, state: mds_steps.State, problem: Problem) -> Any:
    return mds_steps.map_block(name, band, state, problem)


def finished(
    over: Any, state: mds_steps.State, history: list[float], problem: Problem,
    scaling: str,
) -> Smacof:  # fmt: skip
    """The result, with the exact stress."""
    x = state.x
    if problem.ordinal:
        stress, squares, size = state.stress, problem.known, state.size
        # sums over the known pairs: dist^2 is eta, disparity * dist is size * eta, and
        # stress = squares + eta - 2 size eta
        eta = (squares - stress) / (2 * size - 1) if size > 0.5 else 0.0
        stress1 = math.sqrt(max(1.0 - size**2 * eta / squares, 0.0)) if squares * eta > 0 else 0.0
        normalized = stress / squares if squares else 0.0
        return Smacof(
            x, stress, normalized, stress1, state.transforms, state.converged > 0, history
        )
    sums = joined(np.add, over(mds.stress_block, x, problem.weighting))
    stress, squares, cross, eta = (float(value) for value in sums)
    stress1 = math.sqrt(max(1.0 - cross * cross / (squares * eta), 0.0)) if squares * eta else 0.0
    normalized = stress / squares if squares else 0.0
    if scaling == "ratio" and squares > 0:
        factor = math.sqrt(float(problem.degrees.sum()) / 2 / squares)
        x, stress = x * factor, stress * factor**2
    return Smacof(x, stress, normalized, stress1, state.transforms, state.converged > 0, history)

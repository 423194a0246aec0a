"""Distances for the MDS benchmark, packed as the kernel wants them, and its steps on a pool."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.harness import Timed
from kernels import mds, mds_problem, mds_steps
from kernels.kmeans import joined
from kernels.mds import Band
from kernels.mds_steps import State

DIMS = 2  # of all maps here
COLUMNS, CLUSTERS = 16, 10
ROWS = 64  # of distances that are computed at a time
LARGEST_INT16 = 32767
ALONE_N = 20_000  # from here on the peer's temporaries do not fit, and ours runs in int16 alone


def blobs(n: int, seed: int = 0) -> np.ndarray:
    """(n, 16) float64: normal clouds around ten centres."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((CLUSTERS, COLUMNS))
    return centres[rng.integers(0, CLUSTERS, n)] + rng.standard_normal((n, COLUMNS))


def saved(folder: Path, n: int) -> Path:
    """The blobs as a .npy file in the folder, written when it is not there yet."""
    path = folder / f"blobs-{n}.npy"
    if not path.exists():
        np.save(path, blobs(n))
    return path


def dtypes_at(n: int, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted that are tried with so many points."""
    return [dtype for dtype in wanted if n < ALONE_N or dtype == "int16"]


def random_start(n: int, seed: int = 1) -> np.ndarray:
    """(n, 2) float64: where every contender begins."""
    return 3 * np.random.default_rng(seed).standard_normal((n, DIMS))


def scale_of(points: np.ndarray, dtype: str) -> float:
    """What a band's values are multiplied with: int16 holds the largest distance as 32767."""
    if dtype != "int16":
        return 1.0
    starts = range(0, len(points), ROWS)
    return max(cdist(points[at : at + ROWS], points[at:]).max() for at in starts) / LARGEST_INT16


def band_over(
    points: np.ndarray, part: tuple[int, int], dtype: str, scale: float, missing: float = 0.0
) -> Band:
    """The band of some rows, computed block by block; missing: share of pairs that are left out,
    drawn from the band's place."""
    (start, stop), n = part, len(points)
    place = (start, stop, n)
    values = mds.new_band(n, start, stop, dtype)
    rng = np.random.default_rng((7, start))
    for at in range(start, stop, ROWS):
        block = cdist(points[at : min(at + ROWS, stop)], points[at:])
        if missing:
            block[rng.random(block.shape) < missing] = np.nan
        mds.fill_band(values, place, at, at, block, scale)
    return Band(values, place, scale)


def bands_over(points: np.ndarray, dtype: str, missing: float = 0.0) -> list[Band]:
    """All bands of the distances between points."""
    scale = scale_of(points, dtype)
    return [band_over(points, part, dtype, scale, missing) for part in mds.band_ranges(len(points))]


class Ours:
    """Guttman transforms by the kernel's blocks on a pool that stays: what `smacof` does."""

    def __init__(self, bands: list[Band], threads: int, weights: str = "none") -> None:
        self.bands, self.pool = bands, ThreadPoolExecutor(threads)
        dtype = str(bands[0].values.dtype)
        # Not relaxed, and never converged: every step is one transform, as scikit-learn's are.
        options = {"relax": False, "tol": -1.0, "max_iter": 10**9}
        self.problem = mds_problem.problem_over(self.over, weights, DIMS, dtype, **options)
        self.products: list[int] = []
        self.seen: list[float] = []

    @property
    def nbytes(self) -> int:
        """What a pass reads."""
        return sum(band.values.nbytes for band in self.bands)

    def over(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        return list(self.pool.map(lambda band: function(band, *args), self.bands))

    def run(self, x: np.ndarray, calls: int) -> Timed:
        """(state after 1 + calls transforms), median of `calls` transforms after a first one."""
        state, name = self._pass("heat", mds_steps.start_state(x, self.problem))
        took, self.products, self.seen = [], [], []
        for _ in range(calls + 1):
            started, started_cpu = time.perf_counter(), time.process_time()
            state, name = self._pass(name, state)
            while name == "solve":
                state, name = self._pass(name, state)
            took.append((time.perf_counter() - started, time.process_time() - started_cpu))
            self.products.append(state.products)
            self.seen.append(state.seen)
        return Timed(state, *np.median(took[1:], axis=0).tolist())

    def _pass(self, name: str, state: State) -> tuple[State, str]:
        mapped = self.over(functools.partial(_map, name), state, self.problem)
        return mds_steps.update(name, state, joined(mds_steps.add, mapped), self.problem)

    def seen_at(self, x: np.ndarray) -> float:
        """The stress as it falls out of a step from x."""
        state, name = self._pass("heat", mds_steps.start_state(x, self.problem))
        return float(self._pass(name, state)[0].seen)

    def stress(self, x: np.ndarray) -> float:
        """Exact, pair by pair in float64."""
        return float(joined(np.add, self.over(mds.stress_block, x, self.problem.weighting))[0])

    def close(self) -> None:
        self.pool.shutdown()


def _map(name: str, band: Band, state: State, problem: mds_problem.Problem) -> Any:
    return mds_steps.map_block(name, band, state, problem)


def transformed(points: np.ndarray, x: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """(map after so many Guttman transforms, its stress) as the definition says, in float64."""
    n, delta = len(points), cdist(points, points)
    for _ in range(count):
        apart = cdist(x, x)
        ratio = np.divide(delta, apart, out=np.zeros_like(delta), where=apart > 0)
        x = (ratio.sum(axis=1)[:, None] * x - ratio @ x) / n
    return x, float(np.square(delta - cdist(x, x)).sum() / 2)

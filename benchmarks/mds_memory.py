"""Peak memory of an iteration above what its process has: each in a fresh process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks import footprint
from benchmarks.away import Absent, Away
from benchmarks.mds_ours import Ours, bands_over, blobs, random_start
from kernels import mds

WARM_N = 1100  # float32 and int16 are computed as float32 from 1,001 records on
STEPS = 2
# Freed arrays go back at once: else the peak hides what an earlier one has left behind.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


class Measured:
    """Runs one of its methods once on a little, then on the points at a path."""

    def facts(self) -> dict[str, str]:
        return {}

    def ours(self, path: str, dtype: str, threads: int) -> int:
        """Bytes: bands computed from the points, and transforms over them."""

        def work(points: np.ndarray) -> Any:
            ours = Ours(bands_over(points, dtype), threads)
            return ours, ours.run(random_start(len(points)), STEPS)

        return self._peak(work, path)

    def whole(self, path: str, dtype: str, threads: int) -> int:
        """Bytes: the matrix in float64, and smacof() of it."""

        def work(points: np.ndarray) -> Any:
            matrix, start = cdist(points, points), random_start(len(points))
            options = {"dtype": dtype, "n_threads": threads, "max_iter": STEPS}
            return matrix, mds.smacof(matrix, init=start, **options)

        return self._peak(work, path)

    def scikit_learn(self, path: str, threads: int) -> int:
        """Bytes: the matrix in float64, and scikit-learn's iterations over it."""
        from sklearn.manifold._mds import _smacof_single
        from threadpoolctl import threadpool_limits

        def work(points: np.ndarray) -> Any:
            matrix, start = cdist(points, points), random_start(len(points))
            with threadpool_limits(threads):
                return matrix, _smacof_single(matrix, init=start, max_iter=STEPS)

        return self._peak(work, path)

    def _peak(self, work: Any, path: str) -> int:
        points = np.load(path)
        work(blobs(min(WARM_N, len(points))))
        return footprint.above_own(lambda: work(points))

    def close(self) -> None:
        """Nothing is held."""


def peak(path: Path, method: str, *args: Any) -> int | None:
    """Bytes of a method of Measured; None where it cannot be had."""
    try:
        with Away("benchmarks.mds_memory:Measured", "numpy", GIVE_BACK) as away:
            return int(away.call(method, str(path), *args))
    except Absent:
        return None

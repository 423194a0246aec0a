"""Peak memory of an iteration above what its process has: each in a fresh process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks import footprint, harness, mds_ours, mds_tables
from benchmarks.away import Away
from benchmarks.harness import tell
from benchmarks.mds_ours import Ours, bands_over, blobs, random_start
from kernels import mds

if TYPE_CHECKING:
    from benchmarks.mds import Setting

PEER = mds_tables.PEER
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

    def scikit_learn(self, path: str, threads: int) -> int | None:
        """Bytes: the matrix in float64, and scikit-learn's iterations over it. None without it."""
        try:
            from sklearn.manifold._mds import _smacof_single
            from threadpoolctl import threadpool_limits
        except ImportError:
            return None

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


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """A record for each size, of as many threads as the most."""
    records = []
    for n in setting.sizes:
        watch = harness.Watch()
        found = _peaks(mds_ours.saved(folder, n), n, setting)
        records.append(
            watch.shares() | {
                "benchmark": "mds memory", "n": n, "threads": setting.most_threads,
                "toy": setting.toy, "memory": found,
            }
        )  # fmt: skip
        yield records[-1:]
    tell("\n## mds memory: peak of a few iterations above what the process had")
    tell(setting.table(*mds_tables.memories(records, setting.dtypes)))


def _peaks(path: Path, n: int, setting: Setting) -> dict[str, int | None]:
    """Peak bytes by dtype, 'smacof DTYPE' and peer."""
    found: dict[str, int | None] = {}
    threads, alone = setting.most_threads, n >= mds_ours.ALONE_N
    for dtype in mds_ours.dtypes_at(n, setting.dtypes):
        found[dtype] = peak(path, "ours", dtype, threads)
        if not alone:
            found[f"smacof {dtype}"] = peak(path, "whole", dtype, threads)
    if not alone and (setting.peers is None or PEER in setting.peers):
        found[PEER] = peak(path, "scikit_learn", threads)
    return found


def peak(path: Path, method: str, *args: Any) -> int | None:
    """Bytes of a method of Measured, in a process of its own; None: scikit-learn is not there."""
    package = "sklearn" if method == "scikit_learn" else "numpy"
    with Away("benchmarks.mds_memory:Measured", package, GIVE_BACK) as away:
        found = away.call(method, str(path), *args)
        return None if found is None else int(found)

"""KMeans: our kernel against the libraries in use; per iteration, and to convergence.

    iteration    one Lloyd iteration that measures every distance. Peers count with the fastest
                 of a few iterations, ours with the median of as many
    engine       the same through the engine with two workers, against the kernel in one process
    convergence  whole calls from the same centroids until the tolerance or 40 iterations

What was computed is verified after the clock has stopped.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, kmeans_checks, kmeans_convergence, kmeans_engine, points
from benchmarks.harness import Contender, tell
from benchmarks.kmeans_crew import Crew, Ours
from benchmarks.points import Shape

PARTS = ("iteration", "engine", "convergence")
CALLS = 3  # iterations of a trial
ELKAN_CALLS = 10
FIT_CALLS = 3  # iterations that a fit of dask-ml or MLlib is longer than another
UNIT = "gproducts"
HEADING = (
    "contender", "BLAS", "ms", "lowest", "highest", "ours is", "lowest", "highest", "by CPU",
)  # fmt: skip
SPARK_SHAPES = ("k100", "k500")


@dataclass(frozen=True)
class Setting:
    """What a run of this benchmark does."""

    shapes: tuple[str, ...] = tuple(points.SHAPES)
    dtypes: tuple[str, ...] = ("float32", "float64")
    threads: tuple[int, ...] = (1, 2)
    trials: int = 5
    parts: tuple[str, ...] = PARTS
    peers: tuple[str, ...] | None = None
    toy: bool = False
    table: Callable[[Any, Any], str] = harness.table

    @property
    def most_threads(self) -> int:
        return max(self.threads)


def run(setting: Setting) -> Iterator[list[dict]]:
    """Measure, verify and show; the records of one table after the other."""
    with (
        tempfile.TemporaryDirectory(prefix="whorl-benchmark-") as scratch,
        Crew(setting.peers) as crew,
    ):
        folder = Path(scratch)
        if "iteration" in setting.parts:
            for name in setting.shapes:
                yield from _iterations(points.shape_of(name, setting.toy), setting, crew, folder)
        if "engine" in setting.parts:
            yield from kmeans_engine.run(setting, folder)
        if "convergence" in setting.parts:
            yield from kmeans_convergence.run(setting, crew, folder)


def _iterations(shape: Shape, setting: Setting, crew: Crew, folder: Path) -> Iterator[list[dict]]:
    for dtype in setting.dtypes:
        path = points.saved(folder, shape, "clustered", dtype)
        drawn = np.load(path)
        for threads in setting.threads:
            yield [_Iteration(shape, path, drawn, threads, setting, crew).measured()]


class _Iteration:
    """One table: a shape, a dtype and a number of threads."""

    def __init__(
        self,
        shape: Shape,
        path: Path,
        drawn: np.ndarray,
        threads: int,
        setting: Setting,
        crew: Crew,
    ):
        self.shape, self.path, self.drawn, self.threads = shape, path, drawn, threads
        self.setting, self.crew = setting, crew
        self.start = points.start(shape, drawn)
        self.methods: dict[str, tuple[str, str]] = {}

    def measured(self) -> dict:
        ours = Ours(self.drawn, self.threads)
        mine = Contender(
            "ours", "", self.shape.products, lambda: ours.run(self.start, CALLS), unit=UNIT
        )
        watch = harness.Watch()
        group = [mine, *self._peers()]
        harness.alternate(group, self.setting.trials)
        shares = watch.shares()
        verified = kmeans_checks.iteration(self.drawn, self.start, ours, group)
        ours.close()
        self._show(group, verified, shares)
        return shares | {
            "benchmark": "kmeans iteration",
            "shape": self.shape.name,
            "n": [self.shape.n, self.shape.d, self.shape.n_clusters],
            "dtype": str(self.drawn.dtype),
            "threads": self.threads,
            "toy": self.setting.toy,
            "trials": self.setting.trials,
            "contenders": [contender.record() for contender in group],
            "comparisons": [harness.comparison(mine, other) for other in group[1:]],
            "blas": {name: self._blas(name) for name in self.methods},
            "peers": self.crew.facts,
            "absent": self.crew.absent,
            "verified": verified,
        }

    def _peers(self) -> list[Contender]:
        found = [self._peer("scikit-learn lloyd", "scikit-learn", "lloyd", CALLS)]
        if self.drawn.dtype == np.float32:
            found.append(self._peer("faiss", "faiss", "iteration", CALLS))
            if self.threads == self.setting.most_threads:
                found += [
                    self._peer("scikit-learn elkan", "scikit-learn", "elkan", ELKAN_CALLS, once=1),
                    self._peer("dask-ml", "dask-ml", "iteration", FIT_CALLS, once=1),
                ]
                if self.shape.name in SPARK_SHAPES:
                    found.append(self._peer("MLlib", "MLlib", "iteration", FIT_CALLS, once=1))
        return [peer for peer in found if peer is not None]

    def _peer(
        self, name: str, peer: str, method: str, calls: int, once: int | None = None
    ) -> Contender | None:
        """once: takes part in the first round only, its warm-up is one iteration."""
        if not self.crew.has(peer):
            return None
        start: Any = self.shape.n_clusters if peer == "MLlib" else self.start
        at = (peer, self.path, self.threads, method)
        self.methods[name] = (peer, method)
        return Contender(
            name,
            "",
            self.shape.products,
            lambda: self.crew.call(*at, start, calls),
            elsewhere=peer == "MLlib",
            unit=UNIT,
            trials=once,
            warm_up=lambda: self.crew.warm_up(*at, start, 1 if once else calls),
        )

    def _blas(self, name: str) -> str:
        peer, method = self.methods[name]
        return self.crew.blas_of(peer, self.path, self.threads, method)

    def _show(self, group: list[Contender], verified: dict, shares: dict) -> None:
        plural = "s" if self.threads > 1 else ""
        tell(f"\n## {self.shape.words}, {self.drawn.dtype}, {self.threads} thread{plural}")
        blas = {name: self._blas(name) for name in self.methods}
        tell(self.setting.table(HEADING, rows(group, blas)))
        for line in [*verified["lines"], harness.disturbance(shares)]:
            tell(line)


def rows(group: list[Contender], second: dict[str, str]) -> list[tuple[str, ...]]:
    """Milliseconds and ratios of a group whose first is ours."""
    found = []
    for contender in group:
        low, middle, high = harness.spread(contender.seconds)
        row = [contender.name, second.get(contender.name, "")]
        row += [f"{1000 * value:.2f}" for value in (middle, low, high)]
        if contender is group[0]:
            row += ["", "", "", ""]
        else:
            low, middle, high = harness.spread(harness.ratios(group[0], contender))
            by_cpu = harness.cpu_ratio(group[0], contender)
            row += [f"{value:.2f}x" for value in (middle, low, high)]
            row.append("" if by_cpu is None else f"{by_cpu:.2f}x")
        found.append(tuple(row))
    return found

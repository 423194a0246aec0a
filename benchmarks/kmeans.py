"""KMeans: our kernel against the libraries in use; per iteration, and to convergence.

    iteration    one Lloyd iteration that measures every distance. Peers count with the fastest
                 of a few iterations, ours with the median of as many. Beside it those with bounds,
                 the mean of ten: scikit-learn's elkan, and ours as it usually runs
    engine       the same through the engine with two workers, against the kernel in one process
    convergence  whole calls from the same centroids until the tolerance or 40 iterations

What was computed is verified after the clock has stopped.
"""

from __future__ import annotations

import functools
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
BOUNDED_CALLS = 10
FIT_CALLS = 3  # iterations that a fit of dask-ml or MLlib is longer than another
UNIT = "gproducts"
HEADING = (
    "contender", "BLAS", "ms", "lowest", "highest", "ours is", "lowest", "highest", "by CPU",
)  # fmt: skip
DASK_SHAPES = ("k100", "k500")  # dask-ml and MLlib: minutes for the others, too
ONE_THREAD_TRIALS = 3


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
        before: dict | None = None
        for threads in sorted(setting.threads, reverse=True):
            run = _Iteration(shape, path, drawn, threads, setting, crew)
            before = run.measured(before)
            yield [before]


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

    @property
    def trials(self) -> int:
        one = self.threads < self.setting.most_threads
        return min(self.setting.trials, ONE_THREAD_TRIALS) if one else self.setting.trials

    def measured(self, before: dict | None) -> dict:
        """The record. before: that of another number of threads, from which what we compute must
        not differ."""
        ours = Ours(self.drawn, self.threads)
        mine = Contender(
            "ours", "", self.shape.products, lambda: ours.run(self.start, CALLS), unit=UNIT
        )
        watch = harness.Watch()
        group = [mine, *self._peers()]
        if any(contender.name == "scikit-learn elkan" for contender in group):
            bounded = functools.partial(ours.run_bounded, self.start, BOUNDED_CALLS)
            name = "ours with bounds"
            group.append(Contender(name, "", self.shape.products, bounded, unit=UNIT, trials=1))
        harness.alternate(group, self.trials)
        shares = watch.shares()
        verified = kmeans_checks.iteration(self.drawn, self.start, ours, group, before)
        ours.close()
        self._show(group, verified, shares)
        return shares | {
            "benchmark": "kmeans iteration",
            "shape": self.shape.name,
            "n": [self.shape.n, self.shape.d, self.shape.n_clusters],
            "dtype": str(self.drawn.dtype),
            "threads": self.threads,
            "toy": self.setting.toy,
            "trials": self.trials,
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
                elkan = ("scikit-learn elkan", "scikit-learn", "elkan", BOUNDED_CALLS)
                found.append(self._peer(*elkan, once=1))
                if self.shape.name in DASK_SHAPES:
                    for name in ("dask-ml", "MLlib"):
                        found.append(self._peer(name, name, "iteration", FIT_CALLS, once=1))
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
        solvers = [contender.result for contender in group if contender.name == "MLlib"]
        if solvers:
            blas["MLlib"] += f", {solvers[0]}"
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

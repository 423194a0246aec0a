"""KMeans to convergence: whole calls, from the same centroids, under the same tolerance.

Ours and scikit-learn's lloyd take turns; who is far slower runs once. MLlib takes no centroids, so
one more run of ours starts from those that it drew, for as many iterations and with no tolerance.
faiss knows no tolerance and goes on until nothing moves. Empty clusters get the farthest points
from ours and scikit-learn; faiss splits others, MLlib leaves them: there inertias may differ.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, points
from benchmarks.harness import Contender, Timed, tell
from benchmarks.kmeans_checks import nearest, squared
from benchmarks.kmeans_crew import Crew, Ours
from benchmarks.kmeans_peers import timed
from benchmarks.points import Shape
from kernels import kmeans

if TYPE_CHECKING:
    from benchmarks.kmeans import Setting

SHAPE = "k500"
TRIALS = 3
MAX_ITER, TOLERANCE = 40, 1e-4
SPARK_ITERATIONS, TOY_ITERATIONS = 10, 3
CLOSE = 1e-9  # of the inertia told and the one that the labels have
ALIKE = 1e-3  # of the inertia of the others: float32 sums part ways
HEADING = ("contender", "iterations", "s", "lowest", "highest", "ours is", "inertia")


def run(setting: Setting, crew: Crew, folder: Path) -> Iterator[list[dict]]:
    """One record for clustered, one for uniform points; those for MLlib and dask-ml clustered."""
    shape = points.shape_of(SHAPE, setting.toy)
    for kind in points.KINDS:
        path = points.saved(folder, shape, kind, "float32")
        drawn = np.load(path)
        run = _Run(shape, path, drawn, setting, crew)
        group = run.group(with_dask=kind == points.KINDS[0])
        yield [_measured(group, min(TRIALS, setting.trials), kind, drawn, setting, shape)]
        if kind == points.KINDS[0] and crew.has("MLlib"):
            yield [_measured(run.against_spark(), 1, "clustered, MLlib", drawn, setting, shape)]


class _Run:
    """Contenders on one set of points. Each gives (labels or None, centroids, inertia, count)."""

    def __init__(
        self, shape: Shape, path: Path, drawn: np.ndarray, setting: Setting, crew: Crew
    ) -> None:
        self.shape, self.path, self.drawn, self.crew = shape, path, drawn, crew
        self.threads = setting.most_threads
        self.spark_iterations = TOY_ITERATIONS if setting.toy else SPARK_ITERATIONS
        self.start = points.start(shape, drawn)

    def group(self, with_dask: bool) -> list[Contender]:
        fit = ("scikit-learn", "fit", self.start)
        group = [self.ours("ours", self.start, MAX_ITER, TOLERANCE)]
        group.append(self._peer("scikit-learn lloyd", *fit, "lloyd", MAX_ITER, TOLERANCE))
        group.append(self._peer("faiss", "faiss", "fit", self.start, MAX_ITER, once=True))
        group.append(
            self._peer("scikit-learn elkan", *fit, "elkan", MAX_ITER, TOLERANCE, once=True)
        )
        if with_dask:
            dask = ("dask-ml", "dask-ml", "fit", self.start, MAX_ITER, TOLERANCE)
            group.append(self._peer(*dask, once=True))
        return [contender for contender in group if contender is not None]

    def against_spark(self) -> list[Contender]:
        count = self.spark_iterations
        k = self.shape.n_clusters
        drawn = self.crew.ask("MLlib", self.path, self.threads, "start", k)
        peer = self._peer("MLlib", "MLlib", "fit", k, count, once=True)
        assert peer is not None
        return [self.ours("ours, MLlib's start", drawn, count, 0.0), peer]

    def ours(self, name: str, start: np.ndarray, max_iter: int, tol: float) -> Contender:
        counts: list[int] = []

        def run() -> Timed:
            found, *took = timed(
                lambda: kmeans.kmeans(
                    self.drawn,
                    self.shape.n_clusters,
                    init=np.asarray(start, np.float64),
                    n_init=1,
                    max_iter=max_iter,
                    tol=tol,
                    n_threads=self.threads,
                )
            )
            if not counts:  # it does not tell them
                counts.append(self._iterations(start, max_iter, tol))
            return Timed((found.labels, found.centroids, found.inertia, counts[0]), *took)

        return Contender(name, "", 1, run, unit="")

    def _iterations(self, start: np.ndarray, max_iter: int, tol: float) -> int:
        """How many the same steps take; those that fill empty clusters are not counted."""
        with contextlib.closing(Ours(self.drawn, self.threads)) as ours:
            state, count = kmeans.start_state(start), 0
            while count < max_iter and not state.shift <= tol * ours.frame.variance:
                state = ours.step(state)
                while len(state.weights):
                    state = ours.step(state)
                count += 1
            return count

    def _peer(
        self, name: str, peer: str, method: str, *args: Any, once: bool = False
    ) -> Contender | None:
        if not self.crew.has(peer):
            return None
        at = (peer, self.path, self.threads)

        def run() -> Timed:
            answer = self.crew.call(*at, method, *args)
            return Timed(_alike(peer, answer.result), answer.seconds, answer.cpu_s)

        def warm_up() -> None:
            """A short one in every process of the peer: the faster one goes on."""
            counts = (MAX_ITER, self.spark_iterations)
            short = [1 if isinstance(arg, int) and arg in counts else arg for arg in args]
            self.crew.warm_up(*at, method, *short)

        trials = 1 if once else None
        return Contender(name, "", 1, run, unit="", trials=trials, warm_up=warm_up)


def _alike(peer: str, found: tuple) -> tuple:
    """(labels, centroids, inertia, iterations), None for what a library does not tell."""
    if peer == "scikit-learn":
        return found
    if peer == "dask-ml":
        return (None, *found)
    return None, found[0], found[1], len(found[2]) if peer == "faiss" else None


def _measured(
    group: list[Contender],
    trials: int,
    kind: str,
    drawn: np.ndarray,
    setting: Setting,
    shape: Shape,
) -> dict:
    watch = harness.Watch()
    harness.alternate(group, trials)
    shares = watch.shares()
    verified = verify(drawn, group)
    tell(f"\n## {shape.words}, float32, {kind}: to convergence, {setting.most_threads} threads")
    tell(setting.table(HEADING, _rows(group, verified)))
    for line in [*verified["lines"], harness.disturbance(shares)]:
        tell(line)
    return shares | {
        "benchmark": "kmeans convergence",
        "shape": shape.name,
        "points": kind,
        "threads": setting.most_threads,
        "toy": setting.toy,
        "max_iter": MAX_ITER,
        "tolerance": TOLERANCE,
        "contenders": [contender.record() for contender in group],
        "comparisons": [harness.comparison(group[0], other) for other in group[1:]],
        "verified": verified,
    }


def verify(drawn: np.ndarray, group: list[Contender]) -> dict:
    """The inertia that ours tells is that of its labels, and not above the peers'. Theirs are
    measured anew from their centroids, as float32 sums would tell anything."""
    labels, centroids, told, _ = group[0].result
    mine = float(squared(drawn, centroids, labels).sum())
    found = {"inertia": {group[0].name: mine}, "told": abs(told / mine - 1)}
    for peer in group[1:]:
        others = np.asarray(peer.result[1], np.float64)
        found["inertia"][peer.name] = float(squared(drawn, others, nearest(drawn, others)).sum())
    worse = {name: mine / value - 1 for name, value in found["inertia"].items()}
    wrong = {name: share for name, share in worse.items() if share > ALIKE and name != "faiss"}
    correct = found["told"] <= CLOSE and not wrong
    line = f"ours {'right' if correct else 'WRONG'}: inertia to {found['told']:.0e}"
    line += f", worse than {', '.join(wrong)}" if wrong else ""
    return found | {"correct": correct, "lines": [line]}


def _rows(group: list[Contender], verified: dict) -> list[list[str]]:
    rows = []
    for contender in group:
        low, middle, high = harness.spread(contender.seconds)
        ratio = statistics.median(harness.ratios(group[0], contender))
        count = contender.result[3]
        rows.append(
            [
                contender.name,
                "" if count is None else str(count),
                *(f"{value:.2f}" for value in (middle, low, high)),
                "" if contender is group[0] else f"{ratio:.2f}x",
                f"{verified['inertia'][contender.name]:.8g}",
            ]
        )
    return rows

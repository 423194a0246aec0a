"""The runs of `run kmeans`: every number of clusters, each from several starts, once only.

Run R of K clusters is called K-R. It depends on the points, the options and (random_state, R) only:
neither on the runs before it nor on the other values of K.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kernels import kmeans, kmeans_start
from kernels.kmeans import Frame
from pipelines.engine import Engine
from pipelines.engine.partitions import Partitions
from pipelines.engine.tree import reduce_pairwise
from pipelines.iterations import IterationLog
from pipelines.kmeans_blocks import Pass, inertia_block, jobs, on_block
from pipelines.kmeans_plan import Job
from pipelines.results import ResultFolder
from pipelines.trials import TrialRunner


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run from its start to its end. inertia: of the rows labelled by the centroids."""

    n_clusters: int
    run: int
    centroids: np.ndarray  # (k, d) float64
    inertia: float
    n_iter: int
    reason: str  # 'until' | 'stop' | 'max_iter'
    reseeded: int  # iterations that gave points to empty clusters

    @property
    def converged(self) -> bool:
        return self.reason != "max_iter"


@dataclasses.dataclass(frozen=True)
class Trials:
    """What all runs share."""

    job: Job
    engine: Engine
    results: ResultFolder
    partitions: Partitions
    frame: Frame
    log: IterationLog

    @property
    def what(self) -> Pass:
        """What a pass over the blocks needs."""
        tol_shift = self.job.config.tol * self.frame.variance
        bounds = self.job.config.bounds != "off"
        return Pass(self.job.rows, self.frame, bounds, tol_shift)

    def best(self, n_clusters: int) -> Trial:
        """Of the runs with that many clusters the one with the smallest inertia, of equal ones
        the first."""
        several = len(self.job.clusters) * self.job.config.n_init > 1
        runs = [self.one(n_clusters, run, several) for run in range(self.job.config.n_init)]
        return min(runs, key=lambda trial: trial.inertia)

    @property
    def runner(self) -> TrialRunner:
        """What iterates."""
        return TrialRunner(self.engine, self.partitions, self.results, self.log, self.job.config)

    def one(self, n_clusters: int, run: int, measured: bool) -> Trial:
        """A run, from where it was left. measured: find its inertia, by one more pass."""
        name, runner = f"{n_clusters}-{run}", self.runner
        number = self.job.clusters.index(n_clusters) * self.job.config.n_init + run
        self.log.begin(number, n_clusters=n_clusters)
        kept = runner.kept(name, Trial)
        if kept is not None:
            return kept
        trial = self._iterate(n_clusters, run, name)
        if measured:
            parts = self.engine.map_partitions(
                inertia_block, self.partitions, trial.centroids, self.what, key="inertia"
            )
            trial = dataclasses.replace(trial, inertia=reduce_pairwise(float.__add__, parts))
            runner.keep(name, trial)
        return trial

    def _iterate(self, n_clusters: int, run: int, name: str) -> Trial:
        done = self.runner.iterate(
            name, jobs(self.what), (self.what,), self.job.config.max_iter,
            blank=kmeans.start_state(np.zeros((n_clusters, self.job.points.d))),
            start=lambda: self._start(n_clusters, run),
        )  # fmt: skip
        reseeded = sum(row["job"] == "reseed" for row in self.log.of_run())
        return Trial(
            n_clusters, run, done.state.centroids, np.nan, done.n_iter, done.reason, reseeded
        )

    def _start(self, n_clusters: int, run: int) -> kmeans.State:
        job = self.job

        def over(function: Any, *args: Any) -> list[Any]:
            return self.engine.map_partitions(
                on_block, self.partitions, function, job.rows, *args, key="start"
            )

        centroids = job.given
        if centroids is None:
            centroids = kmeans_start.start(
                job.method(n_clusters), over, self.frame, n_clusters,
                (job.options.random_state, run), weighted=job.weights is not None,
            )  # fmt: skip
        return kmeans.start_state(centroids)

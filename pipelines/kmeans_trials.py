"""The runs of `run kmeans`: every number of clusters, each from several starts, once only.

    .work/trials/K-R.npz            run R of K clusters is over: its centroids, what became of it
    .work/trials/K-R/N.json         iterations of an unfinished run up to its checkpoint N
    .work/checkpoints/K-R/N.npz     the state of an unfinished run after N iterations

All runs work on the same partitions, which stay where they are. A run depends on the points, the
options and (random_state, R) only: neither on the runs before it nor on the other values of K.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
from typing import Any

import numpy as np

from kernels import kmeans, kmeans_start
from kernels.kmeans import Frame
from pipelines.engine import Engine, iterate
from pipelines.engine.checkpoint import Checkpoints
from pipelines.engine.partitions import Partitions
from pipelines.engine.tree import reduce_pairwise
from pipelines.iterations import IterationLog
from pipelines.kmeans_blocks import Pass, inertia_block, jobs, on_block
from pipelines.kmeans_plan import Job
from pipelines.results import ResultFolder
from storage.errors import KeyMissing
from storage.folder import Folder

SLOW_START_S = 1.0  # a start that took longer is kept as a checkpoint


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

    def one(self, n_clusters: int, run: int, measured: bool) -> Trial:
        """A run, from where it was left. measured: find its inertia, by one more pass."""
        folder, name = self.results.folder, f"{n_clusters}-{run}"
        number = self.job.clusters.index(n_clusters) * self.job.config.n_init + run
        self.log.begin(number, n_clusters=n_clusters)
        kept = read_trial(folder, self.results.work_key(f"trials/{name}.npz"))
        if kept is not None:
            trial, rows = kept
            self.log.rows += rows
            return trial
        trial = self._iterate(n_clusters, run, name)
        if measured:
            parts = self.engine.map_partitions(
                inertia_block, self.partitions, trial.centroids, self.what, key="inertia"
            )
            trial = dataclasses.replace(trial, inertia=reduce_pairwise(float.__add__, parts))
            data = trial_bytes(trial, self.log.of_run())
            folder.put(self.results.work_key(f"trials/{name}.npz"), data)
            folder.delete_tree(self.results.work_key(f"trials/{name}"))
            folder.delete_tree(self.results.work_key(f"checkpoints/{name}"))
        return trial

    def _iterate(self, n_clusters: int, run: int, name: str) -> Trial:
        config, folder = self.job.config, self.results.folder
        prefix = self.results.work_key(f"checkpoints/{name}")
        rows_prefix = self.results.work_key(f"trials/{name}")
        blank = kmeans.start_state(np.zeros((n_clusters, self.job.points.d)))
        apart = config.checkpoint_every, config.checkpoint_seconds
        with LoggedCheckpoints(folder, prefix, *apart, self.log, rows_prefix) as checkpoints:
            found = checkpoints.latest(like=blank)
            if found is None:
                state = self._start(n_clusters, run, checkpoints)
            else:
                state = blank  # iterate() goes on from the checkpoint
                self.log.rows += earlier_rows(folder, rows_prefix, found[0])
            checkpoints.kept = len(self.log.rows)
            done = iterate(
                self.engine, self.partitions, state=state, jobs=jobs(self.what),
                args=(self.what,), max_iter=config.max_iter, checkpoints=checkpoints,
                chunk_s=config.chunk_seconds,
            )  # fmt: skip
        reseeded = sum(row["job"] == "reseed" for row in self.log.of_run())
        return Trial(
            n_clusters, run, done.state.centroids, np.nan, done.n_iter, done.reason, reseeded
        )

    def _start(self, n_clusters: int, run: int, checkpoints: Checkpoints) -> kmeans.State:
        job, begun = self.job, time.monotonic()

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
        state = kmeans.start_state(centroids)
        if time.monotonic() - begun > SLOW_START_S:
            checkpoints.save(0, "lloyd", state)
        return state


class LoggedCheckpoints(Checkpoints):
    """Checkpoints that keep, before each state, what was recorded of the iterations up to it.

    kept   rows of the log that need not be kept: earlier ones, or of other runs
    """

    def __init__(
        self, folder: Folder, prefix: str, every: int, seconds: float, log: IterationLog,
        rows_prefix: str,
    ):  # fmt: skip
        super().__init__(folder, prefix, every, seconds)
        self.kept = len(log.rows)
        self._log, self._rows_prefix = log, rows_prefix

    def save(self, iteration: int, job: str, state: Any) -> None:
        rows, self.kept = self._log.rows[self.kept :], len(self._log.rows)
        key = f"{self._rows_prefix}/{iteration:010d}.json"
        self.folder.put(key, json.dumps(rows).encode())
        super().save(iteration, job, state)


def earlier_rows(folder: Folder, prefix: str, most: int) -> list[dict[str, Any]]:
    """What was kept of the iterations up to `most`, each once."""
    found: dict[int, dict[str, Any]] = {}
    for _, data in sorted(folder.get_many(folder.list(prefix)).items()):
        found |= {row["iteration"]: row for row in json.loads(data)}
    return [row for iteration, row in sorted(found.items()) if iteration <= most]


def trial_bytes(trial: Trial, rows: list[dict[str, Any]]) -> bytes:
    """A trial as an .npz file without pickle."""
    facts = dataclasses.asdict(trial)
    centroids = facts.pop("centroids")
    text = np.frombuffer(json.dumps({"trial": facts, "rows": rows}).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, centroids=centroids, facts=text)
    return file.getvalue()


def read_trial(folder: Folder, key: str) -> tuple[Trial, list[dict[str, Any]]] | None:
    """A trial that is over and the rows of its iterations; None when there is none, or damaged."""
    try:
        with np.load(io.BytesIO(folder.get(key)), allow_pickle=False) as file:
            facts = json.loads(bytes(file["facts"]))
            return Trial(centroids=file["centroids"], **facts["trial"]), facts["rows"]
    except KeyMissing:
        return None
    except Exception:  # whatever damaged bytes make of a zip file: the run is done again
        return None

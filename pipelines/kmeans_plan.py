"""What `run kmeans` is going to do: its input, checked, and blocks, starts, time and memory."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.kmeans import block_ranges, usual_start
from pipelines.app import RunOptions, range_of
from pipelines.engine import row_ranges
from pipelines.engine.memory import in_words, worker_need
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.label_array import LabelLayout
from pipelines.formats.labels import Labels, label_warnings, read_labels, row_numbers
from pipelines.formats.points import Points, load_rows, open_points
from pipelines.kmeans_blocks import BlockSource
from pipelines.plan_words import count

if TYPE_CHECKING:
    from pipelines.kmeans import Config

METHODS = ("k-means++", "k-means||", "random")
CELLS_PER_SECOND = 5e9  # points x clusters x columns of one core, roughly
USUAL_ITERATIONS = 25
READ_BYTES_PER_SECOND = 4e8
ROW_BYTES = 24  # what the kernels remember of a row: label, bounds, distance while starting
WORKER_BASE_BYTES = 300 << 20  # Python, Numba, Dask and the compiled kernels
TABLE_ROWS = 5_000_000  # beyond, labels.tsv is not written
SAMPLE_ROWS, SAMPLE_NUMBERS = 20_000, 4_000_000  # of the points that the report shows
CHECK_ROWS = 1 << 20  # weights that are checked at a time


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked input and the plan for it."""

    config: Config
    options: RunOptions
    points: Points
    weights: Points | None
    labels: Labels | None
    given: np.ndarray | None  # centroids to start from, (k, d) float64
    inputs: list[dict[str, Any]]
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @functools.cached_property
    def clusters(self) -> range:
        """Each number of clusters that is tried."""
        low, high = range_of(self.config.n_clusters)
        return range(low, high + 1)

    @property
    def most_clusters(self) -> int:
        return self.clusters[-1]

    @functools.cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Rows of each block: of the input and the options only."""
        size = self.options.block_size
        n = self.points.n
        return block_ranges(n) if size == "auto" else row_ranges(n, int(size))

    @property
    def rows(self) -> int:
        """Of a block; the last one may have fewer."""
        return self.ranges[0][1]

    def sources(self) -> list[BlockSource]:
        """What a worker needs to load each block."""
        return [
            BlockSource(
                self.points.source(*part), self.weights.source(*part) if self.weights else None
            )
            for part in self.ranges
        ]

    @property
    def layout(self) -> LabelLayout:
        """How the labels are stored."""
        return LabelLayout(self.points.n, self.rows, {"kind": "labels", "of": "clusters"})

    def method(self, n_clusters: int) -> str:
        """How centroids are drawn, for init auto."""
        if self.config.init != "auto":
            return self.config.init
        return usual_start(self.points.n, n_clusters)

    @property
    def sample_rows(self) -> np.ndarray:
        """Numbers of the rows that silhouettes and the report look at, in the order drawn."""
        rng = np.random.default_rng((self.options.random_state, 0x5A3B1E))
        most = min(SAMPLE_ROWS, SAMPLE_NUMBERS // self.points.d)
        most = min(max(most, self.config.silhouette_sample, 1), self.points.n)
        return rng.choice(self.points.n, most, replace=False)

    @property
    def has_table(self) -> bool:
        """Whether labels.tsv is written."""
        return self.points.n <= TABLE_ROWS

    @functools.cached_property
    def estimated_seconds(self) -> float:
        """Of one core, for a usual number of iterations."""
        clusters = sum(self.clusters) * self.config.n_init
        cells = self.points.n * clusters * (self.points.d + 4.0)
        passes = min(self.config.max_iter, USUAL_ITERATIONS) + 10
        reading = self.nbytes / READ_BYTES_PER_SECOND
        return cells * passes / CELLS_PER_SECOND + reading

    @property
    def nbytes(self) -> int:
        """Of all points and weights in memory."""
        weights = 8 * self.points.n if self.weights is not None else 0
        return self.points.n * self.points.d * self.points.dtype.itemsize + weights

    @property
    def block_bytes(self) -> int:
        """Memory of one block in work: its points, and what the kernels keep of them."""
        return self.nbytes * self.rows // self.points.n + ROW_BYTES * self.rows

    @property
    def broadcast_bytes(self) -> int:
        """Memory that a worker needs for states: those of all blocks while they are combined."""
        depth = math.ceil(math.log2(len(self.ranges))) + 4
        return depth * 8 * self.most_clusters * (self.points.d + 2)

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk."""
        table = 24 * self.points.n if self.has_table else 0
        states = 4 * 8 * self.most_clusters * (self.points.d + 2) * self.config.n_init
        return self.layout.max_bytes + table + states + 8 * SAMPLE_NUMBERS + (10 << 20)

    @property
    def worker_bytes(self) -> int:
        """Memory that one local worker needs at least; points beyond its memory lie on its disk."""
        threads = 1 if self.options.executor == "serial" else self.options.nthreads
        return worker_need(self.block_bytes, 1, threads, WORKER_BASE_BYTES, self.broadcast_bytes)

    def new_token(self) -> bytes:
        """Written under the output; a worker that cannot read it does not see the output."""
        return f"{self.inputs[0]['path']} {os.getpid()} {time.time_ns()}".encode()

    @property
    def resolved(self) -> dict[str, Any]:
        """What 'auto' stands for."""
        methods = [self.method(k) for k in self.clusters]
        return {
            "init": methods[0] if len(set(methods)) == 1 else "auto",
            "bounds": "on" if self.config.bounds == "auto" else self.config.bounds,
            "block_size": self.rows,
        }

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        return [*self.points.warnings, *label_warnings(self.labels)]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        return {
            "points": self.points.n,
            "columns": self.points.d,
            "dtype": str(self.points.dtype),
            "partitions": len(self.ranges),
            "rows_per_partition": self.rows,
            "n_clusters": list(self.clusters),
            "init": {str(k): self.method(k) for k in self.clusters},
            "runs": len(self.clusters) * self.config.n_init,
            "points_bytes": self.nbytes,
            "estimated_seconds": round(self.estimated_seconds, 2),
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        return plan_lines(self)


def make_job(config: Config, options: RunOptions) -> Job:
    """Open the input, check everything that can be wrong with it, choose the blocks."""
    started = time.perf_counter()
    points = open_points(config.points, columns=config.columns)
    most = range_of(config.n_clusters)[1]
    if most > points.n:
        raise UsageProblem(
            f"--n-clusters {config.n_clusters} is more than the {points.n:,} "
            f"{'point' if points.n == 1 else 'points'} in {config.points}."
        )
    weights = read_weights(config.sample_weight, points) if config.sample_weight else None
    given, inputs = None, [points.identity]
    if weights is not None:
        inputs.append(weights.identity)
    if config.init not in ("auto", *METHODS):
        given, identity = read_centroids(config.init, config, points)
        inputs.append(identity)
    ids = points.ids if points.ids is not None or not config.labels else row_numbers(points.n)
    return Job(
        config=config,
        options=options,
        points=points,
        weights=weights,
        labels=read_labels(config.labels, ids) if config.labels else None,
        given=given,
        inputs=inputs,
        seconds=time.perf_counter() - started,
        ready=time.perf_counter(),
    )


def read_weights(url: str, points: Points) -> Points:
    """The weights, a column of numbers. Raises InputProblem naming what is wrong with them."""
    weights = open_points(url, vector=True)
    if weights.d != 1 or weights.n != points.n:
        text = f"{url} holds {weights.n:,} x {weights.d} numbers for {points.n:,} points."
        raise InputProblem(text, remedy="One weight per point is expected, in one column.")
    total = 0.0
    for start in range(0, weights.n, CHECK_ROWS):
        part = load_rows(weights.source(start, min(start + CHECK_ROWS, weights.n)))[:, 0]
        if part.min() < 0:
            row = start + int(np.argmax(part < 0))
            text = f"{url}: the weight of row {row:,} (counted from 0) is {part[row - start]:g}."
            raise InputProblem(text, remedy="Weights are 0 or more.")
        total += float(part.sum(dtype=np.float64))
    if total <= 0:
        raise InputProblem(f"{url} holds no weight above 0.", remedy="Give one point a weight.")
    return weights


def read_centroids(url: str, config: Config, points: Points) -> tuple[np.ndarray, dict[str, Any]]:
    """Centroids to start from (k, d) float64, and their identity."""
    found = open_points(url)
    if found.d != points.d:
        text = f"{url} holds centroids of {found.d:,} columns, the points have {points.d:,}."
        raise InputProblem(text, remedy="Give centroids of the same columns, in the same order.")
    if range_of(config.n_clusters) != (found.n, found.n):
        raise UsageProblem(
            f"--init {url} holds {found.n:,} centroids, --n-clusters is {config.n_clusters}.",
            remedy=f"Use --n-clusters {found.n}.",
        )
    return load_rows(found.source(0, found.n)).astype(np.float64), found.identity


def plan_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Input, clusters, plan."""
    points, config = job.points, job.config
    weighted = ", weighted" if job.weights is not None else ""
    yield (
        "input",
        f"{config.points}: {count(points.n, 'point')} of {count(points.d, 'column')}, "
        f"{points.dtype}{weighted}",
    )
    yield "clusters", clusters_text(job)
    yield (
        "plan",
        f"{count(len(job.ranges), 'partition')} of up to {count(job.rows, 'row')} "
        f"({in_words(job.block_bytes)}), {in_words(job.nbytes)} in all, at least "
        f"{in_words(job.worker_bytes)} per worker",
    )
    if not job.has_table:
        yield (
            "labels",
            f"labels.zarr only, for more than {TABLE_ROWS:,} points; "
            "export DIR --to tsv writes the table",
        )


def clusters_text(job: Job) -> str:
    """'8, start k-means++ (auto), best of 10 runs, at most 300 iterations, tol 0.0001'"""
    config = job.config
    methods = sorted({job.method(k) for k in job.clusters})
    start = " or ".join(methods) + (" (auto)" if config.init == "auto" else "")
    runs = f", best of {config.n_init} runs" if config.n_init > 1 else ""
    some = str(job.clusters[0])
    if len(job.clusters) > 1:
        some = f"{some} to {job.most_clusters}, of which the largest silhouette is kept"
    return f"{some}, start {start}{runs}, at most {config.max_iter} iterations, tol {config.tol:g}"

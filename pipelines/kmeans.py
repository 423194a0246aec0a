"""KMeans clusters of points: exact Lloyd iterations on partitions that stay with the workers.

Labels are those of the nearest centroid in float64, whatever the executor and the number of
workers. The result folder holds the labels (labels.zarr, labels.tsv), the centroids
(centroids.npy), every iteration (inertia.tsv), a report (report.html) and what is needed to trust
and repeat it (run.json, checksums.sha256). An interrupted run goes on with --resume from its last
checkpoint.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from kernels import kmeans as kernel
from pipelines import kmeans_plan
from pipelines.app import IterativeOptions, RunOptions, argument, check_fields, option
from pipelines.engine import Engine
from pipelines.engine.partitions import Partitions
from pipelines.engine.tree import reduce_pairwise
from pipelines.errors import InputProblem
from pipelines.formats.points_staged import staged
from pipelines.iterations import IterationLog
from pipelines.kmeans_blocks import load_block, summarise, warm_up
from pipelines.kmeans_plan import Job
from pipelines.kmeans_results import (
    choose,
    make_files,
    report,
    take_sample,
    with_silhouette,
    write_all_labels,
)
from pipelines.kmeans_results import summarise as summarise_run
from pipelines.kmeans_trials import Trials
from pipelines.results import ResultFolder
from pipelines.run_steps import check_output, performance_page, refuse_small_workers

__all__ = ["Config", "prepare", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Config(IterativeOptions):
    """What is computed. The options of `run kmeans`, the names of `kernels.kmeans.kmeans`."""

    points: str = argument(
        "Table of numbers, a row per point (.npy, .npz, .csv, .tsv, .parquet, .zarr; path or URL), "
        "or an earlier result folder.",
        metavar="POINTS",
    )
    n_clusters: int | str = option(
        8, "Number of clusters, or a range LOW:HIGH of which the largest silhouette is kept.",
        kind="int-range", min=1, metavar="K|LOW:HIGH",
    )  # fmt: skip
    init: str = option(
        "auto", "Where to start: k-means++, k-means||, random rows, or a file of K centroids; auto "
        "is k-means++ up to 2e7 points x clusters, else k-means||.",
        metavar="auto|METHOD|FILE",
    )  # fmt: skip
    n_init: int = option(1, "Starts, of which the smallest inertia is kept.", min=1)
    max_iter: int = option(300, "Iterations of a run at most.", min=1)
    tol: float = option(
        1e-4, "Stop when the squared moves of all centroids sum up to no more than this part of "
        "the mean variance of the columns.", min=0,
    )  # fmt: skip
    columns: str | None = option(
        None, "Columns of a text or Parquet table to take, such as 1-4,7 or x,y.", metavar="LIST",
        shown_default="all",
    )  # fmt: skip
    sample_weight: str | None = option(
        None, "Weights of the points: a file of one column.", metavar="FILE",
        shown_default="all 1",
    )  # fmt: skip
    labels: str | None = option(
        None, "TSV file of id and true label: ARI, NMI and 1-NN agreement, colours in the report.",
        metavar="FILE.tsv", shown_default="none", changes_bytes=False,
    )  # fmt: skip
    bounds: str = option(
        "auto", "Skip distances that bounds rule out, or measure all; the labels are the same.",
        choices=("auto", "on", "off"), changes_bytes=False,
    )  # fmt: skip
    silhouette_sample: int = option(
        2000, "Points that silhouette and 1-NN agreement look at; 0 for none.", min=0
    )

    def __post_init__(self) -> None:
        check_fields(self)


def prepare(config: Config, options: RunOptions) -> Job:
    """Open and check the input, and plan the run; nothing is started or written.

    Raises InputProblem, UsageProblem.
    """
    return kmeans_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Cluster, write the result folder, return the content of run.json."""
    log, clock = IterationLog(), time.perf_counter
    engine.listen(log)
    entered = clock()
    partitions = start_work(job, engine, results)
    loaded = clock()
    with performance_page(engine) as pages:
        summaries = engine.map_partitions(summarise, partitions, job.rows, key="summary")
        frame = frame_of(job, summaries)
        trials = Trials(job, engine, results, partitions, frame, log)
        sample = take_sample(job, engine, partitions)
        tried = [with_silhouette(job, trials.best(k), sample) for k in job.clusters]
        chosen = choose(tried)
        iterated = clock()
        trial, sizes, nbytes = write_all_labels(trials, chosen.trial)
        chosen = dataclasses.replace(chosen, trial=trial)
    ended = clock()
    summary = summarise_run(trials, tried, chosen, sizes, nbytes) | {
        "phases": {
            "input": job.seconds,
            "start": entered - job.ready,
            "load": loaded - entered,
            "iterations": iterated - loaded,
            "labels": ended - iterated,
        }
    }
    files = make_files(trials, summary, tried, chosen, sample, pages)
    summary["phases"]["report"] = clock() - ended
    summary["seconds"] = sum(summary["phases"].values())
    return results.finish(summary, files, keep_work=job.options.keep_work)


def frame_of(job: Job, summaries: list[kernel.Summary]) -> kernel.Frame:
    """How all points lie. Raises InputProblem where they lie too far apart."""
    try:
        return kernel.frame_of(reduce_pairwise(kernel.join_summaries, summaries))
    except ValueError as error:
        raise InputProblem(f"{job.config.points}: {error}.") from error


def start_work(job: Job, engine: Engine, results: ResultFolder) -> Partitions:
    """Everything before the first pass: memory and output checked, kernels warm, points loaded."""
    refuse_small_workers(engine, job, kmeans_plan.WORKER_BASE_BYTES)
    check_output(engine, results, job.new_token())
    engine.run_everywhere(warm_up, str(job.points.dtype))
    costs = [float(stop - start) for start, stop in job.ranges]
    sources = readable_alone(job, results).sources()
    return engine.partitions(
        load_block, sources, costs=costs, key="points", replicas=job.config.replicas
    )


def readable_alone(job: Job, results: ResultFolder) -> Job:
    """The job with points whose blocks can be read each for itself, compressed input decompressed
    once into .work."""
    kept = {
        name: staged(values, results.folder, results.work_key(name), job.ranges)
        for name, values in (("points", job.points), ("weights", job.weights))
        if values is not None
    }
    return dataclasses.replace(job, **kept)

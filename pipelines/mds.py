"""Maps of records by multidimensional scaling (SMACOF) of their distances, weighted or annealed.

The distances are those of an earlier result or of a file; each worker reads its part of them once
and keeps it. The map is the same whatever the executor and the number of workers. The result folder
holds the map (coordinates.npy, coordinates.tsv), every iteration (stress.tsv), a sample of pairs
(shepard.npz), a report (report.html) and what is needed to trust and repeat it (run.json,
checksums.sha256). An interrupted run goes on with --resume from its last checkpoint.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from typing import Any, ClassVar

import numpy as np

from pipelines import mds_plan
from pipelines.app import IterativeOptions, RunOptions, argument, check_fields, option
from pipelines.engine import Engine, MemoryRefused
from pipelines.engine.partitions import Partitions
from pipelines.formats.dissimilarities import staged
from pipelines.iterations import IterationLog
from pipelines.mds_blocks import find_largest, load_bands, warm_up
from pipelines.mds_plan import Job
from pipelines.mds_results import make_files, measured, report
from pipelines.mds_results import summarise as summarise_run
from pipelines.mds_trials import Trials
from pipelines.partition_room import room_warnings
from pipelines.results import ResultFolder
from pipelines.run_steps import check_output, performance_page, refuse_small_workers

__all__ = ["Config", "prepare", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Config(IterativeOptions):
    """What is computed. The options of `run mds`, the names of `kernels.mds.smacof`."""

    KEEP_BYTES: ClassVar[tuple[str, ...]] = ("block_size",)  # bands follow from the input alone

    dissimilarities: str = argument(
        "Distances: an earlier result folder, .npy, .npz, .zarr, a table, PHYLIP or raw SALSA "
        "int16, square, condensed or one triangle; path or URL.",
        metavar="DISTANCES",
    )
    n_components: int = option(3, "Dimensions of the map.", min=1, max=16)
    weights: str = option(
        "none", "Weight of each pair: 1, 1/distance, distance^P (P from -4 to 4 in steps of a "
        "half), or those of a file.",
        metavar="none|sammon|power:P|FILE",
    )  # fmt: skip
    init: str = option(
        "auto", "Where to start: classical scaling (of landmarks above 500 records), at random, "
        "or a file of coordinates; auto is random with --anneal, else classical.",
        metavar="auto|classical|random|FILE",
    )  # fmt: skip
    n_init: int = option(
        1, "Starts, of which the smallest stress is kept; all but the first are random.", min=1
    )
    anneal: bool = option(
        False, "Deterministic annealing: short distances take part later, so that the map depends "
        "less on its start.",
    )  # fmt: skip
    cooling: float = option(
        0.95, "A temperature of --anneal in parts of the one before it.", min=0.1, max=0.999
    )
    relax: str = option(
        "on", "Steps that go farther than a transform, wherever they lower the stress.",
        choices=("on", "off"),
    )  # fmt: skip
    scaling: str = option(
        "absolute", "What of the distances counts: the numbers, their ratios, or (up to 5,000 "
        "records) their order.",
        choices=("absolute", "ratio", "ordinal"),
    )  # fmt: skip
    max_iter: int = option(300, "Transforms of a run at most (annealed: once it is cold).", min=1)
    tol: float = option(
        1e-6, "Stop when a transform lowers the stress by less than this part of the sum of "
        "squared distances on the map.", min=0,
    )  # fmt: skip
    dtype: str = option(
        "auto", "How distances are kept in memory; int16 takes 2 bytes a pair and rounds to "
        "1/32767 of the largest; auto: as they are stored.",
        choices=("auto", "float32", "float64", "int16"),
    )  # fmt: skip
    symmetrize: bool = option(False, "Take the mean of both halves where they differ.")
    kind: str = option(
        "auto", "Format of the file, where its content cannot tell.",
        choices=("auto", "salsa-int16-be", "salsa-int16-le"),
    )  # fmt: skip
    labels: str | None = option(
        None, "TSV file of id and label: 1-NN agreement on the map, colours in the report.",
        metavar="FILE.tsv", shown_default="none",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fields(self)


def prepare(config: Config, options: RunOptions) -> Job:
    """Open and check the input, and plan the run; nothing is started or written.

    Raises InputProblem, UsageProblem.
    """
    return mds_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Map, write the result folder, return the content of run.json."""
    log, clock = IterationLog(), time.perf_counter
    engine.listen(log)
    entered = clock()
    room = refuse_or_warn(job, engine)
    partitions = start_work(job, engine, results)
    loaded = clock()
    with performance_page(engine) as pages:
        trials = Trials(job, engine, results, partitions, log)
        best = trials.best()
        iterated = clock()
        found = measured(trials, best)
    ended = clock()
    summary = summarise_run(trials, found, room) | {
        "phases": {
            "input": job.seconds,
            "start": entered - job.ready,
            "load": loaded - entered,
            "iterations": iterated - loaded,
            "stress": ended - iterated,
        }
    }
    files = make_files(trials, summary, found, pages)
    engine.release(partitions)  # another stage may follow on the same workers
    summary["phases"]["report"] = clock() - ended
    summary["seconds"] = sum(summary["phases"].values())
    return results.finish(summary, files, keep_work=job.options.keep_work)


def refuse_or_warn(job: Job, engine: Engine) -> list[str]:
    """What to tell of distances that memory does not hold. Raises MemoryRefused."""
    try:
        refuse_small_workers(engine, job, mds_plan.WORKER_BASE_BYTES)
        return room_warnings(engine, job.nbytes, job.config, job.options)
    except MemoryRefused as error:
        pairs = f"{job.pairs:,} pairs x {job.pair_bytes} bytes"
        error.args = (f"{job.config.dissimilarities} has {pairs}; {error}",)
        raise


def start_work(job: Job, engine: Engine, results: ResultFolder) -> Partitions:
    """Everything before the first pass: output checked, kernels warm, distances loaded."""
    check_output(engine, results, secrets.token_bytes(16))
    config = job.config
    engine.run_everywhere(warm_up, job.dtype, config.n_components, job.weighting, config.scaling)
    costs = [float(cost) for cost in job.costs]
    sources = readable_alone(with_range(job, engine), results).sources()
    return engine.partitions(
        load_bands, sources, costs=costs, key="distances", replicas=config.replicas
    )


def readable_alone(job: Job, results: ResultFolder) -> Job:
    """The job with bands that each worker can read for itself: what is compressed or text is
    written into .work once."""
    kept = {
        name: staged(given, results.folder, results.work_key(f"staged-{name}"), job.ranges)
        for name, given in (("matrix", job.matrix), ("weights", job.weights))
        if given is not None
    }
    return dataclasses.replace(job, **kept)


def with_range(job: Job, engine: Engine) -> Job:
    """The job that knows its largest distance, where int16 needs it: by a pass over the input."""
    matrix = job.matrix
    if job.dtype != "int16" or matrix.dtype == np.int16 or matrix.high is not None:
        return job
    sources = [matrix.source(*part, matrix.kept) for part in job.ranges]
    found = engine.map(
        find_largest, sources, key=lambda source: f"mds-range-{source.start // mds_plan.STRIP}"
    )
    high = max(high for _, high in found)
    return dataclasses.replace(job, matrix=dataclasses.replace(matrix, high=high))

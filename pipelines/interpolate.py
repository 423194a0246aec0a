"""Place new items on a finished map: sequences, points, or rows of distances.

Every new item is fitted to its nearest landmarks, the map's own items, which stay where they are.
Sequences are aligned as those of the map were. The result folder holds the coordinates
(coordinates.npy, coordinates.tsv), the ids (ids.tsv), a report (report.html) and what is needed to
trust and repeat it (run.json, checksums.sha256). An interrupted run goes on with --resume.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from pipelines import interpolate_plan
from pipelines.app import RunOptions, argument, check_fields, option
from pipelines.engine import Broadcast, Engine, refuse_if_too_big
from pipelines.formats.points_staged import staged
from pipelines.happenings import Happenings
from pipelines.interpolate_blocks import Block, Done, OnMap, Work, block_key, place, warm_up
from pipelines.interpolate_input import NewSequences, landmarks_of
from pipelines.interpolate_plan import Job
from pipelines.interpolate_results import make_files, report, store_files, summarise
from pipelines.landmark_distances import Landmarks, SequenceLandmarks
from pipelines.results import ResultFolder, keep_input
from pipelines.run_steps import check_output, performance_page
from pipelines.swg import self_scores_of
from pipelines.swg_blocks import Sequences

__all__ = ["Config", "prepare", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Config:
    """What is placed, and where. The options of `run interpolate`."""

    new: str = argument(
        "FASTA file, table of points, or table of distances with a row for each new item and a "
        "column for each item of the map.",
        metavar="NEW",
    )
    onto: str = option(
        "", "Result folder of run mds or run sequences: the map.", metavar="DIR|URL",
        shown_default="none, required",
    )  # fmt: skip
    kind: str = option(
        "auto", "What NEW is; auto tells by its content: a table holds points where --landmarks is "
        "given, else distances.", choices=("auto", "sequences", "points", "distances"),
    )  # fmt: skip
    landmarks: str | None = option(
        None, "The map's own items: a file of their vectors, in the map's order, for new points; "
        "for new sequences their FASTA file, where it has moved.", metavar="FILE",
        shown_default="for sequences: the file that the map was made from", changes_bytes=False,
    )  # fmt: skip
    k: int = option(10, "Nearest landmarks that an item is fitted to.", min=1)
    n_far: int | str = option(
        "auto", "Other landmarks, drawn at random, that all items are fitted to as well: the "
        "nearest alone do not tell on which side of them an item lies; auto is up to 1000, of "
        "millions of points 100; 0 is the published method and the fastest.",
        min=0, kind="auto-int", metavar="auto|N",
    )  # fmt: skip
    n_landmarks: int = option(
        0, "Items of the map that are landmarks, drawn at random; 0 for all.", min=0
    )
    max_iter: int = option(1000, "Steps of the placement of an item at most.", min=1)
    tol: float = option(
        1e-6, "Stop when a step lowers the normalized stress of an item by less than that.", min=0
    )
    labels: str | None = option(
        None, "TSV file of id and label, of new items and of the map's: whether the nearest "
        "landmark on the map has the same label.", metavar="FILE.tsv", shown_default="none",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.onto:
            raise ValueError("--onto DIR is required: the map that new items are placed on.")


def prepare(config: Config, options: RunOptions) -> Job:
    """Open and check map and new items, and plan the run; nothing is started or written.

    Raises InputProblem, UsageProblem, DamagedResult.
    """
    return interpolate_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Place what is not placed yet, write the result folder, return the content of run.json."""
    seen, clock = Happenings(), time.perf_counter
    engine.listen(seen)
    entered = clock()
    results.update_status({"blocks": {"total": len(job.ranges)}})
    on_map, work = start_work(job, engine, results)
    done = {place[0]: Done.of(record) for place, record in results.done_records().items()}
    earlier = len(done)
    blocks = [block for block in readable_alone(job, results).blocks() if block.index not in done]
    seen.note("Started", blocks=len(blocks), done_before=earlier)
    begun = clock()
    with performance_page(engine) as pages:
        for block, found in engine.map(place, blocks, on_map, work, key=block_key):
            done[block.index] = found
        ended = clock()
    in_order = [done[index] for index in sorted(done)]
    summary = summarise(job, engine, in_order, earlier, seen) | {
        "phases": {
            "input": job.seconds,
            "start": entered - job.ready,
            "warm-up": begun - entered,
            "placing": ended - begun,
        },
        "items_per_second": rate(blocks, ended - begun),
    }
    stored = store_files(job, results, in_order)
    files = make_files(job, results, summary, in_order, seen, pages)
    summary["phases"]["report"] = clock() - ended
    summary["seconds"] = sum(summary["phases"].values())
    return results.finish(summary, files, stored=stored, keep_work=job.options.keep_work)


def start_work(job: Job, engine: Engine, results: ResultFolder) -> tuple[Broadcast, Broadcast]:
    """Everything before the first block: memory and output checked, kernels warm, landmarks with
    the workers."""
    from pipelines.engine.cluster import usable_memory

    for worker in engine.workers:
        refuse_if_too_big(
            job.block_bytes, 1, worker.nthreads, interpolate_plan.WORKER_BASE_BYTES,
            job.broadcast_bytes,
            usable_memory() if engine.name == "serial" else worker.memory_limit_bytes,
        )  # fmt: skip
    check_output(engine, results, job.new_token())
    new, aligned, dtype = job.new, None, "float64"
    if isinstance(new, NewSequences):
        config = new.aligned.config
        aligned = (config.distance, config.alphabet, config.strand)
        if new.standard_input is not None:
            keep_input(results, new.standard_input)
    else:
        dtype = str(new.points.dtype)
    engine.run_everywhere(warm_up, new.kind, job.map.d, dtype, aligned)
    codes = None if job.map_labels is None else job.coded(job.map_labels)[job.chosen]
    names = job.map.names
    on_map = OnMap(
        with_self_scores(landmarks_of(new, job.chosen), engine), job.map.at[job.chosen],
        [names[k] for k in job.chosen], codes, job.map.scale,
    )  # fmt: skip
    work = Work(
        job.k, job.far, job.config.max_iter, job.config.tol, results.folder, results.array_prefix,
        job.shown, job.has_table, job.classes, job.threads_of_block(engine.name),
    )  # fmt: skip
    return engine.broadcast(on_map), engine.broadcast(work)


def with_self_scores(landmarks: Landmarks, engine: Engine) -> Landmarks:
    """The landmarks, with their self scores where the distance needs them."""
    if not isinstance(landmarks, SequenceLandmarks):
        return landmarks
    scores = (landmarks.scores, landmarks.gap_open, landmarks.gap_extend)
    records = engine.broadcast(Sequences(landmarks.codes, landmarks.offsets, *scores))
    found = self_scores_of(landmarks.distance, landmarks.n, engine, records)
    return dataclasses.replace(landmarks, self_scores=found)


def readable_alone(job: Job, results: ResultFolder) -> Job:
    """The job with points whose blocks can be read each for itself, compressed input decompressed
    once into .work."""
    new = job.new
    if isinstance(new, NewSequences):
        return job
    points = staged(
        new.points, results.folder, results.work_key("points"), job.ranges,
        finite=new.kind == "points",
    )  # fmt: skip
    return dataclasses.replace(job, new=dataclasses.replace(new, points=points))


def rate(blocks: list[Block], seconds: float) -> float | None:
    """Items that were placed in a second, with all that belongs to it; None: none were."""
    placed = sum(block.stop - block.start for block in blocks)
    return placed / seconds if placed and seconds > 0 else None

"""All-pairs Smith-Waterman-Gotoh distances of the sequences in a FASTA file.

Every pair is aligned exactly. The result folder holds the matrix (distances.zarr), the ids
(ids.tsv), a report (report.html) and what is needed to trust and repeat it (run.json,
checksums.sha256). An interrupted run goes on with --resume.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, ClassVar

import numpy as np

from pipelines import swg_input, swg_plan
from pipelines.app import RunOptions, argument, check_fields, option
from pipelines.engine import (
    Broadcast,
    Engine,
    heavy_first,
    refuse_if_too_big,
    row_ranges,
)
from pipelines.happenings import Happenings
from pipelines.results import ResultFolder, keep_input
from pipelines.run_steps import check_output, performance_page
from pipelines.swg_blocks import (
    Done,
    Sequences,
    Work,
    block_key,
    compute_block,
    score_slice,
    slice_key,
    warm_up,
)
from pipelines.swg_plan import Job
from pipelines.swg_results import make_files, report, summarise

__all__ = ["Config", "prepare", "report", "run"]

SELF_SCORES = 256  # records whose self scores are one task

DISTANCES = (
    "identity-longer", "identity-shorter", "identity-aligned", "similarity-aligned",
    "score-max", "score-min", "jukes-cantor", "kimura", "score",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Config:
    """What is computed. The options of `run swg`, the names of `kernels.swg.distance_matrix`."""

    KEEP_BYTES: ClassVar[tuple[str, ...]] = ("random_state",)  # it draws the report's sample only

    sequences: str = argument("FASTA file, path or URL, compressed or not; - is standard input.",
                              metavar="FASTA")  # fmt: skip
    alphabet: str = option(
        "auto", "Letters of the sequences.", choices=("auto", "dna", "rna", "protein")
    )
    matrix: str | None = option(
        None, "Substitution matrix: a name, or a file in NCBI form.", metavar="NAME|FILE",
        shown_default="EDNAFULL for nucleotides, BLOSUM62 for proteins",
    )  # fmt: skip
    match: int | None = option(
        None, "Score of equal letters, in place of a matrix.", metavar="N", shown_default="none"
    )
    mismatch: int | None = option(
        None, "Score of different letters, in place of a matrix.", metavar="N", shown_default="none"
    )
    gap_open: int | None = option(
        None, "Cost of the first residue of a gap.", min=1, metavar="N",
        shown_default="16 for nucleotides, 11 for proteins",
    )  # fmt: skip
    gap_extend: int | None = option(
        None, "Cost of each further residue of a gap.", min=1, metavar="N",
        shown_default="4 for nucleotides, 1 for proteins",
    )  # fmt: skip
    distance: str = option("identity-longer", "Distance of two sequences.", choices=DISTANCES)
    strand: str = option(
        "one", "Align as given, or take the better of both strands (nucleotides).",
        choices=("one", "both"),
    )  # fmt: skip
    ids: str = option(
        "first", "Id of a record: its header to the first blank, all of it, or its number.",
        choices=("first", "full", "number"),
    )  # fmt: skip
    on_bad_record: str = option(
        "error", "Refuse a file with records that are empty or hold foreign letters, or skip them.",
        choices=("error", "skip"),
    )  # fmt: skip
    gaps: str = option(
        "error", "Refuse gap letters of an aligned file, or remove them.",
        choices=("error", "remove"),
    )  # fmt: skip
    dtype: str = option(
        "float32", "Numbers of the matrix; int16 holds distances up to 1 in steps of 1/32767.",
        choices=("float32", "float64", "float16", "int16"),
    )  # fmt: skip
    triangle: str = option(
        "full", "Store the whole matrix, or only blocks on and above the diagonal.",
        choices=("full", "upper"),
    )  # fmt: skip
    compression: str = option("zstd:1", "Compression of the matrix.", metavar="none|zstd:N")
    labels: str | None = option(
        None, "TSV file of id and label: 1-NN agreement, colours in the report.",
        metavar="FILE.tsv", shown_default="none", changes_bytes=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fields(self)
        for names, why in swg_input.contradictions(self):
            raise ValueError(f"{names}: {why}")


def prepare(config: Config, options: RunOptions) -> Job:
    """Read and check the input, and plan the run; nothing is started or written.

    Raises InputProblem, UsageProblem.
    """
    return swg_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Compute what is not there yet, write the result folder, return the content of run.json."""
    seen, clock = Happenings(), time.perf_counter
    engine.listen(seen)
    entered = clock()
    check_memory(job, engine)
    results.update_status({"blocks": {"total": len(job.blocks)}})
    records, work = start_work(job, engine, results)
    done = {block: Done.of(record) for block, record in results.done_records().items()}
    blocks = [block for block in job.blocks if block not in done]
    earlier = len(done)
    seen.note("Started", blocks=len(blocks), done_before=earlier)
    tasks = heavy_first(blocks, [job.block_cells(*block) for block in blocks])
    begun = clock()
    with performance_page(engine) as pages:
        for block, found in engine.map(compute_block, tasks, records, work, key=block_key):
            done[block] = found
        ended = clock()
    in_order = [done[block] for block in sorted(done)]
    summary = summarise(job, engine, in_order, earlier, seen) | {
        "phases": {
            "input": job.seconds,
            "start": entered - job.ready,
            "warm-up": begun - entered,
            "distances": ended - begun,
        },
        "gcups": sum(job.block_cells(*block) for block in blocks) / (ended - begun) / 1e9,
    }
    files = make_files(job, results, summary, in_order, seen, pages)
    summary["phases"]["report"] = clock() - ended
    summary["seconds"] = sum(summary["phases"].values())
    return results.finish(summary, files, keep_work=job.options.keep_work)


def check_memory(job: Job, engine: Engine) -> None:
    """Refuse, with the arithmetic, a run that a worker's memory cannot hold."""
    from pipelines.engine.cluster import usable_memory

    for worker in engine.workers:
        limit = worker.memory_limit_bytes
        refuse_if_too_big(
            job.block_bytes, 1, worker.nthreads, swg_plan.WORKER_BASE_BYTES, job.broadcast_bytes,
            usable_memory() if engine.name == "serial" else limit,
        )  # fmt: skip


def start_work(job: Job, engine: Engine, results: ResultFolder) -> tuple[Broadcast, Broadcast]:
    """Everything before the first block: shared output checked, array made, kernels warm."""
    folder, config = results.folder, job.config
    check_output(engine, results, job.new_token())
    if job.standard_input is not None:
        keep_input(results, job.standard_input)
    folder.put(f"{results.array_prefix}/zarr.json", job.layout.metadata())
    engine.run_everywhere(warm_up, config.distance, job.records.alphabet, config.strand)
    records = engine.broadcast(Sequences(job.records.codes, job.records.offsets, *job.scoring))
    selves = self_scores_of(config.distance, job.records.n, engine, records)
    work = Work(
        config.distance, config.strand, selves, job.layout, folder, results.array_prefix,
        job.threads_of_block(engine.name),
    )  # fmt: skip
    return records, engine.broadcast(work)


def self_scores_of(distance: str, n: int, engine: Engine, records: Broadcast) -> np.ndarray | None:
    """(n,) int64 where the distance needs them: slices of the records are tasks."""
    from kernels import swg

    if not swg.needs_self_scores(distance):
        return None
    result = np.zeros(n, np.int64)
    slices = row_ranges(n, SELF_SCORES)
    for part, scores in engine.map(score_slice, slices, records, key=slice_key):
        result[slice(*part)] = scores
    return result

"""All-pairs Smith-Waterman-Gotoh distances of the sequences in a FASTA file.

Every pair is aligned exactly. The result folder holds the matrix (distances.zarr), the ids
(ids.tsv), a report (report.html) and what is needed to trust and repeat it (run.json,
checksums.sha256). An interrupted run goes on with --resume.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import swg_plan
from pipelines.app import RunOptions, argument, check_fields, merged_values, option
from pipelines.engine import Broadcast, Engine, Event, heavy_first, refuse_if_too_big, row_ranges
from pipelines.engine.given import check_token
from pipelines.formats.distances import MatrixLayout, ids_table, open_distances, printable
from pipelines.formats.labels import Labels, read_labels
from pipelines.machine import host, versions
from pipelines.neighbours import label_agreement
from pipelines.report import swg_report
from pipelines.results import ResultFolder, keep_input, read_run, write_record
from pipelines.swg_plan import Job
from storage.folder import Folder, open_folder

SELF_SCORES = 256  # records whose self scores are one task
SHORT_SHARE = 0.1  # of pairs that align over a short stretch, beyond which the user is warned

DISTANCES = (
    "identity-longer", "identity-shorter", "identity-aligned", "similarity-aligned",
    "score-max", "score-min", "jukes-cantor", "kimura", "score",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Config:
    """What is computed. The options of `run swg`, the names of `kernels.swg.distance_matrix`."""

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
        for names, why in swg_plan.contradictions(self):
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
    started = clock()
    check_memory(job, engine)
    work = start_work(job, engine, results)
    done = results.done_records()
    blocks = [block for block in job.blocks if block not in done]
    tasks = heavy_first(blocks, [job.block_cells(*block) for block in blocks])
    begun = clock()
    with tempfile.TemporaryDirectory(prefix="whorl-report-") as scratch:
        page = Path(scratch, "performance.html")
        with engine.performance_report(str(page)):
            for block, record in engine.map(compute_block, tasks, work, key=block_key):
                done[block] = record
        performance = page.read_bytes() if page.exists() else b""
    seconds = clock() - begun
    summary = summarise(job, engine, done, seen) | {
        "config": merged_values(job.config, job.options) | resolved_values(job),
        "versions": versions(),
        "host": host(),
        "phases": {"input": job.seconds, "start": begun - started, "distances": seconds,
                   "report_from": time.time()},
        "gcups": sum(job.block_cells(*block) for block in blocks) / seconds / 1e9,
    }  # fmt: skip
    return finish(job, results, summary, dict(sorted(done.items())), seen, performance)


def start_work(job: Job, engine: Engine, results: ResultFolder) -> Broadcast:
    """Everything before the first block: shared output checked, array made, kernels warm."""
    folder, config = results.folder, job.config
    if job.standard_input is not None:
        keep_input(results, job.standard_input)
    token, key = job.token, results.work_key("token")
    folder.put(key, token)
    check_token(engine, f"{results.url.rstrip('/')}/{key}", token)
    folder.delete(key)
    folder.put(f"{results.array_prefix}/zarr.json", job.layout.metadata())
    engine.run_everywhere(warm_up, config.distance, job.records.alphabet)
    return engine.broadcast(
        Work(
            job.records.codes, job.records.offsets, *job.scoring, config.distance, config.strand,
            self_scores_of(job, engine), job.layout, folder, results.array_prefix,
        )
    )  # fmt: skip


def resolved_values(job: Job) -> dict[str, dict[str, Any]]:
    """What 'auto' and None stood for, as run.json shows it."""
    rows = merged_values(job.config, job.options)
    return {
        name: {"value": value, "origin": rows[name]["origin"], "given": rows[name]["value"]}
        for name, value in job.resolved.items()
        if rows[name]["value"] != value
    }


@dataclasses.dataclass(frozen=True)
class Work:
    """What every worker needs for any block."""

    codes: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    gap_open: int
    gap_extend: int
    distance: str
    strand: str
    self_scores: np.ndarray | None
    layout: MatrixLayout
    folder: Folder
    array_prefix: str


def warm_up(distance: str, alphabet: str) -> str:
    """Compile or load the kernels; runs on every worker before its first block."""
    from kernels import _jit, swg

    swg.warm_up(distance, alphabet)
    return _jit.target()


def block_key(block: tuple[int, int]) -> str:
    """Task key of a block: the dashboard groups by the words."""
    return f"swg-distance-{block[0]}-{block[1]}"


def compute_block(block: tuple[int, int], work: Broadcast) -> dict[str, Any]:
    """Align block (i, j), store it and its mirror, and commit it. Runs on a worker."""
    from kernels import swg

    what: Work = work.value
    i, j = block
    started = time.time()
    size, n = what.layout.block_size, what.layout.n
    rows, columns = (i * size, min((i + 1) * size, n)), (j * size, min((j + 1) * size, n))
    done = swg.distance_block(
        what.codes, what.offsets, rows, columns, scores=what.scores, gap_open=what.gap_open,
        gap_extend=what.gap_extend, distance=what.distance, strand=what.strand,
        self_scores=what.self_scores,
    )  # fmt: skip
    pairs = done.values if i != j else done.values[np.triu_indices(len(done.values), 1)]
    chunks = what.layout.write_block(what.folder, what.array_prefix, i, j, done.values)
    record = {
        "i": i, "j": j, "started": started, "stopped": time.time(),
        "worker": f"{socket.gethostname()}-{os.getpid()}",
        "cells": done.cells, "pairs": int(pairs.size), "zero": int((pairs == 0).sum()),
        "one": int((pairs == 1).sum()), "missing": done.missing, "clipped": done.clipped,
        "short": done.short, "realigned": done.repeated,
        "chunks": [dataclasses.asdict(chunk) for chunk in chunks],
    }  # fmt: skip
    write_record(what.folder, i, j, record)
    return record


def self_scores_of(job: Job, engine: Engine) -> np.ndarray | None:
    """(n,) int64 where the distance needs them: slices of the records are tasks."""
    from kernels import swg

    if not swg.needs_self_scores(job.config.distance):
        return None
    slices = row_ranges(job.records.n, SELF_SCORES)
    data = engine.broadcast((job.records.codes, job.records.offsets, *job.scoring))
    result = np.zeros(job.records.n, np.int64)
    scored = engine.map(slice_self_scores, slices, data, key=lambda part: f"swg-self-{part[0]}")
    for part, scores in scored:
        result[slice(*part)] = scores
    return result


def slice_self_scores(part: tuple[int, int], data: Broadcast) -> np.ndarray:
    """Self scores of the records from part[0] to part[1]. Runs on a worker."""
    from kernels import swg

    codes, offsets, scores, gap_open, gap_extend = data.value
    return swg.self_scores(codes, offsets[part[0] : part[1] + 1], scores, gap_open, gap_extend)


class Happenings:
    """What befell the workers of this run."""

    def __init__(self) -> None:
        self.repeated: dict[str, int] = {}
        self.lost: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        kind = type(event).__name__
        if kind == "TaskRetried":
            self.repeated[event.key] = self.repeated.get(event.key, 0) + 1
        elif kind == "WorkerLost":
            self.lost.append({"worker": event.worker, "at": event.at})
        self.log.append({"event": kind, **dataclasses.asdict(event)})


def check_memory(job: Job, engine: Engine) -> None:
    """Refuse, with the arithmetic, a run that a worker's memory cannot hold."""
    for worker in engine.workers:
        refuse_if_too_big(
            job.block_bytes, 1, worker.nthreads, swg_plan.WORKER_BASE_BYTES, job.broadcast_bytes,
            worker.memory_limit_bytes,
        )  # fmt: skip


def summarise(job: Job, engine: Engine, done: dict, seen: Happenings) -> dict[str, Any]:
    """What run.json says of the run, but for times."""
    total = {
        name: sum(record[name] for record in done.values())
        for name in ("pairs", "zero", "one", "missing", "clipped", "short", "realigned", "cells")
    }
    pairs = {name: total[name] for name in ("zero", "one", "missing", "clipped", "short")}
    return {
        "records": job.records.n,
        "distance": job.config.distance,
        "pairs": {"total": total["pairs"], **pairs},
        "missing_pairs": total["missing"],
        "cells": total["cells"],
        "realigned_pairs": total["realigned"],
        "blocks": {"done": len(done), "repeated": sum(seen.repeated.values())},
        "workers": [dataclasses.asdict(worker) for worker in engine.workers],
        "workers_lost": len(seen.lost),
        "executor": {"name": engine.name, "reason": engine.reason},
        "warnings": [*job.warnings, *result_warnings(job, total)],
        "plan": job.plan,
    }


def result_warnings(job: Job, total: dict[str, int]) -> list[str]:
    """What the user should know of the distances."""
    found, pairs = [], max(total["pairs"], 1)
    if total["short"] > SHORT_SHARE * pairs:
        found.append(
            f"{100 * total['short'] / pairs:.0f} % of the pairs align over less than half of the "
            "shorter sequence, where identity says little; --distance identity-longer "
            "counts the whole sequence"
        )
    if total["missing"]:
        found.append(f"{total['missing']:,} pairs have no distance (missing, stored as NaN or -1)")
    if total["clipped"]:
        found.append(f"{total['clipped']:,} pairs scored beyond their self scores: clipped to 0 or 1")
    return found


def finish(
    job: Job, results: ResultFolder, run: dict[str, Any], done: dict, seen: Happenings,
    performance: bytes,
) -> dict[str, Any]:  # fmt: skip
    """Write the tables and the report, and complete the folder."""
    records = job.records
    files = {"ids.tsv": ids_table(records.ids, records.lengths, records.descriptions)}
    if job.labels is not None:
        files["labels.tsv"] = labels_table(records.ids, job.labels)
        matrix = open_distances(results.array_url, ids=records.ids)
        found = label_agreement(matrix, job.labels, similarity=job.config.distance == "score")
        run = run | ({"labels": found} if found else {})
    blocks = [timing(record, seen) for record in done.values()]
    log = [{"event": "block", **block} for block in blocks] + seen.log
    files["log.jsonl"] = "".join(f"{json.dumps(line)}\n" for line in log).encode()
    if performance:
        files["performance.html"] = performance
    matrix = open_distances(results.array_url, ids=records.ids)
    known = run | {"status": "complete", "app": "swg", "command": list(job.options.command)}
    known |= {"argv": known["command"], "inputs": job.inputs, "workers_lost": seen.lost}
    files["report.html"] = swg_report(
        known, records.ids, records.lengths, job.labels, matrix, blocks, job.options.random_state
    )
    run["phases"]["report"] = time.time() - run["phases"].pop("report_from")
    return results.finish(run, files, keep_work=job.options.keep_work)


def timing(record: dict[str, Any], seen: Happenings) -> dict[str, Any]:
    """Where and when a block was computed, for the log and the report."""
    parts = {name: record[name] for name in ("i", "j", "worker", "started", "stopped", "cells")}
    again = seen.repeated.get(block_key((record["i"], record["j"])), 0)
    return parts | ({"attempt": again + 1} if again else {})


def labels_table(ids: list[str], labels: Labels) -> bytes:
    """id and label, as --labels reads them."""
    rows = [f"{printable(i)}\t{printable(x)}\n" for i, x in zip(ids, labels, strict=True) if x]
    return "".join(["id\tlabel\n", *rows]).encode()


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds."""
    run, folder = read_run(url), open_folder(url)
    matrix = open_distances(url)
    names = folder.names()
    lengths = [int(row.split("\t")[2]) for row in folder.get("ids.tsv").decode().split("\n")[1:-1]]
    labels = None
    if "labels.tsv" in names:
        labels = read_labels(f"{url.rstrip('/')}/labels.tsv", [printable(i) for i in matrix.ids])
    log = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    blocks = [line for line in log if line["event"] == "block"]
    lost = [line for line in log if line["event"] == "WorkerLost"]
    return swg_report(
        run | {"workers_lost": lost, "argv": run["command"]}, matrix.ids, lengths, labels, matrix,
        blocks, run["config"]["random_state"]["value"],
    )  # fmt: skip

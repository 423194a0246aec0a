"""What `run swg` is going to do: the input read and checked, scoring, blocks, time and memory."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels import sequences
from pipelines.app import RunOptions
from pipelines.engine import choose_block_size, row_ranges, upper_triangle
from pipelines.engine.cluster import usable_cores
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.distances import MatrixLayout
from pipelines.formats.fasta import Records, read_fasta
from pipelines.formats.labels import Labels, read_labels
from pipelines.formats.scoring import read_scoring_matrix
from pipelines.results import read_kept_input

if TYPE_CHECKING:
    from pipelines.swg import Config

MOST_BLOCK_CELLS = 1e11  # about 10 s of one core: what a kill may cost
TRIAL_CELLS = 3e9  # aligned to tell how fast this machine is with these sequences
SLOWEST = 1e8  # cells/s of the scalar kernel; the vector kernel never is that slow
WORKER_BASE_BYTES = 300 << 20  # Python, Numba, Dask and the compiled kernels


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked input and the plan for it."""

    config: Config  # alphabet, matrix name and gap costs as given
    options: RunOptions
    records: Records
    labels: Labels | None
    scoring: tuple[np.ndarray, int, int]  # scores (a, a), gap_open, gap_extend
    matrix_name: str
    layout: MatrixLayout
    inputs: list[dict[str, Any]]
    standard_input: bytes | None
    seconds: float  # that reading and planning took

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Blocks of the upper triangle, row by row."""
        return upper_triangle(self.layout.n_blocks)

    @functools.cached_property
    def letters_of_block(self) -> np.ndarray:
        """Letters of the sequences of each row of blocks."""
        starts = [start for start, _ in row_ranges(self.records.n, self.layout.block_size)]
        return np.add.reduceat(self.records.lengths, starts)

    def block_cells(self, i: int, j: int) -> int:
        """Cells of the dynamic programming in block (i, j): what it costs."""
        size = self.layout.block_size
        if i != j:
            return int(self.letters_of_block[i]) * int(self.letters_of_block[j])
        lengths = self.records.lengths[i * size : (i + 1) * size]
        return int((lengths.sum() ** 2 - (lengths**2).sum()) // 2)

    def cells_of(self, key: str) -> int:
        """Cells of the block with the task key 'swg-distance-I-J'; 0 for another task."""
        words = key.split("-")
        return self.block_cells(int(words[2]), int(words[3])) if words[1] == "distance" else 0

    @functools.cached_property
    def cells(self) -> int:
        """Cells over all pairs."""
        lengths = self.records.lengths
        return int((int(lengths.sum()) ** 2 - int((lengths**2).sum())) // 2)

    @functools.cached_property
    def cells_per_second(self) -> float:
        """Of one core with these sequences and options: measured on a sample of them."""
        return trial_rate(self)

    @property
    def slots(self) -> int | None:
        """Blocks at a time on this machine; None where a scheduler is given."""
        if self.options.scheduler:
            return None
        threads = self.options.nthreads
        workers = self.options.nworkers or max(1, usable_cores() // threads)
        if self.options.executor == "serial":
            return 1
        return min(workers * threads, usable_cores())

    @functools.cached_property
    def estimated_seconds(self) -> float:
        """Of computing all blocks; for a given cluster as if it had one core."""
        return self.cells / self.cells_per_second / (self.slots or 1)

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk."""
        return self.layout.max_bytes + 200 * self.records.n + (10 << 20)

    @functools.cached_property
    def block_bytes(self) -> int:
        """Memory of one block in work: the kernel's, and the block's chunks being encoded."""
        from kernels import swg

        size = self.layout.chunk
        chunk = size * size * np.dtype(self.layout.dtype).itemsize
        work = swg.working_bytes(self.records.lengths, self.config.distance, size, size)
        return work + 6 * chunk

    @property
    def broadcast_bytes(self) -> int:
        """What every worker holds: codes and offsets, once more while they arrive."""
        return 2 * (self.records.codes.nbytes + self.records.offsets.nbytes)

    @property
    def token(self) -> bytes:
        """Written under the output; a worker that cannot read it does not see the output."""
        return f"{self.records.sha256} {os.getpid()} {time.time_ns()}".encode()

    @property
    def resolved(self) -> dict[str, Any]:
        """What 'auto' and None stand for."""
        return {
            "alphabet": self.records.alphabet,
            "matrix": self.matrix_name,
            "gap_open": self.scoring[1],
            "gap_extend": self.scoring[2],
            "block_size": self.layout.block_size,
        }

    @property
    def gap_costs(self) -> str:
        """The costs of gaps of 1, 2 and 10 residues, in words."""
        _, first, next_ = self.scoring
        return f"a gap of 1, 2, 10 letters costs {first}, {first + next_}, {first + 9 * next_}"

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        found = list(self.records.warnings)
        if self.labels is not None and self.labels.missing:
            found.append(f"{self.labels.missing:,} of {self.records.n:,} records have no label")
        if self.labels is not None and self.labels.unknown:
            found.append(f"{self.labels.unknown:,} ids of the labels are not in the input")
        return found

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        worker = WORKER_BASE_BYTES + self.broadcast_bytes
        return {
            "records": self.records.n,
            "blocks": len(self.blocks),
            "block_size": self.layout.block_size,
            "cells": self.cells,
            "slots": self.slots,
            "cells_per_second_per_core": round(self.cells_per_second),
            "estimated_seconds": round(self.estimated_seconds, 2),
            "result_bytes_at_most": self.layout.max_bytes,
            "worker_bytes": worker + self.block_bytes * self.options.nthreads,
        }

    def lines(self) -> list[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        return list(plan_lines(self))


def make_job(config: Config, options: RunOptions) -> Job:
    """Read the input, check everything that can be wrong with it, choose the blocks."""
    started = time.perf_counter()
    if config.labels == "-" == config.sequences:
        raise UsageProblem("--labels and the sequences cannot both come from standard input.")
    records, standard_input = read_records(config, options)
    inputs = [
        {
            "path": config.sequences, "bytes": records.nbytes, "records": records.n,
            "sha256": records.sha256,
        }
    ]  # fmt: skip
    scoring, matrix_name = scoring_of(config, records.alphabet, inputs)
    check_together(config, records, scoring)
    labels = read_labels(config.labels, records.ids) if config.labels else None
    layout = MatrixLayout(
        records.n,
        block_size_of(records, options),
        config.dtype,
        config.triangle,
        config.compression,
        attributes(config, records, scoring, matrix_name),
    )
    seconds = time.perf_counter() - started
    return Job(
        config, options, records, labels, scoring, matrix_name, layout, inputs, standard_input, seconds
    )


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """(options, why) for options that exclude each other, whatever the input."""
    if (config.match is None) != (config.mismatch is None):
        yield "--match and --mismatch", "give both or neither"
    if config.match is not None and config.matrix is not None:
        yield "--match and --matrix", "give one of them"
    if config.match is not None and (config.match <= 0 or config.mismatch >= config.match):
        yield "--match and --mismatch", "a match scores above 0 and above a mismatch"
    with_parts = config.compression.split(":")
    if with_parts[0] not in ("none", "zstd") or len(with_parts) > 2:
        yield "--compression", f"is none or zstd:LEVEL, not {config.compression}"
    if config.dtype == "int16" and config.distance in ("jukes-cantor", "kimura", "score"):
        yield "--dtype int16", f"holds distances from 0 to 1; {config.distance} goes beyond"
    if config.dtype == "float16" and config.distance == "score":
        yield "--dtype float16", "holds whole numbers to 2048 only; scores go beyond"


def read_records(config: Config, options: RunOptions) -> tuple[Records, bytes | None]:
    """The records, and standard input as it was read, to be kept for --resume."""
    how = {
        "alphabet": config.alphabet, "ids": config.ids,
        "on_bad_record": config.on_bad_record, "gaps": config.gaps,
    }  # fmt: skip
    if config.sequences != "-":
        return read_fasta(config.sequences, **how), None
    if options.resume and options.output:
        kept = None
        with contextlib.suppress(OSError):
            kept = read_kept_input(options.output)
        if kept is not None:
            return read_fasta(f"{options.output.rstrip('/')}/.work/input", **how), None
    pieces: list[bytes] = []
    records = read_fasta("-", **how, keep=pieces.append)
    return records, b"".join(pieces)


def scoring_of(
    config: Config, alphabet: str, inputs: list[dict[str, Any]]
) -> tuple[tuple[np.ndarray, int, int], str]:
    """Scores and gap costs, and the matrix's name. A matrix file joins the inputs."""
    name = config.matrix or sequences.DEFAULTS[alphabet][0]
    matrix: str | np.ndarray = name
    if config.match is not None:
        matrix = sequences.match_mismatch(config.match, config.mismatch, alphabet)
        name = f"match {config.match}, mismatch {config.mismatch}"
    elif config.matrix and ("/" in config.matrix or os.path.isfile(config.matrix)):
        from pipelines.formats.bytestream import read_bytes

        matrix = read_scoring_matrix(config.matrix, alphabet)
        data = read_bytes(config.matrix)
        inputs.append({"path": config.matrix, "bytes": len(data), "sha256": sha256(data)})
    try:
        return sequences.scoring(alphabet, matrix, config.gap_open, config.gap_extend), name
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error


def sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def check_together(config: Config, records: Records, scoring: tuple[np.ndarray, int, int]) -> None:
    """Options against the input: what only one alphabet has, what no key can hold."""
    from kernels import swg

    try:
        swg.check_options(config.distance, config.strand, records.alphabet, config.dtype)
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error
    unfit = swg.unfit_pair(records.lengths, *scoring, config.distance)
    if unfit is not None:
        longest, other = (records.ids[k] for k in unfit)
        raise InputProblem(
            f"{config.sequences} line {int(records.lines[unfit[0]]):,}: record "
            f"{json.dumps(longest[:60])} is too long ({records.lengths[unfit[0]]:,} letters): "
            f"aligned with {json.dumps(other[:60])}, {config.distance} needs more than 64 bits.",
            remedy="Cut it, or take --distance identity-longer, which needs fewer.",
        )


def block_size_of(records: Records, options: RunOptions) -> int:
    """A function of the input and the options only, so that every cluster writes the same bytes."""
    if options.block_size != "auto":
        return int(options.block_size)
    mean = max(float(records.lengths.mean()), 1.0)
    affordable = int(math.sqrt(MOST_BLOCK_CELLS) / mean) // 16 * 16
    return min(choose_block_size(records.n), max(affordable, 64))


def attributes(config: Config, records: Records, scoring: Any, matrix_name: str) -> dict[str, Any]:
    """Attributes of the zarr array: what its numbers are."""
    from kernels import swg

    return {
        "kind": "score" if config.distance == "score" else "distance",
        "distance": config.distance,
        "definition": swg.DISTANCES[config.distance],
        "distance_range": [0, 1] if config.distance in swg.BOUNDED else None,
        "alphabet": records.alphabet,
        "matrix": matrix_name,
        "gap_open": scoring[1],
        "gap_extend": scoring[2],
        "gap_cost": "gap_open + (length - 1) * gap_extend",
        "strand": config.strand,
        "ids": "ids.tsv",
    }


def trial_rate(job: Job) -> float:
    """Cells per second of one core, from a seeded sample of the pairs."""
    from kernels import swg

    n, lengths = job.records.n, job.records.lengths
    if job.cells < TRIAL_CELLS / 2:
        return TRIAL_CELLS / 2 if swg.kind_of(job.config.distance) != "all" else SLOWEST
    cells = TRIAL_CELLS if swg.kind_of(job.config.distance) != "all" else TRIAL_CELLS / 50
    pairs = max(int(cells / float(lengths.mean()) ** 2), 64)
    columns = min(max(int(math.sqrt(pairs) * 1.5) // 64 * 64, 64), job.layout.block_size, n // 2)
    rows = max(min(pairs // columns, n - columns), 1)
    chosen = np.random.default_rng(0).permutation(n)[: rows + columns]
    parts = [job.records.codes[slice(*job.records.offsets[k : k + 2])] for k in chosen]
    offsets = np.concatenate([[0], np.cumsum([part.size for part in parts])])
    scores, gap_open, gap_extend = job.scoring
    swg.warm_up(job.config.distance, job.records.alphabet)
    started = time.perf_counter()
    block = swg.distance_block(
        np.concatenate(parts), offsets, (0, rows), (rows, rows + columns), scores=scores,
        gap_open=gap_open, gap_extend=gap_extend, distance=job.config.distance,
        strand="one", self_scores=np.ones(offsets.size - 1, np.int64),
    )  # fmt: skip
    strands = 2 if job.config.strand == "both" else 1
    return block.cells / (time.perf_counter() - started) / strands


def plan_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Input, scoring, plan."""
    from pipelines.engine.memory import in_words

    records, lengths = job.records, job.records.lengths
    kind = {"dna": "DNA", "rna": "RNA", "protein": "protein"}[records.alphabet]
    letters = f"{lengths.min():,}-{lengths.max():,}" if records.n > 1 else f"{lengths.max():,}"
    some = f" ({records.ambiguous:,} with ambiguity codes)" if records.ambiguous else ""
    count = f"{records.n:,} sequence{'s' if records.n != 1 else ''}"
    if job.config.alphabet == "auto":
        kind += " (detected)"
    yield "input", f"{job.config.sequences}: {count}, {kind}, {letters} letters{some}"
    if records.skipped:
        yield "skipped", f"{records.skipped:,} records without letters or with foreign ones"
    yield "scoring", f"{job.matrix_name}, {job.gap_costs}; distance {job.config.distance}"
    blocks, where = len(job.blocks), job.slots
    seconds = duration(job.estimated_seconds)
    at = f"{seconds} on {where} core{'s' if where != 1 else ''}" if where else f"{seconds} of one core"
    need = job.plan["worker_bytes"]
    yield (
        "plan",
        f"{blocks:,} block{'s' if blocks != 1 else ''} of {job.layout.block_size}, "
        f"{job.cells:.2g} cells, about {at}, "
        f"result up to {in_words(job.layout.max_bytes)}, {in_words(need)} per worker",
    )


def duration(seconds: float) -> str:
    """'0.4 s', '35 s', '4 min', '3.1 h', '2.4 days'."""
    for limit, unit, name in ((100, 1, "s"), (100 * 60, 60, "min"), (100 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds / 86400:.1f} days"

"""What `run swg` is going to do: blocks, time and memory."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.app import RunOptions
from pipelines.engine import choose_block_size, row_ranges, upper_triangle
from pipelines.engine.memory import in_words, worker_need
from pipelines.errors import UsageProblem
from pipelines.formats.distances import MatrixLayout
from pipelines.formats.fasta import Records
from pipelines.formats.labels import Labels, read_labels
from pipelines.run_steps import refuse_gang
from pipelines.swg_input import Scoring, check_together, read_records, scoring_of

if TYPE_CHECKING:
    from pipelines.swg import Config

MOST_BLOCK_CELLS = 1e11  # about 10 s of one core: what a kill may cost
FEW_BLOCK_CELLS = 2e10  # blocks are not made smaller than this for the sake of balance
SCALAR_FACTOR = 50  # the scalar kernel is so many times slower than the vector kernel
KERNEL_ROWS = 256  # from here on the vector kernel is about as fast as it gets
LANES = 32  # records that the vector kernel mostly aligns at a time
WORKER_BASE_BYTES = 340 << 20  # Python, Numba, Dask and the compiled kernels


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked input and the plan for it."""

    config: Config  # alphabet, matrix name and gap costs as given
    options: RunOptions
    records: Records
    labels: Labels | None
    scoring: Scoring
    matrix_name: str
    layout: MatrixLayout
    inputs: list[dict[str, Any]]
    standard_input: bytes | None
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @functools.cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """Blocks of the upper triangle, row by row."""
        return upper_triangle(self.layout.n_blocks)

    @functools.cached_property
    def letters_of_block(self) -> np.ndarray:
        """Letters of the sequences of each row of blocks."""
        starts = [start for start, _ in row_ranges(self.records.n, self.layout.block_size)]
        return np.add.reduceat(self.records.lengths, starts)

    def block_cells(self, i: int, j: int) -> int:
        """Cells of the dynamic programming in block (i, j), of one strand: what it costs."""
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
        """Cells over all pairs, of one strand."""
        lengths = self.records.lengths
        return int((int(lengths.sum()) ** 2 - int((lengths**2).sum())) // 2)

    @functools.cached_property
    def cells_per_second(self) -> float:
        """Of one core with these sequences and options: measured on a sample of them."""
        from pipelines.swg_trial import trial_rate

        return trial_rate(self)

    @property
    def slots(self) -> int | None:
        """Cores of this machine that are used; None where a scheduler is given."""
        if self.options.scheduler:
            return None
        if self.options.executor == "serial":
            return self.threads_of_block("serial")
        from pipelines.engine.cluster import usable_cores

        threads = self.options.nthreads
        workers = self.options.nworkers or max(1, usable_cores() // threads)
        return min(workers * threads, usable_cores())

    def threads_of_block(self, executor: str) -> int:
        """Threads that share a block: in one process, which does block after block, all cores."""
        from pipelines.engine.cluster import usable_cores

        return usable_cores() if executor == "serial" else 1

    @functools.cached_property
    def estimated_seconds(self) -> float:
        """Of computing all blocks; for a given cluster as if it had one core."""
        at_once = self.slots or 1
        if self.options.executor != "serial":
            at_once = min(at_once, len(self.blocks))
        return self.cells / self.cells_per_second / at_once

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
    def worker_bytes(self) -> int:
        """Memory that one local worker needs."""
        threads = 1 if self.options.executor == "serial" else self.options.nthreads
        return worker_need(self.block_bytes, 1, threads, WORKER_BASE_BYTES, self.broadcast_bytes)

    def new_token(self) -> bytes:
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
        return {
            "records": self.records.n,
            "blocks": len(self.blocks),
            "block_size": self.layout.block_size,
            "cells": self.cells,
            "slots": self.slots,
            "cells_per_second_per_core": round(self.cells_per_second),
            "estimated_seconds": round(self.estimated_seconds, 2),
            "result_bytes_at_most": self.layout.max_bytes,
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run; the last one takes a trial."""
        return plan_lines(self)


def make_job(config: Config, options: RunOptions) -> Job:
    """Read the input, check everything that can be wrong with it, choose the blocks."""
    started = time.perf_counter()
    refuse_gang(options, "the blocks of all pairs are computed once each")
    if config.labels == "-" == config.sequences:
        raise UsageProblem("--labels and the sequences cannot both come from standard input.")
    records, standard_input = read_records(config, options)
    return job_of(config, options, records, standard_input, started)


def job_of(
    config: Config, options: RunOptions, records: Records, standard_input: bytes | None,
    started: float,
) -> Job:  # fmt: skip
    """The job of records that were read already. started: time.perf_counter() at the beginning."""
    scoring, matrix_name, matrix_file = scoring_of(config, records.alphabet)
    check_together(config, records, scoring)
    inputs = [
        {
            "path": config.sequences, "bytes": records.nbytes, "records": records.n,
            "sha256": records.sha256,
        }
    ]  # fmt: skip
    layout = MatrixLayout(
        records.n,
        block_size_of(records.lengths, config.distance, options.block_size),
        config.dtype,
        config.triangle,
        config.compression,
        attributes(config, records.alphabet, scoring, matrix_name),
    )
    return Job(
        config=config,
        options=options,
        records=records,
        labels=read_labels(config.labels, records.ids) if config.labels else None,
        scoring=scoring,
        matrix_name=matrix_name,
        layout=layout,
        inputs=inputs + ([matrix_file] if matrix_file else []),
        standard_input=standard_input,
        seconds=time.perf_counter() - started,
        ready=time.perf_counter(),
    )


def block_size_of(lengths: np.ndarray, distance: str, asked: int | str = "auto") -> int:
    """Rows of a block: a function of the input and the options only, so that every cluster
    writes the same files.

    lengths (n,) int64. 'auto' takes blocks as large as balance, and what a kill may cost, allow,
    and not smaller than the kernel likes unless the sequences are long.
    """
    from kernels import swg

    if asked != "auto":
        return int(asked)
    slower = SCALAR_FACTOR if swg.kind_of(distance) == "all" else 1
    mean = max(float(lengths.mean()), 1.0)
    liked = int(math.sqrt(FEW_BLOCK_CELLS / slower) / mean) // LANES * LANES
    smallest = min(max(liked, LANES), KERNEL_ROWS)
    size = choose_block_size(len(lengths), 4, smallest=smallest)
    if size < len(lengths):
        size = size // LANES * LANES
    while size > smallest and heaviest_block(lengths, size) > MOST_BLOCK_CELLS / slower:
        size = max(size - LANES, smallest)
    return size


def heaviest_block(lengths: np.ndarray, size: int) -> int:
    """Cells of the block of `size` rows and columns that has most."""
    starts = np.arange(0, len(lengths), size)
    letters = np.add.reduceat(lengths, starts)
    squares = np.add.reduceat(lengths**2, starts)
    diagonal = int(((letters**2 - squares) // 2).max())
    return max(diagonal, int(np.prod(np.sort(letters)[-2:]))) if len(letters) > 1 else diagonal


def attributes(config: Config, alphabet: str, scoring: Scoring, matrix: str) -> dict[str, Any]:
    """Attributes of the zarr array: what its numbers are."""
    from kernels import swg

    return {
        "kind": "score" if config.distance == "score" else "distance",
        "distance": config.distance,
        "definition": swg.DISTANCES[config.distance],
        "distance_range": [0, 1] if config.distance in swg.BOUNDED else None,
        "alphabet": alphabet,
        "matrix": matrix,
        "gap_open": scoring[1],
        "gap_extend": scoring[2],
        "gap_cost": "gap_open + (length - 1) * gap_extend",
        "strand": config.strand,
        "ids": "ids.tsv",
    }


def plan_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Input, scoring, plan."""
    yield from input_lines(job.config, job.records)
    yield "scoring", scoring_text(job)
    at = f"{duration(job.estimated_seconds)} of one core"
    if job.slots:
        at = f"{duration(job.estimated_seconds)} on {plural(job.slots, 'core')}"
    yield (
        "plan",
        f"{plural(len(job.blocks), 'block')} of {job.layout.block_size}, "
        f"{job.cells:.2g} cells, about {at}, result up to {in_words(job.layout.max_bytes)}, "
        f"{in_words(job.worker_bytes)} per worker",
    )


def input_lines(config: Config, records: Records) -> Iterator[tuple[str, str]]:
    """What was read, and what was left out."""
    lengths = records.lengths
    kind = {"dna": "DNA", "rna": "RNA", "protein": "protein"}[records.alphabet]
    if config.alphabet == "auto":
        kind += " (detected)"
    letters = f"{lengths.min():,}-{lengths.max():,}"
    if lengths.min() == lengths.max():
        letters = f"{lengths.max():,}"
    some = f" ({records.ambiguous:,} with ambiguity codes)" if records.ambiguous else ""
    source = "standard input" if config.sequences == "-" else config.sequences
    yield "input", f"{source}: {plural(records.n, 'sequence')}, {kind}, {letters} letters{some}"
    if records.skipped:
        skipped = plural(records.skipped, "record")
        yield "skipped", f"{skipped} without letters or with foreign ones"


def scoring_text(job: Job) -> str:
    """'EDNAFULL, a gap of 1, 2, 10 letters costs 16, 20, 52; distance identity-longer'"""
    strands = ", the better of both strands" if job.config.strand == "both" else ""
    return f"{job.matrix_name}, {job.gap_costs}; distance {job.config.distance}{strands}"


def plural(number: int, word: str) -> str:
    """'1 block', '1,200 blocks'."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """'0.4 s', '35 s', '4.2 min', '3.1 h', '2.4 days'."""
    for limit, unit, name in ((100, 1, "s"), (100 * 60, 60, "min"), (100 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds / 86400:.1f} days"

"""How fast this machine aligns these sequences: a few of them are aligned, and the CPU is timed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.swg_plan import Job

WORTH_CELLS = 2e9  # below, no trial: whatever the rate, the work is done in a second
FIRST_CELLS = 8e8  # of the first of two alignments
TRIAL_S = 0.2  # CPU time of the second one
LANES = {"score": 64, "identical": 32, "columns": 16, "all": 1}  # records aligned at a time
MOST_ROWS = 512  # that the kernel aligns with one batch
MOST_BATCHES = 8
ASSUMED = 3e9  # cells/s where no trial is made, modest
SCALAR_FACTOR = 50  # the scalar kernel is so many times slower than the vector kernel


def trial_rate(job: Job) -> float:
    """Cells per second of one core, from a seeded sample of the pairs.

    The sample imitates a block: columns are batches of like length, as the kernel makes them, rows
    are any records. Two sizes are timed and the difference counts, so that what happens once per
    block is not taken for the rate. CPU time, not wall: another program may be running just now.
    """
    from kernels import swg
    from pipelines.swg_blocks import warm_up

    config, kind = job.config, swg.kind_of(job.config.distance)
    strands, slower = (2 if config.strand == "both" else 1), (SCALAR_FACTOR if kind == "all" else 1)
    if job.cells * strands * slower < WORTH_CELLS or job.records.n < 4:
        return ASSUMED / strands / slower
    warm_up(config.distance, job.records.alphabet, config.strand)
    lengths = job.records.lengths
    columns, rows = sample_of(lengths, job.layout.block_size, LANES[kind], FIRST_CELLS / slower)
    row_cells = float(lengths[columns].sum()) * float(lengths[rows].mean())
    first = min(max(int(FIRST_CELLS / slower / row_cells), 1), MOST_ROWS, rows.size)
    cells, seconds = align(job, rows[:first], columns)
    second = min(int(TRIAL_S / max(seconds, 1e-6) * first), rows.size)
    if second >= 1.5 * first:
        all_cells, all_seconds = align(job, rows[:second], columns)
        if all_seconds > seconds:
            cells, seconds = all_cells - cells, all_seconds - seconds
    return cells / max(seconds, 1e-9) / strands


def sample_of(
    lengths: np.ndarray, block_size: int, lanes: int, cells: float
) -> tuple[np.ndarray, np.ndarray]:
    """(columns, rows): numbers of records, none in both, for about `cells` cells.

    Columns are batches of `lanes` neighbours in length, of a block of any records; each stands for
    the same number of letters. Short records make many batches, long ones a single batch.
    """
    n = len(lengths)
    drawn = np.random.default_rng(0).permutation(n)
    block = drawn[: min(block_size, n // 2)]
    block = block[np.argsort(lengths[block], kind="stable")]
    affordable = int(cells / (min(MOST_ROWS, block_size) * lanes * float(lengths.mean()) ** 2))
    batches = min(max(affordable, 1), MOST_BATCHES)
    letters = np.cumsum(lengths[block])
    middles = np.searchsorted(letters, letters[-1] * (np.arange(batches) + 0.5) / batches)
    starts = np.unique(middles // lanes * lanes)
    columns = np.concatenate([block[at : at + lanes] for at in starts])
    return columns, drawn[block.size :][:4096]


def align(job: Job, rows: np.ndarray, columns: np.ndarray) -> tuple[int, float]:
    """(cells, CPU seconds) of aligning all rows with all columns, one strand."""
    from kernels import swg

    chosen = np.concatenate([rows, columns])
    parts = [job.records.codes[slice(*job.records.offsets[k : k + 2])] for k in chosen]
    offsets = np.concatenate([[0], np.cumsum([part.size for part in parts])])
    scores, gap_open, gap_extend = job.scoring
    codes = np.concatenate(parts)
    started = time.thread_time()
    block = swg.distance_block(
        codes, offsets, (0, rows.size), (rows.size, chosen.size), scores=scores,
        gap_open=gap_open, gap_extend=gap_extend, distance=job.config.distance,
        self_scores=np.ones(chosen.size, np.int64),
    )  # fmt: skip
    return block.cells, time.thread_time() - started

"""What workers do for `run swg`: load the kernels, score records, align and store blocks."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from typing import Any, NamedTuple

import numpy as np

from pipelines.engine import Broadcast
from pipelines.formats.distances import MatrixLayout
from pipelines.results import write_record
from pipelines.warm import compiled_once
from storage.folder import Folder


@dataclasses.dataclass(frozen=True)
class Sequences:
    """All records and their scoring; the heavy part of what is broadcast."""

    codes: np.ndarray  # (letters,) uint8
    offsets: np.ndarray  # (n + 1,) int64
    scores: np.ndarray  # (a, a)
    gap_open: int
    gap_extend: int


@dataclasses.dataclass(frozen=True)
class Work:
    """What is computed of them, and where it goes."""

    distance: str
    strand: str
    self_scores: np.ndarray | None  # (n,) int64
    layout: MatrixLayout
    folder: Folder
    array_prefix: str
    n_threads: int  # that share one block


class Done(NamedTuple):
    """What the driver keeps of a finished block; the rest of its record lies in the output."""

    i: int
    j: int
    worker: str
    started: float
    stopped: float
    cells: int
    pairs: int
    zero: int
    one: int
    missing: int
    clipped: int
    short: int
    realigned: int
    nbytes: int  # of its chunks

    @classmethod
    def of(cls, record: dict[str, Any]) -> Done:
        """From the record of a block."""
        nbytes = sum(chunk["nbytes"] for chunk in record["chunks"])
        return cls(*(record[name] for name in cls._fields[:-1]), nbytes)


def warm_up(distance: str, alphabet: str, strand: str) -> str:
    """Compile the kernels or load them from the cache. Returns the CPU they are compiled for."""
    from kernels import _jit, sequences, swg

    with compiled_once(f"swg-{swg.kind_of(distance)}-{strand}"):
        swg.warm_up(distance, alphabet)
        if strand == "both":
            codes, offsets, _ = sequences.pack(["ACGT", "ACT"], alphabet)
            scores, gap_open, gap_extend = sequences.scoring(alphabet)
            swg.distance_block(
                codes, offsets, (0, 2), (0, 2), scores=scores, gap_open=gap_open,
                gap_extend=gap_extend, distance=distance, strand=strand,
                self_scores=np.ones(2, np.int64),
            )  # fmt: skip
    return _jit.target()


def block_key(block: tuple[int, int]) -> str:
    """Task key of a block: the dashboard groups by the words."""
    return f"swg-distance-{block[0]}-{block[1]}"


def slice_key(part: tuple[int, int]) -> str:
    """Task key of the self scores of a slice of the records."""
    return f"swg-self-{part[0]}"


def compute_block(block: tuple[int, int], records: Broadcast, work: Broadcast) -> Done:
    """Align block (i, j), store it and its mirror, and commit it."""
    from kernels import swg

    given: Sequences = records.value
    what: Work = work.value
    i, j = block
    started = time.time()
    size, n = what.layout.block_size, what.layout.n
    rows, columns = (i * size, min((i + 1) * size, n)), (j * size, min((j + 1) * size, n))
    done = swg.distance_block(
        given.codes, given.offsets, rows, columns, scores=given.scores, gap_open=given.gap_open,
        gap_extend=given.gap_extend, distance=what.distance, strand=what.strand,
        self_scores=what.self_scores, n_threads=what.n_threads,
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
    write_record(what.folder, (i, j), record)
    return Done.of(record)


def score_slice(part: tuple[int, int], records: Broadcast) -> np.ndarray:
    """Self scores of the records from part[0] to part[1]: (part[1] - part[0],) int64."""
    from kernels import swg

    given: Sequences = records.value
    offsets = given.offsets[part[0] : part[1] + 1]
    codes = given.codes[offsets[0] : offsets[-1]]
    return swg.self_scores(
        codes, offsets - offsets[0], given.scores, given.gap_open, given.gap_extend
    )

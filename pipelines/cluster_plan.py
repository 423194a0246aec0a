"""What `run cluster` is going to do: its input, checked, where it is cut, time and memory."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.app import RunOptions
from pipelines.engine.memory import in_words
from pipelines.errors import InputProblem, ResourceProblem, UsageProblem
from pipelines.formats.dissimilarities import Dissimilarities, open_dissimilarities
from pipelines.formats.labels import Labels, label_warnings, read_labels, row_numbers
from pipelines.linkage import PAIR_BYTES, linkage_bytes, pair_count
from pipelines.plan_words import count
from pipelines.run_steps import refuse_gang

if TYPE_CHECKING:
    from pipelines.cluster import Config

PAIRS_PER_SECOND = 4e6  # linked, and looked at afterwards
READ_BYTES_PER_SECOND = 4e8
BAND_PAIRS = 2**24  # read at a time, at most
ROWS = 16  # a band begins at a multiple of so many
BASE_BYTES = 600 << 20  # Python, Numba, the report, and a band while it is read
SHOWN = 500  # records in the picture of the matrix


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked input and the plan for it."""

    config: Config
    options: RunOptions
    matrix: Dissimilarities
    labels: Labels | None
    inputs: list[dict[str, Any]]
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @property
    def n(self) -> int:
        return self.matrix.n

    @property
    def ids(self) -> list[str]:
        """Names of the records, or their numbers."""
        return row_numbers(self.n) if self.matrix.ids is None else self.matrix.ids

    @property
    def dtype(self) -> str:
        """In which distances are read."""
        return "int16" if self.matrix.dtype == np.int16 else str(self.matrix.kept)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Rows that are read at a time: whole tiles where memory allows."""
        rows = min(max(self.matrix.layout.tile[0], ROWS), BAND_PAIRS // self.n)
        rows = max(rows // ROWS, 1) * ROWS
        return [(start, min(start + rows, self.n)) for start in range(0, self.n, rows)]

    @property
    def threshold(self) -> float | None:
        """The threshold, no lower than the number that a distance equal to it is stored as."""
        wanted = self.config.threshold
        if wanted is None:
            return None
        if self.matrix.dtype == np.int16:
            return max(wanted, float(np.rint(wanted / self.matrix.scale) * self.matrix.scale))
        if self.matrix.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return max(wanted, float(self.matrix.dtype.type(wanted)))
        return wanted

    @property
    def estimated_seconds(self) -> float:
        """Of reading, which workers could share; the linkage is one process."""
        return self.matrix.nbytes / READ_BYTES_PER_SECOND

    @property
    def linkage_seconds(self) -> float:
        """Of merging and of measuring the clusters, about."""
        return pair_count(self.n) / PAIRS_PER_SECOND

    @property
    def memory_bytes(self) -> int:
        """That this process needs."""
        return BASE_BYTES + linkage_bytes(self.n)

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk."""
        ids = sum(len(name) for name in self.ids)
        return 200 * self.n + 3 * ids + 8 * SHOWN**2 + (20 << 20)

    @property
    def resolved(self) -> dict[str, Any]:
        """Nothing is left to 'auto' before the distances are known."""
        return {}

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        return [*self.matrix.warnings, *label_warnings(self.labels, "records")]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        return {
            "records": self.n,
            "pairs": pair_count(self.n),
            "format": self.matrix.format,
            "dtype": str(self.matrix.dtype),
            "linkage": self.config.linkage,
            "memory_bytes": self.memory_bytes,
            "estimated_seconds": round(self.estimated_seconds + self.linkage_seconds, 2),
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        pairs = pair_count(self.n)
        text = f"{self.config.distances}: {count(self.n, 'record')}, {count(pairs, 'pair')}"
        yield "input", f"{text} in {self.matrix.dtype} ({self.matrix.format})"
        yield "clusters", f"{self.config.linkage} linkage, {cut_text(self.config)}"
        seconds = max(math.ceil(self.linkage_seconds), 1)
        yield (
            "plan",
            f"{in_words(self.memory_bytes)} of memory ({PAIR_BYTES} bytes a pair), linked in this "
            f"process in about {seconds:,} s",
        )


def cut_text(config: Config) -> str:
    """'12 clusters', 'merged up to 0.03', 'as many clusters as give the largest silhouette'"""
    if config.n_clusters is not None:
        return count(config.n_clusters, "cluster")
    if config.threshold is not None:
        return f"merged up to {config.threshold:g}"
    return "as many clusters as give the largest silhouette"


def make_job(config: Config, options: RunOptions) -> Job:
    """Open the input, check what can be wrong with it, refuse what memory cannot hold."""
    started = time.perf_counter()
    refuse_gang(options, "a linkage is computed once")
    matrix = open_dissimilarities(config.distances, symmetrize=config.symmetrize, kind=config.kind)
    if matrix.n == 0:
        raise InputProblem(f"{config.distances} holds no records.")
    if config.n_clusters is not None and config.n_clusters > matrix.n:
        raise UsageProblem(
            f"--n-clusters {config.n_clusters} is more than the {count(matrix.n, 'record')} in "
            f"{config.distances}."
        )
    refuse_beyond_memory(matrix.n)
    ids = row_numbers(matrix.n) if matrix.ids is None else matrix.ids
    return Job(
        config=config,
        options=options,
        matrix=matrix,
        labels=read_labels(config.labels, ids) if config.labels else None,
        inputs=[matrix.identity],
        seconds=time.perf_counter() - started,
        ready=time.perf_counter(),
    )


def refuse_beyond_memory(n: int) -> None:
    """ResourceProblem, with the arithmetic, where the distances and their merging do not fit."""
    from pipelines.engine.cluster import usable_memory

    need, limit = linkage_bytes(n), usable_memory()
    if need + BASE_BYTES <= limit:
        return
    raise ResourceProblem(
        f"linkage of {n:,} records needs {in_words(need + BASE_BYTES)} ({in_words(BASE_BYTES)} "
        f"base + {pair_count(n):,} pairs x {PAIR_BYTES} bytes), this machine has "
        f"{in_words(limit)}.",
        remedy="Cluster fewer records, or let run sequences link landmarks and place the others.",
    )

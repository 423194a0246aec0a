"""What `run interpolate` is going to do: map and new items, checked, and blocks, time, memory."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import interpolate_words
from pipelines.app import RunOptions
from pipelines.engine import row_ranges
from pipelines.engine.memory import worker_need
from pipelines.errors import UsageProblem
from pipelines.formats.labels import Labels, read_labels, row_numbers
from pipelines.interpolate_blocks import Block
from pipelines.interpolate_input import NewDistances, NewPoints, NewSequences, open_new
from pipelines.interpolate_map import Map, open_map
from pipelines.landmark_distances import COLUMNS
from pipelines.run_steps import refuse_gang
from pipelines.swg_plan import SCALAR_FACTOR
from pipelines.swg_trial import ASSUMED

if TYPE_CHECKING:
    from pipelines.interpolate import Config

MOST_BLOCKS = 64  # that smaller inputs are cut into
FEWEST_SEQUENCES, FEWEST_ROWS, MOST_ROWS = 32, 2048, 65_536
BLOCK_BYTES = 32 << 20  # of what a worker loads for a block
BLOCK_LETTERS = 4 << 20  # of sequences, which travel with their blocks
BLOCK_PLACES = 2**21  # nearest landmarks that are found for a block
BLOCK_CELLS = 5e10  # about 10 s of one core: what a kill may cost
MOST_FAR, FEWEST_FAR, FAR_PAIRS = 1000, 100, 2e8
PLACED_PER_SECOND = 3e5  # items of one core, what comes of their landmarks apart
ANCHOR_SECONDS = 1.7e-7  # of one core, for each landmark that an item is fitted to
FLOPS = 2e10  # landmarks x columns per second of one core
READ_BYTES_PER_SECOND = 4e8
WORKER_BASE_BYTES = 300 << 20  # Python, Numba, Dask and the compiled kernels
FEWEST_ROWS_AT_ONCE = 1024  # items that are fitted together, at least (neighbours.over_rows)
TABLE_ROWS = 5_000_000  # beyond, coordinates.tsv is not written
SAMPLED_ITEMS, SAMPLED_LANDMARKS = 1024, 128  # compared with all landmarks; shown in the report


@dataclasses.dataclass(frozen=True)
class Job:
    """A map, new items, and the plan for them."""

    config: Config
    options: RunOptions
    map: Map
    new: NewSequences | NewPoints | NewDistances
    labels: Labels | None  # of the new items, followed by those of the map's
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """Numbers of the landmarks among the map's items, ascending."""
        n, wanted = self.map.n, self.config.n_landmarks
        if not 0 < wanted < n:
            return np.arange(n)
        rng = np.random.default_rng((self.options.random_state, 0x1A3D))
        return np.sort(rng.choice(n, wanted, replace=False))

    @property
    def k(self) -> int:
        """Landmarks that an item is fitted to."""
        return min(self.config.k, len(self.chosen))

    @functools.cached_property
    def far(self) -> np.ndarray:
        """Places, among the landmarks, of those that all items are fitted to, ascending."""
        m, wanted = len(self.chosen), self.config.n_far
        wanted = min(m, self.usual_far if wanted == "auto" else int(wanted))
        rng = np.random.default_rng((self.options.random_state, 0x1A3E))
        return np.sort(rng.choice(m, wanted, replace=False))

    @property
    def usual_far(self) -> int:
        """For auto: fewer where placing many items is the most of the work."""
        if self.new.kind == "sequences":
            return MOST_FAR
        return int(min(max(FAR_PAIRS // max(self.new.n, 1), FEWEST_FAR), MOST_FAR))

    @property
    def n_anchors(self) -> int:
        """Landmarks that an item is fitted to, at most."""
        return min(self.k + len(self.far), len(self.chosen))

    @functools.cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Items of each block: of the input and the options only."""
        size = self.options.block_size
        return row_ranges(self.new.n, self.usual_rows if size == "auto" else int(size))

    @property
    def usual_rows(self) -> int:
        """Rows of a block, for block size auto."""
        n, fewest = self.new.n, FEWEST_ROWS
        most = min(float(MOST_ROWS), max(BLOCK_PLACES // self.k, 1))
        if isinstance(self.new, NewSequences):
            fewest = FEWEST_SEQUENCES
            letters = max(float(self.new.records.lengths.mean()), 1.0)
            most = min(most, BLOCK_LETTERS / letters, BLOCK_CELLS / max(self.cells / n, 1.0))
        else:
            most = min(most, BLOCK_BYTES / (8 * self.new.points.d))
        most = min(most, BLOCK_BYTES / (8 * max(len(self.far), 1)))
        return max(min(int(most), max(-(-n // MOST_BLOCKS), fewest)), 1)

    @functools.cached_property
    def cells(self) -> float:
        """Cells of the dynamic programming, times what slower kernels cost; 0: none."""
        if not isinstance(self.new, NewSequences):
            return 0.0
        from kernels import swg

        config = self.new.aligned.config
        theirs = float(np.diff(self.new.aligned.landmarks.offsets)[self.chosen].sum())
        slower = SCALAR_FACTOR if swg.kind_of(config.distance) == "all" else 1
        strands = 2 if config.strand == "both" else 1
        return float(self.new.records.lengths.sum()) * theirs * slower * strands

    def blocks(self) -> Iterator[Block]:
        """The blocks, in order."""
        codes = self.codes
        for index, (start, stop) in enumerate(self.ranges):
            ids = self.new.ids
            low, high = np.searchsorted(self.sampled, (start, stop))
            yield Block(
                index, start, stop, self.new.source(start, stop),
                None if ids is None else ids[start:stop],
                None if codes is None else codes[start:stop],
                self.sampled[low:high] - start,
            )  # fmt: skip

    @functools.cached_property
    def sampled(self) -> np.ndarray:
        """Numbers of the new items that are compared with all landmarks, ascending."""
        rng = np.random.default_rng((self.options.random_state, 0x5A3D))
        n = self.new.n
        return np.sort(rng.choice(n, min(n, SAMPLED_ITEMS), replace=False))

    @functools.cached_property
    def shown(self) -> np.ndarray:
        """Places, among the landmarks, of those whose distances the report shows."""
        rng = np.random.default_rng((self.options.random_state, 0x5A3E))
        m = len(self.chosen)
        return np.sort(rng.choice(m, min(m, SAMPLED_LANDMARKS), replace=False))

    # Labels

    @functools.cached_property
    def classes(self) -> list[str]:
        """Labels of new items and landmarks, each once, sorted."""
        known = set(self.labels or ()) | set(self.map_labels or ())
        return sorted(label for label in known if label is not None)

    @functools.cached_property
    def map_labels(self) -> list[str | None] | None:
        """Labels of the map's items: those given, else those the map keeps."""
        if self.labels is None:
            return None
        given = self.labels[self.new.n :]
        return given if any(given) else self.map.labels

    @property
    def codes(self) -> np.ndarray | None:
        """(n,) int32 places of the new items' labels in classes, -1: none."""
        return None if self.labels is None else self.coded(self.labels[: self.new.n])

    def coded(self, labels: list[str | None]) -> np.ndarray:
        """Places of labels in classes."""
        place = {label: k for k, label in enumerate(self.classes)}
        return np.array([-1 if x is None else place[x] for x in labels], np.int32)

    # What it takes

    @functools.cached_property
    def seconds_of_one_core(self) -> float:
        """Roughly, from rates that are not measured here."""
        n, m = self.new.n, len(self.chosen)
        placing = n * (1 / PLACED_PER_SECOND + self.n_anchors * ANCHOR_SECONDS)
        if isinstance(self.new, NewSequences):
            return self.cells / ASSUMED + placing
        nbytes = n * self.new.points.d * self.new.points.dtype.itemsize
        flops = n * m * self.new.points.d if isinstance(self.new, NewPoints) else 0
        return flops / FLOPS + nbytes / READ_BYTES_PER_SECOND + placing

    @property
    def slots(self) -> int | None:
        """Cores of this machine that are used; None where a scheduler is given."""
        if self.options.scheduler:
            return None
        from pipelines.engine.cluster import usable_cores

        wanted = (self.options.nworkers or usable_cores()) * self.options.nthreads
        return min(wanted, usable_cores())

    @property
    def estimated_seconds(self) -> float:
        """Of placing all; for a given cluster as if it had one core."""
        return self.seconds_of_one_core / min(self.slots or 1, len(self.ranges))

    def threads_of_block(self, executor: str) -> int:
        """Threads that share a block: in one process, which does block after block, all cores."""
        from pipelines.engine.cluster import usable_cores

        return usable_cores() if executor == "serial" else 1

    @functools.cached_property
    def block_bytes(self) -> int:
        """Memory of one block in work: what is loaded, found and written of it."""
        rows = self.ranges[0][1]
        found = rows * (24 * self.k + 16 * len(self.far) + 200) + self.fitting_bytes
        sampled = 40 * min(rows, SAMPLED_ITEMS) * len(self.chosen)
        if not isinstance(self.new, NewSequences):
            return 3 * rows * self.new.points.d * 8 + found + sampled
        from kernels import swg

        lengths = np.concatenate(
            [self.new.records.lengths, np.diff(self.new.aligned.landmarks.offsets)]
        )
        distance = self.new.aligned.config.distance
        return swg.working_bytes(lengths, distance, rows, COLUMNS) + found + sampled

    @property
    def fitting_bytes(self) -> int:
        """Memory of the items that are fitted at a time."""
        rows = min(self.ranges[0][1], max(FEWEST_ROWS_AT_ONCE, self.ranges[0][1] // 8))
        return rows * self.n_anchors * 8 * (2 * self.map.d + 6)

    @property
    def broadcast_bytes(self) -> int:
        """What every worker holds: the landmarks, once more while they arrive."""
        m, held = len(self.chosen), 0
        if isinstance(self.new, NewSequences):
            held = self.new.aligned.landmarks.codes.nbytes + 8 * m
        elif isinstance(self.new, NewPoints):
            held = m * self.new.vectors.shape[1] * self.new.vectors.itemsize
        return 2 * (held + m * (8 * self.map.d + 80))

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk, its parts and what is joined of them."""
        line = 24 * (self.map.d + 3) if self.has_table else 0
        return 2 * self.new.n * (8 * self.map.d + line) + (20 << 20)

    @property
    def has_table(self) -> bool:
        """Whether coordinates.tsv is written."""
        return self.new.n <= TABLE_ROWS

    @property
    def worker_bytes(self) -> int:
        """Memory that one local worker needs."""
        threads = 1 if self.options.executor == "serial" else self.options.nthreads
        return worker_need(self.block_bytes, 1, threads, WORKER_BASE_BYTES, self.broadcast_bytes)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """What can change a byte of the result: new items, landmarks, the map."""
        return [*self.new.inputs, self.map.identity]

    def new_token(self) -> bytes:
        """Written under the output; a worker that cannot read it does not see the output."""
        return f"{self.inputs[0]['path']} {os.getpid()} {time.time_ns()}".encode()

    @property
    def resolved(self) -> dict[str, Any]:
        """What 'auto' stands for."""
        return {
            "kind": self.new.kind, "block_size": self.ranges[0][1], "k": self.k,
            "n_far": len(self.far),
        }  # fmt: skip

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        return list(interpolate_words.warnings(self))

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        return {
            "items": self.new.n,
            "kind": self.new.kind,
            "landmarks": len(self.chosen),
            "dimensions": self.map.d,
            "k": self.k,
            "n_far": len(self.far),
            "blocks": len(self.ranges),
            "rows_per_block": self.ranges[0][1],
            "slots": self.slots,
            "estimated_seconds": round(self.estimated_seconds, 2),
            "items_per_second": round(self.new.n / max(self.estimated_seconds, 1e-9)),
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        return interpolate_words.plan_lines(self)


def make_job(config: Config, options: RunOptions) -> Job:
    """Open map and new items, check everything that can be wrong with them."""
    started = time.perf_counter()
    refuse_gang(options, "new items are placed once each")
    there = open_map(config.onto)
    if config.n_landmarks > there.n:
        text = f"--n-landmarks {config.n_landmarks} is more than the {there.n:,} items"
        raise UsageProblem(f"{text} of {config.onto}.")
    new = open_new(config.new, there, config.kind, config.landmarks, options)
    labels = None
    if config.labels:
        names = new.ids if new.ids is not None else row_numbers(new.n)
        theirs = there.ids if there.ids is not None else []
        labels = read_labels(config.labels, [*names, *theirs])
    return Job(
        config=config, options=options, map=there, new=new, labels=labels,
        seconds=time.perf_counter() - started, ready=time.perf_counter(),
    )  # fmt: skip

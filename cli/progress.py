"""A listener of engine events: bar, rate and time left on a terminal; counts everywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from cli import units
from cli.screen import WIDTH, Screen

PHASES = {"place": "placing", "cluster-read": "reading"}  # by the words of a map
AFTER = {"cluster-read": "linking"}  # what follows a map, in this process


class Progress:
    """Counts blocks, cells, repeated blocks and lost workers; draws them when somebody looks.

    Time left and rate go by cells, not by blocks: the heavy blocks come first.
    `job.cells_of(key)` tells the cells of a block; without it every block weighs the same.
    done: the blocks of an earlier run, which will not be told of again.
    """

    def __init__(self, screen: Screen, job: Any, done: Iterable[tuple[int, int]] = ()):
        self.screen, self.cells_of = screen, getattr(job, "cells_of", None)
        self.lock = threading.Lock()  # events come from Dask's own thread
        self.total = self.done = self.repeated = self.lost = 0
        self.cells = 0
        self.total_cells = getattr(job, "cells", 0)
        self.total_cells -= sum(job.block_cells(*block) for block in done) if self.cells_of else 0
        self.started: float | None = None
        self.stopped: float | None = None
        self.phase = "starting"  # workers load or compile kernels
        self.bar: Any = None

    def __call__(self, event: Any) -> None:
        handle = getattr(self, f"on_{type(event).__name__}", None)
        if handle is None:
            return
        with self.lock:
            handle(event)
            self.draw()

    def on_MapStarted(self, event: Any) -> None:  # noqa: N802 - named after the event
        self.total, self.done = event.n_tasks, 0
        self.started, self.stopped = time.monotonic(), None
        self.phase = PHASES.get(event.prefix, "distances")

    def on_MapEnded(self, event: Any) -> None:  # noqa: N802
        self.stopped = time.monotonic()
        self.phase = AFTER.get(event.prefix, "finishing")

    def on_TaskEnded(self, event: Any) -> None:  # noqa: N802
        self.done += 1
        if self.cells_of:
            self.cells += self.cells_of(event.key)

    def on_TaskRetried(self, event: Any) -> None:  # noqa: N802
        self.repeated += 1

    def on_WorkerLost(self, event: Any) -> None:  # noqa: N802
        self.lost += 1

    @property
    def rate(self) -> float:
        """Cells per second since the first block was submitted, until the last one ended."""
        if self.started is None:
            return 0.0
        seconds = (self.stopped or time.monotonic()) - self.started
        return self.cells / seconds if seconds > 0 else 0.0

    def notes(self) -> str:
        """Rate and mishaps, as shown behind the bar."""
        parts = [f"{self.rate / 1e9:.1f} GCUPS"] if self.cells else []
        if self.lost:
            parts.append(f"{units.count(self.lost, 'worker')} lost")
        if self.repeated:
            parts.append(f"{units.count(self.repeated, 'block')} repeated")
        return ", ".join(parts)

    def draw(self) -> None:
        if self.bar is None:
            return
        by_cells = bool(self.cells_of and self.total_cells)
        self.bar.update(
            self.task,
            description=f"{self.phase:<{WIDTH}}",
            total=self.total_cells if by_cells else self.total,
            completed=self.cells if by_cells else self.done,
            blocks=f"{self.done:,}/{self.total:,} blocks",
            notes=self.notes(),
        )

    def __enter__(self) -> Progress:
        if self.screen.live:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[blocks]}"),
                TextColumn("{task.fields[notes]}"),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task(f"{self.phase:<{WIDTH}}", total=None, blocks="", notes="")
            self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

"""A listener of engine events for runs that iterate: where they are, on a terminal."""

from __future__ import annotations

import threading
from typing import Any

from cli import units
from cli.screen import WIDTH, Screen

PHASES = {  # by the words of a map
    "load": "loading",
    "start": "starting",
    "labels": "labels",
    "shepard": "stress",
}


class IterationProgress:
    """Keeps the last iteration, how long they take and what went wrong; draws it when somebody
    looks. Nobody knows when an iteration converges, so there is no time left to tell."""

    def __init__(self, screen: Screen):
        self.screen = screen
        self.lock = threading.Lock()  # events come from Dask's own thread
        self.phase = "loading"
        self.loaded = self.run = self.iteration = self.lost = self.rollbacks = 0
        self.checkpoint: int | None = None
        self.seconds = 0.0  # of an iteration, smoothed
        self.values: dict[str, float] = {}
        self.bar: Any = None

    def __call__(self, event: Any) -> None:
        handle = getattr(self, f"on_{type(event).__name__}", None)
        if handle is None:
            return
        with self.lock:
            handle(event)
            self.draw()

    def on_PartitionLoaded(self, event: Any) -> None:  # noqa: N802 - named after the event
        self.loaded += 1

    def on_MapStarted(self, event: Any) -> None:  # noqa: N802
        self.phase = PHASES.get(event.prefix, self.phase)

    def on_IterationEnded(self, event: Any) -> None:  # noqa: N802
        row = event.row
        if row.iteration <= self.iteration:  # another run began, or a state was rolled back to
            self.seconds = 0.0
        if row.iteration == 1:
            self.run, self.values = self.run + 1, {}
        self.phase, self.iteration = "iterations", row.iteration
        self.values = self.values | row.values  # of several jobs, each tells its own
        took = row.stopped - row.started
        self.seconds = took if not self.seconds else 0.8 * self.seconds + 0.2 * took

    def on_ChunkEnded(self, event: Any) -> None:  # noqa: N802
        if self.screen.verbose and not self.screen.live:
            self.screen.line("iterations", self.notes())

    def on_Checkpointed(self, event: Any) -> None:  # noqa: N802
        self.checkpoint = event.iteration

    def on_RolledBack(self, event: Any) -> None:  # noqa: N802
        self.rollbacks += 1

    def on_WorkerLost(self, event: Any) -> None:  # noqa: N802
        self.lost += 1

    def notes(self) -> str:
        """'iteration 12, inertia 8.9e+12, shift 0.013, 25 ms each'"""
        if self.phase != "iterations":
            return units.count(self.loaded, "partition") if self.loaded else ""
        parts = [f"run {self.run}"] if self.run > 1 else []
        parts.append(f"iteration {self.iteration:,}")
        parts += [f"{name} {value:.6g}" for name, value in self.values.items()]
        parts.append(f"{units.duration(self.seconds)} each")
        if self.lost:
            parts.append(f"{units.count(self.lost, 'worker')} lost")
        if self.rollbacks:
            parts.append(units.count(self.rollbacks, "rollback"))
        return ", ".join(parts)

    def draw(self) -> None:
        if self.bar is not None:
            self.bar.update(self.task, description=f"{self.phase:<{WIDTH}}", notes=self.notes())

    def __enter__(self) -> IterationProgress:
        if self.screen.live:
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self.bar = Bar(
                TextColumn("{task.description}"),
                SpinnerColumn(),
                TextColumn("{task.fields[notes]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task(f"{self.phase:<{WIDTH}}", total=None, notes="")
            self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

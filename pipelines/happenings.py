"""What befell a run: who computed what, what was repeated, which workers were lost."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from pipelines.engine import Event, TaskEnded, TaskRetried, WorkerJoined, WorkerLost


class Happenings:
    """A listener of an engine.

    worker_of   task key -> name of the worker that finished it
    repeated    task key -> attempts that were lost
    lost        {"worker", "at"} of each worker that ended before its time
    log         what is worth a line of log.jsonl, in the order it was heard
    """

    def __init__(self) -> None:
        self.worker_of: dict[str, str] = {}
        self.repeated: dict[str, int] = {}
        self.lost: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskEnded):
            self.worker_of[event.key] = event.worker
            return
        if isinstance(event, TaskRetried):
            self.repeated[event.key] = self.repeated.get(event.key, 0) + 1
        elif isinstance(event, WorkerLost):
            self.lost.append({"worker": event.worker, "at": event.at})
        elif not isinstance(event, WorkerJoined):
            return
        self.note(type(event).__name__, **dataclasses.asdict(event))

    def note(self, event: str, **facts: Any) -> None:
        """Add a line to the log; the time is now where `at` does not tell another."""
        self.log.append({"event": event, "at": time.time(), **facts})

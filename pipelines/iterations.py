"""What befell a run that iterates: its iterations, chunks, partitions and checkpoints."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.engine import Event
from pipelines.engine.events import (
    BackupStarted,
    Checkpointed,
    ChunkEnded,
    IterationEnded,
    PartitionsMoved,
    RankSlow,
    RolledBack,
    TaskEnded,
)
from pipelines.engine.job import Row
from pipelines.happenings import Happenings

MOST_TASKS, LEAST_TASK_S = 20_000, 0.001  # tasks that are drawn, and how long they take at least
NOTED = (PartitionsMoved, RolledBack, Checkpointed, BackupStarted, RankSlow)
FACTS = ("run", "iteration", "job", "started", "mapped", "stopped", "seconds")  # of every row


class IterationLog(Happenings):
    """A listener of an engine, for applications that iterate in one or several runs.

    rows       one dict an iteration: `FACTS`, those of `begin`, and what the job records
    chunks     one dict a chunk: run, key, first, n_iter, overhead_s, ranks (how many), workers
    timeline   {"worker", "started", "stopped", "kind"} of each task, but not of more than
               MOST_TASKS and not of those shorter than LEAST_TASK_S
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.chunks: list[dict[str, Any]] = []
        self.timeline: list[dict[str, Any]] = []
        self._of_run: dict[str, Any] = {}
        self._counts: dict[type, int] = {}

    def begin(self, run: int, **facts: Any) -> None:
        """What is told from now on belongs to that run."""
        self._of_run = {"run": run, **facts}

    def of_run(self) -> list[dict[str, Any]]:
        """The rows of the run that was begun last."""
        return [row for row in self.rows if row["run"] == self._of_run.get("run")]

    def count(self, kind: type) -> int:
        """How many events of that kind there were."""
        return self._counts.get(kind, 0)

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._counts[type(event)] = self.count(type(event)) + 1
        if isinstance(event, IterationEnded):
            self.rows.append(self._of_run | as_row(event.row))
        elif isinstance(event, ChunkEnded):
            ranks = {"ranks": len(event.ranks), "workers": list(event.ranks)}
            self.chunks.append(self._of_run | vars(event) | ranks)
        elif isinstance(event, TaskEnded):
            self._draw(event)
        elif isinstance(event, NOTED):
            self.note(type(event).__name__, **dataclasses.asdict(event))

    def _draw(self, task: TaskEnded) -> None:
        if len(self.timeline) < MOST_TASKS and task.stopped - task.started >= LEAST_TASK_S:
            span = {"started": task.started, "stopped": task.stopped}
            kind = task.key.partition("-")[0]
            self.timeline.append({"worker": task.worker, **span, "kind": kind})


def log_lines(log: IterationLog) -> list[dict[str, Any]]:
    """All of it as lines of log.jsonl, from which `told_again` reads it."""
    lines = [{"event": "Iteration", **row} for row in log.rows]
    lines += [{"event": "Chunk", **chunk} for chunk in log.chunks]
    return lines + [{"event": "Task", **task} for task in log.timeline] + log.log


def log_bytes(lines: Iterable[dict[str, Any]]) -> bytes:
    """log.jsonl: a line of JSON each."""
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def row_table(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """A line per iteration, as TSV; a value that a row does not have is empty. `seconds` are those
    from its start to its end, `imbalance` is that of its ranks."""
    lines = ["\t".join(columns)]
    for row in rows:
        values = {**row, "seconds": f"{spent(row):.6f}", "imbalance": f"{imbalance(row):.3f}"}
        lines.append("\t".join(str(values.get(name, "")) for name in columns))
    return ("\n".join(lines) + "\n").encode()


def told_again(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The lists that a report shows, by the names it has for them."""
    names = {
        "Iteration": "rows", "Task": "timeline", "Chunk": "chunks", "RolledBack": "rollbacks",
        "Checkpointed": "checkpoints", "PartitionsMoved": "moves", "BackupStarted": "backups",
        "WorkerLost": "workers_lost",
    }  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for line in lines:
        if line["event"] in names:
            found[names[line["event"]]].append(line)
    return found


def as_row(row: Row) -> dict[str, Any]:
    """An iteration as log.jsonl has it."""
    facts = dict(vars(row))  # not asdict(), which copies: there are thousands of rows a second
    values = facts.pop("values")
    return facts | {"seconds": list(row.seconds)} | values


def imbalance(row: dict[str, Any]) -> float:
    """Seconds of the slowest rank over those of the mean rank; 1 where one does all."""
    seconds = row["seconds"]
    mean = sum(seconds) / len(seconds) if seconds else 0.0
    return max(seconds) / mean if mean > 0 else 1.0


def spent(row: dict[str, Any]) -> float:
    """Seconds of an iteration, from its start to its end."""
    return float(row["stopped"] - row["started"])


def iteration_facts(log: IterationLog) -> dict[str, Any]:
    """For run.json: how long iterations took, what lay between them, what was done twice.

    overhead_s is what an iteration takes beyond the map of its slowest rank: exchange, update,
    waiting, and the driver between two chunks.
    """
    rows = log.rows
    between = sum(chunk["overhead_s"] for chunk in log.chunks)
    inside = [max(spent(row) - max(row["seconds"], default=0.0), 0.0) for row in rows]
    first = [spent(row) for row in rows if row["iteration"] == 1]
    later = [spent(row) for row in rows if row["iteration"] > 1]
    return {
        "iterations": len(rows),
        "chunks": len(log.chunks),
        "ranks": max((chunk["ranks"] for chunk in log.chunks), default=0),
        "seconds_median": median([spent(row) for row in rows]),
        "first_seconds_median": median(first),
        "later_seconds_median": median(later),
        "overhead_seconds_median": median(inside),
        "between_chunks_seconds": between,
        "imbalance_median": median([imbalance(row) for row in rows]),
        "checkpoints": log.count(Checkpointed),
        "rollbacks": log.count(RolledBack),
        "backups": log.count(BackupStarted),
    }


def number(value: float) -> float | None:
    """None for what is not a number, which JSON does not know."""
    return None if math.isnan(value) else value


def median(values: list[float]) -> float | None:
    """None of nothing."""
    return statistics.median(values) if values else None

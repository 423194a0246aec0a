"""What an engine tells its listeners. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class MapStarted:
    prefix: str
    n_tasks: int


@dataclass(frozen=True)
class TaskEnded:
    """One task is done. `started` and `stopped` were read on the worker's clock."""

    key: str
    worker: str
    started: float
    stopped: float
    attempt: int


@dataclass(frozen=True)
class TaskRetried:
    """An attempt was lost to an exception or to the death of its worker; another one follows."""

    key: str
    worker: str
    error: str


@dataclass(frozen=True)
class WorkerLost:
    worker: str
    at: float


@dataclass(frozen=True)
class WorkerJoined:
    worker: str
    at: float


@dataclass(frozen=True)
class MapEnded:
    prefix: str


Event = MapStarted | TaskEnded | TaskRetried | WorkerLost | WorkerJoined | MapEnded
Listener = Callable[[Event], object]

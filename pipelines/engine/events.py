"""What an engine tells its listeners. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.engine.job import Row


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


@dataclass(frozen=True)
class PartitionLoaded:
    """A worker holds partition `index` of `key` now. seconds: what reading the source took."""

    key: str
    index: int
    worker: str
    nbytes: int
    seconds: float


@dataclass(frozen=True)
class PartitionsMoved:
    """Partitions were loaded by other workers than before. reason: 'worker lost', 'balance'."""

    key: str
    moves: int
    reason: str


@dataclass(frozen=True)
class IterationEnded:
    """One iteration of the job `key`; told when its chunk is over."""

    key: str
    row: Row


@dataclass(frozen=True)
class ChunkEnded:
    """Iterations first + 1 .. first + n_iter ran on these workers. overhead_s is what the chunk
    took beside its iterations."""

    key: str
    ranks: tuple[str, ...]
    first: int
    n_iter: int
    overhead_s: float


@dataclass(frozen=True)
class RolledBack:
    """A chunk broke: the state is again that after `iteration` iterations."""

    key: str
    iteration: int
    error: str


@dataclass(frozen=True)
class Checkpointed:
    """The state after `iteration` iterations is on disk. seconds: of the writer, in background."""

    key: str
    iteration: int
    seconds: float
    nbytes: int


@dataclass(frozen=True)
class BackupStarted:
    """The partitions of a slow worker's task run on `worker` too; the first result counts."""

    key: str
    partitions: tuple[int, ...]
    worker: str


@dataclass(frozen=True)
class RankSlow:
    """A worker that is left out for a while. reason: 'not heard of for 12 s'."""

    worker: str
    reason: str


Event = (
    MapStarted
    | TaskEnded
    | TaskRetried
    | WorkerLost
    | WorkerJoined
    | MapEnded
    | PartitionLoaded
    | PartitionsMoved
    | IterationEnded
    | ChunkEnded
    | RolledBack
    | Checkpointed
    | BackupStarted
    | RankSlow
)
Listener = Callable[[Event], object]

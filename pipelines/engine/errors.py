"""What can go wrong under a run. Each class knows the exit code of the command."""

from __future__ import annotations


class EngineError(Exception):
    """Workers, scheduler or tasks failed. `remedy` is the second line: what to do."""

    exit_code = 6

    def __init__(self, message: str, *, remedy: str | None = None):
        super().__init__(message)
        self.remedy = remedy


class TaskFailed(EngineError):
    """A task failed in all its attempts, or took too many workers down with it."""

    def __init__(self, key: str, worker: str, error: str, attempts: int = 1):
        times = "once" if attempts == 1 else f"{attempts} times"
        super().__init__(f"{key} failed {times}, last on {worker}: {error}")
        self.key, self.worker, self.error, self.attempts = key, worker, error, attempts
        self.traceback_text = ""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.key, self.worker, self.error, self.attempts), self.__dict__


class ChunkBroken(EngineError):
    """A chunk of iterations did not come to its end: iterate() rolls back and tries again.

    suspects   addresses of workers that may have caused it
    """

    def __init__(self, message: str, suspects: tuple[str, ...] = ()):
        super().__init__(message)
        self.suspects = suspects

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.suspects), self.__dict__


class PartitionMissing(EngineError):
    """A partition is not, or no longer, held by the process that was asked for it."""

    def __init__(self, key: str, index: int):
        super().__init__(f"partition {index} of {key} is not held here")
        self.key, self.index = key, index

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.key, self.index)


class MemoryRefused(EngineError):
    """The plan, or a task, needs more memory than a worker may use."""

    exit_code = 4


class ClusterMismatch(EngineError):
    """A given cluster that cannot do this work: other versions, or it does not see the output."""

    exit_code = 2


class ClusterUnreachable(ClusterMismatch):
    """Nothing answers at the given scheduler address."""

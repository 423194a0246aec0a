"""Which worker holds which partition: the driver's side of the workers' caches.

Dask forgets nothing as thoroughly as a task pinned to a worker that is gone: it waits for ever.
So the driver itself watches both the tasks and the workers, and posts a lost load to another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.engine.partitions import Partitions

if TYPE_CHECKING:
    from pipelines.engine.tasks import TasksEngine


class Pins:
    """Of one engine, for all its partitions. Used by the thread that runs the engine."""

    def __init__(self, engine: TasksEngine):
        self._engine = engine

    def ensure(self, partitions: Partitions) -> dict[str, list[int]]:
        """Bring every partition in place: worker's address -> the leaves it is to run, ascending.

        Reads the list of workers anew, loads what is missing (on those that joined, and what was
        lost), drops what moved away. Workers that run nothing are left out. Waits while there is
        no worker; EngineError when none comes. Raises what loading raises, see engine.partitions.
        """
        raise NotImplementedError

    def holders(self, partitions: Partitions) -> dict[int, list[str]]:
        """Leaf -> addresses of the workers that hold it, the one that runs it first."""
        raise NotImplementedError

    def bench(self, address: str, reason: str) -> None:
        """Leave a suspect worker out until the scheduler has heard of it again."""
        raise NotImplementedError

    def forget(self, address: str) -> None:
        """Whatever this worker held is lost: its process ended."""
        raise NotImplementedError

    def note(self, partitions: Partitions, address: str, counts: Any) -> None:
        """Keep pinned.cache().counts(key) of a worker, brought back by one of its tasks."""
        raise NotImplementedError

    def release(self, partitions: Partitions) -> None:
        """Drop the partitions everywhere."""
        raise NotImplementedError

    def facts(self, partitions: Partitions) -> dict[str, int]:
        """See engine.partition_facts."""
        raise NotImplementedError

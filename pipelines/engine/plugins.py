"""What rides on each worker: broadcast values, and functions to run before its first task.

Dask sends a registered plugin to every worker, and to each one that joins before it takes tasks.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

from distributed import Worker, WorkerPlugin

from pipelines.engine import broadcast, pinned
from pipelines.engine.memory import CacheSize

_RESULTS: dict[str, Any] = {}  # of run_everywhere, by plugin name, until they are collected


class HoldValue(WorkerPlugin):
    """Carries a broadcast value; it is pickled once on the driver, unpickled once per worker."""

    def __init__(self, key: str, value: Any):
        self.name = key
        self.value = value

    def setup(self, worker: Worker) -> None:
        broadcast.hold(self.name, self.value)

    def teardown(self, worker: Worker) -> None:
        broadcast.forget(self.name)


class HoldFile(WorkerPlugin):
    """A broadcast value for workers of this machine: they read the file that the driver wrote.

    A value of 150 MB would else be copied six times through the sockets of one process.
    """

    def __init__(self, key: str, path: str):
        self.name = key
        self.path = path

    def setup(self, worker: Worker) -> None:
        with open(self.path, "rb") as file:
            broadcast.hold(self.name, pickle.load(file))

    def teardown(self, worker: Worker) -> None:
        broadcast.forget(self.name)


class RunOnce(WorkerPlugin):
    """Runs function(*args) in a thread, so that the worker's event loop stays awake meanwhile."""

    def __init__(self, name: str, function: Callable[..., Any], args: tuple[Any, ...]):
        self.name, self.function, self.args = name, function, args

    async def setup(self, worker: Worker) -> None:
        _RESULTS[self.name] = await asyncio.to_thread(self.function, *self.args)

    def teardown(self, worker: Worker) -> None:
        _RESULTS.pop(self.name, None)


class SizeCache(WorkerPlugin):
    """Gives a worker's partitions their room: in memory, and on the worker's own disk."""

    def __init__(self, name: str, size: CacheSize):
        self.name, self.size = name, size

    def setup(self, worker: Worker) -> None:
        room = self.size.memory_bytes(worker.memory_manager.memory_limit)
        pinned.configure(room, worker.local_directory if self.size.disk else None)


def take_result(name: str) -> tuple[Any, ...]:
    """(result,) of a RunOnce on this worker; () where it joined too late to have one yet."""
    return (_RESULTS.pop(name),) if name in _RESULTS else ()

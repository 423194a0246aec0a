"""The executor in the driver's own process. It defines the meaning of every verb."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.engine import broadcast, pinned, scratch
from pipelines.engine.attempt import Attempt, AttemptFailed, Outcome, raise_unless_retried
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.chunk import Folded, run_iterations
from pipelines.engine.contract import WorkerInfo, prefix_of
from pipelines.engine.events import (
    Event,
    Listener,
    MapEnded,
    MapStarted,
    PartitionLoaded,
    TaskEnded,
    TaskRetried,
)
from pipelines.engine.job import Chunk, ChunkDone, Job, State
from pipelines.engine.leaves import Leaves
from pipelines.engine.memory import CacheSize
from pipelines.engine.partitions import Partitions, Tally, new_partitions
from pipelines.engine.probe import this_process
from pipelines.engine.retry import RETRIES
from pipelines.engine.tree import reduce_pairwise

WORKER = "driver"


class SerialEngine:
    """One process. map() takes items one by one in the order given; partitions run in a thread
    per usable core."""

    name = "serial"
    dashboard: str | None = None
    slots = 1
    cpu_warning: str | None = None

    def __init__(
        self,
        reason: str = "asked for",
        listeners: Iterable[Listener] = (),
        cache: CacheSize | None = None,
    ):
        self.reason = reason
        self._listeners = tuple(listeners)
        self._held: list[str] = []
        self._cache = cache or CacheSize()
        self._folder: Path | None = None
        self._partitions: dict[str, dict[int, int]] = {}  # key -> index -> bytes
        self._pool: ThreadPoolExecutor | None = None

    @property
    def workers(self) -> list[WorkerInfo]:
        return [this_process(WORKER)]

    def run_everywhere(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        return {WORKER: function(*args)}

    def listen(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def broadcast(self, value: Any) -> Broadcast:
        handle = Broadcast(f"broadcast-{uuid.uuid4().hex}")
        broadcast.hold(handle.key, value)
        self._held.append(handle.key)
        return handle

    def map(
        self,
        function: Callable[..., Any],
        items: Iterable[Any],
        *args: Any,
        key: Callable[[Any], str],
        retries: int = RETRIES,
        window: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        items = list(items)
        prefix = prefix_of(key(items[0])) if items else ""
        self.tell(MapStarted(prefix, len(items)))
        try:
            for item in items:
                yield item, self._attempts(Attempt(function, item, args), key(item), retries)
        finally:
            self.tell(MapEnded(prefix))

    def _attempts(self, attempt: Attempt, key: str, retries: int) -> Any:
        number = 1
        while True:
            try:
                done: Outcome = attempt.run(WORKER)
            except AttemptFailed as failure:
                raise_unless_retried(failure, key, number, retries)
                self.tell(TaskRetried(key, WORKER, failure.error))
                number += 1
            else:
                self.tell(TaskEnded(key, WORKER, done.started, done.stopped, number))
                return done.result

    def reduce(self, merge: Callable[[Any, Any], Any], parts: Iterable[Any]) -> Any:
        return reduce_pairwise(merge, parts)

    # Partitions

    def partitions(
        self,
        load: Callable[[Any], Any],
        sources: Sequence[Any],
        *,
        costs: Sequence[float] | None = None,
        key: str = "partition",
        replicas: int = 1,
    ) -> Partitions:
        made = new_partitions(load, sources, costs, key, replicas)
        self._configure()
        held = self._partitions[made.key] = {}

        def load_one(index: int) -> Outcome:
            source = made.sources[index]
            return Attempt(partial(pinned.cache().load, made.key), index, (load, source)).run(
                WORKER
            )

        for index, done in self._in_threads(load_one, made, "load"):
            held[index] = done.result.nbytes
            self.tell(PartitionLoaded(key, index, WORKER, done.result.nbytes, done.result.seconds))
        return made

    def _configure(self) -> None:
        from pipelines.engine.cluster import usable_memory

        if self._cache.disk and self._folder is None:
            scratch.remove_leftovers()
            self._folder = scratch.make()
        room = self._cache.memory_bytes(usable_memory())
        pinned.configure(room, str(self._folder) if self._folder else None)

    def release(self, partitions: Partitions) -> None:
        self._partitions.pop(partitions.key, None)
        pinned.cache().drop(partitions.key)

    def partition_facts(self, partitions: Partitions) -> dict[str, int]:
        nbytes = self._partitions[partitions.key]
        return Tally(nbytes, {WORKER: pinned.cache().counts(partitions.key)}).facts()

    def map_partitions(
        self, function: Callable[..., Any], partitions: Partitions, *args: Any, key: str = "map"
    ) -> list[Any]:
        results: list[Any] = [None] * partitions.n
        leaves = Leaves(partitions.key, partitions.n, WORKER, 1)
        self.tell(MapStarted(key, partitions.n))
        try:
            one = partial(leaves.attempt, function, args=args)
            for index, done in self._in_threads(one, partitions, key):
                results[index] = done.result
        finally:
            self.tell(MapEnded(key))
        return results

    def _in_threads(
        self, one: Callable[[int], Outcome], partitions: Partitions, verb: str
    ) -> Iterator[tuple[int, Outcome]]:
        """(index, one(index)) of each partition as they end, with three attempts of each."""
        pool = self._threads()
        running = {pool.submit(one, index): (index, 1) for index in range(partitions.n)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, attempt = running.pop(future)
                    key = partitions.task_key(verb, index)
                    try:
                        done = future.result()
                    except AttemptFailed as failure:
                        raise_unless_retried(failure, key, attempt, RETRIES)
                        self.tell(TaskRetried(key, WORKER, failure.error))
                        running[pool.submit(one, index)] = (index, attempt + 1)
                    else:
                        self.tell(TaskEnded(key, WORKER, done.started, done.stopped, attempt))
                        yield index, done
        finally:
            for future in running:
                future.cancel()
            wait(running)

    def _threads(self) -> ThreadPoolExecutor:
        """The threads of this engine: a start of KMeans calls thousands of times."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._n_threads(), thread_name_prefix="partitions")
        return self._pool

    def _n_threads(self) -> int:
        from pipelines.engine.cluster import usable_cores

        return usable_cores()

    def run_chunk(self, partitions: Partitions, chunk: Chunk) -> ChunkDone:
        everything = range(partitions.n)
        with Leaves(partitions.key, partitions.n, WORKER, self._n_threads()) as leaves:

            def fold(job: Job, state: State) -> Folded:
                started = time.time()
                (total,) = leaves.fold(everything, job, state, chunk.args).values()
                mapped = time.time()
                return Folded(total, (mapped - started,), mapped, (WORKER,))

            return run_iterations(chunk, fold, WORKER)

    def spmd(self, function: Callable[..., Any], partitions: Partitions, *args: Any) -> list[Any]:
        from pipelines.engine.gang.comm import Alone

        with contextlib.ExitStack() as held:
            mine = [
                held.enter_context(pinned.cache().use(partitions.key, index))
                for index in range(partitions.n)
            ]
            return [function(Alone(partitions.n), mine, *args)]

    @contextlib.contextmanager
    def performance_report(self, path: str) -> Iterator[None]:
        """No file: there is no scheduler that could write one."""
        yield

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        for key in self._held:
            broadcast.forget(key)
        self._held.clear()
        for key in self._partitions:
            pinned.cache().drop(key)
        self._partitions.clear()
        if self._folder is not None:
            scratch.remove(self._folder)
            self._folder = None

    def __enter__(self) -> SerialEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

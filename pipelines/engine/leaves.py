"""What a worker does with the partitions it holds, the leaves of the tree: the same everywhere.

The leaves run in a few threads, in any order: a Folding combines what comes in the one fixed
tree, so the bytes do not depend on the threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipelines.engine import pinned
from pipelines.engine.attempt import Attempt, AttemptFailed, Outcome, packed
from pipelines.engine.errors import ChunkBroken
from pipelines.engine.job import Job, Partial, State, advance, combiner
from pipelines.engine.tree import Folding, Node


class LeafFailed(ChunkBroken):
    """A function of the job raised: map on partition `leaf`, or with leaf None what follows it."""

    def __init__(self, leaf: int | None, failure: AttemptFailed):
        super().__init__(str(failure))
        self.leaf, self.failure = leaf, failure

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.leaf, self.failure)


class Leaves:
    """The n partitions `key` as far as they are held here, run in n_threads threads.

    worker   name of this worker, for errors
    A context manager: the threads live from call to call and end with it.
    """

    def __init__(self, key: str, n: int, worker: str, n_threads: int):
        self.key, self.n, self.worker = key, n, worker
        self._n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def fold(
        self, leaves: Iterable[int], job: Job, state: State, args: Sequence[Any]
    ) -> dict[Node, Partial]:
        """map over the leaves, combined as far as these leaves allow.

        Raises LeafFailed for the first map that raised.
        """
        folding: Folding[Partial] = Folding(self.n, combiner(job))

        def one(leaf: int) -> None:
            try:
                done = self.attempt(job.map, leaf, (state, *args))
            except AttemptFailed as failure:
                raise LeafFailed(leaf, failure) from failure
            folding.add((0, leaf), done.result)

        self.run(one, leaves)
        return folding.nodes

    def attempt(self, function: Callable[..., Any], leaf: int, args: Sequence[Any]) -> Outcome:
        """function(partition, *args), timed. Raises AttemptFailed."""

        def one(leaf: int) -> Any:
            with pinned.cache().use(self.key, leaf) as partition:
                return function(partition, *args)

        return Attempt(one, leaf, ()).run(self.worker)

    def attempts(
        self, function: Callable[..., Any], leaves: Iterable[int], args: Sequence[Any]
    ) -> dict[int, Outcome | AttemptFailed]:
        """What became of each leaf."""
        found: dict[int, Outcome | AttemptFailed] = {}

        def one(leaf: int) -> None:
            try:
                found[leaf] = self.attempt(function, leaf, args)
            except AttemptFailed as failure:
                found[leaf] = failure

        self.run(one, leaves)
        return found

    def run(self, one: Callable[[int], None], leaves: Iterable[int]) -> None:
        """one(leaf) for each leaf; the first error ends it."""
        leaves = list(leaves)
        if self._n_threads <= 1 or len(leaves) <= 1:
            for leaf in leaves:
                one(leaf)
            return
        todo, lock, stop = iter(leaves), threading.Lock(), threading.Event()

        def drain() -> None:
            while not stop.is_set():
                with lock:
                    leaf = next(todo, None)
                if leaf is None:
                    return
                try:
                    one(leaf)
                except BaseException:
                    stop.set()
                    raise

        threads = [self.pool.submit(drain) for _ in range(min(self._n_threads, len(leaves)))]
        errors = [thread.exception() for thread in threads]
        for error in errors:
            if error is not None:
                raise error

    @property
    def pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._n_threads, thread_name_prefix="leaves")
        return self._pool

    def __enter__(self) -> Leaves:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def next_state(
    job: Job, state: State, total: Partial, args: Sequence[Any], worker: str
) -> tuple[State, str, str]:
    """advance(), with what it raises as LeafFailed(None)."""
    try:
        return advance(job, state, total, args)
    except Exception as error:
        raise LeafFailed(None, packed(error, worker)) from error


def recorded(job: Job, state: State, worker: str) -> dict[str, float]:
    """What the job tells of its new state, as numbers that JSON can hold."""
    if job.record is None:
        return {}
    try:
        return {name: float(value) for name, value in job.record(state).items()}
    except Exception as error:
        raise LeafFailed(None, packed(error, worker)) from error

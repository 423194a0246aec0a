"""What a worker does with the partitions it holds, the leaves of the tree: the same everywhere.

The leaves run in a pool of threads, in any order: a Folding combines what comes in the one fixed
tree, so the bytes do not depend on the threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipelines.engine import pinned
from pipelines.engine.attempt import AttemptFailed, packed
from pipelines.engine.errors import ChunkBroken
from pipelines.engine.job import Chunk, Job, Partial, State, advance, combiner
from pipelines.engine.tree import Folding, Node


class LeafFailed(ChunkBroken):
    """A function of the job raised: map on partition `leaf`, or with leaf None what follows it."""

    def __init__(self, leaf: int | None, failure: AttemptFailed):
        super().__init__(str(failure))
        self.leaf, self.failure = leaf, failure

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.leaf, self.failure)


def fold_leaves(
    key: str, n: int, leaves: Sequence[int], chunk: Chunk, worker: str, n_threads: int
) -> dict[Node, Partial]:
    """map over `leaves` of the n partitions `key`, combined as far as these leaves allow.

    Raises LeafFailed for the first map that raised.
    """
    job, state, args = chunk.job, chunk.state, chunk.args
    folding: Folding[Partial] = Folding(n, combiner(job))
    cache = pinned.cache()

    def one(leaf: int) -> None:
        with cache.use(key, leaf) as partition:
            try:
                partial = job.map(partition, state, *args)
            except Exception as error:
                raise LeafFailed(leaf, packed(error, worker)) from error
        folding.add((0, leaf), partial)

    run_threads(one, leaves, n_threads)
    return folding.nodes


def run_threads(one: Callable[[int], None], leaves: Iterable[int], n_threads: int) -> None:
    """one(leaf) for each leaf, in up to n_threads threads; the first error ends it."""
    todo = iter(leaves)
    if n_threads <= 1:
        for leaf in todo:
            one(leaf)
        return
    lock, stop = threading.Lock(), threading.Event()

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

    with ThreadPoolExecutor(n_threads, thread_name_prefix="leaves") as pool:
        threads = [pool.submit(drain) for _ in range(n_threads)]
    for thread in threads:
        thread.result()


def next_state(
    job: Job, state: State, total: Partial, args: Sequence[Any], worker: str
) -> tuple[State, str, str]:
    """advance(), with what it raises as LeafFailed(None)."""
    try:
        return advance(job, state, total, args)
    except Exception as error:
        raise LeafFailed(None, packed(error, worker)) from error

"""Tasks posted to certain workers.

Dask forgets nothing as thoroughly as a task pinned to a worker that is gone: it waits for ever.
Here the driver watches the workers as well as the tasks, and a post whose worker is gone, or is
not heard of any more, comes back as lost.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import Client, Future, as_completed, get_worker
from distributed.client import FutureCancelledError

from pipelines.engine.attempt import AttemptFailed
from pipelines.engine.contract import shown_name
from pipelines.engine.errors import ChunkBroken, EngineError, TaskFailed
from pipelines.engine.window import LOOK_S, Stall, dashboard_key

if TYPE_CHECKING:
    from pipelines.engine.tasks import TasksEngine

SILENT_S = 10.0  # a worker that lives tells so every half second, in a crowd every few seconds


@dataclass(frozen=True, eq=False)
class Post:
    """A task that runs on the worker at `address` and nowhere else. posted_at is monotonic."""

    address: str
    key: str
    future: Future
    posted_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Reply:
    """What became of a post: its result, what it raised, or lost and nothing."""

    post: Post
    result: Any = None
    error: Exception | None = None
    lost: bool = False


class Posts:
    """Those of one round. A context manager: what is left at its end is given up.

    task(worker's name, its number of threads) -> result is what is posted; what it raises as
    AttemptFailed or ChunkBroken comes back, other errors are TaskFailed.
    """

    def __init__(self, engine: TasksEngine):
        self._engine = engine
        self._client: Client = engine.client
        self._open: dict[str, Post] = {}
        self._finished = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        self._run = uuid.uuid4().hex[:6]
        self._number = 0
        self._stall = Stall(self._client)
        self._looked_at = time.monotonic()
        engine.waiting.append(self._finished.thread_condition)

    def post(self, address: str, key: str, task: Callable[[str, int], Any]) -> Post:
        self._number += 1
        dask_key = dashboard_key(key, self._number, self._run)
        future = self._client.submit(
            run_post, Parcel(task), key=dask_key, workers=[address], pure=False, priority=10
        )
        post = self._open[dask_key] = Post(address, key, future)
        self._finished.add(future)
        return post

    def wait(self, timeout_s: float = LOOK_S) -> list[Reply]:
        """What came back; nothing after timeout_s. Raises EngineError when there is no hope."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._engine.look()
            replies = self._lost()
            while self._finished.has_ready():
                for future, answer in self._finished.next_batch(block=False):
                    post = self._open.pop(str(future.key), None)
                    if post is not None:
                        replies.append(self._reply(post, answer))
            now = time.monotonic()
            if replies or now >= deadline:
                return replies
            if now >= self._looked_at + LOOK_S:
                self._look_closely()
                continue
            with self._finished.thread_condition:
                if not self._finished.has_ready() and not self._engine.has_news:
                    until = min(deadline, self._looked_at + LOOK_S)
                    self._finished.thread_condition.wait(timeout=max(0.0, until - now))

    def give_up(self, post: Post) -> None:
        """Nobody waits for it any more. A task that runs runs on: a thread cannot be stopped."""
        if self._open.pop(str(post.future.key), None) is not None:
            post.future.release()

    def _look_closely(self) -> None:
        """Ask the scheduler: for workers whose end nobody told, and for those that are silent."""
        self._looked_at = time.monotonic()
        self._stall.check()
        seen = self._engine.refresh()
        latest = max(seen.values(), default=0.0)
        for address in {post.address for post in self._open.values()}:
            silent_s = latest - seen.get(address, latest)
            if silent_s >= SILENT_S and len(seen) > 1:
                self._engine.pins.bench(address, f"not heard of for {silent_s:.0f} s")

    def _lost(self) -> list[Reply]:
        here = self._engine.pins.is_here
        gone = [post for post in self._open.values() if not here(post.address)]
        for post in gone:
            self.give_up(post)
        return [Reply(post, lost=True) for post in gone]

    def _reply(self, post: Post, answer: Any) -> Reply:
        status = post.future.status
        post.future.release()
        if status == "finished":
            return Reply(post, answer)
        error = answer[1] if isinstance(answer, tuple) else answer
        if isinstance(error, FutureCancelledError):
            raise EngineError(f"{post.key} was cancelled: the scheduler was lost or restarted")
        if isinstance(error, AttemptFailed | ChunkBroken):
            return Reply(post, error=error)
        raise TaskFailed(post.key, post.address, f"{type(error).__name__}: {error}")

    def __enter__(self) -> Posts:
        return self

    def __exit__(self, *exception: object) -> None:
        self._engine.waiting.remove(self._finished.thread_condition)
        self._finished.clear()
        for post in self._open.values():
            post.future.release()
        self._open.clear()


@dataclass(frozen=True)
class Parcel:
    """Keeps Dask from looking into the task for futures and keys."""

    task: Callable[[str, int], Any]


def run_post(parcel: Parcel) -> Any:
    worker = get_worker()
    return parcel.task(shown_name(worker.name), worker.state.nthreads)

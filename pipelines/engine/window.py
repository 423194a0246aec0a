"""A sliding window of Dask tasks: submitted as results come in, results released at once.

The driver's memory and the scheduler's work depend on the window, not on the number of tasks.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dask.utils import key_split
from distributed import Client, Future, KilledWorker, as_completed, get_worker
from distributed.client import FutureCancelledError

from pipelines.engine.attempt import Attempt, AttemptFailed, Outcome, raise_unless_retried
from pipelines.engine.contract import prefix_of, shown_name
from pipelines.engine.errors import EngineError, TaskFailed
from pipelines.engine.events import Event, TaskEnded, TaskRetried
from pipelines.engine.retry import is_stalled

ANSWER_S = 30.0  # a scheduler that says nothing for so long is gone
LOOK_S = 1.0  # between looks at the workers while nothing finishes


@dataclass
class Pending:
    """A submitted task. attempt counts from 1."""

    item: Any
    key: str
    attempt: int
    future: Future


class Window:
    """Runs one map(). `limit` is asked before each submission: workers may join meanwhile."""

    def __init__(
        self,
        client: Client,
        make: Callable[[Any], Attempt],
        key: Callable[[Any], str],
        retries: int,
        limit: Callable[[], int],
        tell: Callable[[Event], None],
        look: Callable[[], None],
    ):
        self._client, self._make, self._key = client, make, key
        self._retries, self._limit, self._tell, self._look = retries, limit, tell, look
        self._run = uuid.uuid4().hex[:6]
        self._pending: dict[str, Pending] = {}
        self._finished = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self._stall = Stall(client)

    def results(self, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """(item, result) as they complete; cancels what is left when the caller stops early."""
        queue = iter(items)
        try:
            self._fill(queue)
            while self._pending:
                for future, answer in self._next_batch():
                    done = self._settle(future, answer)
                    self._fill(queue)
                    if done is not None:
                        yield done
                    self._look()
        finally:
            self.cancel()

    def worker_lost(self, worker: str, dask_keys: set[str]) -> None:
        """Count the attempts that died with a worker; Dask gives the tasks to another one."""
        for dask_key in dask_keys:
            pending = self._pending.get(dask_key)
            if pending is not None:
                pending.attempt += 1
                self._tell(TaskRetried(pending.key, worker, "worker lost"))

    def _fill(self, queue: Iterator[Any]) -> None:
        while len(self._pending) < self._limit():
            try:
                item = next(queue)
            except StopIteration:
                return
            self._submit(item, self._key(item), 1)

    def _submit(self, item: Any, key: str, attempt: int) -> None:
        dask_key = dashboard_key(key, attempt, self._run)
        future = self._client.submit(run_on_worker, self._make(item), key=dask_key, pure=False)
        self._pending[dask_key] = Pending(item, key, attempt, future)
        self._finished.add(future)

    def _next_batch(self) -> list[tuple[Future, Any]]:
        while not self._finished.has_ready():
            with self._finished.thread_condition:
                if not self._finished.has_ready():
                    self._finished.thread_condition.wait(timeout=LOOK_S)
            self._look()
            if not self._finished.has_ready():
                self._stall.check()
        self._stall.clear()
        batch: list[tuple[Future, Any]] = self._finished.next_batch(block=False)
        return batch

    def _settle(self, future: Future, answer: Any) -> tuple[Any, Any] | None:
        """Book one finished future: its result, or None when another attempt was submitted."""
        task = self._pending.pop(str(future.key))
        status = future.status
        future.release()
        if status == "finished":
            done: Outcome = answer
            times = (done.started, done.stopped)
            self._tell(TaskEnded(task.key, done.worker, *times, task.attempt))
            return task.item, done.result
        error = answer[1] if isinstance(answer, tuple) else answer
        if not isinstance(error, AttemptFailed):
            raise _final_error(task, error)
        raise_unless_retried(error, task.key, task.attempt, self._retries)
        self._tell(TaskRetried(task.key, error.worker, error.error))
        self._submit(task.item, task.key, task.attempt + 1)
        return None

    def cancel(self) -> None:
        """Give up what is left. Released, not cancelled: that waits for nobody's answer."""
        self._finished.clear()
        for pending in self._pending.values():
            pending.future.release()
        self._pending.clear()


class Stall:
    """Ends a wait that cannot succeed: no worker at all, all paused, or no scheduler."""

    def __init__(self, client: Client):
        self._client = client
        self._empty_since: float | None = None
        self._paused_since: float | None = None

    def clear(self) -> None:
        self._empty_since = self._paused_since = None

    def check(self) -> None:
        """Raises EngineError."""
        states = worker_states(self._client)
        now = time.monotonic()
        self._empty_since = (self._empty_since or now) if not states else None
        paused = bool(states) and all(state == "paused" for state in states)
        self._paused_since = (self._paused_since or now) if paused else None
        empty_s = now - self._empty_since if self._empty_since else 0.0
        paused_s = now - self._paused_since if self._paused_since else 0.0
        if not is_stalled(empty_s, paused_s):
            return
        if not states:
            raise EngineError(f"all workers are gone and none came back within {empty_s:.0f} s")
        raise EngineError(
            f"all workers have been paused for {paused_s:.0f} s: their memory is full",
            remedy="Use a smaller --block-size, fewer threads per worker, or more memory.",
        )


def worker_states(client: Client) -> list[str]:
    """'running', 'paused', ... of each worker; EngineError when the scheduler is gone."""
    return [worker["status"] for worker in ask_workers(client).values()]


def ask_workers(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler knows of each worker, by address; EngineError when it is gone."""
    scheduler = client.scheduler
    if scheduler is None:
        raise EngineError("lost the scheduler: its connection was closed")
    try:
        # not client.scheduler_info(): beside it Dask asks without workers, into the same variable
        found = client.sync(scheduler.identity, n_workers=-1, callback_timeout=ANSWER_S)
    except (OSError, TimeoutError, RuntimeError) as error:
        raise EngineError(f"lost the scheduler {scheduler.address}: {error}") from error
    workers: dict[str, dict[str, Any]] = found["workers"]
    return workers


def run_on_worker(attempt: Attempt) -> Outcome:
    return attempt.run(shown_name(get_worker().name))


def dashboard_key(key: str, attempt: int, run: str) -> str:
    """Key for Dask: unique per run and attempt, grouped by its words on the dashboard.

    Dask takes a word of eight letters that begins with a to f for a hash and cuts there, so
    'swg-distance-0-1' would be grouped as 'swg'; an underscore keeps the words together.
    """
    prefix = prefix_of(key)
    rest = key[len(prefix) :]
    if key_split(f"{prefix}-0") != prefix:
        prefix = prefix.replace("-", "_")
    return f"{prefix}{rest}-{attempt}{run}"


def _final_error(task: Pending, error: Any) -> EngineError:
    if isinstance(error, KilledWorker):
        worker = shown_name(error.last_worker.name)
        failed = TaskFailed(
            task.key, worker, "its worker process died every time", error.allowed_failures + 1
        )
        failed.remedy = "Most often memory: use a smaller --block-size or a larger --memory-limit."
        return failed
    if isinstance(error, FutureCancelledError):
        return EngineError(f"{task.key} was cancelled: the scheduler was lost or restarted")
    return TaskFailed(task.key, "scheduler", f"{type(error).__name__}: {error}", task.attempt)

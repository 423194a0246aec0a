"""The executor in the driver's own process. It defines the meaning of every verb."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipelines.engine import broadcast
from pipelines.engine.attempt import Attempt, AttemptFailed, Outcome, raise_unless_retried
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.contract import WorkerInfo, prefix_of
from pipelines.engine.events import Event, Listener, MapEnded, MapStarted, TaskEnded, TaskRetried
from pipelines.engine.probe import this_process
from pipelines.engine.retry import RETRIES
from pipelines.engine.tree import reduce_pairwise

WORKER = "driver"


class SerialEngine:
    """One process, one thread, items in the order given."""

    name = "serial"
    dashboard: str | None = None
    slots = 1
    cpu_warning: str | None = None

    def __init__(self, reason: str = "asked for", listeners: Iterable[Listener] = ()):
        self.reason = reason
        self._listeners = tuple(listeners)
        self._held: list[str] = []

    @property
    def workers(self) -> list[WorkerInfo]:
        return [this_process(WORKER)]

    def run_everywhere(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        return {WORKER: function(*args)}

    def listen(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)

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
        self._tell(MapStarted(prefix, len(items)))
        try:
            for item in items:
                yield item, self._attempts(Attempt(function, item, args), key(item), retries)
        finally:
            self._tell(MapEnded(prefix))

    def _attempts(self, attempt: Attempt, key: str, retries: int) -> Any:
        number = 1
        while True:
            try:
                done: Outcome = attempt.run(WORKER)
            except AttemptFailed as failure:
                raise_unless_retried(failure, key, number, retries)
                self._tell(TaskRetried(key, WORKER, failure.error))
                number += 1
            else:
                self._tell(TaskEnded(key, WORKER, done.started, done.stopped, number))
                return done.result

    def reduce(self, merge: Callable[[Any, Any], Any], parts: Iterable[Any]) -> Any:
        return reduce_pairwise(merge, parts)

    @contextlib.contextmanager
    def performance_report(self, path: str) -> Iterator[None]:
        """No file: there is no scheduler that could write one."""
        yield

    def close(self) -> None:
        for key in self._held:
            broadcast.forget(key)
        self._held.clear()

    def __enter__(self) -> SerialEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

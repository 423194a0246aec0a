"""The executor on plain Dask tasks, one per block: works on every Dask cluster."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import Client, performance_report
from distributed.comm import get_address_host

from pipelines.engine import broadcast, visible
from pipelines.engine.attempt import Attempt
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.chunk import run_iterations
from pipelines.engine.contract import WorkerInfo, prefix_of, shown_name
from pipelines.engine.errors import EngineError
from pipelines.engine.events import (
    Event,
    Listener,
    MapEnded,
    MapStarted,
    WorkerJoined,
    WorkerLost,
)
from pipelines.engine.job import Chunk, ChunkDone
from pipelines.engine.memory import CacheSize
from pipelines.engine.partitions import Partitions, new_partitions
from pipelines.engine.pins import Pins
from pipelines.engine.plugins import HoldFile, HoldValue, RunOnce, SizeCache, take_result
from pipelines.engine.retry import RETRIES
from pipelines.engine.rounds import Folds, map_round
from pipelines.engine.tree import reduce_pairwise
from pipelines.engine.window import Window, ask_workers


class TasksEngine:
    """Engine over a connected client.

    facts         of workers by address, under '' those of all others (probe.facts)
    scratch       folder of own workers on this machine, which end with the engine
    end           closes what connect() opened beside the engine
    """

    name = "tasks"

    def __init__(
        self,
        client: Client,
        *,
        reason: str = "asked for",
        dashboard: str | None = None,
        facts: dict[str, dict[str, Any]] | None = None,
        scratch: Path | None = None,
        end: Callable[[], None] = lambda: None,
        listeners: Iterable[Listener] = (),
        cache: CacheSize | None = None,
    ):
        self.client, self.reason, self.dashboard = client, reason, dashboard
        self.cpu_warning: str | None = None
        self._facts, self._scratch, self.end = facts or {}, scratch, end
        self._listeners = tuple(listeners)
        self._plugins: list[str] = []
        self._happened: deque[tuple[float, dict[str, Any]]] = deque()
        self._windows: list[Window] = []
        self._closed = False
        self._cache, self._is_furnished = cache or CacheSize(), False
        self._info: dict[str, dict[str, Any]] = {}
        self.waiting: list[threading.Condition] = []  # of the posts that want to know what happens
        self.pins = Pins(self)
        client.subscribe_topic("all", self._hear)
        self._known = self._ask_workers()

    # What it is

    @property
    def workers(self) -> list[WorkerInfo]:
        self._known = self._ask_workers()
        return sorted(self._known.values(), key=lambda worker: worker.name)

    @property
    def slots(self) -> int:
        return max(1, sum(worker.nthreads for worker in self._known.values()))

    @property
    def live(self) -> dict[str, WorkerInfo]:
        """The workers by address, as far as the driver has heard; asks nobody."""
        return {address: self._known[address] for address in self._info if address in self._known}

    @property
    def states(self) -> dict[str, str]:
        """'running', 'paused', 'closing_gracefully', ... by address, as of the last refresh()."""
        return {address: state["status"] for address, state in self._info.items()}

    @property
    def seen(self) -> dict[str, float]:
        """The scheduler's time of the last heartbeat by address, as of the last refresh()."""
        return {address: state["last_seen"] for address, state in self._info.items()}

    def refresh(self) -> dict[str, float]:
        """Ask the scheduler for its workers anew; returns `seen`. Raises EngineError."""
        self._known = self._known | self._ask_workers()
        return self.seen

    def name_of(self, address: str) -> str:
        worker = self._known.get(address)
        return worker.name if worker else address

    def _ask_workers(self) -> dict[str, WorkerInfo]:
        """Address -> worker, from the scheduler."""
        before, self._info = self._info, ask_workers(self.client)
        for address in before.keys() - self._info.keys():
            self.pins.forget(address)
        return {address: self._worker(address, state) for address, state in self._info.items()}

    def _worker(self, address: str, state: dict[str, Any]) -> WorkerInfo:
        facts = self._facts.get(address) or self._facts.get("") or {}
        return WorkerInfo(
            name=shown_name(state["name"]),
            address=address,
            host=get_address_host(address),
            nthreads=state["nthreads"],
            memory_limit_bytes=state["memory_limit"] or 0,
            versions=facts.get("versions", {}),
            cpu=facts.get("cpu", ""),
        )

    # What it does

    def run_everywhere(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        plugin = RunOnce(f"run-{uuid.uuid4().hex}", function, args)
        self._register(plugin)
        answers = self.client.run(take_result, plugin.name, on_error="ignore")  # some die meanwhile
        names = {address: worker.name for address, worker in self._ask_workers().items()}
        return {
            names.get(address, address): answer[0] for address, answer in answers.items() if answer
        }

    def listen(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)

    def broadcast(self, value: Any) -> Broadcast:
        handle = Broadcast(f"broadcast-{uuid.uuid4().hex}")
        self._register(self._carrier(handle.key, value))
        broadcast.hold(handle.key, value)
        return handle

    def _carrier(self, key: str, value: Any) -> HoldValue | HoldFile:
        if self._scratch is None:
            return HoldValue(key, value)
        path = self._scratch / key
        try:
            with path.open("wb") as file:
                cloudpickle.dump(value, file, protocol=5)
        except OSError:  # no room in the temporary folder: through the sockets, then
            path.unlink(missing_ok=True)
            return HoldValue(key, value)
        return HoldFile(key, str(path))

    def _register(self, plugin: Any) -> None:
        """A plugin of Dask that has a name."""
        self._plugins.append(plugin.name)
        for attempts_left in (2, 1, 0):
            try:
                self.client.register_plugin(plugin, name=plugin.name)
                return
            except OSError as error:  # a worker died meanwhile; those that live keep the plugin
                if not attempts_left:
                    raise EngineError(f"the workers could not be reached: {error}") from error

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
        tasks = Window(
            self.client,
            lambda item: Attempt(function, item, args),
            key,
            retries,
            lambda: window or 3 * self.slots + 2,
            self.tell,
            self.look,
        )
        self._windows.append(tasks)
        try:
            yield from tasks.results(items)
        finally:
            self._windows.remove(tasks)
            self.look()
            self.tell(MapEnded(prefix))

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
        if not self._is_furnished:
            self._register(SizeCache(f"cache-{uuid.uuid4().hex}", self._cache))
            with contextlib.suppress(OSError):  # a worker died meanwhile: a chart less
                self._plugins.append(visible.register(self.client))
            self._is_furnished = True
        self.pins.add(made)
        self.pins.ensure(made)
        return made

    def release(self, partitions: Partitions) -> None:
        self.pins.release(partitions)

    def partition_facts(self, partitions: Partitions) -> dict[str, int]:
        return self.pins.facts(partitions)

    def map_partitions(
        self, function: Callable[..., Any], partitions: Partitions, *args: Any, key: str = "map"
    ) -> list[Any]:
        self.tell(MapStarted(key, partitions.n))
        try:
            return map_round(self, partitions, function, args, key)
        finally:
            self.look()
            self.tell(MapEnded(key))

    def run_chunk(self, partitions: Partitions, chunk: Chunk) -> ChunkDone:
        fold = Folds(self, partitions, chunk).fold
        return run_iterations(chunk, fold, "driver", visible.iteration)

    def spmd(self, function: Callable[..., Any], partitions: Partitions, *args: Any) -> list[Any]:
        raise EngineError(
            "plain tasks cannot talk to each other, as this step needs",
            remedy="Use --executor gang, or serial.",
        )

    @contextlib.contextmanager
    def performance_report(self, path: str) -> Iterator[None]:
        with self.client.as_current():
            report = performance_report(filename=path, mode="inline")
            report.__enter__()
            yield  # after an exception there is no report: nobody waits for one then
            report.__exit__(None, None, None)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for window in self._windows:
            window.cancel()
        try:
            with contextlib.suppress(Exception):
                self.client.unsubscribe_topic("all")
            for name in self._plugins:
                broadcast.forget(name)
            if self._scratch is None:
                self.pins.release_all()
                unregister = threading.Thread(target=self._unregister, daemon=True)
                unregister.start()
                unregister.join(timeout=2)  # a worker that does not answer must not hold us up
        finally:
            self.end()

    def _unregister(self) -> None:
        for name in self._plugins:
            with contextlib.suppress(Exception):
                self.client.unregister_worker_plugin(name)

    def __enter__(self) -> TasksEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # What it tells

    @property
    def has_news(self) -> bool:
        """Whether look() has something to do."""
        return bool(self._happened)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Called in the client's own thread."""
        self._happened.append(event)
        for condition in list(self.waiting):
            with condition:
                condition.notify_all()

    def look(self) -> None:
        """Tell what happened to workers. Dask's messages come in another thread, listeners hear
        of them here, in the thread that runs the engine."""
        while self.has_news and not self._closed:
            at, message = self._happened.popleft()
            action, address = message.get("action"), message.get("worker")
            if action == "remove-worker":
                self._lost(address, at, message)
            elif action == "add-worker":
                self._known = self._known | self._ask_workers()
                if address in self._known:
                    self.tell(WorkerJoined(self._known[address].name, at))

    def _lost(self, address: Any, at: float, message: dict[str, Any]) -> None:
        worker = self._known.pop(address, None)
        self._info.pop(address, None)
        self.pins.forget(address)
        name = worker.name if worker else str(address)
        self.tell(WorkerLost(name, at))
        if not message.get("expected"):
            for window in self._windows:
                for lost in ("processing-tasks", "lost-computed-tasks"):
                    window.worker_lost(name, set(message.get(lost, ())))

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

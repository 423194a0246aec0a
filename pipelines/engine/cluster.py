"""The local cluster of one run: its limits, its start, and its end without anything left behind.

Scheduler and nannies live in this process, workers are spawned. Everything listens on 127.0.0.1.
A worker whose parent is gone ends by itself: it holds a pipe that only the parent's end closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import socket
import time
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import dask
import psutil
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, LocalCluster, Nanny
from distributed.core import Status
from distributed.deploy.spec import SpecCluster
from distributed.gc import disable_gc_diagnosis
from distributed.system import MEMORY_LIMIT
from distributed.utils import LoopRunner

from pipelines.engine import scratch
from pipelines.engine.errors import EngineError
from pipelines.engine.memory import worker_limit

LOCALHOST = "127.0.0.1"
START_S = 120.0  # workers import Dask, Numba and SciPy; on a busy disk that takes its time
CLOSE_S = 4.0
MARK = "WHORL_WORKER_OF"  # in the environment of a worker: the scratch folder of its cluster
CONFIG = {
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.multiprocessing-method": "spawn",
    # Results are a few bytes: there is nothing to spill, and a paused worker would wait for ever.
    # What remains is the nanny's end of a worker over its limit, and the repetition of its task.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.deploy.lost-worker-timeout": "120s",  # a restart on a busy machine is slow
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


def usable_cores() -> int:
    """Cores this process may use: affinity and cgroup respected."""
    return int(CPU_COUNT)


def usable_memory() -> int:
    """Bytes this process and its children may use: cgroup respected."""
    return int(MEMORY_LIMIT)


def memory_limit_bytes(limit: str | float | None, n_workers: int) -> int | None:
    """Limit of one worker: 'auto' shares the machine, '4GiB' or a number is bytes, 0 means none."""
    if limit == "auto":
        return worker_limit(usable_memory(), n_workers)
    if limit is None:
        return None
    return int(parse_bytes(limit)) or None


def free_dashboard_address(address: str) -> str:
    """address itself or the next free port. A port alone (8787, :8787) means 127.0.0.1."""
    host, _, port = str(address).rpartition(":")
    host = host or LOCALHOST
    if not port.isdigit():
        raise ValueError(f"dashboard address {address!r} is not HOST:PORT")
    first = int(port)
    for candidate in range(first, min(first + 200, 65536)):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, candidate))
                return f"{host}:{candidate}"
    raise EngineError(f"no free port for the dashboard at {host} from {first} on")


class LocalWorkers:
    """A LocalCluster, its client and their event loop, started and ended as one."""

    def __init__(
        self,
        n_workers: int | None = None,
        nthreads: int = 1,
        memory_limit: str | float | None = "auto",
        dashboard_address: str | None = f"{LOCALHOST}:8787",
        log_level: int = logging.CRITICAL,
    ):
        self.n_workers = n_workers or max(1, usable_cores() // nthreads)
        self.nthreads = nthreads
        self.memory_limit = memory_limit_bytes(memory_limit, self.n_workers)
        self.client: Client
        self._cluster: LocalCluster | None = None
        self._loop = LoopRunner()
        self._undo = contextlib.ExitStack()
        scratch.remove_leftovers()
        self.scratch = scratch.make()
        try:
            self._start(dashboard_address, log_level)
        except BaseException:
            self.close()
            raise

    @property
    def dashboard(self) -> str | None:
        assert self._cluster is not None
        return str(self._cluster.dashboard_link) if self._has_dashboard else None

    def _start(self, dashboard_address: str | None, log_level: int) -> None:
        known = dask.config.get("distributed.nanny.pre-spawn-environ", default={})
        private = {
            **CONFIG,
            "temporary-directory": str(self.scratch),
            "distributed.nanny.pre-spawn-environ": {**known, MARK: str(self.scratch)},
        }
        self._undo.enter_context(dask.config.set(private))
        self._undo.enter_context(logs_at(log_level))
        self._undo.enter_context(_semaphores_named(scratch.owner_name()))
        resource_tracker.ensure_running()  # else its first start unblocks SIGINT in our loop thread
        with _interrupts_blocked():
            self._loop.start()
        self._has_dashboard = dashboard_address is not None
        http = free_dashboard_address(dashboard_address or f"{LOCALHOST}:0")
        # Workers come after the scheduler: from here on close() can end whatever has begun.
        self._cluster = LocalCluster(
            n_workers=0,
            threads_per_worker=self.nthreads,
            memory_limit=self.memory_limit,
            host=LOCALHOST,
            dashboard_address=http if self._has_dashboard else None,
            scheduler_kwargs={"dashboard_address": http},
            silence_logs=log_level,
            local_directory=str(self.scratch),
            loop=self._loop.loop,
        )
        # The scheduler has Python code run at each garbage collection, in whichever thread; an
        # interrupt that is raised just there is swallowed, and Ctrl-C does nothing.
        disable_gc_diagnosis()
        self.client = Client(
            self._cluster, loop=self._loop.loop, set_as_default=False, name="whorl"
        )
        self._cluster.scale(self.n_workers)
        self._wait_for_workers()

    def _wait_for_workers(self) -> None:
        assert self._cluster is not None
        deadline = time.monotonic() + START_S
        while (here := len(self._cluster.scheduler.workers)) < self.n_workers:
            started = list(self._cluster._created)
            dead = [nanny for nanny in started if nanny.status in (Status.failed, Status.closed)]
            if time.monotonic() > deadline or (dead and len(dead) == len(started)):
                raise EngineError(
                    f"only {here} of {self.n_workers} workers started",
                    remedy="Use fewer --nworkers, or --executor serial.",
                )
            time.sleep(0.02)

    def close(self) -> None:
        """End workers, scheduler and loop within 5 s and remove the scratch folder."""
        deadline = time.monotonic() + CLOSE_S
        cluster, self._cluster = self._cluster, None
        with contextlib.suppress(Exception):  # also when the start did not come as far as a client
            self.client.close(timeout=1)
        if cluster is not None:
            pids: set[int] = set()
            with contextlib.suppress(Exception):
                cluster.sync(_end_workers, cluster, pids, callback_timeout=2.5)
            with contextlib.suppress(Exception):
                cluster.close(timeout=max(1.0, deadline - time.monotonic()))
            # Dask would try again at exit, for ten seconds, in a loop that is no longer there.
            SpecCluster._instances.discard(cluster)
        with contextlib.suppress(Exception):
            self._loop.stop(timeout=1)
        if cluster is not None:  # not before the loop ends: a nanny would start a killed one anew
            _kill(pids)
            _kill_marked(str(self.scratch))
        scratch.remove(self.scratch)
        self._undo.close()


async def _end_workers(cluster: LocalCluster, pids: set[int]) -> None:
    """Stop all workers within two seconds; pids collects their processes for a last look.

    A worker in the middle of a task is killed after a short wait, one in the middle of its start
    at once: its nanny would wait for it. Cluster.workers does not have those that are starting.
    """
    nannies = {*cluster.workers.values(), *cluster._created}
    closing = [
        asyncio.create_task(nanny.close(timeout=1.5, reason="run-ended"))
        for nanny in nannies
        if nanny.status not in (Status.init, Status.starting)
    ]
    ended = asyncio.gather(*closing, return_exceptions=True)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        pids |= {nanny.pid for nanny in nannies if nanny.pid}
        # Looked for again and again: a worker that died a moment ago may start only now.
        starting = [nanny for nanny in nannies if _is_starting(nanny)]
        if ended.done() and not starting:
            break
        for nanny in starting:
            process = nanny.process and nanny.process.process
            if process is not None and process.is_alive():
                await process.kill()
        await asyncio.sleep(0.02)
    await ended


def _is_starting(nanny: Nanny) -> bool:
    inner = nanny.process.status if nanny.process is not None else None
    return nanny.status in (Status.init, Status.starting) or inner == Status.starting


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.ppid() == psutil.Process().pid:
                process.kill()


def _kill_marked(scratch: str) -> None:
    """Kill the workers of that cluster that are left: of one that dies and starts anew in these
    very moments its nanny knows nothing, and the thread that starts it may be in the midst of it.
    Over when two looks find none, or after a second."""
    deadline, empty = time.monotonic() + 1, 0
    while empty < 2 and time.monotonic() < deadline:
        left = _marked(scratch)
        _kill(left)
        empty = 0 if left else empty + 1
        time.sleep(0.03)


def _marked(scratch: str) -> list[int]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get(MARK) == scratch:
                found.append(child.pid)
    return found


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Threads started inside, and the processes these start, never see Ctrl-C: the driver decides.

    A terminal sends SIGINT to the whole process group, and workers that die of it would be
    restarted by their nannies while the driver is closing.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _semaphores_named(owner: str) -> Iterator[None]:
    """Name our queues' semaphores: if a whole process group is killed, the next run finds them.

    Only where they are files: macOS has no room for long names.
    """
    if not scratch.SEMAPHORES.is_dir():
        yield
        return
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    before = config.get("semprefix", "/mp")
    config["semprefix"] = f"/{owner}"
    try:
        yield
    finally:
        config["semprefix"] = before


@contextlib.contextmanager
def logs_at(level: int) -> Iterator[None]:
    """Dask, tornado and asyncio say nothing below level: their messages are not for our users."""
    loggers = [
        logging.getLogger(name)
        for name in ("distributed", "tornado", "tornado.application", "asyncio", "bokeh")
    ]
    loggers += [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.startswith("distributed.") and isinstance(logger, logging.Logger)
    ]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"distributed\.")
            yield
    finally:
        for logger, old in before:
            logger.setLevel(old)

"""connect(): the one way to an engine."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipelines.engine.contract import Engine
from pipelines.engine.errors import EngineError
from pipelines.engine.events import Listener
from pipelines.engine.memory import CacheSize

if TYPE_CHECKING:
    from distributed import Client

    from pipelines.engine.tasks import TasksEngine

QUIET = {"distributed.admin.large-graph-warning-threshold": "1GB"}  # a state may be large
SERIAL_BELOW_S = 2.5  # starting and ending two workers takes longer than this much work


def connect(
    executor: str = "auto",
    *,
    nworkers: int | None = None,
    nthreads: int = 1,
    memory_limit: str | float | None = "auto",
    scheduler: str | Client | None = None,
    dashboard_address: str | None = "127.0.0.1:8787",
    estimated_seconds: float | None = None,
    listeners: Iterable[Listener] = (),
    log_level: int = logging.CRITICAL,
    iterative: bool = False,
    cache_memory: str | float | None = "auto",
    cache_disk: bool = True,
) -> Engine:
    """An engine, to be used as `with connect(...) as engine`.

    executor            'serial' | 'tasks' | 'gang' | 'auto': serial when estimated_seconds is
                        under 2.5 and no workers are asked for, else tasks, or gang for iterations
    nworkers            local workers; default one per usable core divided by nthreads
    memory_limit        of one local worker: 'auto', '4GiB', bytes, or 0 for none
    scheduler           address (or scheduler file, or Client) of a given cluster, never closed
    dashboard_address   HOST:PORT or the next free port; None for no dashboard
    log_level           what Dask's own loggers may print on stderr
    iterative           whether the work is iterations over partitions
    cache_memory        memory of a worker for partitions: 'auto' (half of its limit), '64MiB',
                        bytes, or None for no limit
    cache_disk          whether partitions beyond that lie on the worker's disk
    Raises ClusterUnreachable, ClusterMismatch, EngineError.
    """
    given = scheduler is not None
    name, reason = choose_executor(executor, nworkers, given, estimated_seconds, iterative)
    cache = CacheSize(cache_memory, cache_disk)
    cache.memory_bytes(None)  # refuse nonsense before anything starts
    if name == "serial":
        from pipelines.engine.serial import SerialEngine

        return SerialEngine(reason, listeners, cache)
    if scheduler is not None:
        return _given(scheduler, (name, reason), cache, listeners, log_level)
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise EngineError(
            "connect() was reached by a worker that imports the main script",
            remedy='Put the script\'s calls under if __name__ == "__main__":',
        )
    from pipelines.engine import probe
    from pipelines.engine.cluster import LocalWorkers

    local = LocalWorkers(nworkers, nthreads, memory_limit, dashboard_address, log_level)
    try:
        return engine_class(name)(
            local.client,
            reason=reason,
            dashboard=local.dashboard,
            facts={"": probe.facts()},
            scratch=local.scratch,
            end=local.close,
            listeners=listeners,
            cache=cache,
        )
    except BaseException:
        local.close()
        raise


def choose_executor(
    executor: str,
    nworkers: int | None,
    given: bool,
    estimated_seconds: float | None,
    iterative: bool = False,
) -> tuple[str, str]:
    """(name, why)."""
    if executor in ("serial", "tasks", "gang"):
        return executor, "asked for"
    if executor != "auto":
        raise ValueError(f"executor must be auto, serial, tasks or gang, not {executor!r}")
    name = "gang" if iterative else "tasks"
    if given:
        return name, "a scheduler is given"
    if nworkers is not None:
        return name, "workers are asked for"
    if estimated_seconds is not None and estimated_seconds < SERIAL_BELOW_S:
        return "serial", f"about {estimated_seconds:.1f} s of work, under {SERIAL_BELOW_S:.1f} s"
    return name, "one worker per core"


def for_protocol(name: str, reason: str, address: str) -> tuple[str, str]:
    """(name, why) on a cluster whose scheduler has that address: a gang needs TCP."""
    protocol = address.partition("://")[0]
    if name == "gang" and protocol not in ("tcp", "tls"):
        return "tasks", f"the cluster speaks {protocol}, and a gang needs tcp or tls"
    return name, reason


def engine_class(name: str) -> type[TasksEngine]:
    """The executor of that name, imported when it is wanted."""
    if name == "gang":
        from pipelines.engine.gang.engine import GangEngine

        return GangEngine
    from pipelines.engine.tasks import TasksEngine

    return TasksEngine


def _given(
    scheduler: Any,
    chosen: tuple[str, str],
    cache: CacheSize,
    listeners: Iterable[Listener],
    log_level: int,
) -> Engine:
    import contextlib

    import dask

    from pipelines.engine import given
    from pipelines.engine.cluster import logs_at

    with contextlib.ExitStack() as stack:
        stack.enter_context(logs_at(log_level))
        stack.enter_context(dask.config.set(QUIET))
        client = scheduler
        if isinstance(scheduler, str):
            client = given.reach(scheduler)
            stack.callback(client.close, timeout=2)
        facts = given.check_workers(client)
        name, reason = for_protocol(*chosen, client.scheduler.address)
        engine = engine_class(name)(
            client,
            reason=reason,
            dashboard=client.dashboard_link,
            facts=facts,
            listeners=listeners,
            cache=cache,
        )
        engine.cpu_warning = given.cpu_warning(facts)
        engine.end = stack.pop_all().close
        return engine

"""connect(): the one way to an engine."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipelines.engine.contract import Engine
from pipelines.engine.errors import EngineError
from pipelines.engine.events import Listener

if TYPE_CHECKING:
    from distributed import Client

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
) -> Engine:
    """An engine, to be used as `with connect(...) as engine`.

    executor            'serial' | 'tasks' | 'auto': serial when estimated_seconds is under 2.5
                        and no workers are asked for, else tasks
    nworkers            local workers; default one per usable core divided by nthreads
    memory_limit        of one local worker: 'auto', '4GiB', bytes, or 0 for none
    scheduler           address (or scheduler file, or Client) of a given cluster, never closed
    dashboard_address   HOST:PORT or the next free port; None for no dashboard
    log_level           what Dask's own loggers may print on stderr
    Raises ClusterUnreachable, ClusterMismatch, EngineError.
    """
    name, reason = choose_executor(executor, nworkers, scheduler is not None, estimated_seconds)
    if name == "serial":
        from pipelines.engine.serial import SerialEngine

        return SerialEngine(reason, listeners)
    if scheduler is not None:
        return _given(scheduler, reason, listeners, log_level)
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise EngineError(
            "connect() was reached by a worker that imports the main script",
            remedy='Put the script\'s calls under if __name__ == "__main__":',
        )
    from pipelines.engine import probe
    from pipelines.engine.cluster import LocalWorkers
    from pipelines.engine.tasks import TasksEngine

    local = LocalWorkers(nworkers, nthreads, memory_limit, dashboard_address, log_level)
    try:
        return TasksEngine(
            local.client,
            reason=reason,
            dashboard=local.dashboard,
            facts={"": probe.facts()},
            scratch=local.scratch,
            end=local.close,
            listeners=listeners,
        )
    except BaseException:
        local.close()
        raise


def choose_executor(
    executor: str, nworkers: int | None, given: bool, estimated_seconds: float | None
) -> tuple[str, str]:
    """(name, why)."""
    if executor in ("serial", "tasks"):
        return executor, "asked for"
    if executor != "auto":
        raise ValueError(f"executor must be auto, serial or tasks, not {executor!r}")
    if given:
        return "tasks", "a scheduler is given"
    if nworkers is not None:
        return "tasks", "workers are asked for"
    if estimated_seconds is not None and estimated_seconds < SERIAL_BELOW_S:
        return "serial", f"about {estimated_seconds:.1f} s of work, under {SERIAL_BELOW_S:.1f} s"
    return "tasks", "one worker per core"


def _given(scheduler: Any, reason: str, listeners: Iterable[Listener], log_level: int) -> Engine:
    import contextlib

    from pipelines.engine import given
    from pipelines.engine.cluster import logs_at
    from pipelines.engine.tasks import TasksEngine

    with contextlib.ExitStack() as stack:
        stack.enter_context(logs_at(log_level))
        client = scheduler
        if isinstance(scheduler, str):
            client = given.reach(scheduler)
            stack.callback(client.close, timeout=2)
        facts = given.check_workers(client)
        engine = TasksEngine(
            client,
            reason=reason,
            dashboard=client.dashboard_link,
            facts=facts,
            listeners=listeners,
        )
        engine.cpu_warning = given.cpu_warning(facts)
        engine.end = stack.pop_all().close
        return engine

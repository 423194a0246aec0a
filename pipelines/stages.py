"""Applications one after another in one result folder: each stage is a result folder inside it.

A stage is what its own command would make of the same options, so it can be looked at, exported
and used alone, and an interrupted run goes on inside the stage that it was in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pipelines.app import RunOptions
from pipelines.engine import Engine
from pipelines.output_rules import stages_in
from pipelines.results import ResultFolder, read_run
from pipelines.run_steps import open_results
from storage.errors import StorageError


@dataclasses.dataclass(frozen=True)
class StageStarted:
    """A listener is told: this job of the application `app` begins, or goes on. done: the blocks
    that are there already."""

    name: str
    app: str
    job: Any
    done: Sequence[tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class StageEnded:
    """run: content of the stage's run.json. seconds: 0 where it was complete already."""

    name: str
    run: dict[str, Any]
    seconds: float


def run_stage(
    name: str, module: ModuleType, config: Any, options: RunOptions, engine: Engine,
    results: ResultFolder,
) -> dict[str, Any]:  # fmt: skip
    """Compute the stage `name` of results, or what is missing of it; returns its run.json.

    module    an application: prepare(config, options), run(job, engine, results)
    options   those of the whole run; the stage has its own output
    """
    app, url = module.__name__.rpartition(".")[2], stage_url(results, name)
    results.update_status({"stage": name, "dashboard": engine.dashboard})
    began = time.perf_counter()
    own = dataclasses.replace(
        options,
        output=url,
        resume=True,
        overwrite=False,
        executor="serial" if engine.name == "serial" else "auto",
    )
    job = module.prepare(config, own)
    inside = open_results(app, job, config, own)
    if inside.complete:
        run = read_run(url)
        engine.tell(StageEnded(name, run, 0.0))
        return run
    try:
        done = list(inside.done_records()) if inside.resumed else []
        engine.tell(StageStarted(name, app, job, done))
        inside.update_status({"plan": getattr(job, "plan", {}), "dashboard": engine.dashboard})
        run = module.run(job, engine, inside)
    except BaseException as error:
        inside.abandon("stopped" if getattr(error, "exit_code", 1) in (130, 143) else "failed")
        raise
    engine.tell(StageEnded(name, run, time.perf_counter() - began))
    return run


def stage_url(results: ResultFolder, name: str) -> str:
    """Path or URL of a stage's result folder."""
    return f"{results.url.rstrip('/')}/{name}"


@contextlib.contextmanager
def put_early(results: ResultFolder, names: Sequence[str]) -> Any:
    """Inside, files of these names may be put into the folder before it is complete: they go when
    the run ends before any stage has something to go on with."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(StorageError):
            if not stages_in(results.folder):
                for name in names:
                    results.folder.delete(name)
        raise

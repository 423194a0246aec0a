"""One run of an application, from its input to its result folder."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import click

from cli import units
from cli.iteration_progress import IterationProgress
from cli.progress import Progress
from cli.screen import Screen
from cli.show import (
    agreement_text,
    clusters_text,
    map_text,
    output_text,
    placed_text,
    read,
)
from pipelines import app as declaration
from pipelines.errors import NotConverged

SHOWN = {None: "none", True: "yes", False: "no"}


def execute(
    ctx: click.Context,
    name: str,
    module: ModuleType,
    config: Any,
    chosen: declaration.RunOptions,
    screen: Screen,
) -> dict[str, Any]:
    """Input to result folder. Returns what run.json holds, or the plan of a dry run."""
    started = time.monotonic()
    job = module.prepare(config, chosen)
    for title, text in job.lines():
        screen.line(title, text)
    for text in getattr(job, "warnings", ()):
        screen.warn(text)
    if chosen.dry_run:
        return dry_run(job, config, chosen, screen)
    with result_folder(ctx, name, job, config, chosen) as folder:
        if folder.complete:
            screen.line("done", f"{chosen.output} is complete already, nothing left to do")
            return read(chosen.output)
        result = compute(module, job, folder, chosen, screen)
    last_line(screen, result, time.monotonic() - started)
    return {**result, "output": chosen.output}


def dry_run(
    job: Any, config: Any, chosen: declaration.RunOptions, screen: Screen
) -> dict[str, Any]:
    """Prints each value with its origin; a value that 'auto' or None stands for is resolved."""
    rows = declaration.merged_values(config, chosen)
    resolved = getattr(job, "resolved", {})
    wide = max(len(name) for name in rows)
    for name, row in rows.items():
        if name in resolved and resolved[name] != row["value"]:
            row.update(value=resolved[name])
            row["origin"] = "auto" if row["origin"] == declaration.DEFAULT else row["origin"]
        value = row["value"]
        shown = SHOWN[value] if value is None or isinstance(value, bool) else value
        screen.line("", f"{name.replace('_', '-'):<{wide}} {shown!s:<22} from: {row['origin']}")
    return {"dry_run": True, "plan": getattr(job, "plan", {}), "config": rows}


@contextlib.contextmanager
def result_folder(
    ctx: click.Context, name: str, job: Any, config: Any, chosen: declaration.RunOptions
) -> Iterator[Any]:
    """The result folder of this run; left as it is for --resume when anything goes wrong."""
    from pipelines.run_steps import open_results

    folder = open_results(name, job, config, chosen)
    ctx.meta["whorl.folder"] = chosen.output
    try:
        yield folder
    except BaseException as error:
        stopped = getattr(error, "exit_code", 1) in (130, 143)
        folder.abandon("stopped" if stopped else "failed")
        with contextlib.suppress(Exception):  # the error at hand is the one to tell
            if not folder.folder.exists(".work"):
                ctx.meta["whorl.folder"] = None  # nothing was finished: nothing to go on with
            ctx.meta["whorl.kept"] = kept_text(folder.folder.list(".work/checkpoints"))
        raise


def kept_text(checkpoints: list[str]) -> str | None:
    """What --resume goes on from: the newest checkpoint, '.../K-R/0000000120.npz'; None: blocks."""
    if not checkpoints:
        return None
    iteration = max(checkpoints).rpartition("/")[2].partition(".")[0]
    return f"The checkpoint of iteration {int(iteration):,} is kept."


def compute(
    module: ModuleType, job: Any, folder: Any, chosen: declaration.RunOptions, screen: Screen
) -> dict[str, Any]:
    """Opens the engine and the progress bar around the application's run()."""
    from pipelines import engine as engines

    config = job.config if hasattr(job, "config") else None
    iterative = isinstance(config, declaration.IterativeOptions)
    progress = progress_of(job, iterative, folder, screen)
    cache: dict[str, Any] = {}
    if isinstance(config, declaration.IterativeOptions):
        cache = {"cache_memory": config.cache_memory, "cache_disk": config.cache_disk != "off"}
    with engines.connect(
        chosen.executor,
        nworkers=chosen.nworkers,
        nthreads=chosen.nthreads,
        memory_limit=chosen.memory_limit,
        scheduler=chosen.scheduler,
        dashboard_address=chosen.dashboard_address,
        estimated_seconds=job.estimated_seconds,
        listeners=[progress],
        log_level=logging.WARNING if chosen.verbose else logging.CRITICAL,
        iterative=iterative,
        **cache,
    ) as engine:
        if iterative and engine.name != "serial":
            screen.line("executor", f"{engine.name}: {engine.reason}")
        if engine.dashboard:
            screen.line("dashboard", engine.dashboard)
        else:
            screen.line("serial", f"{engine.reason}; no cluster and no dashboard")
        if getattr(engine, "cpu_warning", None):
            screen.warn(engine.cpu_warning)
        for worker in engine.workers:
            limit = (
                units.size(worker.memory_limit_bytes) if worker.memory_limit_bytes else "no limit"
            )
            threads = units.count(worker.nthreads, "thread")
            screen.more("worker", f"{worker.name} on {worker.host}, {threads}, {limit}")
        folder.update_status({"plan": getattr(job, "plan", {}), "dashboard": engine.dashboard})
        with progress:
            return module.run(job, engine, folder)


def progress_of(job: Any, iterative: bool, folder: Any, screen: Screen) -> Any:
    """The listener that shows how such a run goes on."""
    if hasattr(job, "steps"):  # one application after another
        from cli.stage_progress import StageProgress

        return StageProgress(screen)
    if iterative:
        return IterationProgress(screen)
    return Progress(screen, job, folder.done_records() if folder.resumed else ())


def last_line(screen: Screen, result: dict[str, Any], seconds: float) -> None:
    """What there is now, and what went wrong on the way."""
    made = result.get("outputs", [])
    parts = [output_text(one) for one in made if one.get("shape") or one["name"] == "report.html"]
    told = (clusters_text(result), map_text(result), placed_text(result), agreement_text(result))
    parts += [text for text in told if text]
    blocks, lost = result.get("blocks", {}), result.get("workers_lost")
    if lost:
        parts.append(f"{units.count(lost, 'worker')} lost and replaced")
    if blocks.get("repeated"):
        parts.append(f"{units.count(blocks['repeated'], 'block')} repeated")
    for warning in result.get("warnings", []):
        screen.warn(warning)
    screen.line("done", ", ".join([*parts, units.duration(seconds)]))


def check_converged(
    ctx: click.Context, config: Any, chosen: declaration.RunOptions, result: dict[str, Any]
) -> None:
    """Raises NotConverged where --strict asks for it; the result is written all the same."""
    if getattr(config, "strict", False) and result.get("converged") is False:
        ctx.meta["whorl.folder"] = None  # complete: nothing to go on with
        raise NotConverged(
            f"{chosen.output} is complete, but not converged after "
            f"{units.count(result['n_iter'], 'iteration')}.",
            remedy="Raise --max-iter or --tol, or leave out --strict.",
        )

"""Steps that the runs of all applications share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.app import RunOptions, byte_changing_values, merged_values
from pipelines.engine import Engine, check_token, refuse_if_too_big, scratch
from pipelines.errors import UsageProblem
from pipelines.machine import host, versions
from pipelines.results import ResultFolder, read_run

if TYPE_CHECKING:
    from pipelines.formats.dissimilarities import Dissimilarities


def open_results(app: str, job: Any, config: Any, options: RunOptions) -> ResultFolder:
    """The result folder of a run, created or gone on with; raises as ResultFolder.create."""
    values = byte_changing_values(config, options)
    resolved = getattr(job, "resolved", {})
    return ResultFolder.create(
        options.output,
        app=app,
        options={name: resolved.get(name, value) for name, value in values.items()},
        inputs=job.inputs,
        resume=options.resume,
        overwrite=options.overwrite,
        command=options.command,
        needed_bytes=getattr(job, "needed_bytes", 0),
    )


def refuse_gang(options: RunOptions, why: str) -> None:
    """UsageProblem for --executor gang where nothing is iterated. why: '... are computed once'"""
    if options.executor == "gang":
        raise UsageProblem(
            f"--executor gang is for iterations; {why}.", remedy="Use --executor tasks."
        )


def refuse_small_workers(engine: Engine, job: Any, base_bytes: int) -> None:
    """MemoryRefused where a worker cannot hold what a block of the job takes in work."""
    from pipelines.engine.cluster import usable_memory

    for worker in engine.workers:
        limit = usable_memory() if engine.name == "serial" else worker.memory_limit_bytes
        refuse_if_too_big(
            job.block_bytes, 1, worker.nthreads, base_bytes, job.broadcast_bytes, limit
        )


def check_output(engine: Engine, results: ResultFolder, token: bytes) -> None:
    """Raise unless every worker reads under the output what is written there here."""
    key = results.work_key("token")
    try:
        results.folder.put(key, token)
        check_token(engine, f"{results.url.rstrip('/')}/{key}", token)
    finally:
        results.folder.delete(key)


@contextlib.contextmanager
def performance_page(engine: Engine) -> Iterator[list[bytes]]:
    """A list that holds Dask's report of what ran inside once that is over; serial has none."""
    pages: list[bytes] = []
    if engine.name == "serial":
        yield pages
        return
    folder = scratch.make()
    try:
        path = folder / "performance.html"
        with engine.performance_report(str(path)):
            yield pages
        pages.append(path.read_bytes())
    finally:
        scratch.remove(folder)


def provenance(job: Any, engine: Engine, lost: int) -> dict[str, Any]:
    """What run.json says of command, options, software and machines."""
    return {
        "argv": list(job.options.command),
        "config": merged_values(job.config, job.options) | resolved_values(job),
        "random_state": job.options.random_state,
        "versions": versions(),
        "host": host(),
        "executor": {"name": engine.name, "reason": engine.reason},
        "workers": [dataclasses.asdict(worker) for worker in engine.workers],
        "workers_lost": lost,
    }


def resolved_values(job: Any) -> dict[str, dict[str, Any]]:
    """What 'auto' and None stood for, as run.json shows it."""
    rows = merged_values(job.config, job.options)
    return {
        name: {"value": value, "origin": rows[name]["origin"], "given": rows[name]["value"]}
        for name, value in job.resolved.items()
        if rows[name]["value"] != value
    }


def source_facts(matrix: Dissimilarities) -> dict[str, Any]:
    """Where distances came from: of a result what its run.json says, so that distances of other
    records can be computed in the same way."""
    facts: dict[str, Any] = {
        "url": matrix.url,
        "format": matrix.format,
        "dtype": str(matrix.dtype),
        "attributes": matrix.attributes,
    }
    if matrix.format == "result":
        run = read_run(matrix.url)
        facts |= {key: run[key] for key in ("app", "version", "config", "inputs") if key in run}
    return facts

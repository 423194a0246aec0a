"""doctor: what this machine and this environment offer, and what is wrong with them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli import units
from cli.run import refuse_windows

OURS = ("kernels", "pipelines", "storage", "cli")
NEEDED = ("numpy", "numba", "llvmlite", "scipy", "dask", "distributed", "zarr", "fsspec")
DASHBOARD = ("bokeh", "prometheus-client")
OF_URLS = {"s3fs": "s3://", "adlfs": "abfs://"}
DASHBOARD_PORT = 8787


@click.command()
@click.option("--clean", is_flag=True, help="Empty the cache of compiled kernels.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(clean: bool, as_json: bool) -> None:
    """Tell versions, CPU, memory, disk, cache and dashboard, and what is wrong."""
    refuse_windows()
    if clean:
        clean_cache()
        return
    problems: list[str] = []
    rows = {name: looked(name, look, problems) for name, look in LOOKS.items()}
    if as_json:
        click.echo(json.dumps({**rows, "problems": problems}))
    else:
        for name, row in rows.items():
            click.echo(f"{name:<12} {told(row)}")
        for problem in problems:
            click.echo(f"Problem: {problem}")
        click.echo("No problem found." if not problems else units.count(len(problems), "problem"))
    if problems:
        raise click.exceptions.Exit(2)


def looked(name: str, look: Callable[[list[str]], dict[str, Any]], problems: list[str]) -> Any:
    """One row; a look that fails is a problem found, and the others still happen."""
    try:
        return look(problems)
    except Exception as error:
        problems.append(f"{name} could not be looked at: {type(error).__name__}: {error}")
        return {"is": "unknown"}


def clean_cache() -> None:
    """Empties the compile cache and says how much that freed."""
    from kernels import _jit

    click.echo(f"{units.size(_jit.clean_cache())} of compiled kernels removed", err=True)
    click.echo(str(_jit.cache_root()))


def told(row: dict[str, Any]) -> str:
    """A row of facts in one line."""
    return ", ".join(str(value) if key == "is" else f"{key} {value}" for key, value in row.items())


def version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def look_versions(problems: list[str]) -> dict[str, Any]:
    import kernels

    found = {name: version_of(name) for name in NEEDED}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        problems.append(f"{', '.join(missing)} not installed; install with: pip install -e .")
    python = {"whorl": kernels.__version__, "python": platform.python_version()}
    return {**python, **{name: version for name, version in found.items() if version}}


def look_names(problems: list[str]) -> dict[str, Any]:
    """Ours must be the `kernels` that Python finds; a package of that name exists elsewhere."""
    home = Path(__file__).resolve().parents[1]
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or home not in Path(spec.origin).resolve().parents:
            where = spec.origin if spec else "nowhere"
            problems.append(f"`{name}` is found at {where}, not in {home}: use an own environment")
    providers = importlib.metadata.packages_distributions()
    others = {
        name: sorted(set(providers.get(name, [])) - {"whorl"})
        for name in OURS
        if set(providers.get(name, [])) - {"whorl"}
    }
    for name, by in others.items():
        problems.append(
            f"`{name}` is also a package of {', '.join(by)}: install whorl in an own environment"
        )
    return {"is": f"{', '.join(OURS)} from {home}"}


def look_cpu(problems: list[str]) -> dict[str, Any]:
    from kernels import _jit
    from pipelines.engine.cluster import usable_cores

    known = _jit.features()
    widths = [name for name in ("avx512bw", "avx2", "sse4.1", "neon", "sve") if name in known]
    return {
        "is": f"{platform.machine()} {_jit.target().partition(',')[0]}",
        "vectors": "/".join(widths) or "plain",
        "usable cores": usable_cores(),
        "of": os.cpu_count(),
    }


def look_memory(problems: list[str]) -> dict[str, Any]:
    import psutil

    from pipelines.engine.cluster import usable_memory

    memory = psutil.virtual_memory()
    return {
        "usable": units.size(usable_memory()),
        "of": units.size(memory.total),
        "free": units.size(memory.available),
    }


def look_disk(problems: list[str]) -> dict[str, Any]:
    return {
        "here": f"{units.size(shutil.disk_usage('.').free)} free",
        tempfile.gettempdir(): f"{units.size(shutil.disk_usage(tempfile.gettempdir()).free)} free",
    }


def look_cache(problems: list[str]) -> dict[str, Any]:
    from kernels import _jit

    try:
        folder = _jit.cache_dir()
    except (OSError, RuntimeError) as error:
        problems.append(f"no place for compiled kernels ({error}); set WHORL_CACHE_DIR")
        return {"is": "none"}
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        problems.append(f"{folder} is not writable; set WHORL_CACHE_DIR to a writable folder")
    files = [f for f in _jit.cache_root().glob("kernels-*/**/*") if f.is_file()]
    return {"is": str(folder), "size": units.size(sum(f.stat().st_size for f in files))}


def look_dashboard(problems: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: version_of(name) or "missing" for name in DASHBOARD}
    missing = [name for name, version in row.items() if version == "missing"]
    if missing:
        problems.append(f"the dashboard stays blank without {' and '.join(missing)}")
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", DASHBOARD_PORT)) == 0
    row["port"] = f"{DASHBOARD_PORT} is {'taken: the next free one is used' if taken else 'free'}"
    return row


def look_storage(problems: list[str]) -> dict[str, Any]:
    row = {}
    for name, scheme in OF_URLS.items():
        row[scheme] = f"by {name} {version_of(name)}" if version_of(name) else "missing"
        if not version_of(name):
            problems.append(f"{scheme} outputs need {name}: pip install {name}")
    return row


LOOKS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "versions": look_versions,
    "names": look_names,
    "cpu": look_cpu,
    "memory": look_memory,
    "disk": look_disk,
    "cache": look_cache,
    "dashboard": look_dashboard,
    "storage": look_storage,
}

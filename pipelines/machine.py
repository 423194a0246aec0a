"""Provenance: which software ran on which machine."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import kernels

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "dask",
    "distributed",
    "zarr",
    "fsspec",
    "scoring-matrices",
)


def versions() -> dict[str, str]:
    """Versions of whorl (with its commit, where it runs from a clone), Python and the packages."""
    found = {"whorl": kernels.__version__, "python": platform.python_version()}
    commit = git_commit()
    if commit:
        found["commit"] = commit
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git_commit() -> str | None:
    """Commit of the clone this code lies in, '+changes' behind it; None elsewhere."""
    root = Path(kernels.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = git(root, "rev-parse", "HEAD")
        changed = git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def git(root: Path, *words: str) -> str:
    """What git prints on a question about the clone at root."""
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def host() -> dict[str, Any]:
    """The driver's machine."""
    from kernels import _jit
    from pipelines.engine.cluster import usable_cores, usable_memory

    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpu": cpu_name(),
        "target": _jit.target().split(",")[0],
        "cores": usable_cores(),
        "memory_bytes": usable_memory(),
        "pid": os.getpid(),
    }


def cpu_name() -> str:
    """Model of the processor as the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

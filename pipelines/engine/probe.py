"""Facts about one process, asked on driver and workers: versions, CPU target, what it can read.

These functions are sent to the workers of a given cluster before any work.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import platform
import socket
from typing import Any

from pipelines.engine.contract import WorkerInfo

PACKAGES = ("whorl", "numba", "numpy", "dask", "distributed")


def facts() -> dict[str, Any]:
    """{'versions': {'python': ..., 'whorl': ...}, 'cpu': ...}; a missing package has version ''."""
    return {"versions": versions(), "cpu": cpu_target()}


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version_of(name) for name in PACKAGES}


@functools.cache
def version_of(package: str) -> str:
    """'' when it is missing. It takes milliseconds to find."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def cpu_target() -> str:
    """Name of the CPU that kernels are compiled for, with NUMBA_CPU_NAME obeyed."""
    name = os.environ.get("NUMBA_CPU_NAME")
    if not name:
        try:
            name = importlib.import_module("llvmlite.binding").get_host_cpu_name()
        except ImportError:
            name = "unknown"
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return f"{platform.machine()} {name}" + (f" {features}" if features else "")


def this_process(name: str) -> WorkerInfo:
    return WorkerInfo(name, "", socket.gethostname(), 1, 0, versions(), cpu_target())


def read_bytes(url: str, storage_options: dict[str, Any]) -> bytes:
    """Content of url, or b'' when it is not there. Runs on the worker."""
    import fsspec

    try:
        with fsspec.open(url, "rb", **storage_options) as file:
            content: bytes = file.read()
            return content
    except OSError:
        return b""

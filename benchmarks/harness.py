"""Time contenders in alternation, compare them round by round, and keep a record with the machine.

A round runs every contender once: ours, peer, peer, ours, peer, peer ... A disturbance of a shared
machine then hits neighbours alike, and the ratio is taken within each round, not between medians of
runs that lie minutes apart. The first call of each contender (compilation, page faults) is not a
trial. Results are verified after the clock has stopped.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import llvmlite.binding
import numba
import psutil

from benchmarks import peak

PACKAGES = (
    "numpy", "numba", "llvmlite", "dask", "distributed", "parasail", "pyopal", "biopython",
    "scikit-bio", "scikit-learn", "faiss-cpu", "dask-ml", "pyspark", "ray", "s_gd2",
)  # fmt: skip
# The vector extensions that decide how many lanes a kernel has.
FLAGS = ("sse4.1", "avx2", "avx512f", "avx512bw", "avx512vbmi", "avx512vnni", "neon", "sve")


@dataclass(frozen=True)
class Timed:
    """Returned by a contender that reads the clock itself, because only a part of its run counts:
    one iteration of a fit, what another process did. cpu_s 0: not known."""

    result: object
    seconds: float
    cpu_s: float = 0.0


@dataclass
class Contender:
    """One thing to time. `run` does the work and returns its result; `cells` is what it computes:
    cells of the dynamic programs of its pairs, each unordered pair counted once; for others what
    `unit` says. `elsewhere`: other processes do the work, and their CPU seconds are not known
    here. `trials`: rounds it takes part in, where it is too slow for all of them. `warm_up`: what
    to do off the clock instead of a whole run."""

    name: str
    returns: str
    cells: int
    run: Callable[[], object]
    elsewhere: bool = False
    unit: str = "gcups"
    trials: int | None = None
    warm_up: Callable[[], object] | None = None
    result: object = None
    first_s: float = 0.0
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Giga cells per second, one for each round."""
        return [self.cells / seconds / 1e9 for seconds in self.seconds]

    def rate(self) -> float:
        return statistics.median(self.rates())

    def record(self) -> dict:
        """What the JSON line keeps of this contender. No unit: its cells mean nothing."""
        kept = {
            "name": self.name,
            "returns": self.returns,
            "cells": self.cells,
            "first_s": round(self.first_s, 4),
            "seconds": [round(seconds, 7) for seconds in self.seconds],
            "cpu_s": None if self.elsewhere else [round(seconds, 7) for seconds in self.cpu_s],
        }
        return kept | ({self.unit: round(self.rate(), 3)} if self.unit else {})


def alternate(contenders: Sequence[Contender], trials: int) -> None:
    """Run every contender once off the clock, then `trials` rounds. Results stay with them."""
    for contender in contenders:
        started = time.perf_counter()
        (contender.warm_up or contender.run)()
        contender.first_s = time.perf_counter() - started
        contender.seconds, contender.cpu_s = [], []
    for number in range(trials):
        for contender in contenders:
            if contender.trials is None or number < contender.trials:
                _time(contender)


def _time(contender: Contender) -> None:
    started, started_cpu = time.perf_counter(), time.process_time()
    result = contender.run()
    if not isinstance(result, Timed):
        cpu_s = time.process_time() - started_cpu
        result = Timed(result, time.perf_counter() - started, cpu_s)
    contender.result = result.result
    contender.seconds.append(result.seconds)
    contender.cpu_s.append(result.cpu_s)


def ratios(ours: Contender, other: Contender) -> list[float]:
    """How many times faster ours was, round by round (of those in which both took part)."""
    return [mine / theirs for mine, theirs in zip(ours.rates(), other.rates(), strict=False)]


def cpu_ratio(ours: Contender, other: Contender) -> float | None:
    """Median ratio of cells per CPU second: what is left of a ratio when others use the cores too.

    None where the CPU seconds of one of them are not known.
    """
    if ours.elsewhere or other.elsewhere or not min(ours.cpu_s + other.cpu_s):
        return None
    weight = ours.cells / other.cells
    pairs = zip(ours.cpu_s, other.cpu_s, strict=False)
    return statistics.median(weight * theirs / mine for mine, theirs in pairs)


def comparison(ours: Contender, other: Contender) -> dict:
    """Median and range of the ratios as the JSON line keeps them."""
    values, by_cpu = ratios(ours, other), cpu_ratio(ours, other)
    return {
        "ours": ours.name,
        "peer": other.name,
        "ratio": round(statistics.median(values), 3),
        "ratios": [round(value, 3) for value in values],
        "cpu_ratio": None if by_cpu is None else round(by_cpu, 3),
    }


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lowest, median, highest."""
    return min(values), statistics.median(values), max(values)


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as table(), to be pasted into a README."""
    rule = ["---"] * len(heading)
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, rule, *rows])


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first two to the left, numbers to the right."""
    grid = [list(heading), *map(list, rows)]
    widths = [max(len(row[column]) for row in grid) for column in range(len(heading))]

    def line(row: Sequence[str]) -> str:
        cells = (
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(grid[0]), rule, *map(line, grid[1:])])


def machine() -> dict:
    """The machine and the software as the JSON line keeps them."""
    features = llvmlite.binding.get_host_cpu_features()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cpu_target": llvmlite.binding.get_host_cpu_name(),
        "flags": [flag for flag in FLAGS if features.get(flag)],
        "numba_target": [numba.config.CPU_NAME, numba.config.CPU_FEATURES],
        "clock_ghz": round(peak.clock_ghz(), 2),
        "vector_gops": round(peak.vector_gops(), 1),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
    }


class Watch:
    """How much of the machine others had since the watch was made: no verdict without it."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.busy_s, self.own_s, self.stolen_s = _cpu_seconds()

    def shares(self) -> dict[str, float]:
        """Shares of all cores: taken by other processes, and by other machines of the host."""
        busy_s, own_s, stolen_s = _cpu_seconds()
        cores_s = (time.perf_counter() - self.started) * psutil.cpu_count()
        others_s = (busy_s - self.busy_s) - (own_s - self.own_s)
        return {
            "others_share": round(max(others_s, 0.0) / cores_s, 3),
            "stolen_share": round((stolen_s - self.stolen_s) / cores_s, 3),
        }


def disturbance(shares: dict[str, float]) -> str:
    """The shares of a Watch as a line under a table."""
    others, stolen = shares["others_share"], shares["stolen_share"]
    return f"meanwhile others had {others:.0%} of the cores, other machines {stolen:.0%}"


def append(path: Path, record: dict) -> None:
    """One JSON line more at the end of the file; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def tell(text: str = "") -> None:
    """A line for the person who watches."""
    click.echo(text)


def _cpu_seconds() -> tuple[float, float, float]:
    """CPU seconds so far: of the whole machine, of this process and its children, stolen."""
    every, own = psutil.cpu_times(), psutil.Process()
    own_s = sum(own.cpu_times()[:4])  # user, system, and both of the children that have ended
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended in between
            own_s += sum(child.cpu_times()[:2])
    busy_s = every.user + every.system + getattr(every, "nice", 0.0)
    return busy_s, own_s, getattr(every, "steal", 0.0)


def _cpu_model() -> str:
    if shutil.which("lscpu"):
        for line in _output(["lscpu"]).splitlines():
            if line.startswith("Model name:"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    commit = _output(["git", "rev-parse", "--short", "HEAD"]).strip()
    changed = _output(["git", "status", "--porcelain", "--untracked-files=no"]).strip()
    return commit + ("+changes" if changed else "")


def _output(command: list[str]) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout

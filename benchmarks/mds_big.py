"""`run mds` of a large file as a whole command: seconds per iteration, load, memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from benchmarks.away import ROOT
from benchmarks.footprint import Processes
from benchmarks.harness import tell
from benchmarks.mds_ours import DIMS

if TYPE_CHECKING:
    from benchmarks.mds import Setting

ITERATION_GOAL_S, MEMORY_GOAL = 0.6, 16e9
HEADING = ("of the whole command", "", "measured", "goal")


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """One record. RuntimeError with the command's last words when it fails."""
    given, output = Path(str(setting.input)).absolute(), folder / "map"
    command = [
        sys.executable, "-m", "cli", "run", "mds", str(given), "-o", str(output), "--quiet",
        "--n-components", str(DIMS), "--max-iter", str(setting.iterations),
        "--nworkers", str(setting.most_threads),
    ]  # fmt: skip
    watch, started = harness.Watch(), time.perf_counter()
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        with Processes(process.pid) as processes:
            code = process.wait()
        if code:
            log.seek(0)
            words = log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)}: exit {code}\n{words}")
    seconds, shares = time.perf_counter() - started, watch.shares()
    told: dict[str, Any] = json.loads((output / "run.json").read_text())
    iterations, n = told["iterations"], told["n"]
    each_s = iterations["seconds_median"]
    tell(f"\n## mds big: n = {n:,}, {told['plan']['dtype']}, {told['executor']['name']}")
    tell(setting.table(HEADING, _rows(told, processes, seconds)))
    tell(harness.disturbance(shares))
    yield [
        shares | {
            "benchmark": "mds big", "n": n, "dtype": told["plan"]["dtype"], "seconds": seconds,
            "phases": told["phases"], "iterations": iterations, "partitions": told["partitions"],
            "resident_bytes": processes.resident, "private_bytes": processes.private,
            "processes": processes.most, "seconds_per_iteration": each_s,
            "verified": {"correct": told["n_iter"] == setting.iterations or told["converged"]},
        }
    ]  # fmt: skip


def _rows(told: dict[str, Any], processes: Processes, seconds: float) -> list[list[str]]:
    iterations, phases, partitions = told["iterations"], told["phases"], told["partitions"]
    each_s = iterations["seconds_median"]
    rate = told["bytes"]["distances"] / each_s / 1e9
    goal = f"<= {ITERATION_GOAL_S} s"
    return [
        ["an iteration", f"median of {iterations['iterations']}", f"{each_s:.3f} s", goal],
        ["read in it", "of memory", f"{rate:.1f} GB/s", ""],
        ["input checked", "", f"{phases['input']:.1f} s", ""],
        ["distances loaded", f"{partitions['bytes'] / 1e9:.2f} GB", f"{phases['load']:.1f} s", ""],
        ["start and iterations", "", f"{phases['iterations']:.1f} s", ""],
        ["exact stress", "", f"{phases['stress']:.1f} s", ""],
        ["all", "", f"{seconds:.1f} s", ""],
        [
            "peak memory", f"all {processes.most} processes, shared pages counted in each",
            f"{processes.resident / 1e9:.2f} GB", f"< {MEMORY_GOAL / 1e9:.0f} GB",
        ],
        ["of it", "private", f"{processes.private / 1e9:.2f} GB", ""],
    ]  # fmt: skip

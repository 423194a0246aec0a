"""Whole command against whole command: from the same FASTA file to files on the disk.

Ours is `python -m cli run swg` with its start-up, cluster, check of the input, zarr matrix,
checksums and report. The tools are those people use for this today, where they are on PATH (Debian:
mmseqs2, diamond-aligner, vsearch). They do not compute the same thing, so each says what it does,
and its table is read back: how many pairs it reports, and for how many of them the identity of
(i, j) is another than that of (j, i).
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.harness import tell
from benchmarks.sequences import nucleotides, proteins, write_fasta
from benchmarks.tools import OURS, ROOT, TOOLS, Tool, version

WARM_UP_RECORDS = 40
HEADING = ("command", "computes", "seconds", "lowest", "highest", "ours is", "CPU s")


@dataclass(frozen=True)
class Case:
    """A FASTA file and who meets on it. The large ones are run once: they take minutes."""

    n: int
    toy: int
    trials: int
    generate: Callable[[int], list[str]]
    tools: tuple[str, ...]


@dataclass
class Timing:
    """Wall seconds and CPU seconds of each trial."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


PROTEIN_TOOLS = (OURS, "MMseqs2 align", "DIAMOND --swipe")
DNA_TOOLS = (OURS, "VSEARCH --allpairs_global")
CASES = {
    "protein1000": Case(1000, 20, 3, proteins, PROTEIN_TOOLS),
    "protein3000": Case(3000, 30, 1, proteins, PROTEIN_TOOLS),
    "dna800": Case(800, 20, 3, lambda n: nucleotides(n, 400), DNA_TOOLS),
    "dna3000": Case(3000, 30, 1, lambda n: nucleotides(n, 400), DNA_TOOLS),
}


def run(name: str, threads: int, trials: int | None, n: int | None, toy: bool) -> dict:
    """Time the tools of a case in turn, read their tables, show both; the record to be kept."""
    case = CASES[name]
    sequences = case.generate(n if n is not None else case.toy if toy else case.n)
    lengths = np.array([len(sequence) for sequence in sequences])
    tools = [TOOLS[tool] for tool in case.tools if shutil.which(TOOLS[tool].program)]
    absent = [tool for tool in case.tools if not shutil.which(TOOLS[tool].program)]
    watch = harness.Watch()
    timings = {tool.name: Timing() for tool in tools}
    with tempfile.TemporaryDirectory(prefix="whorl-benchmark-") as scratch:
        fasta, small = Path(scratch) / "sequences.fasta", Path(scratch) / "warm-up.fasta"
        write_fasta(fasta, sequences)
        write_fasta(small, sequences[:WARM_UP_RECORDS])
        for tool in tools:  # programs come from the disk, ours compiles its kernels
            _run_once(tool, small, Path(scratch), threads)
        tables = {}
        for _ in range(trials or case.trials):
            for tool in tools:
                tables[tool.name] = _timed(tool, fasta, scratch, threads, timings, lengths)
    shares = watch.shares()
    checks = check_tables(tables, len(sequences))
    heading = f"{name}: {len(lengths)} records, mean length {lengths.mean():.0f}"
    _show(f"{heading}, {threads} threads", timings, checks, absent)
    tell(harness.disturbance(shares))
    return shares | {
        "benchmark": "swg commands",
        "case": name,
        "n": len(sequences),
        "mean_length": round(float(lengths.mean()), 1),
        "threads": threads,
        "toy": toy,
        "absent": absent,
        "versions": {tool.name: version(tool) for tool in tools},
        "timings": {key: vars(timing) for key, timing in timings.items()},
        "ratios": {tool.name: _ratios(timings, tool.name) for tool in tools},
        "checks": checks,
        "verified": {"correct": _ours_is_right(checks.get(OURS), len(sequences))},
    }


def check_tables(tables: dict[str, np.ndarray], n: int) -> dict[str, dict]:
    """What each table holds: missing pairs, pairs with two different identities, and the share of
    pairs with as many identical columns as ours (of those reported)."""
    upper = np.triu_indices(n, 1)
    columns, checks = {}, {}
    for name, table in tables.items():
        at = tuple(table[:, :2].astype(int).T)
        identical, identity = np.full((2, n, n), np.nan)
        identical[at], identity[at] = table[:, 2], table[:, 3]
        forward, backward = identity[upper], identity.T[upper]
        both = np.isfinite(forward) & np.isfinite(backward)
        columns[name] = np.fmax(identical[upper], identical.T[upper])
        checks[name] = {
            "pairs_missing": int(np.isnan(columns[name]).sum()),
            "both_directions": int(both.sum()),
            "asymmetric_share": float((forward != backward)[both].mean()) if both.any() else None,
        }
    for name, check in checks.items():
        if OURS in columns:
            reported = np.isfinite(columns[name])
            same = columns[name][reported] == columns[OURS][reported]
            check["identical_as_ours"] = float(same.mean())
    return checks


def _ours_is_right(check: dict | None, n: int) -> bool:
    whole = n * (n - 1) // 2
    return check is not None and check["both_directions"] == whole and not check["asymmetric_share"]


def _run_once(tool: Tool, fasta: Path, scratch: Path, threads: int) -> tuple[Path, Timing]:
    """Run a tool's steps in a fresh folder. RuntimeError with its last words when one fails."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    timing = Timing()
    started = time.perf_counter()
    cpu_s = 0.0
    for step in tool.steps(fasta, folder, threads):
        if callable(step):
            step(folder)
            continue
        with (folder / "log").open("w+b") as log:
            process = subprocess.Popen(step, cwd=ROOT, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                words = log.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{' '.join(step)}: exit {process.returncode}\n{words}")
        cpu_s += usage.ru_utime + usage.ru_stime
    timing.seconds.append(time.perf_counter() - started)
    timing.cpu_s.append(cpu_s)
    return folder, timing


def _timed(
    tool: Tool,
    fasta: Path,
    scratch: str,
    threads: int,
    timings: dict[str, Timing],
    lengths: np.ndarray,
) -> np.ndarray:
    folder, once = _run_once(tool, fasta, Path(scratch), threads)
    kept = timings[tool.name]
    kept.seconds += once.seconds
    kept.cpu_s += once.cpu_s
    table = tool.read(folder, lengths)
    shutil.rmtree(folder)
    return table


def _ratios(timings: dict[str, Timing], name: str) -> list[float]:
    """How many times longer than ours it took, round by round."""
    pairs = zip(timings[name].seconds, timings[OURS].seconds, strict=True)
    return [round(theirs / mine, 3) for theirs, mine in pairs]


def _show(heading: str, timings: dict[str, Timing], checks: dict, absent: list[str]) -> None:
    rows = []
    for name, timing in timings.items():
        seconds = (statistics.median(timing.seconds), min(timing.seconds), max(timing.seconds))
        ratio = statistics.median(_ratios(timings, name))
        faster = "" if name == OURS else f"{ratio:.2f}x"
        cpu_s = f"{statistics.median(timing.cpu_s):.2f}"
        told = (*(f"{value:.2f}" for value in seconds), faster, cpu_s)
        rows.append([name, TOOLS[name].computes, *told])
    tell(f"\n## {heading}")
    tell(harness.table(HEADING, rows))
    for name, check in checks.items():
        tell(f"{name}: {_sentence(check)}")
    for name in absent:
        tell(f"{name}: not on PATH, left out")


def _sentence(check: dict) -> str:
    missing = check["pairs_missing"]
    text = "every pair reported" if not missing else f"{missing} pairs not reported"
    share = check["asymmetric_share"]
    if share is None:
        text += ", one direction only"
    elif share:
        text += f", {share:.1%} of the pairs differ between (i, j) and (j, i)"
    else:
        text += ", symmetric"
    return f"{text}; identical columns as ours: {check.get('identical_as_ours', 0):.1%}"

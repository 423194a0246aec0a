"""The tables of the MDS benchmark as they stand in the README: made from the records."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Table = tuple[tuple[str, ...], list[list[str]]]
PEER = "scikit-learn"
SPEED_GOALS = {"float64": 55, "float32": 130, "int16": 210}
MEMORY_GOALS = {"float64": 6, "float32": 12, "int16": 25}
GOALS_N, GOALS_THREADS = 10_000, 2
WEIGHTED_GOAL = 3


def seconds_of(record: dict, name: str) -> float | None:
    """Median seconds of a contender; None where it did not take part."""
    for contender in record["contenders"]:
        if contender["name"] == name:
            return statistics.median(contender["seconds"])
    return None


def speeds(records: Sequence[dict], dtypes: Sequence[str]) -> Table:
    """Milliseconds of an iteration, and how many times faster than scikit-learn's fastest and
    median ones."""
    heading = ("n, threads", f"{PEER} ms: fastest, median", *(f"{dtype} ms" for dtype in dtypes))
    rows = []
    for record in records:
        theirs = [seconds_of(record, name) for name in (PEER, f"{PEER}, medians")]
        told = ", ".join(digits(1000 * value) for value in theirs if value is not None)
        row = [f"{record['n']:,}, {record['threads']}", told]
        for dtype in dtypes:
            mine = seconds_of(record, dtype)
            facts = record["found"].get(dtype, {})
            cell = "" if mine is None else digits(1000 * mine)
            if "ratio" in facts:
                cell += f" ({facts['ratio']:.3g}x, {facts['median_ratio']:.3g}x)"
            row.append(cell)
        rows.append(row)
    goals = [f">= {SPEED_GOALS[dtype]}x" for dtype in dtypes]
    rows.append([f"goal at {GOALS_N:,}, {GOALS_THREADS}", "", *goals])
    return heading, rows


def memories(records: Sequence[dict], dtypes: Sequence[str]) -> Table:
    """Peak memory above the process's own, and the part of scikit-learn's that it is."""
    heading = ("n", f"{PEER} MB", *(f"{dtype} MB" for dtype in dtypes), "smacof(matrix) MB")
    rows = []
    for record in records:
        memory = record["memory"]
        theirs = memory.get(PEER)
        row = [f"{record['n']:,}", megabytes(theirs)]
        for dtype in dtypes:
            mine = memory.get(dtype)
            share = f" (1/{theirs / mine:.3g})" if theirs and mine else ""
            row.append(megabytes(mine) + share)
        whole = [megabytes(memory.get(f"smacof {dtype}")) for dtype in dtypes]
        rows.append([*row, ", ".join(filter(None, whole))])
    goals = [f"<= 1/{MEMORY_GOALS[dtype]}" for dtype in dtypes]
    rows.append([f"goal at {GOALS_N:,}", "", *goals, ""])
    return heading, rows


def bandwidths(records: Sequence[dict], dtypes: Sequence[str]) -> Table:
    """Bytes that an iteration reads, at which rate, and what part that is of the rate at which
    memory was read in the same rounds."""
    heading = ("n, threads", "memory GB/s", *(f"{dtype} MB, GB/s" for dtype in dtypes))
    rows = []
    for record in records:
        found = record["found"]
        memory = next(iter(found.values()))["memory_rate"]
        row = [f"{record['n']:,}, {record['threads']}", f"{memory / 1e9:.1f}"]
        for dtype in dtypes:
            facts = found.get(dtype)
            row.append(
                ""
                if facts is None
                else f"{facts['bytes'] / 1e6:.4g}, {facts['rate'] / 1e9:.1f} "
                f"({facts['bandwidth_share']:.0%})"
            )
        rows.append(row)
    return heading, rows


def weighted(records: Sequence[dict], names: Sequence[str]) -> Table:
    """Milliseconds of whole transforms, and how many unweighted ones each takes."""
    plain, *others = names
    heading = ("n, dtype", f"{plain} ms", *(f"{name} ms" for name in others), "products")
    rows = []
    for record in records:
        for dtype, found in record["found"].items():
            row = [f"{record['n']:,}, {dtype}", digits(_ms(found, plain))]
            for name in others:
                times = statistics.median(found["times"][name])
                row.append(f"{digits(_ms(found, name))} ({times:.2f}x)")
            rows.append([*row, ", ".join(f"{found['products'][name]:.1f}" for name in others)])
    return heading, [*rows, ["goal", "", *(f"<= {WEIGHTED_GOAL}x" for _ in others), ""]]


def _ms(found: dict[str, Any], name: str) -> float:
    return 1000 * (seconds_of(found, name) or 0.0)


def digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(nbytes: int | None) -> str:
    """Nothing where it is not known."""
    return "" if nbytes is None else digits(nbytes / 1e6)

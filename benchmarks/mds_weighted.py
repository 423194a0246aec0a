"""A whole weighted Guttman transform, its conjugate gradients included, over an unweighted one."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, mds_ours
from benchmarks.harness import Contender, tell
from benchmarks.mds_ours import Ours

if TYPE_CHECKING:
    from benchmarks.mds import Setting

SIZES, TOY_SIZES = (4000, 10_000), (600,)
CALLS, TOY_CALLS = 8, 3
MISSING = 0.3
GOAL = 3.0
SEEN_CLOSE = 1e-5
FALL = 1e-9  # of the stress: a rise that is rounding
PLAIN = "unweighted"
CASES = {PLAIN: (0.0, "none"), "30 % missing": (MISSING, "none"), "Sammon": (0.0, "sammon")}
HEADING = (
    "dtype", "pairs", "ms", "lowest", "highest", "products", "times an unweighted", "lowest",
    "highest", "by CPU", "goal",
)  # fmt: skip


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """A record for each size, with all dtypes."""
    for n in TOY_SIZES if setting.toy else SIZES:
        points = np.load(mds_ours.saved(folder, n))
        yield [_measured(points, setting)]


def _measured(points: np.ndarray, setting: Setting) -> dict:
    n, threads = len(points), setting.most_threads
    rows, records, shares = [], {}, harness.Watch()
    for dtype in setting.dtypes:
        holed = {share: mds_ours.bands_over(points, dtype, share) for share in (0.0, MISSING)}
        ours = {
            name: Ours(holed[share], threads, weights) for name, (share, weights) in CASES.items()
        }
        start, calls = mds_ours.random_start(n), TOY_CALLS if setting.toy else CALLS
        group = [
            Contender(name, dtype, n**2, functools.partial(one.run, start, calls), unit="")
            for name, one in ours.items()
        ]
        harness.alternate(group, setting.trials)
        rows += _rows(group, ours, dtype)
        records[dtype] = _record(group, ours)
    disturbed = shares.shares()
    correct = all(record["correct"] for record in records.values())
    tell(f"\n## mds weighted: n = {n:,}, {threads} threads, a whole transform")
    tell(setting.table(HEADING, rows))
    words = "falls with every transform and equals the exact one" if correct else "is WRONG"
    tell(f"stress {words}")
    tell(harness.disturbance(disturbed))
    return disturbed | {
        "benchmark": "mds weighted", "n": n, "threads": threads, "trials": setting.trials,
        "toy": setting.toy, "found": records, "verified": {"correct": correct},
    }  # fmt: skip


def _record(group: list[Contender], ours: dict[str, Ours]) -> dict[str, Any]:
    """What is kept of a dtype; whether the stress of every transform falls, and is the exact."""
    correct = True
    for contender in group:
        one, state = ours[contender.name], contender.result
        seen = np.array(one.seen)
        falls = bool((np.diff(seen) <= FALL * seen[:-1]).all())
        correct &= falls and abs(one.seen_at(state.x) / one.stress(state.x) - 1) <= SEEN_CLOSE
        one.close()
    return {
        "contenders": [contender.record() for contender in group],
        "times": {each.name: _times(group[0], each) for each in group[1:]},
        "correct": correct,
    }


def _times(plain: Contender, other: Contender) -> list[float]:
    return [round(value, 3) for value in harness.ratios(plain, other)]


def _rows(group: list[Contender], ours: dict[str, Ours], dtype: str) -> list[list[str]]:
    rows = []
    for contender in group:
        low, middle, high = harness.spread(contender.seconds)
        row = [dtype, contender.name]
        row += [f"{1000 * value:.3g}" for value in (middle, low, high)]
        if contender is group[0]:
            rows.append([*row, *[""] * (len(HEADING) - len(row))])
            continue
        products = statistics.mean(ours[contender.name].products)
        low, middle, high = harness.spread(harness.ratios(group[0], contender))
        by_cpu = harness.cpu_ratio(group[0], contender)
        row += [f"{products:.1f}", *(f"{value:.2f}x" for value in (middle, low, high))]
        rows.append([*row, "" if by_cpu is None else f"{by_cpu:.2f}x", f"<= {GOAL:.0f}x"])
    return rows

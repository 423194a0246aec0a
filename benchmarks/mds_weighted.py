"""A whole weighted Guttman transform, its conjugate gradients included, over an unweighted one."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, mds_ours, mds_tables
from benchmarks.harness import Contender, tell
from benchmarks.mds_ours import Ours

if TYPE_CHECKING:
    from benchmarks.mds import Setting

SIZES, TOY_SIZES = (4000, 10_000), (600,)
CALLS, TOY_CALLS = 8, 3
MISSING = 0.3
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
    records = []
    for n in TOY_SIZES if setting.toy else SIZES:
        points = np.load(mds_ours.saved(folder, n))
        records.append(_measured(points, setting))
        yield records[-1:]
    tell()
    tell(setting.table(*mds_tables.weighted(records, list(CASES))))


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
        products = {name: statistics.mean(one.products) for name, one in ours.items()}
        rows += _rows(group, products, dtype)
        records[dtype] = _record(group, ours) | {"products": products}
    disturbed = shares.shares()
    correct = all(record["correct"] for record in records.values())
    tell(f"\n## mds weighted: n = {n:,}, {threads} threads, a whole transform")
    tell(harness.table(HEADING, rows))
    words = "falls with every transform and equals the exact one" if correct else "is WRONG"
    tell(f"stress {words}")
    tell(harness.disturbance(disturbed))
    return disturbed | {
        "benchmark": "mds weighted", "n": n, "threads": threads, "trials": setting.trials,
        "toy": setting.toy, "found": records, "verified": {"correct": correct},
    }  # fmt: skip


def _record(group: list[Contender], ours: dict[str, Ours]) -> dict[str, Any]:
    """What is kept of a dtype."""
    correct = [verified(contender, ours[contender.name]) for contender in group]
    for one in ours.values():
        one.close()
    return {
        "contenders": [contender.record() for contender in group],
        "times": {each.name: _times(group[0], each) for each in group[1:]},
        "correct": all(correct),
    }


def verified(contender: Contender, ours: Ours) -> bool:
    """Whether the stress of every transform falls, and what falls out of the steps is the
    exact one."""
    state: Any = contender.result
    seen = np.array(ours.seen)
    falls = bool((np.diff(seen) <= FALL * seen[:-1]).all())
    return falls and abs(ours.seen_at(state.x) / ours.stress(state.x) - 1) <= SEEN_CLOSE


def _times(plain: Contender, other: Contender) -> list[float]:
    return [round(value, 3) for value in harness.ratios(plain, other)]


def _rows(group: list[Contender], products: dict[str, float], dtype: str) -> list[list[str]]:
    rows = []
    for contender in group:
        low, middle, high = harness.spread(contender.seconds)
        row = [dtype, contender.name]
        row += [mds_tables.digits(1000 * value) for value in (middle, low, high)]
        if contender is group[0]:
            rows.append([*row, *[""] * (len(HEADING) - len(row))])
            continue
        low, middle, high = harness.spread(harness.ratios(group[0], contender))
        by_cpu = harness.cpu_ratio(group[0], contender)
        row += [
            f"{products[contender.name]:.1f}",
            *(f"{value:.2f}x" for value in (middle, low, high)),
        ]
        rows.append(
            [*row, "" if by_cpu is None else f"{by_cpu:.2f}x", f"<= {mds_tables.WEIGHTED_GOAL}x"]
        )
    return rows

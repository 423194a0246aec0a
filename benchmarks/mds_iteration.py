"""One Guttman transform without weights: ours in three dtypes against scikit-learn's, in turn.

Ours counts with the median of the transforms of a run, scikit-learn with the fastest; the medians
of its runs stand beside. How fast memory is read is measured in every round.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, mds_ours, mds_tables
from benchmarks.harness import Contender, Timed, tell
from benchmarks.kmeans_crew import Crew
from benchmarks.mds_ours import Ours
from benchmarks.mds_peers import MAPS
from benchmarks.peak import Reading

if TYPE_CHECKING:
    from benchmarks.mds import Setting

TWIN_N = 2000
CALLS, TOY_CALLS = 10, 3
PEER = "scikit-learn"
MEDIAN = f"{PEER}, medians"
READ = "reading memory"
ONE_THREAD_TRIALS = 3
CLOSE = {"float64": 1e-12, "float32": 1e-6, "int16": 1e-6}
SEEN_CLOSE = {"float64": 1e-10, "float32": 1e-5, "int16": 1e-5}  # the stress that falls out
LONG_N = 10_000  # from here on half as many calls
HEADING = (
    "contender", "BLAS", "ms", "lowest", "highest", "ours is", "by its medians", "by CPU",
    "MB read", "GB/s", "of the memory's",
)  # fmt: skip


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """One record for each size and number of threads."""
    records = []
    for n in setting.sizes:
        with Crew(setting.peers, MAPS) as crew:
            size = _Size(mds_ours.saved(folder, n), n, setting, crew)
            for threads in sorted(setting.threads, reverse=True):
                records.append(size.measured(threads))
                yield records[-1:]
            size.close()
    for table in (mds_tables.speeds, mds_tables.bandwidths):
        tell()
        tell(setting.table(*table(records, setting.dtypes)))


class _Size:
    """The distances of n points in all dtypes, and who passes over them."""

    def __init__(self, path: Path, n: int, setting: Setting, crew: Crew) -> None:
        self.path, self.n, self.setting, self.crew = path, n, setting, crew
        self.points, self.start = np.load(path), mds_ours.random_start(n)
        dtypes = mds_ours.dtypes_at(n, setting.dtypes)
        self.bands = {dtype: mds_ours.bands_over(self.points, dtype) for dtype in dtypes}
        self.calls = TOY_CALLS if setting.toy else CALLS if n < LONG_N else CALLS // 2
        self.stress: float | None = None  # by scikit-learn or the twin, after 1 + calls transforms

    def close(self) -> None:
        """Hold the distances no longer."""
        self.bands.clear()

    def measured(self, threads: int) -> dict:
        """The record of a number of threads."""
        most = threads == self.setting.most_threads
        trials = self.setting.trials if most else min(self.setting.trials, ONE_THREAD_TRIALS)
        ours = {dtype: Ours(bands, threads) for dtype, bands in self.bands.items()}
        reading = Reading(threads)
        watch = harness.Watch()
        group, medians = self._group(ours, reading, threads)
        harness.alternate(group, trials)
        shares = watch.shares()
        reading.close()
        by_name = {contender.name: contender for contender in group}
        if PEER in by_name:
            self.stress = by_name[PEER].result[0]
            kept = medians[-trials:]
            by_name[MEDIAN] = Contender(MEDIAN, "", self.n**2, _nothing, unit="", seconds=kept)
        verified = self._verified(ours, by_name)
        for one in ours.values():
            one.close()
        found = {dtype: self._facts(dtype, by_name, one.nbytes) for dtype, one in ours.items()}
        self._show(threads, by_name, found, verified, shares)
        return shares | {
            "benchmark": "mds iteration", "n": self.n, "threads": threads, "trials": trials,
            "toy": self.setting.toy, "calls": self.calls,
            "contenders": [contender.record() for contender in by_name.values()],
            "found": found, "peers": self.crew.facts,
            "absent": self.crew.absent, "blas": self._blas(threads), "verified": verified,
        }  # fmt: skip

    def _group(
        self, ours: dict[str, Ours], reading: Reading, threads: int
    ) -> tuple[list[Contender], list[float]]:
        """Who takes part, and the list that scikit-learn's medians are going to."""
        pairs, medians = self.n**2, []
        group = [
            Contender(dtype, "", pairs, functools.partial(one.run, self.start, self.calls), unit="")
            for dtype, one in ours.items()
        ]
        if self.n < mds_ours.ALONE_N and self.crew.has(PEER):
            at = (PEER, self.path, threads, "iteration", self.start, self.calls)

            def theirs() -> Timed:
                timed = self.crew.call(*at)
                medians.append(timed.result[1])
                return timed

            warm = functools.partial(self.crew.warm_up, *at)
            group.append(Contender(PEER, "", pairs, theirs, unit="", warm_up=warm))

        def read() -> Timed:
            return Timed(None, reading.seconds())

        group.append(Contender(READ, "", reading.nbytes, read, unit=""))
        return group, medians

    def _verified(self, ours: dict[str, Ours], by_name: dict[str, Contender]) -> dict:
        """Ours against the peer's stress, or the definition's; and the stress that falls out of
        the steps against the exact one."""
        if self.stress is None and self.n <= TWIN_N:
            self.stress = mds_ours.transformed(self.points, self.start, 1 + self.calls)[1]
        against = PEER if PEER in by_name else "the definition" if self.stress else "nothing"
        found: dict[str, Any] = {"against": against, "off": {}, "seen_off": {}}
        for dtype, one in ours.items():
            state: Any = by_name[dtype].result
            exact = one.stress(state.x)
            if self.stress is not None:
                found["off"][dtype] = abs(exact / self.stress - 1)
            found["seen_off"][dtype] = abs(one.seen_at(state.x) / exact - 1)
        found["correct"] = all(
            value <= CLOSE[dtype] for dtype, value in found["off"].items()
        ) and all(value <= SEEN_CLOSE[dtype] for dtype, value in found["seen_off"].items())
        return found

    def _facts(self, dtype: str, by_name: dict[str, Contender], nbytes: int) -> dict[str, float]:
        """Ratios of one of ours, and its rate."""
        mine = by_name[dtype]
        rate = nbytes / statistics.median(mine.seconds)
        memory_rate = statistics.median(
            by_name[READ].cells / seconds for seconds in by_name[READ].seconds
        )
        found = {"bytes": nbytes, "rate": rate, "bandwidth_share": rate / memory_rate}
        found["memory_rate"] = memory_rate
        if PEER in by_name:
            found["ratio"] = statistics.median(harness.ratios(mine, by_name[PEER]))
            found["median_ratio"] = statistics.median(harness.ratios(mine, by_name[MEDIAN]))
            found["cpu_ratio"] = harness.cpu_ratio(mine, by_name[PEER]) or 0.0
        return found

    def _blas(self, threads: int) -> str:
        return self.crew.blas_of(PEER, self.path, threads, "iteration")

    def _show(
        self, threads: int, by_name: dict[str, Contender], found: dict, verified: dict, shares: dict
    ) -> None:
        plural = "s" if threads > 1 else ""
        tell(f"\n## mds iteration: n = {self.n:,}, {threads} thread{plural}")
        rows = []
        for name, contender in by_name.items():
            if name == READ:
                continue
            low, middle, high = harness.spread(contender.seconds)
            row = [name if name.startswith(PEER) else f"ours, {name}"]
            row += [self._blas(threads) if name == PEER else ""]
            row += [mds_tables.digits(1000 * value) for value in (middle, low, high)]
            row += _own_cells(found[name]) if name in found else []
            rows.append(row + [""] * (len(HEADING) - len(row)))
        tell(harness.table(HEADING, rows))
        tell(_verdict(verified))
        rates = [by_name[READ].cells / seconds / 1e9 for seconds in by_name[READ].seconds]
        low, middle, high = harness.spread(rates)
        tell(f"memory is read at {middle:.1f} GB/s ({low:.1f} to {high:.1f})")
        tell(harness.disturbance(shares))


def _own_cells(facts: dict) -> list[str]:
    """What stands behind the milliseconds of ours."""
    ratios = ("ratio", "median_ratio", "cpu_ratio")
    cells = [f"{facts[key]:.3g}x" if facts.get(key) else "" for key in ratios]
    cells += [f"{facts['bytes'] / 1e6:.4g}", f"{facts['rate'] / 1e9:.1f}"]
    return [*cells, f"{facts['bandwidth_share']:.0%}"]


def _verdict(verified: dict) -> str:
    off = ", ".join(f"{dtype} to {value:.0e}" for dtype, value in verified["off"].items())
    seen = ", ".join(f"{dtype} to {value:.0e}" for dtype, value in verified["seen_off"].items())
    right = "right" if verified["correct"] else "WRONG"
    compared = f"stress equals {verified['against']}'s: {off}; " if off else ""
    return f"ours {right}: {compared}what falls out of the steps equals the exact: {seen}"


def _nothing() -> None:
    """A contender that is told its seconds does no work."""

"""Strong scaling of one iteration: the kernel on one and two threads, the engine on as many ranks.

The engine runs the jobs of `run mds` on the same bands; all four go the same way, to the byte.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, mds_ours, mds_tables
from benchmarks.harness import Contender, Timed, tell
from benchmarks.kmeans_engine import between
from benchmarks.mds_ours import Ours
from kernels import mds, mds_steps
from pipelines import mds_blocks
from pipelines.engine import connect, iterate

if TYPE_CHECKING:
    from benchmarks.mds import Setting

N, TOY_N = 10_000, 600
DTYPE = "float32"
RANKS = (1, 2)
COUNT, TOY_COUNT = 30, 4
HEADING = (
    "where", "", "ms", "lowest", "highest", "faster than one", "lowest", "highest",
    "more than the kernel",
)  # fmt: skip
Source = tuple[str, tuple[int, int], float]


def load(source: Source) -> dict[str, np.ndarray]:
    """A band as `run mds` holds it."""
    path, part, scale = source
    band = mds_ours.band_over(np.load(path), part, DTYPE, scale)
    return {
        "values": band.values,
        "place": np.array(band.place, np.int64),
        "scale": np.array([band.scale]),
    }


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """One record. Nothing where the machine was asked for fewer threads."""
    if setting.most_threads < max(RANKS):
        tell(f"scaling: left out, it is compared at {max(RANKS)} threads")
        return
    path = mds_ours.saved(folder, TOY_N if setting.toy else N)
    with contextlib.ExitStack() as stack:
        engines = {
            ranks: stack.enter_context(
                connect("gang", nworkers=ranks, memory_limit=0, dashboard_address=None)
            )
            for ranks in RANKS
        }
        yield [_measured(path, engines, setting)]


def _measured(path: Path, engines: dict[int, Any], setting: Setting) -> dict:
    points = np.load(path)
    start = mds_ours.random_start(len(points))
    count = TOY_COUNT if setting.toy else COUNT
    bands = mds_ours.bands_over(points, DTYPE)
    kernels = {ranks: Ours(bands, ranks) for ranks in RANKS}
    group = [
        Contender(f"kernel, {ranks} thread{'s' * (ranks > 1)}", "", 1, work, True, "")
        for ranks, one in kernels.items()
        for work in [lambda one=one: one.run(start, count - 1)]
    ]
    for ranks, engine in engines.items():
        work = _through(engine, path, bands, kernels[RANKS[0]].problem, start, count)
        group.append(Contender(f"engine, {ranks} rank{'s' * (ranks > 1)}", "", 1, work, True, ""))
    watch = harness.Watch()
    harness.alternate(group, setting.trials)
    shares = watch.shares()
    for one in kernels.values():
        one.close()
    states: list[Any] = [contender.result for contender in group]
    same = all(np.array_equal(states[0].x, state.x) for state in states[1:])
    tell(f"\n## mds scaling: n = {len(points):,}, {DTYPE}, {len(bands)} partitions, an iteration")
    tell(setting.table(HEADING, _rows(group)))
    tell(f"all end in {'the same bytes' if same else 'DIFFERENT bytes: WRONG'}")
    tell(harness.disturbance(shares))
    return shares | {
        "benchmark": "mds scaling", "n": len(points), "ranks": list(RANKS), "toy": setting.toy,
        "iterations": count, "trials": setting.trials,
        "contenders": [contender.record() for contender in group],
        "comparisons": [harness.comparison(group[k + 1], group[k]) for k in (0, 2)],
        "verified": {"correct": same},
    }  # fmt: skip


def _through(
    engine: Any, path: Path, bands: list[mds.Band], problem: Any, start: np.ndarray, count: int
) -> Callable[[], Timed]:
    """A run of count transforms through an engine whose partitions stay."""
    sources: list[Source] = [(str(path), band.place[:2], band.scale) for band in bands]
    partitions = engine.partitions(load, sources)
    shared = engine.broadcast(problem)

    def through() -> Timed:
        done = iterate(
            engine,
            partitions,
            jobs=mds_blocks.jobs(problem),
            state=mds_steps.start_state(start, problem),
            args=(shared,),
            max_iter=count + 1,  # the first is the constant's
        )
        transforms = [row for row in done.rows if row.job == "guttman"]
        return Timed(done.state, statistics.median(between(transforms)))

    return through


def _rows(group: list[Contender]) -> list[list[str]]:
    rows = []
    for at, contender in enumerate(group):
        low, middle, high = harness.spread(contender.seconds)
        row = [
            contender.name,
            "",
            *(mds_tables.digits(1000 * value) for value in (middle, low, high)),
        ]
        if at % 2:
            low, middle, high = harness.spread(harness.ratios(contender, group[at - 1]))
            row += [f"{value:.2f}x" for value in (middle, low, high)]
        else:
            row += ["", "", ""]
        if at >= len(RANKS):
            more = statistics.median(harness.ratios(group[at - len(RANKS)], contender)) - 1
            row.append(f"{100 * more:+.1f} %")
        rows.append(row + [""] * (len(HEADING) - len(row)))
    return rows

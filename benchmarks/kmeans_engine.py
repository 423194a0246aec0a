"""KMeans through the engine: the same iterations on two workers and on two threads in turn.

The engine runs the jobs of `run kmeans`; every distance is measured, as in the kernel's own run.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, points
from benchmarks.harness import Contender, Timed, tell
from benchmarks.kmeans_crew import Ours
from benchmarks.points import Shape
from kernels import kmeans
from pipelines import kmeans_blocks
from pipelines.engine import connect, iterate
from pipelines.engine.job import Row

if TYPE_CHECKING:
    from benchmarks.kmeans import Setting

WORKERS = 2
SHAPES = ("k100", "k500")
ITERATIONS, TOY_ITERATIONS = 20, 4


def load(source: tuple[str, int, int]) -> dict[str, np.ndarray]:
    """Rows of the points from their file, as `run kmeans` holds them."""
    path, first, stop = source
    return {"points": np.load(path, mmap_mode="r")[first:stop].copy()}


def between(rows: Sequence[Row]) -> list[float]:
    """Seconds from the end of one iteration to the end of the next. Where a chunk ends between
    the two it counts, too; the median does not show it, the mean does."""
    stops = [row.stopped for row in rows]
    return [after - before for before, after in itertools.pairwise(stops)]


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """One record for each shape. Nothing where the machine was asked for fewer threads."""
    if setting.most_threads < WORKERS:
        tell(f"engine: left out, it is compared at {WORKERS} threads")
        return
    names = [name for name in SHAPES if name in setting.shapes]
    with connect("gang", nworkers=WORKERS, dashboard_address=None) as engine:
        for name in names:
            yield [_measured(points.shape_of(name, setting.toy), engine, setting, folder)]


def _measured(shape: Shape, engine: Any, setting: Setting, folder: Path) -> dict:
    path = points.saved(folder, shape, "clustered", "float32")
    drawn = np.load(path)
    start = points.start(shape, drawn)
    count = TOY_ITERATIONS if setting.toy else ITERATIONS
    ours = Ours(drawn, WORKERS)
    sources = [(str(path), first, stop) for first, stop in kmeans.block_ranges(len(drawn))]
    partitions = engine.partitions(load, sources)
    what = kmeans_blocks.Pass(len(ours.blocks[0].points), ours.frame, bounds=False, tol_shift=-1.0)
    all_in: list[float] = []
    ends: list[kmeans.State] = []

    def through_engine() -> Timed:
        done = iterate(
            engine,
            partitions,
            jobs=kmeans_blocks.jobs(what),
            state=kmeans.start_state(start),
            args=(what,),
            max_iter=count + 1,
        )
        all_in.append(statistics.mean(between(done.rows)))
        return Timed(done.state, statistics.median(between(done.rows)))

    def kernel() -> Timed:
        timed = ours.run(start, count)
        if not ends:  # off the clock: the state at the end, to be compared
            ends.append(kmeans.start_state(start))
            for _ in range(count + 1):
                ends[0] = ours.step(ends[0])
        return Timed(ends[0], timed.seconds, timed.cpu_s)

    names = (f"kernel, {WORKERS} threads", f"engine, {WORKERS} workers")
    group = [
        Contender(name, "", shape.products, run, elsewhere=True, unit="gproducts")
        for name, run in zip(names, (kernel, through_engine), strict=True)
    ]
    watch = harness.Watch()
    harness.alternate(group, setting.trials)
    shares = watch.shares()
    engine.release(partitions)
    ours.close()
    same = all(np.array_equal(*pair) for pair in zip(group[0].result, group[1].result, strict=True))
    _show(shape, group, same, setting)
    tell(f"all in, with the starts of chunks: {1000 * statistics.median(all_in[1:]):.2f} ms")
    tell(harness.disturbance(shares))
    return shares | {
        "benchmark": "kmeans engine",
        "shape": shape.name,
        "toy": setting.toy,
        "iterations": count,
        "all_in_s": all_in[1:],
        "contenders": [contender.record() for contender in group],
        "comparisons": [harness.comparison(*group)],
        "verified": {"correct": same},
    }


def _show(shape: Shape, group: list[Contender], same: bool, setting: Setting) -> None:
    tell(f"\n## {shape.words}, float32, through the engine; median of the iterations of a run")
    rows = []
    for contender in group:
        told = [f"{1000 * value:.2f}" for value in harness.spread(contender.seconds)]
        low, middle, high = harness.spread(harness.ratios(group[0], contender))
        ratios = (middle, low, high) if contender is not group[0] else ()
        share = [f"{100 * (value - 1):+.1f} %" for value in ratios] or ["", "", ""]
        rows.append([contender.name, "", told[1], told[0], told[2], *share])
    heading = ("contender", "", "ms", "lowest", "highest", "more", "lowest", "highest")
    tell(setting.table(heading, rows))
    tell(f"both end in {'the same bytes' if same else 'DIFFERENT bytes: WRONG'}")

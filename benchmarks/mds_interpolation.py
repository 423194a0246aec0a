"""Points onto a finished map: points per second, and of the search for their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks import harness, mds_ours, mds_tables
from benchmarks.harness import Contender, tell
from benchmarks.kmeans_crew import Crew
from benchmarks.mds_peers import SEARCHES
from kernels import interpolation, mds, neighbours

if TYPE_CHECKING:
    from benchmarks.mds import Setting

N, LANDMARKS, K = 100_000, 10_000, 10
TOY_N, TOY_LANDMARKS = 3000, 300
CHECKED = 2000  # points whose neighbours are compared with the definition, in float64
GOAL = 400_000
MAP_ITERATIONS = 30  # of the map that is interpolated onto: enough for positions to be likely
WHOLE, SEARCH, PLACING = "ours, interpolate", "ours, neighbours", "ours, placing, 1 thread"
HEADING = (
    "contender", "BLAS", "ms", "lowest", "highest", "points/s", "goal", "our neighbours are",
    "lowest", "highest", "same neighbours",
)  # fmt: skip


def run(setting: Setting, folder: Path) -> Iterator[list[dict]]:
    """One record."""
    n, m = (TOY_N, TOY_LANDMARKS) if setting.toy else (N, LANDMARKS)
    drawn = mds_ours.blobs(n + m, seed=3).astype(np.float32)
    points, landmarks = drawn[:n], drawn[n:]
    path = folder / "interpolation.npz"
    np.savez(path, points=points, landmarks=landmarks)
    delta = cdist(landmarks, landmarks).astype(np.float32)
    at, _ = mds.smacof(delta, max_iter=MAP_ITERATIONS)
    del delta
    with Crew(setting.peers, SEARCHES) as crew:
        yield [_measured(points, landmarks, at, path, setting, crew)]


def _measured(
    points: np.ndarray, landmarks: np.ndarray, at: np.ndarray, path: Path, setting: Setting,
    crew: Crew,
) -> dict:  # fmt: skip
    n, threads = len(points), setting.most_threads
    found = neighbours.nearest(points, landmarks, K, n_threads=threads)
    works: dict[str, Callable[[], Any]] = {
        SEARCH: lambda: neighbours.nearest(points, landmarks, K, n_threads=threads)[0],
        WHOLE: lambda: interpolation.interpolate(points, landmarks, at, K, threads),
        PLACING: lambda: interpolation.place_block(*found, at),
    }
    group = [Contender(name, "", n, work, unit="") for name, work in works.items()]
    for name in SEARCHES:
        if crew.has(name):
            group.append(_peer(name, crew, path, n, threads))
    watch = harness.Watch()
    harness.alternate(group, setting.trials)
    shares = watch.shares()
    by_name = {contender.name: contender for contender in group}
    same = {name: _same(by_name[name].result, found[0]) for name in SEARCHES if name in by_name}
    checked = verified(points, landmarks, found, by_name)
    blas = {name: crew.blas_of(name, path, threads, "nearest") for name in same}
    tell(
        f"\n## mds interpolation: {n:,} x {points.shape[1]} float32 onto {len(landmarks):,} "
        f"landmarks, k = {K}, {threads} threads"
    )
    tell(setting.table(HEADING, _rows(group, blas, same)))
    tell(_verdict(checked))
    tell(harness.disturbance(shares))
    return shares | {
        "benchmark": "mds interpolation", "n": n, "landmarks": len(landmarks), "k": K,
        "threads": threads, "trials": setting.trials, "toy": setting.toy, "same": same,
        "contenders": [contender.record() for contender in group], "blas": blas,
        "peers": crew.facts, "absent": crew.absent, "verified": checked,
    }  # fmt: skip


def _peer(name: str, crew: Crew, path: Path, n: int, threads: int) -> Contender:
    at = (name, path, threads, "nearest", K)
    return Contender(
        name, "", n, lambda: crew.call(*at), unit="", warm_up=lambda: crew.warm_up(*at)
    )


def _same(theirs: np.ndarray, ours: np.ndarray) -> float:
    """Share of points with the same neighbours, in whatever order."""
    return float((np.sort(theirs, axis=1) == np.sort(ours, axis=1)).all(axis=1).mean())


def definition(points: np.ndarray, landmarks: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(indices, distances) of the k nearest, of equal ones the lower, by sorting all in float64."""
    apart = np.zeros((len(points), len(landmarks)))
    for column in range(points.shape[1]):  # summed from the first column to the last
        apart += (
            np.subtract.outer(
                points[:, column].astype(np.float64), landmarks[:, column].astype(np.float64)
            )
            ** 2
        )
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.take_along_axis(apart, order, axis=1))


def verified(
    points: np.ndarray, landmarks: np.ndarray, found: tuple[np.ndarray, np.ndarray],
    by_name: dict[str, Contender],
) -> dict[str, Any]:  # fmt: skip
    """Neighbours against the definition's, and places against those of search and placing."""
    rows = np.random.default_rng(5).choice(len(points), min(CHECKED, len(points)), replace=False)
    indices, distances = definition(points[rows], landmarks, K)
    wrong = int((found[0][rows] != indices).any(axis=1).sum())
    off = float(np.abs(found[1][rows] / distances - 1).max())
    placed, alone = np.asarray(by_name[WHOLE].result), np.asarray(by_name[PLACING].result)
    same_places = bool(np.array_equal(placed, alone)) and bool(np.isfinite(placed).all())
    return {
        "checked": len(rows), "wrong": wrong, "distances_off": off, "same_places": same_places,
        "correct": not wrong and off <= 1e-14 and same_places,
    }  # fmt: skip


def _verdict(checked: dict[str, Any]) -> str:
    right = "right" if checked["correct"] else "WRONG"
    places = "the same" if checked["same_places"] else "OTHER"
    return (
        f"ours {right}: of {checked['checked']:,} points {checked['wrong']} with other "
        f"neighbours than the definition's, distances to {checked['distances_off']:.0e}; "
        f"interpolate has {places} bytes as search and placing apart"
    )


def _rows(group: list[Contender], blas: dict[str, str], same: dict[str, float]) -> list[list[str]]:
    rows = []
    for contender in group:
        low, middle, high = harness.spread(contender.seconds)
        row = [contender.name, blas.get(contender.name, "")]
        row += [mds_tables.digits(1000 * value) for value in (middle, low, high)]
        row += [f"{contender.cells / middle:,.0f}"]
        row += [f">= {GOAL:,}" if contender.name == WHOLE else ""]
        if contender.name in same:
            low, middle, high = harness.spread(harness.ratios(group[0], contender))
            row += [f"{value:.2f}x" for value in (middle, low, high)]
            row.append(f"{same[contender.name]:.3%}")
        rows.append(row + [""] * (len(HEADING) - len(row)))
    return rows

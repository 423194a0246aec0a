"""Distances of all pairs as one vector in memory: read in bands, by whoever the engine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernels import mds
from pipelines.engine import Engine
from pipelines.errors import InputProblem
from pipelines.formats.dissimilarities import BandSource, load_band
from pipelines.formats.fasta_checks import quote
from pipelines.linkage import pair_count, row_starts
from pipelines.warm import compiled_once

if TYPE_CHECKING:
    from pipelines.cluster_plan import Job


class Band(NamedTuple):
    """The distances of some rows: what `read_band` gives.

    values    those above the diagonal, row by row, as pipelines/linkage.py has them; NaN = missing
    missing   pairs without one; first: (row, column) of the first of them
    high      the largest, NaN where there is none
    """

    values: np.ndarray
    missing: int
    first: tuple[int, int] | None
    high: float


class Given(NamedTuple):
    """All distances, condensed (n (n - 1) / 2,) float64, and of how many pairs there was none.

    filled   what stands for those, None where none is missing
    """

    distances: np.ndarray
    missing: int
    filled: float | None


def warm_up(dtype: str) -> None:
    """Compile what packs and unpacks bands, or load it from the cache."""
    with compiled_once(f"bands-{dtype}"):
        place, values = (0, 3, 3), mds.new_band(3, 0, 3, dtype)
        mds.fill_band(values, place, 0, 0, np.zeros((3, 3), dtype))
        mds.unpack_band(mds.Band(values, place))


def band_key(source: BandSource) -> str:
    """Task key of a band: the dashboard groups by the words."""
    return f"cluster-read-{source.start}"


def read_band(source: BandSource) -> Band:
    """The distances of the rows of a band. Raises InputProblem naming the pair that is wrong."""
    data = load_band(source)
    rows = mds.unpack_band(mds.band_of(data))
    kind = np.float64 if source.dtype == "int16" else np.dtype(source.dtype)
    values = np.concatenate([row[k + 1 :] for k, row in enumerate(rows)]).astype(kind)
    lost = np.isnan(values)
    missing, first = int(lost.sum()), None
    if missing:
        n, row = source.layout.n, source.start
        place = int(lost.argmax())
        while place >= n - 1 - row:
            place, row = place - (n - 1 - row), row + 1
        first = (row, row + 1 + place)
    high = float(np.nanmax(values)) if missing < len(values) else float("nan")
    return Band(values, missing, first, high)


def read_condensed(job: Job, engine: Engine) -> Given:
    """All distances. Missing ones are refused by name, or become the largest known one.

    Raises InputProblem.
    """
    n, matrix = job.n, job.matrix
    engine.run_everywhere(warm_up, job.dtype)
    distances = np.empty(pair_count(n))
    starts, missing, first, high = row_starts(n), 0, None, float("nan")
    sources = [matrix.source(*rows, job.dtype) for rows in job.ranges]
    for source, band in engine.map(read_band, sources, key=band_key):
        at = starts[source.start] + source.start + 1
        distances[at : at + len(band.values)] = band.values
        missing += band.missing
        high = float(np.fmax(high, band.high))
        if band.first is not None:
            first = band.first if first is None else min(first, band.first)
    if first is None:
        return Given(distances, 0, None)
    if job.config.missing == "error" or np.isnan(high):
        raise without_distance(job, missing, first, high)
    np.copyto(distances, high, where=np.isnan(distances))
    return Given(distances, missing, high)


def without_distance(job: Job, missing: int, first: tuple[int, int], high: float) -> InputProblem:
    """Which pair has no distance, and what can be done about it."""
    names = " and ".join(quote(job.ids[record]) for record in first)
    pairs = pair_count(job.n)
    if np.isnan(high):
        return InputProblem(f"{job.config.distances} holds no distance: all pairs are missing.")
    some = "" if missing == 1 else f", the first of {missing:,} such pairs of {pairs:,}"
    return InputProblem(
        f"{job.config.distances}: {names} have no distance{some}.",
        remedy=f"Use --missing max: they become as far apart as any pair known ({high:.6g}).",
    )

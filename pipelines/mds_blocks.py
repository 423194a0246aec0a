"""What workers do for `run mds`: hold bands of dissimilarities, and pass over their pairs."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from kernels import mds, mds_steps
from kernels.mds_problem import Problem
from kernels.mds_steps import State
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.job import Job, Partition, Stop, Then
from pipelines.formats.dissimilarities_source import BandSource, load_band

FIRST = "heat"  # the job that a run begins with


class BandSources(NamedTuple):
    """The dissimilarities of a band, and their weights where there are some."""

    values: BandSource
    weights: BandSource | None


def load_bands(sources: BandSources) -> dict[str, np.ndarray]:
    """The arrays of a partition. Raises InputProblem naming the pair that is wrong."""
    data = load_band(sources.values)
    if sources.weights is not None:
        data["weights"] = np.nan_to_num(load_band(sources.weights)["values"], copy=False)
    return data


def find_largest(source: BandSource) -> float:
    """The largest dissimilarity of a band, which is not kept."""
    return mds.summary_block(mds.band_of(load_band(source))).high


def warm_up(dtype: str, n_components: int, weights: str, scaling: str) -> str:
    """Compile the kernels for such a run, or load them from the cache. Returns the CPU they are
    compiled for."""
    from kernels import _jit
    from pipelines.warm import compiled_once

    kind = "given" if weights == "given" else mds.weighting_of(weights, 1.0).kind
    with compiled_once(f"mds-{dtype}-{n_components}-{kind}-{scaling}"):
        matrix = np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0)))
        matrix[0, 1] = matrix[1, 0] = np.nan  # a weighted run, even if all weights are 1
        options = {"dtype": dtype, "n_components": n_components, "n_threads": 1, "max_iter": 6}
        given = np.ones_like(matrix) if weights == "given" else weights
        for holed in (matrix, np.nan_to_num(matrix)):
            mds.smacof(holed, weights=given, scaling=scaling, **options)
    return _jit.target()


def on_band(partition: Partition, function: Any, *args: Any) -> Any:
    """function(band, *args)"""
    return function(mds.band_of(partition.data), *args)


def map_job(name: str, partition: Partition, state: State, problem: Broadcast) -> Any:
    """Map of each job: what a band gives to the transform, to a product, to the constant."""
    band = mds.band_of(partition.data)
    return mds_steps.map_block(name, band, state, problem.value, partition.memory)


def update_job(name: str, state: State, total: Any, problem: Broadcast) -> State | Then | Stop:
    """Update of each job: the kernel tells which one is next."""
    after, following = mds_steps.update(name, state, total, problem.value)
    if following == "stop":
        return Stop(after)
    return after if following == name else Then(following, after)


def told_of_transform(state: State, squares: float) -> dict[str, float]:
    """What is recorded of a transform: the stress of the map that it looked at, and how many there
    were. squares: sum of w delta^2"""
    share = state.seen / squares if squares > 0 else 0.0
    return {"stress": state.seen, "normalized": share, "transforms": state.transforms}


def told_of_heat(state: State) -> dict[str, float]:
    """What is recorded of a new temperature T: tau is T sqrt(2 d)."""
    return {"temperature": state.tau / math.sqrt(2 * state.x.shape[1])}


def jobs(problem: Problem) -> list[Job]:
    """The three jobs of an iteration, the one that a run begins with first."""
    squares = problem.known if problem.ordinal else problem.squares
    told = {
        "heat": told_of_heat if problem.cooling > 0 else None,
        "guttman": functools.partial(told_of_transform, squares=squares),
    }
    names = sorted(mds_steps.NAMES, key=lambda name: name != FIRST)
    return [
        Job(
            functools.partial(map_job, name), functools.partial(update_job, name), "sum", None,
            told.get(name), name,
        )
        for name in names
    ]  # fmt: skip

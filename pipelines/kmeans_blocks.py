"""What workers do for `run kmeans`: hold blocks of points, sum them by cluster, label them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kernels import kmeans, kmeans_start
from kernels.kmeans import Block, Frame, State, Summary
from pipelines.engine.job import Job, Partition, Stop, Then
from pipelines.formats.label_array import LabelLayout
from pipelines.formats.points_source import Source, load_rows
from pipelines.results import write_record
from storage.folder import Folder


class BlockSource(NamedTuple):
    """The rows of a block, and their weights where there are some."""

    points: Source
    weights: Source | None


@dataclasses.dataclass(frozen=True)
class Pass:
    """What a pass over the blocks needs beside the state. rows: of a block; tol_shift: the sum of
    squared moves up to which centroids count as standing still."""

    rows: int
    frame: Frame | None = None
    bounds: bool = True
    tol_shift: float = 0.0


class Written(NamedTuple):
    """What the driver keeps of a labelled block: inertia, rows of each cluster, bytes stored."""

    inertia: float
    sizes: np.ndarray
    nbytes: int


def warm_up(dtype: str) -> str:
    """Compile the kernels for points of that dtype, or load them from the cache. Returns the CPU
    they are compiled for."""
    from kernels import _jit
    from pipelines.warm import compiled_once

    with compiled_once(f"kmeans-{dtype}"):
        points = np.random.default_rng(0).random((48, 2)).astype(dtype)
        for weights in (None, np.ones(48)):
            block = Block(points, 0, weights)
            frame = kmeans.frame_of(kmeans.summary_block(block))
            over = functools.partial(_over_one, block)
            weighted = weights is not None
            first = kmeans_start.start("k-means++", over, frame, 3, 0, weighted=weighted)
            for centroids in (first, first + 1e-4, first + 2e-4):  # the bounds come into use
                kmeans.partial_sums(block, centroids, frame)
            kmeans.assign_block(block, first, frame)
    return _jit.target()


def _over_one(block: Block, function: Callable[..., Any], *args: Any) -> list[Any]:
    return [function(block, *args)]


def load_block(source: BlockSource) -> dict[str, np.ndarray]:
    """The arrays of a partition. Raises InputProblem."""
    data = {"points": load_rows(source.points)}
    if source.weights is not None:
        data["weights"] = load_rows(source.weights)[:, 0].astype(np.float64)
    return data


def block_of(partition: Partition, rows: int) -> Block:
    """A partition as the kernels see it; what they remember stays with it."""
    data = partition.data
    return Block(
        data["points"], partition.index * rows, data.get("weights"), memory=partition.memory
    )


def on_block(partition: Partition, function: Callable[..., Any], rows: int, *args: Any) -> Any:
    """function(block, *args)"""
    return function(block_of(partition, rows), *args)


def summarise(partition: Partition, rows: int) -> Summary:
    """What the frame needs to know of a block."""
    return kmeans.summary_block(block_of(partition, rows))


def sum_block(partition: Partition, state: State, what: Pass) -> tuple[np.ndarray, ...]:
    """Map of the job 'lloyd': sums, weights and inertia of each cluster."""
    block = block_of(partition, what.rows)
    return kmeans.partial_sums(block, state.centroids, what.frame, bounds=what.bounds)


def move(state: State, total: tuple[np.ndarray, ...], what: Pass) -> State | Then:
    """Update of the job 'lloyd': centroids move to their means, or there are empty clusters."""
    sums, weights, inertia = total
    after, empty = kmeans.merge_step(state, sums, weights, float(inertia[0]), what.frame)
    return Then("reseed", after) if empty else after


def stands_still(before: State, after: State, tol_shift: float) -> bool:
    """Whether the centroids moved no further than that."""
    return after.shift <= tol_shift


def find_farthest(partition: Partition, state: State, what: Pass) -> tuple[np.ndarray, ...]:
    """Map of the job 'reseed': the points farthest from their centroids, one for each cluster
    that is empty."""
    empty = int((state.weights <= 0).sum())
    block = block_of(partition, what.rows)
    return kmeans.farthest_block(block, state.centroids, what.frame, empty)


def reseed(state: State, far: tuple[np.ndarray, ...], what: Pass) -> Then | Stop:
    """Update of the job 'reseed': the farthest points become the empty clusters. Where that moves
    nothing (fewer points differ than there are clusters), this is the end."""
    after = kmeans.reseed_step(state, kmeans.Far(*far), what.frame)
    return Stop(after) if after.shift <= what.tol_shift else Then("lloyd", after)


def join_farthest(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> kmeans.Far:
    """Combine of the job 'reseed'."""
    return kmeans.join_farthest(kmeans.Far(*a), kmeans.Far(*b))


def told(state: State) -> dict[str, float]:
    """What is recorded of an iteration."""
    return {"inertia": float(state.inertia), "shift": float(state.shift)}


def jobs(what: Pass) -> list[Job]:
    """Lloyd's iteration, and the one that takes its place while clusters are empty."""
    until = functools.partial(stands_still, tol_shift=what.tol_shift)
    return [
        Job(sum_block, move, "sum", until, told, "lloyd"),
        Job(find_farthest, reseed, join_farthest, None, told, "reseed"),
    ]


def inertia_block(partition: Partition, centroids: np.ndarray, what: Pass) -> float:
    """Inertia of a block: the exact sum over its rows."""
    block = block_of(partition, what.rows)
    return _inertia(block, kmeans.assign_block(block, centroids, what.frame)[1])


def _inertia(block: Block, distances: np.ndarray) -> float:
    weights = block.sample_weight
    return float(distances.sum() if weights is None else (distances * weights).sum())


def write_labels(
    partition: Partition, centroids: np.ndarray, what: Pass, layout: LabelLayout, folder: Folder,
    array_prefix: str,
) -> Written:  # fmt: skip
    """Label a block, store the labels as one chunk, and commit it."""
    block = block_of(partition, what.rows)
    labels, distances = kmeans.assign_block(block, centroids, what.frame)
    chunk = layout.write_chunk(folder, array_prefix, partition.index, labels)
    write_record(folder, (partition.index,), {"chunks": [chunk]})
    sizes = np.bincount(labels, minlength=len(centroids))
    return Written(_inertia(block, distances), sizes, chunk.nbytes)


def take_rows(partition: Partition, numbers: np.ndarray, rows: int) -> np.ndarray:
    """The points (m, d) of a block whose row numbers are among these, which are sorted."""
    first = partition.index * rows
    points = partition.data["points"]
    low, high = np.searchsorted(numbers, (first, first + len(points)))
    return points[numbers[low:high] - first]

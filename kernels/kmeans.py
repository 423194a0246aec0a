"""KMeans: exact Lloyd iterations over blocks of points.

The label of a point is the centroid with the smallest squared Euclidean distance, which is
computed in float64 as the sum of (x - c)**2 over the columns from first to last; of equal ones the
lower index wins. Everything faster (float32 vectors, bounds) only ever skips what cannot change
that label, so labels and sums are functions of the points and the centroids alone.

    centroids, labels, inertia = kmeans.kmeans(points, n_clusters=8, random_state=7)

Block functions, for computations over partitions: `summary_block`, `partial_sums`, `assign_block`,
`farthest_block`; `frame_of`, `merge_step` and `reseed_step` join what they return. The order of
joining is the caller's: the results are bit-identical where it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kernels import _kmeans_blocks as _blocks

MOST_BLOCKS = 64
FARTHEST = 1e150
LEFT_OVER = 1e-12  # of a weight that is no weight any more but what rounding left of it
FEW_CELLS = 2e7  # points x clusters up to which k-means++ is usual: k passes over the points
FEWEST_ROWS = 2048  # of a block, where there is more than one (the last may have a few less)


@dataclass(frozen=True)
class Block:
    """Rows of the points.

    points         (n, d) float32 or float64, C-contiguous, finite
    first_row      number of the first row among all points
    sample_weight  (n,) float64, not negative; None: all 1
    memory         kept from call to call for the same block, empty at first: labels, bounds
    """

    points: np.ndarray
    first_row: int = 0
    sample_weight: np.ndarray | None = None
    memory: dict[str, Any] = field(default_factory=dict)


class Summary(NamedTuple):
    """Of a block or of many: rows, mean, sum of squared deviations, smallest and largest value of
    each column (d,) float64; total, largest and smallest weight, of the weights above 0; rows of
    the largest block."""

    rows: int
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: float
    most_weight: float
    least_weight: float
    most_rows: int


class Frame(NamedTuple):
    """How all points lie; the same for every block of them.

    origin    (d,) float64: the mean
    spread    (d,) float64: largest |x - origin| of each column
    variances (d,) float64 of the columns; `tol` is relative to their mean
    """

    origin: np.ndarray
    spread: np.ndarray
    variances: np.ndarray
    rows: int
    weight: float
    most_weight: float
    least_weight: float
    most_rows: int

    @property
    def variance(self) -> float:
        """Mean variance of the columns: what `tol` is relative to."""
        return float(np.mean(self.variances))


class State(NamedTuple):
    """What an iteration changes.

    centroids  (k, d) float64
    inertia    sum of the (weighted) squared distances to the centroids before, from sums
    shift      sum of the squared moves of the centroids
    sums, weights, empty   what reseed_step needs while clusters are empty; else 0 rows
    """

    centroids: np.ndarray
    inertia: float
    shift: float
    sums: np.ndarray
    weights: np.ndarray


class Result(NamedTuple):
    """centroids (k, d) float64, labels (n,) int32, inertia float64 (of the labels returned)."""

    centroids: np.ndarray
    labels: np.ndarray
    inertia: float


def block_ranges(n: int) -> list[tuple[int, int]]:
    """(start, stop) of each block of n rows: a function of n only.

    All are equally long but the last, so that they can be the chunks of an array.
    """
    count = min(max(n // FEWEST_ROWS, 1), MOST_BLOCKS)
    rows = max(-(-n // count), 1)
    return [(start, min(start + rows, n)) for start in range(0, max(n, 1), rows)]


def summary_block(block: Block) -> Summary:
    """What frame_of needs to know of a block; the block has at least one row."""
    points = block.points
    mean = points.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    with np.errstate(over="ignore"):  # frame_of tells it in words
        for start in range(0, len(points), 4096):
            squares += ((points[start : start + 4096] - mean) ** 2).sum(axis=0)
    weights = block.sample_weight
    return Summary(
        len(points),
        mean,
        squares,
        points.min(axis=0).astype(np.float64),
        points.max(axis=0).astype(np.float64),
        float(len(points)) if weights is None else float(weights.sum()),
        1.0 if weights is None else float(weights.max()),
        1.0 if weights is None else float(weights.min(where=weights > 0, initial=np.inf)),
        len(points),
    )


def join_summaries(a: Summary, b: Summary) -> Summary:
    """Of two neighbouring pieces (Chan, Golub, LeVeque 1979)."""
    rows = a.rows + b.rows
    apart = b.mean - a.mean
    return Summary(
        rows,
        a.mean + apart * (b.rows / rows),
        a.squares + b.squares + apart**2 * (a.rows * b.rows / rows),
        np.minimum(a.low, b.low),
        np.maximum(a.high, b.high),
        a.weight + b.weight,
        max(a.most_weight, b.most_weight),
        min(a.least_weight, b.least_weight),
        max(a.most_rows, b.most_rows),
    )


def frame_of(summary: Summary) -> Frame:
    """The frame of all points from the summary of all. Raises ValueError where squared distances
    would overflow."""
    if not np.all(summary.high / 2 - summary.low / 2 < FARTHEST):
        raise ValueError(
            f"points lie more than {FARTHEST:.0e} apart, and squared distances overflow; "
            "divide all of them by a large number"
        )
    return Frame(
        summary.mean,
        np.maximum(summary.high - summary.mean, summary.mean - summary.low),
        summary.squares / summary.rows,
        summary.rows,
        summary.weight,
        summary.most_weight,
        summary.least_weight,
        summary.most_rows,
    )


def assign_block(block: Block, centroids: np.ndarray, frame: Frame) -> tuple[Any, Any]:
    """(labels (n,) int32, squared distances (n,) float64) of the rows, by definition.

    block.memory, where it holds the labels of a partial_sums, makes this faster.
    """
    return _blocks.assign(block, centroids, frame)


def partial_sums(
    block: Block, centroids: np.ndarray, frame: Frame, *, bounds: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sums (k, d), weights (k,), inertia (1,)), float64, of the rows nearest to each centroid.

    sums are of weight * (x - frame.origin): exact sums of values rounded to 2**-40 of the largest
    or finer; where outliers make that too coarse, float64 sums from first to last row. inertia is
    computed from the sums, with a relative error of about 1e-16 times (sum of squares around the
    origin / inertia).
    bounds=False measures every row in each call; the result is the same.
    """
    return _blocks.partial_sums(block, centroids, frame, bounds)


def merge_step(
    state: State, sums: np.ndarray, weights: np.ndarray, inertia: float, frame: Frame
) -> tuple[State, int]:
    """(next state, number of empty clusters) from the total of partial_sums.

    With empty clusters the state keeps its centroids and carries sums and weights for
    reseed_step, to which the farthest points must be given.
    """
    empty = int((weights <= 0).sum())
    if empty:
        return State(state.centroids, inertia, 0.0, sums, weights), empty
    return _moved(state.centroids, sums, weights, inertia, frame), 0


def _moved(centroids, sums, weights, inertia, frame: Frame) -> State:
    moved = centroids.copy()
    some = weights > 0
    moved[some] = frame.origin + sums[some] / weights[some, None]
    shift = float(((moved - centroids) ** 2).sum())
    nothing = np.zeros((0, centroids.shape[1])), np.zeros(0)
    return State(moved, float(inertia), shift, *nothing)


class Far(NamedTuple):
    """The points farthest from their own centroids, farthest first, of equal ones the first.

    distances (m,) float64 squared; rows (m,) int64; labels (m,) int64; points (m, d) float64,
    weights (m,) float64. Places that no point fills have distance -1.
    """

    distances: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    points: np.ndarray
    weights: np.ndarray


def farthest_block(block: Block, centroids: np.ndarray, frame: Frame, count: int) -> Far:
    """The `count` farthest rows of weight above 0."""
    labels, distances = assign_block(block, centroids, frame)
    weight = np.ones(len(labels)) if block.sample_weight is None else block.sample_weight
    distances = np.where(weight > 0, distances, -1.0)
    chosen = np.lexsort((np.arange(len(labels)), -distances))[:count]
    fill = count - len(chosen)
    far = Far(
        distances[chosen],
        chosen + block.first_row,
        labels[chosen].astype(np.int64),
        block.points[chosen].astype(np.float64),
        weight[chosen].astype(np.float64),
    )
    if not fill:
        return far
    ends = (-1.0, -1, 0, 0.0, 0.0)
    padded = [
        np.pad(a, [(0, fill)] + [(0, 0)] * (a.ndim - 1), constant_values=end)
        for a, end in zip(far, ends, strict=True)
    ]
    return Far(*padded)


def join_farthest(a: Far, b: Far) -> Far:
    """The farthest of both; as many as each has places."""
    both = [np.concatenate(pair) for pair in zip(a, b, strict=True)]
    order = np.lexsort((both[1], -both[0]))[: len(a.distances)]
    return Far(*(part[order] for part in both))


def reseed_step(state: State, far: Far, frame: Frame) -> State:
    """The next state of one with empty clusters: the first empty cluster takes the farthest point
    as its only member, the second the next one, and so on, as scikit-learn does. A point at
    distance 0 moves nowhere: its cluster keeps its old centroid."""
    sums, weights = state.sums.copy(), state.weights.copy()
    for cluster, place in zip(
        np.flatnonzero(state.weights <= 0), range(len(far.rows)), strict=False
    ):
        if far.distances[place] <= 0:
            break
        moved = far.weights[place] * (far.points[place] - frame.origin)
        old = far.labels[place]
        sums[old] -= moved
        weights[old] -= far.weights[place]
        if weights[old] <= LEFT_OVER * state.weights[old]:  # it was the last one
            sums[old], weights[old] = 0, 0
        sums[cluster], weights[cluster] = moved, far.weights[place]
    return _moved(state.centroids, sums, weights, state.inertia, frame)


def start_state(centroids: np.ndarray) -> State:
    """The state before the first iteration."""
    centroids = np.ascontiguousarray(centroids, np.float64)
    d = centroids.shape[1]
    return State(centroids, np.inf, np.inf, np.zeros((0, d)), np.zeros(0))


def joined(join: Any, parts: Sequence[Any]) -> Any:
    """join(left, right) over the pairwise tree that the engine uses too: (0 1)(2 3) ..."""
    level = list(parts)
    while len(level) > 1:
        pairs = [level[k : k + 2] for k in range(0, len(level), 2)]
        level = [join(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def usual_start(n: int, n_clusters: int) -> str:
    """The method that init="auto" stands for."""
    return "k-means++" if n * n_clusters <= FEW_CELLS else "k-means||"


def kmeans(
    points: Any,
    n_clusters: int = 8,
    *,
    init: str | np.ndarray = "auto",
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    sample_weight: Any = None,
    random_state: int = 0,
    n_threads: int | None = None,
) -> Result:
    """Clusters of the rows of points (n, d); float32 and float64 are taken as they are.

    init           'k-means++', 'k-means||', 'random', 'auto' (see usual_start), or centroids (k, d)
    n_init         runs from different starts; that of the smallest inertia is returned
    max_iter       iterations of a run at most
    tol            a run ends when the squared moves of the centroids sum up to no more than this
                   part of the mean variance of the columns
    sample_weight  (n,), not negative
    n_threads      default: all usable cores. It does not change the result.

    Returns (centroids (k, d) float64, labels (n,) int32, inertia). Lloyd (1982), IEEE Trans. Inf.
    Theory 28, 129-137. Raises ValueError for points that are not a finite matrix of at least
    n_clusters rows, and for weights that do not fit.
    """
    from kernels import _kmeans_runs

    blocks = _kmeans_runs.blocks_of(points, sample_weight)
    runs = _kmeans_runs.Runs(blocks, n_clusters, max_iter, tol, random_state, n_threads)
    with runs:
        return min((runs.one(init, run) for run in range(n_init)), key=lambda one: one.inertia)

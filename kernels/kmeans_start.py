"""Where KMeans starts: k-means++, k-means|| or random rows, over blocks of points.

    over(function, *args) -> [function(block, *args) of every block, in their order]

is all that a start knows of the blocks: threads of one process, or partitions of an engine. The
functions given to it lie in this module, so that they can be sent. Random numbers depend on
random_state, on what they are for and on the first row of a block, sums of blocks are added in the
order of the blocks: the same points, cut into the same blocks, give the same bytes wherever and in
whatever order the blocks are worked on.

Arthur, Vassilvitskii (2007), SODA, 1027-1035: k-means++. Each step takes the best of several
candidates, as scikit-learn does, but of three times as many: runs from it find all of 50 round
clusters six times as often. Bahmani et al. (2012), PVLDB 5, 622-633: k-means||. Efraimidis,
Spirakis (2006), Inf. Process. Lett. 97, 181-185: rows without replacement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels import kmeans
from kernels._potentials import potentials, rows_drawn, tiles_of
from kernels.kmeans import Block, Frame

Over = Callable[..., list[Any]]
RandomState = int | Sequence[int]

METHODS = ("k-means++", "k-means||", "random")
ROUNDS = 5  # of k-means||
OVERSAMPLING = 2  # rows that a round draws, in units of n_clusters
TRIALS = 3  # candidates of a step of k-means++, in units of 2 + log(n_clusters)
REFINEMENTS = 10  # Lloyd steps on the candidates of k-means||, at most

_CARRIED = 1 << 16  # bytes of drawn points that a block sends along; beyond it only their numbers
_FIRST, _TRIALS, _OVERSAMPLE, _ROWS, _CLUSTER = range(1, 6)  # what random numbers are for


def start(
    method: str,
    over: Over,
    frame: Frame,
    n_clusters: int,
    random_state: RandomState,
    *,
    weighted: bool,
) -> np.ndarray:
    """(k, d) float64: the centroids to start from, each of them a row of weight above 0, or, from
    k-means||, a mean of such rows.

    method        one of METHODS
    random_state  an integer >= 0, or several: (random_state, number of the run)
    weighted      whether the blocks have sample weights, by which rows are then drawn

    Where fewer rows differ than there are clusters, centroids repeat.
    Raises ValueError for an unknown method, more clusters than points, no weight above 0, distances
    whose squares overflow.
    """
    if method not in METHODS:
        raise ValueError(f"init is {method!r}; choose one of {', '.join(METHODS)}")
    if not 1 <= n_clusters <= frame.rows:
        raise ValueError(
            f"n_clusters is {n_clusters}; choose 1 to {frame.rows}, the number of points"
        )
    if not frame.weight > 0:
        raise ValueError("all sample weights are 0; at least one must be above")
    if method == "random":
        return _random(over, frame, n_clusters, random_state, weighted)
    first = _first_row(over, random_state)
    if n_clusters == 1:
        return first
    if method == "k-means++":
        return _plus_plus(over, first, n_clusters, random_state)
    return _parallel(over, frame, first, n_clusters, random_state)


def _generator(random_state: RandomState, purpose: int, number: int, first_row: int = 0) -> Any:
    """Random numbers of one purpose, of its so-manieth time, of one block."""
    seeds = [int(s) for s in np.atleast_1d(random_state)]
    return np.random.default_rng(np.random.SeedSequence([*seeds, purpose, number, first_row]))


class _Drawn(NamedTuple):
    """What a block answers to c candidates: how much is left, and rows drawn by what is left.

    sums    (c,) float64: sum of weight * squared distance to the nearest centroid or candidate
    rows    (c, draws) int64: for each candidate, numbers of rows drawn from the block; -1: none
    points  (c, draws, d) float64, or without elements: too many to send along
    """

    sums: np.ndarray
    rows: np.ndarray
    points: np.ndarray


class _Near(NamedTuple):
    """What a block remembers: squared distances and, for k-means||, labels of these centroids."""

    centroids: np.ndarray
    closest: np.ndarray
    labels: np.ndarray | None = None


def _first_row(over: Over, random_state: RandomState) -> np.ndarray:
    """(1, d): one row, drawn by weight."""
    shares = _generator(random_state, _FIRST, 0).random((1, 2))
    drawn = over(_first_block, shares[:, 1])
    return _picked(over, drawn, 0, shares[:, 0])


def _plus_plus(
    over: Over, chosen: np.ndarray, n_clusters: int, random_state: RandomState
) -> np.ndarray:
    """Greedy k-means++ from the centroids chosen so far: one call of `over` for each new one.

    For every candidate a block draws rows as if that candidate had won, with shares that the driver
    draws for all blocks; which blocks' rows count the driver says afterwards.
    """
    trials = TRIALS * (2 + int(math.log(n_clusters)))
    chosen, candidates = chosen[:-1], chosen[-1:]
    while True:
        number = len(chosen) + 1
        shares = _generator(random_state, _TRIALS, number).random((trials, 2))
        mine = shares[:0, 1] if number == n_clusters else shares[:, 1]
        drawn = over(_try_block, chosen, candidates, mine)
        totals = np.cumsum([part.sums for part in drawn], axis=0)[-1]
        if not np.isfinite(totals).all():
            raise ValueError("squared distances overflow; divide all points by a large number")
        best = int(totals.argmin())
        chosen = np.concatenate([chosen, candidates[best : best + 1]])
        if number == n_clusters:
            return chosen
        if totals[best] <= 0:  # every row lies on one of them
            return chosen[np.arange(n_clusters) % number]
        candidates = _picked(over, drawn, best, shares[:, 0])


def _picked(over: Over, drawn: list[_Drawn], candidate: int, shares: np.ndarray) -> np.ndarray:
    """(draws, d): for each share the block at that share of all that is left, and its row."""
    reached = np.cumsum([part.sums[candidate] for part in drawn])
    blocks = np.searchsorted(reached, shares * reached[-1], side="right")
    last = np.searchsorted(reached, reached[-1])  # where a share is rounded up to the whole
    blocks = np.minimum(blocks, last)
    if all(drawn[block].points.size for block in blocks):
        return np.stack([drawn[block].points[candidate, s] for s, block in enumerate(blocks)])
    rows = [drawn[block].rows[candidate, s] for s, block in enumerate(blocks)]
    return _rows(over, np.array(rows))


def _rows(over: Over, rows: np.ndarray) -> np.ndarray:
    """(m, d) float64: the points of these row numbers."""
    parts = over(_rows_block, rows)
    points = np.empty((len(rows), parts[0][1].shape[1]))
    for places, found in parts:
        points[places] = found
    return points


def _parallel(
    over: Over, frame: Frame, first: np.ndarray, n_clusters: int, random_state: RandomState
) -> np.ndarray:
    """k-means||: a few rounds draw many candidates, which are then clustered by weight."""
    candidates = first
    for number in range(ROUNDS):
        left = sum(over(_left_block, candidates, frame))
        if not math.isfinite(left):
            raise ValueError("squared distances overflow; divide all points by a large number")
        if left <= 0:
            break
        scale = OVERSAMPLING * n_clusters / left
        found = over(_oversample_block, candidates, frame, scale, random_state, number)
        candidates = np.concatenate([candidates, *found])
    weights = sum(over(_weights_block, candidates, frame))
    some = weights > 0  # not: the same point twice
    candidates, weights = candidates[some], weights[some]
    if len(candidates) < n_clusters:
        return _plus_plus(over, candidates, n_clusters, random_state)
    seeds = [*np.atleast_1d(random_state), _CLUSTER]
    return _clustered(candidates, weights, n_clusters, seeds)


def _clustered(
    candidates: np.ndarray, weights: np.ndarray, n_clusters: int, random_state: RandomState
) -> np.ndarray:
    """Centroids of weighted candidates: greedy k-means++, then a few Lloyd steps."""
    block = Block(candidates, 0, weights)

    def over(function, *args):
        return [function(block, *args)]

    frame = kmeans.frame_of(kmeans.summary_block(block))
    first = _first_row(over, random_state)
    chosen = _plus_plus(over, first, n_clusters, random_state)
    state = kmeans.start_state(chosen)
    for _ in range(REFINEMENTS):
        sums, weight, inertia = kmeans.partial_sums(block, state.centroids, frame)
        state, empty = kmeans.merge_step(state, sums, weight, float(inertia[0]), frame)
        if empty:
            far = kmeans.farthest_block(block, state.centroids, frame, empty)
            state = kmeans.reseed_step(state, far, frame)
        if state.shift <= 0:
            break
    return state.centroids


def _random(
    over: Over, frame: Frame, n_clusters: int, random_state: RandomState, weighted: bool
) -> np.ndarray:
    """Distinct rows. With weights: one after the other, by the weights of the rows left. That is
    the order of E / weight, where E is exponentially distributed, drawn for each row."""
    if not weighted:
        generator = _generator(random_state, _ROWS, 0)
        return _rows(over, generator.choice(frame.rows, n_clusters, replace=False))
    parts = over(_keys_block, n_clusters, random_state)
    keys, rows = (np.concatenate(both) for both in zip(*parts, strict=True))
    rows = rows[np.lexsort((rows, keys))[:n_clusters]]
    points = _rows(over, rows)
    return points[np.arange(n_clusters) % len(points)]


def _first_block(block: Block, shares: np.ndarray) -> _Drawn:
    """Rows drawn by weight, as if for one candidate."""
    n, weights = len(block.points), block.sample_weight
    reached = np.arange(1.0, n + 1) if weights is None else np.cumsum(weights)
    total = reached[-1:]
    rows = np.searchsorted(reached, shares * total, side="right")
    rows = np.minimum(rows, np.searchsorted(reached, total))
    return _Drawn(total, block.first_row + rows[None], _carried(block, rows[None]))


def _try_block(
    block: Block, chosen: np.ndarray, candidates: np.ndarray, shares: np.ndarray
) -> _Drawn:
    """What is left after each candidate, and for each the rows at these shares of it."""
    near = _remembered(block, chosen)
    weights = np.zeros(0) if block.sample_weight is None else block.sample_weight
    sums = np.empty((len(candidates), tiles_of(len(block.points))))
    new = chosen[len(near.centroids) :]
    potentials(block.points, weights, near.closest, new, candidates, sums)
    reached = np.cumsum(sums, axis=1)
    rows = np.empty((len(candidates), len(shares)), np.int64)
    rows_drawn(block.points, weights, near.closest, candidates, reached, shares, rows)
    if shares.size:  # not the last call
        block.memory["start"] = _Near(chosen, near.closest)
    numbers = np.where(rows < 0, -1, block.first_row + rows)
    return _Drawn(reached[:, -1].copy(), numbers, _carried(block, rows))


def _carried(block: Block, rows: np.ndarray) -> np.ndarray:
    """(c, draws, d) points of rows (c, draws), if they are few."""
    d = block.points.shape[1]
    if rows.size * d * 8 > _CARRIED:
        return np.empty((*rows.shape, 0))
    return block.points[rows].astype(np.float64)


def _remembered(block: Block, centroids: np.ndarray) -> _Near:
    """What the block knows of the first so many of these centroids; of none after a reload. The
    smallest of exact distances is the same however they were grouped."""
    near = block.memory.pop("start", None)  # put back when it is whole again
    if near is not None and np.array_equal(near.centroids, centroids[: len(near.centroids)]):
        return near
    n = len(block.points)
    return _Near(centroids[:0], np.full(n, np.inf), np.zeros(n, np.int32))


def _nearest(block: Block, centroids: np.ndarray, frame: Frame) -> _Near:
    """Label and squared distance of every row; only new centroids are compared."""
    near = _remembered(block, centroids)
    if near.labels is None:
        near = near._replace(labels=np.zeros(len(block.points), np.int32))
    done = len(near.centroids)
    if done < len(centroids):
        alone = Block(block.points, block.first_row, block.sample_weight)
        labels, distances = kmeans.assign_block(alone, centroids[done:], frame)
        nearer = distances < near.closest
        near.closest[nearer] = distances[nearer]
        near.labels[nearer] = labels[nearer] + done
    near = near._replace(centroids=centroids)
    block.memory["start"] = near
    return near


def _left(block: Block, centroids: np.ndarray, frame: Frame) -> np.ndarray:
    """(n,) float64: weight * squared distance to the nearest centroid."""
    closest = _nearest(block, centroids, frame).closest
    return closest if block.sample_weight is None else closest * block.sample_weight


def _left_block(block: Block, centroids: np.ndarray, frame: Frame) -> float:
    """What is left of a block: the sum."""
    return float(_left(block, centroids, frame).sum())


def _oversample_block(
    block: Block,
    centroids: np.ndarray,
    frame: Frame,
    scale: float,
    random_state: RandomState,
    number: int,
) -> np.ndarray:
    """(m, d) float64: rows that are drawn, each by itself, with probability scale * what is left
    of it."""
    generator = _generator(random_state, _OVERSAMPLE, number, block.first_row)
    chosen = generator.random(len(block.points)) < _left(block, centroids, frame) * scale
    return block.points[chosen].astype(np.float64)


def _weights_block(block: Block, centroids: np.ndarray, frame: Frame) -> np.ndarray:
    """(m,) float64: weight of the rows nearest to each centroid. The last call."""
    labels = _nearest(block, centroids, frame).labels
    del block.memory["start"]
    return np.bincount(labels, block.sample_weight, len(centroids)).astype(np.float64)


def _keys_block(block: Block, count: int, random_state: RandomState) -> tuple[Any, Any]:
    """(keys, numbers) of the `count` rows of weight above 0 that come first."""
    generator = _generator(random_state, _ROWS, 0, block.first_row)
    drawn = -np.log1p(-generator.random(len(block.points)))
    weights = block.sample_weight
    rows = np.arange(len(drawn)) if weights is None else np.flatnonzero(weights > 0)
    with np.errstate(over="ignore"):  # a weight so small that its row comes last
        keys = drawn[rows] if weights is None else drawn[rows] / weights[rows]
    first = np.argsort(keys, kind="stable")[:count]
    return keys[first], block.first_row + rows[first]


def _rows_block(block: Block, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places in rows, points float64) of those row numbers that lie in the block."""
    local = rows - block.first_row
    places = np.flatnonzero((local >= 0) & (local < len(block.points)))
    return places, block.points[local[places]].astype(np.float64)

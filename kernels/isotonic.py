"""Isotonic regression, and the disparities of ordinal scaling.

Disparities are the numbers nearest to the distances of a map, in weighted least squares, that never
fall while the dissimilarities rise. Pairs that are equally dissimilar may have different ones (the
primary approach to ties): within such a group disparities follow the distances.

Letters: p pairs, g groups of equally dissimilar pairs, n points, d components.

Kruskal (1964), Psychometrika 29, 115-129. Best, Chakravarti (1990), Math. Programming 47, 425-439:
pooling adjacent violators in linear time.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import njit


class Order(NamedTuple):
    """Known pairs by rising dissimilarity, equally dissimilar ones by row and column.

    rows, columns  (p,) int32, rows < columns
    starts         (g + 1,) int64: group k is starts[k] to starts[k + 1]
    """

    rows: np.ndarray
    columns: np.ndarray
    starts: np.ndarray


def order_pairs(dissimilarities: np.ndarray) -> Order:
    """The pairs of a matrix (n, n), NaN where missing; only the upper triangle counts."""
    above = np.asarray(dissimilarities)
    rows, columns = np.nonzero(np.triu(~np.isnan(above), 1))
    values = above[rows, columns]
    order = np.argsort(values, kind="stable")
    values = values[order]
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts = np.concatenate([[0], changes, [len(values)]]) if len(values) else [0]
    return Order(
        rows[order].astype(np.int32), columns[order].astype(np.int32), np.array(starts, np.int64)
    )


def disparities(order: Order, embedding: np.ndarray, weights: np.ndarray | None = None):
    """(p,) float64 in the order of the pairs: disparities of a map, their mean square 1.

    embedding  (n, d)
    weights    (p,) >= 0 in the same order, or None: all 1. The sum of weight * disparity^2 is p.

    Where all points of the map coincide, every disparity is 1 (without weights).
    """
    x = np.ascontiguousarray(embedding, np.float64)
    distances = pair_distances(order.rows, order.columns, x)
    weights = np.ones(len(distances)) if weights is None else np.asarray(weights, np.float64)
    sequence = _by_distance(order.starts, distances)
    fitted = np.empty_like(distances)
    fitted[sequence] = isotonic(distances[sequence], weights[sequence])
    squares = float((weights * fitted**2).sum())
    if squares <= 0:
        fitted[:] = 1.0
        squares = float(weights.sum())
    return fitted * np.sqrt(len(fitted) / squares) if squares > 0 else fitted


def isotonic(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(p,) float64: the nearest numbers, in weighted least squares, that never fall.

    values   (p,) finite
    weights  (p,) >= 0, or None: all 1. A value of weight 0 takes the fit of the one before it, at
             the front of the first one that has a weight.
    """
    values = np.asarray(values, np.float64)
    if weights is None:
        return _pooled(values, np.ones(len(values)))
    weights = np.asarray(weights, np.float64)
    counted = np.flatnonzero(weights > 0)
    if len(counted) == len(values) or not len(counted):
        return _pooled(values, weights if len(counted) else np.ones(len(values)))
    fitted = _pooled(values[counted], weights[counted])
    return fitted[np.maximum(np.cumsum(weights > 0) - 1, 0)]


@njit
def pair_distances(rows, columns, x):
    """(p,) float64: Euclidean distances of pairs of rows of x, (n, d) float64."""
    distances = np.empty(len(rows))
    for pair in range(len(rows)):
        square = 0.0
        for k in range(x.shape[1]):
            square += (x[rows[pair], k] - x[columns[pair], k]) ** 2
        distances[pair] = np.sqrt(square)
    return distances


@njit
def _by_distance(starts, distances):
    """(p,) int64: the pairs of each group by rising distance, groups in their order."""
    sequence = np.arange(len(distances))
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        if stop - start > 1:
            sequence[start:stop] = start + np.argsort(distances[start:stop], kind="mergesort")
    return sequence


@njit
def _pooled(values, weights):
    """Isotonic regression by pooling adjacent violators; all weights > 0."""
    size = len(values)
    sums, totals = np.empty(size), np.empty(size)  # of the pools so far: w * value, w
    stops = np.empty(size, np.int64)
    pools = 0
    for i in range(size):
        sums[pools], totals[pools], stops[pools] = values[i] * weights[i], weights[i], i + 1
        while pools > 0 and (sums[pools - 1] / totals[pools - 1] >= sums[pools] / totals[pools]):
            pools -= 1
            sums[pools] += sums[pools + 1]
            totals[pools] += totals[pools + 1]
            stops[pools] = i + 1
        pools += 1
    fitted = np.empty(size)
    start = 0
    for pool in range(pools):
        fitted[start : stops[pool]] = sums[pool] / totals[pool]
        start = stops[pool]
    return fitted

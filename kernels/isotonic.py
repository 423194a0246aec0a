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
    starts = np.concatenate([[0], changes, [len(values)]]) if len(values) else np.zeros(1)
    rows, columns = rows[order].astype(np.int32), columns[order].astype(np.int32)
    return Order(rows, columns, starts.astype(np.int64))


def disparities(order: Order, embedding: np.ndarray, weights: np.ndarray | None = None):
    """(p,) float64 in the order of the pairs: disparities of a map, their mean square 1.

    embedding  (n, d)
    weights    (p,) >= 0 in the same order, or None: all 1. The sum of weight * disparity^2 is p.

    Where all points of the map coincide, all disparities are equal.
    """
    x = np.ascontiguousarray(embedding, np.float64)
    return _fitted(order, pair_distances(order.rows, order.columns, x), weights)


def _fitted(order: Order, distances: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    sequence = _by_distance(order.starts, distances)
    fitted = np.empty_like(distances)
    of_them = None if weights is None else np.asarray(weights, np.float64)[sequence]
    fitted[sequence] = isotonic(distances[sequence], of_them)
    return _scaled(fitted, weights)


def _scaled(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Times the factor that makes the sum of weight * value^2 the number of pairs."""
    squares = float((values**2 if weights is None else weights * values**2).sum())
    if squares > 0:
        return values * np.sqrt(len(values) / squares)
    total = len(values) if weights is None else float(np.sum(weights))
    return np.full(len(values), np.sqrt(len(values) / total) if total > 0 else 1.0)


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


def _by_distance(starts: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(p,) int64: the pairs of each group by rising distance, groups in their order."""
    sizes = np.diff(starts)
    if len(sizes) == len(distances):  # no ties
        return np.arange(len(distances))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return _grouped(np.argsort(distances, kind="stable"), groups, starts[:-1].copy())


@njit
def _grouped(order, groups, places):
    """The elements of an order, each at the next place of its group."""
    sequence = np.empty_like(order)
    for element in order:
        group = groups[element]
        sequence[places[group]] = element
        places[group] += 1
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

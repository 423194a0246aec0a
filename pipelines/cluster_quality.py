"""How good are clusters? Against themselves, and against labels that are known.

Hubert, Arabie (1985), J. Classif. 2, 193-218: adjusted Rand index. Rousseeuw (1987), J. Comput.
Appl. Math. 20, 53-65: silhouettes. Mutual information is divided by the mean of both entropies.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kernels import neighbours

ROWS = 256  # whose distances to all others are worked on at once


def contingency(
    chunks: Iterable[tuple[int, np.ndarray]], codes: np.ndarray, n_clusters: int, n_classes: int
) -> np.ndarray:
    """(n_clusters, n_classes) int64: how many rows of each cluster have each class.

    chunks   (first row, labels (m,)) that cover the rows
    codes    (n,) class of each row, -1 for none: such rows do not count
    """
    table = np.zeros((n_clusters, n_classes), np.int64)
    for first, labels in chunks:
        known = codes[first : first + len(labels)]
        both = labels[known >= 0].astype(np.int64) * n_classes + known[known >= 0]
        table += np.bincount(both, minlength=table.size).reshape(table.shape)
    return table


def adjusted_rand(table: np.ndarray) -> float:
    """Agreement of pairs, 0 as by chance, 1 for the same partition. nan without rows."""
    whole = float(table.sum())
    if whole == 0:
        return float("nan")
    together = _pairs(table)
    rows, columns = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    expected = rows * columns / max(whole * (whole - 1) / 2, 1.0)
    most = (rows + columns) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _pairs(counts: np.ndarray) -> float:
    counts = counts.astype(np.float64)
    return float((counts * (counts - 1)).sum() / 2)


def normalized_mutual_information(table: np.ndarray) -> float:
    """0 for independent partitions, 1 for the same. nan without rows."""
    whole = float(table.sum())
    if whole == 0:
        return float("nan")
    joint = table / whole
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    mean = (_entropy(rows) + _entropy(columns)) / 2
    if mean == 0:
        return 1.0  # one cluster, one class
    some = joint > 0
    independent = np.outer(rows, columns)[some]
    shared = float((joint[some] * np.log(joint[some] / independent)).sum())
    return max(shared, 0.0) / mean


def _entropy(shares: np.ndarray) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def silhouettes(points: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """(m,) float64: the silhouette of each point (m, d) labelled (m,), -1 to 1. A point alone in
    its cluster has 0. None where there are not 2 to m - 1 clusters."""
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if not 2 <= len(sizes) < len(points):
        return None
    scores = np.zeros(len(points))
    members = np.zeros((len(points), len(sizes)))
    members[np.arange(len(points)), labels] = 1.0
    for start in range(0, len(points), ROWS):
        rows = np.arange(start, min(start + ROWS, len(points)))
        sums = np.sqrt(_squared(points, rows)) @ members
        scores[rows] = silhouettes_of(sums, sizes, labels[rows])
    return scores


def silhouettes_of(sums: np.ndarray, sizes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(b,) float64 of records in the clusters own (b,); sums (b, k) of their distances to each."""
    rows = np.arange(len(own))
    inner = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    nearest = means.min(axis=1)
    widest = np.maximum(inner, nearest)
    scores = np.divide(nearest - inner, widest, out=np.zeros(len(own)), where=widest > 0)
    scores[sizes[own] == 1] = 0.0
    return scores


def means_by(values: np.ndarray, labels: np.ndarray, n: int) -> list[float | None]:
    """Mean of the values (m,) of each label 0 .. n - 1; None where no value has it."""
    counts = np.bincount(labels, minlength=n)
    sums = np.bincount(labels, values, minlength=n)
    return [float(a / b) if b else None for a, b in zip(sums, counts, strict=True)]


def one_nn(points: np.ndarray, codes: np.ndarray) -> float:
    """Share of the points (m, d) with a class (code >= 0) whose nearest other such point, of equal
    ones the first, has the same class. nan for fewer than two."""
    points, codes = points[codes >= 0], codes[codes >= 0]
    if len(codes) < 2:
        return float("nan")
    near, _ = neighbours.nearest(points, points, 2)
    itself = near[:, 0] == np.arange(len(points))
    return float((codes[np.where(itself, near[:, 1], near[:, 0])] == codes).mean())


def _squared(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(len(rows), m) float64 squared distances, by differences: none of them is cancelled."""
    result = np.zeros((len(rows), len(points)))
    for column in points.T.astype(np.float64):
        result += (column[rows, None] - column) ** 2
    return result

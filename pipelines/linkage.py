"""Groups of records by the distances of all pairs: a tree of merges, cut into clusters.

Distances come condensed: those of n records above the diagonal, row by row, (n (n - 1) / 2,)
float64, as scipy.spatial.distance.squareform has them. A linkage is scipy's too: row k of
(n - 1, 4) float64 joins two of the groups 0 .. n + k - 1, of which those below n are the records,
and tells their numbers, the height of the merge and how many records the new group has.

    average    height = mean distance of the pairs across (UPGMA; the OTUs of mothur)
    complete   the largest of them
    single     the smallest of them
    ward       the growth of the sum of squares within, of points with those distances
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

METHODS = ("average", "complete", "single", "ward")

PAIR_BYTES = 17  # its distance, the copy that scipy merges, and whether it is finite

_CHUNK = 2**20  # distances worked on at once
_SAMPLE = 400  # records by which distances are found to be no Euclidean ones


class Spread(NamedTuple):
    """What is within each of k clusters.

    medoids (k,) int64     the record with the least sum of distances, of equal ones the first
    means, largest (k,)    of the distances within, float64; 0 for a record alone
    """

    medoids: np.ndarray
    means: np.ndarray
    largest: np.ndarray


def pair_count(n: int) -> int:
    """Unordered pairs of n records."""
    return n * (n - 1) // 2


def linkage_bytes(n: int) -> int:
    """Memory that the linkage of n records takes, their distances included."""
    return PAIR_BYTES * pair_count(n)


def record_count(condensed: np.ndarray) -> int:
    """The n of a condensed vector (no distance: one record). ValueError when there is none."""
    n = int((1 + np.sqrt(1 + 8 * len(condensed))) / 2)
    if pair_count(n) != len(condensed):
        raise ValueError(f"{len(condensed):,} distances are not those of all pairs of records.")
    return n


def row_starts(n: int) -> np.ndarray:
    """(n,) int64: pair (i, j), i < j, lies at row_starts(n)[i] + j of a condensed vector."""
    rows = np.arange(n, dtype=np.int64)
    return rows * (2 * n - rows - 3) // 2 - 1


def linkage_of(condensed: np.ndarray, method: str = "average") -> np.ndarray:
    """The linkage (n - 1, 4) of n records, sorted by height; it takes n^2 steps.

    Needs as much memory again as the distances, except for "single". Ward's heights mean what they
    say for Euclidean distances only. Raises ValueError for an unknown method and for distances
    that are missing (NaN), negative or infinite.
    """
    from scipy.cluster import hierarchy

    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
    record_count(condensed)
    for start in range(0, len(condensed), _CHUNK):
        part = condensed[start : start + _CHUNK]
        if not (part >= 0).all() or np.isinf(part).any():
            raise ValueError("distances must be known, finite and not negative.")
    if not len(condensed):
        return np.zeros((0, 4))
    return hierarchy.linkage(condensed, method)


def cut(
    linkage: np.ndarray, *, n_clusters: int | None = None, threshold: float | None = None
) -> np.ndarray:
    """Cluster of each record, (n,) int64: 1, 2, ... by decreasing size, of equals the first first.

    n_clusters   exactly so many: the last n_clusters - 1 merges are undone
    threshold    merges up to this height are made, that height included
    Raises ValueError unless one of both is given, and for a number that n records cannot have.
    """
    n = len(linkage) + 1
    if (n_clusters is None) == (threshold is None):
        raise ValueError("give either n_clusters or threshold.")
    if n_clusters is None:
        merges = int(np.searchsorted(linkage[:, 2], threshold, side="right"))
    elif 1 <= n_clusters <= n:
        merges = n - n_clusters
    else:
        raise ValueError(f"n_clusters is {n_clusters}; 1 to {n:,} are possible.")
    group = list(range(n + merges))
    children = linkage[:merges, :2].astype(np.int64).tolist()
    for merge in range(merges - 1, -1, -1):  # a group's own group is known before its parts'
        for child in children[merge]:
            group[child] = group[n + merge]
    return numbered(np.array(group[:n], np.int64))


def numbered(labels: np.ndarray) -> np.ndarray:
    """The same clusters (n,), numbered from 1 by decreasing size, of equals the first first."""
    _, first, inverse, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(1, len(first) + 1)
    return rank[inverse]


def cut_heights(linkage: np.ndarray, n_clusters: int) -> tuple[float, float | None]:
    """Heights of the last merge that is made and of the first that is not (None: all are)."""
    merges = len(linkage) + 1 - n_clusters
    below = float(linkage[merges - 1, 2]) if merges else 0.0
    return below, float(linkage[merges, 2]) if merges < len(linkage) else None


def spread_of(condensed: np.ndarray, labels: np.ndarray) -> Spread:
    """Medoids of the clusters (n,) 1 .. k, and how far their members are from each other."""
    n, k = len(labels), int(labels.max(initial=0))
    starts, order = row_starts(n), np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(1, k + 2))
    found = Spread(np.zeros(k, np.int64), np.zeros(k), np.zeros(k))
    for cluster in range(k):
        members = order[ends[cluster] : ends[cluster + 1]]
        sums = np.zeros(len(members))
        for place, record in enumerate(members[:-1]):
            away = condensed[starts[record] + members[place + 1 :]]
            sums[place] += away.sum()
            sums[place + 1 :] += away
            found.largest[cluster] = max(found.largest[cluster], away.max())
        found.medoids[cluster] = members[_first_least(sums)]
        found.means[cluster] = sums.sum() / max(len(members) * (len(members) - 1), 1)
    return found


def _first_least(sums: np.ndarray) -> int:
    """The first of those that are the least, but for rounding: equal records have equal sums."""
    return int(np.argmax(sums <= sums.min() * (1 + 1e-12)))


def medoids(condensed: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k,) int64: the record of each cluster (n,) 1 .. k with the least sum of distances to it."""
    return spread_of(condensed, labels).medoids


def rows_of(condensed: np.ndarray, records: np.ndarray) -> np.ndarray:
    """(m, n) float64: the distances of some records to all, 0 to themselves."""
    n = record_count(condensed)
    starts, rows = row_starts(n), np.zeros((len(records), n))
    for row, record in zip(rows, records, strict=True):
        row[:record] = condensed[starts[:record] + record]
        row[record + 1 :] = condensed[starts[record] + record + 1 : starts[record] + n]
    return rows


def stripes_of(condensed: np.ndarray, rows: int = 256) -> Iterator[tuple[int, np.ndarray]]:
    """(start, distances (up to `rows`, n)) that cover the matrix."""
    n = record_count(condensed)
    for start in range(0, n, rows):
        yield start, rows_of(condensed, np.arange(start, min(start + rows, n)))


def cophenetic_correlation(condensed: np.ndarray, linkage: np.ndarray) -> float | None:
    """Correlation of the distances with the heights at which the pairs come together.

    None for fewer than three records and where either is the same for all pairs.
    """
    from scipy.cluster import hierarchy

    if len(linkage) < 2:
        return None
    heights = hierarchy.cophenet(linkage)
    means = condensed.mean(), heights.mean()
    sums = np.zeros(3)
    for start in range(0, len(condensed), _CHUNK):
        a = condensed[start : start + _CHUNK] - means[0]
        b = heights[start : start + _CHUNK] - means[1]
        sums += a @ a, b @ b, a @ b
    rounding = 1e-24 * len(condensed)
    if sums[0] <= rounding * means[0] ** 2 or sums[1] <= rounding * means[1] ** 2:
        return None
    return float(np.clip(sums[2] / np.sqrt(sums[0] * sums[1]), -1, 1))


def negative_share(condensed: np.ndarray, rng: np.random.Generator) -> float:
    """How far the distances of a sample are from Euclidean ones: 0 when points have them.

    The share of negative eigenvalues, by their size, in the doubly centred squares.
    """
    n = record_count(condensed)
    chosen = np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))
    squares = rows_of(condensed, chosen)[:, chosen] ** 2
    squares -= squares.mean(axis=0)
    squares -= squares.mean(axis=1)[:, None]
    values = np.linalg.eigvalsh(-squares / 2)
    total = np.abs(values).sum()
    return float(-values[values < 0].sum() / total) if total > 0 else 0.0

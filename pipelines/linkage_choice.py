"""How many clusters a linkage is cut into where nobody says: those with the largest silhouette.

The silhouette of a record compares its mean distance to the others of its cluster, a, with that to
the nearest other cluster, b: (b - a) / max(a, b), 0 for a record alone in its cluster. Cuts of one
tree are nested, so one pass over the distances serves all numbers of clusters: sums over the finest
clusters add up to those over coarser ones. Rousseeuw (1987), J. Comput. Appl. Math. 20, 53-65.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipelines.cluster_quality import means_by, silhouettes_of
from pipelines.linkage import cut, stripes_of

FEWEST, MOST = 2, 20  # clusters that are tried


class CutQuality(NamedTuple):
    """Mean silhouette of all records with that many clusters, and of each cluster's records."""

    n_clusters: int
    silhouette: float
    of_clusters: list[float | None]


def best_cut(tried: list[CutQuality]) -> int:
    """The number of clusters with the largest silhouette, of equal ones the smaller; 1 where none
    was tried: of fewer than three records."""
    return max(tried, key=lambda one: (one.silhouette, -one.n_clusters)).n_clusters if tried else 1


def numbers_tried(n: int, low: int = FEWEST, high: int = MOST) -> range:
    """Numbers of clusters of n records that have silhouettes: 2 to n - 1 at most."""
    return range(max(low, 2), min(high, n - 1) + 1)


def cut_qualities(
    condensed: np.ndarray, linkage: np.ndarray, numbers: Iterable[int]
) -> list[CutQuality]:
    """Silhouettes of the linkage (n - 1, 4) cut into each number of clusters, 2 to n - 1.

    condensed   (n (n - 1) / 2,) the distances, none missing
    """
    cuts = {k: cut(linkage, n_clusters=k) - 1 for k in sorted(set(numbers))}
    if not cuts:
        return []
    n = len(linkage) + 1
    finest = cuts[max(cuts)]
    order, starts = grouped(finest)
    scores = {k: np.zeros(n) for k in cuts}
    first = order[starts]  # a record of each finest cluster
    for start, rows in stripes_of(condensed):
        sums = np.add.reduceat(rows[:, order], starts, axis=1)
        stop = start + len(rows)
        for k, labels in cuts.items():
            columns, edges = grouped(labels[first])
            coarse = np.add.reduceat(sums[:, columns], edges, axis=1)
            sizes = np.bincount(labels, minlength=k)
            scores[k][start:stop] = silhouettes_of(coarse, sizes, labels[start:stop])
    return [
        CutQuality(k, float(scores[k].mean()), means_by(scores[k], labels, k))
        for k, labels in cuts.items()
    ]


def grouped(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order, starts): places by label 0 .. k - 1, and where in that order each label begins."""
    order = np.argsort(labels, kind="stable")
    return order, np.searchsorted(labels[order], np.arange(labels.max() + 1))

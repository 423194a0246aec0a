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

EACH = 20  # up to so many clusters every number is tried, from there on each STEP times the last
STEP = 1.25


class CutQuality(NamedTuple):
    """Mean silhouette of all records with that many clusters, and of each cluster's records."""

    n_clusters: int
    silhouette: float
    of_clusters: list[float | None]


def best_cut(tried: list[CutQuality]) -> int:
    """The number of clusters with the largest silhouette, of equal ones the smaller; 1 where none
    was tried: of fewer than three records."""
    return max(tried, key=lambda one: (one.silhouette, -one.n_clusters)).n_clusters if tried else 1


def numbers_tried(n: int) -> list[int]:
    """Numbers of clusters of n records that are tried: 2 to 20, then ever fewer, up to n / 2. A few
    far-off records make many small clusters worth a try."""
    numbers = list(range(2, min(EACH, n - 1) + 1))
    while numbers and numbers[-1] >= EACH and int(numbers[-1] * STEP) <= n // 2:
        numbers.append(int(numbers[-1] * STEP))
    return numbers


def cut_qualities(
    condensed: np.ndarray, linkage: np.ndarray, numbers: Iterable[int]
) -> list[CutQuality]:
    """Silhouettes of the linkage (n - 1, 4) cut into each number of clusters, 2 to n - 1.

    condensed   (n (n - 1) / 2,) the distances, none missing
    """
    cuts = {k: cut(linkage, n_clusters=k) - 1 for k in sorted(set(numbers), reverse=True)}
    scores = {k: np.zeros(len(linkage) + 1) for k in cuts}
    sizes = {k: np.bincount(labels) for k, labels in cuts.items()}
    merges = merges_of(list(cuts.values()))
    for start, sums in stripes_of(condensed) if cuts else ():
        stop = start + len(sums)
        for (k, labels), (order, starts) in zip(cuts.items(), merges, strict=True):
            sums = np.add.reduceat(sums[:, order], starts, axis=1)  # over ever coarser clusters
            scores[k][start:stop] = silhouettes_of(sums, sizes[k], labels[start:stop])
    return [
        CutQuality(k, float(scores[k].mean()), means_by(scores[k], cuts[k], k))
        for k in sorted(cuts)
    ]


def merges_of(cuts: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(order, starts) of each of nested cuts (n,), finest first: which clusters of the cut before
    it, of the first which records, make up each of its own."""
    found, finer = [], np.arange(len(cuts[0]) if cuts else 0)
    for labels in cuts:
        found.append(grouped(labels[finer]))
        finer = np.unique(labels, return_index=True)[1]  # a record of each cluster
    return found


def grouped(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order, starts): places by label 0 .. k - 1, and where in that order each label begins."""
    order = np.argsort(labels, kind="stable")
    return order, np.searchsorted(labels[order], np.arange(labels.max() + 1))

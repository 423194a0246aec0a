"""Order records so that similar ones stand side by side.

Average linkage (UPGMA) on the distances; the leaves of its tree are the order. A tree of k leaves
has 2^(k-1) leaf orders, one per way of turning its branches: each merge turns its two branches so
that the records that come to touch are the nearest of the four possible ends. That costs nothing
and keeps gradients in one piece, where the order as it falls out of the linkage breaks them.
"""

import numpy as np


def similarity_order(distances: np.ndarray) -> np.ndarray:
    """Leaf order of the average linkage tree.

    distances (k, k)   float, symmetric, NaN = missing; the diagonal is not read
    Returns (k,) int64, a permutation of 0..k-1; the same for the same distances.

    A missing pair counts as the largest distance present: nothing speaks for joining the two.
    Without any distance present the order is that of the input.
    """
    k = len(distances)
    if k < 3:
        return np.arange(k, dtype=np.int64)
    condensed = upper_triangle(distances).astype(np.float64)
    present = np.isfinite(condensed)
    if not present.any():
        return np.arange(k, dtype=np.int64)
    farthest = condensed[present].max()
    condensed[~present] = farthest
    return _turned_leaves(_average_linkage(condensed), distances, farthest)


def upper_triangle(distances: np.ndarray) -> np.ndarray:
    """The pairs above the diagonal, row by row: (k, k) -> (k (k - 1) / 2,)."""
    # a mask takes a sixteenth of the memory of np.triu_indices
    return distances[np.triu(np.ones(distances.shape, dtype=bool), 1)]


def _average_linkage(condensed: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage  # 0.2 s that a run without a report does not pay

    return linkage(condensed, method="average")


def _turned_leaves(tree: np.ndarray, distances: np.ndarray, farthest: float) -> np.ndarray:
    """Leaves of the tree from left to right, each merge turned so that near ends touch."""
    k = len(distances)
    leaves = {leaf: [leaf] for leaf in range(k)}
    for merge, (left, right) in enumerate(tree[:, :2].astype(np.int64).tolist()):
        a, b = leaves.pop(left), leaves.pop(right)
        ends = [distances[x, y] for x in (a[-1], a[0]) for y in (b[0], b[-1])]
        nearest = int(np.argmin(np.nan_to_num(ends, nan=farthest)))
        if nearest >= 2:
            a.reverse()
        if nearest % 2:
            b.reverse()
        leaves[k + merge] = a + b
    return np.array(leaves.popitem()[1], dtype=np.int64)

"""Agreement of labels with distances: does the nearest other record carry the same label?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipelines.formats.distances import DistanceMatrix
from pipelines.formats.labels import coded


def label_agreement(
    matrix: DistanceMatrix, labels: Sequence[str | None], *, similarity: bool = False
) -> dict[str, float | int] | None:
    """1-NN agreement over a matrix that is read block by block, each pair once.

    labels       (n,) a label or None; records without one take no part
    similarity   the matrix holds scores: the largest is the nearest
    Of equally near records the first counts. Returns {"one_nn": share, "records": n, "classes": k},
    or None where fewer than two records have a label and a distance.
    """
    sign = -1.0 if similarity else 1.0
    size = matrix.block_size
    places = [(i, j) for i in range(matrix.n_blocks) for j in range(i, matrix.n_blocks)]
    blocks = ((i * size, j * size, sign * matrix.block(i, j).astype(float)) for i, j in places)
    return agreement(blocks, labels)


def agreement(
    blocks: Iterable[tuple[int, int, np.ndarray]], labels: Sequence[str | None]
) -> dict[str, float | int] | None:
    """As `label_agreement`, of blocks (first row, first column, distances) as Nearest sees them."""
    names, codes = coded(labels)
    nearest = Nearest(codes >= 0)
    for top, left, block in blocks:
        nearest.see(top, left, block)
    met = nearest.index >= 0
    if not met.any():
        return None
    agree = codes[met] == codes[nearest.index[met]]
    return {"one_nn": float(agree.mean()), "records": int(met.sum()), "classes": len(names)}


class Nearest:
    """The nearest other record of each record that takes part, as blocks come by.

    index (n,) int64, -1 = none yet    distance (n,) float64
    Blocks of the upper triangle must come row by row, so that of equals the first record stays.
    """

    def __init__(self, known: np.ndarray):
        self.known = known
        self.index = np.full(known.size, -1)
        self.distance = np.full(known.size, np.inf)

    def see(self, top: int, left: int, block: np.ndarray) -> None:
        """Distances (rows, columns) of the records from `top` to those from `left`."""
        block = np.where(np.isnan(block), np.inf, block)
        if top == left:
            np.fill_diagonal(block, np.inf)
        self._update(top, left, block)
        if top != left:
            self._update(left, top, block.T)

    def _update(self, top: int, left: int, block: np.ndarray) -> None:
        rows = np.flatnonzero(self.known[top : top + block.shape[0]])
        columns = np.flatnonzero(self.known[left : left + block.shape[1]])
        if not rows.size or not columns.size:
            return
        values = block[np.ix_(rows, columns)]
        best = values.argmin(axis=1)
        found = values[np.arange(rows.size), best]
        nearer = found < self.distance[rows + top]
        self.distance[rows[nearer] + top] = found[nearer]
        self.index[rows[nearer] + top] = columns[best[nearer]] + left

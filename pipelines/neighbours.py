"""Agreement of labels with distances: does the nearest other record carry the same label?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.formats.distances import DistanceMatrix


def label_agreement(
    matrix: DistanceMatrix, labels: Sequence[str | None], *, similarity: bool = False
) -> dict[str, float | int] | None:
    """1-NN agreement over a matrix that is read in stripes.

    labels       (n,) a label or None; records without one take no part
    similarity   the matrix holds scores: the largest is the nearest
    Of equally near records the first counts. Returns {"one_nn": share, "records": n, "classes": k},
    or None where fewer than two records have a label and a distance.
    """
    names = {label: k for k, label in enumerate(sorted({x for x in labels if x is not None}))}
    codes = np.array([-1 if label is None else names[label] for label in labels])
    known = np.flatnonzero(codes >= 0)
    if known.size < 2:
        return None
    agree = asked = 0
    for start, stripe in matrix.stripes():
        rows = known[(known >= start) & (known < start + len(stripe))]
        values = np.array(stripe[rows - start][:, known], dtype=np.float64)
        values = -values if similarity else values
        values[np.arange(rows.size), np.searchsorted(known, rows)] = np.inf  # not itself
        values[np.isnan(values)] = np.inf
        nearest = values.argmin(axis=1)
        met = np.isfinite(values[np.arange(rows.size), nearest])
        asked += int(met.sum())
        agree += int((codes[known[nearest]] == codes[rows])[met].sum())
    if not asked:
        return None
    return {"one_nn": agree / asked, "records": asked, "classes": len(names)}

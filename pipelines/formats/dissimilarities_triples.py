"""A sample of triples of records: how many break the triangle inequality?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.formats.dissimilarities_source import Dissimilarities

TRIPLES = 100_000
RECORDS = 240  # that they are drawn from
SAMPLE_BYTES = 128 * 2**20  # that are read for them at most, where chunks are large
TOLERANCE = 1e-6


def broken_share(given: Dissimilarities) -> float | None:
    """Share of sampled triples of which one distance is longer than the way around, or None where
    no triple is known. Of small inputs all records, else some of a few stretches of rows."""
    chosen = sample(given.n, given.layout.grain, given.dtype.itemsize)
    if len(chosen) < 3:
        return None
    return share_of(given.submatrix(chosen).astype(np.float64), 1.5 * _quantum(given))


def sample(n: int, grain: tuple[int, int], itemsize: int) -> np.ndarray:
    """Sorted numbers of at most RECORDS of n records, so clustered that few chunks are read."""
    if n <= RECORDS:
        return np.arange(n)
    draw = np.random.default_rng(0x7217)
    height = grain[0] if grain[1] < n else 1
    if height == 1:
        return np.sort(draw.choice(n, RECORDS, replace=False))
    chunks = max(SAMPLE_BYTES // (grain[0] * grain[1] * itemsize), 1)
    stripes = -(-n // height)
    few = min(max(math.isqrt(2 * chunks), 2), stripes)
    firsts = draw.choice(stripes, few, replace=False) * height
    each = -(-RECORDS // few)
    members = []
    for first in firsts.tolist():
        count = min(height, n - first)
        members.append(first + draw.choice(count, min(each, count), replace=False))
    return np.sort(np.concatenate(members))


def share_of(distances: np.ndarray, slack: float) -> float | None:
    """Of triples among (m, m) distances, NaN unknown. slack: how far a number may be off."""
    m = len(distances)
    draw = np.random.default_rng(0x7218)
    triples = draw.integers(0, m, (TRIPLES, 3))
    a, b, c = triples[(np.diff(np.sort(triples), axis=1) > 0).all(axis=1)].T
    sides = np.sort([distances[a, b], distances[b, c], distances[a, c]], axis=0)  # NaN comes last
    sides = sides[:, ~np.isnan(sides[2])]
    if not sides.shape[1]:
        return None
    broken = sides[2] > (sides[0] + sides[1]) * (1 + TOLERANCE) + slack
    return float(broken.mean())


def _quantum(given: Dissimilarities) -> float:
    return given.scale if given.dtype == np.int16 else 0.0

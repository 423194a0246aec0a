"""Some pairs of a packed band, drawn by chance: what a picture of all of them is made of.

Letters: n points, d components, p pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels._bands import _at as packed_at
from kernels._jit import njit
from kernels.mds import Band

_PURPOSE = 1723  # parts these random numbers from others of the same seed


class Pairs(NamedTuple):
    """Pairs of points, all (p,): their numbers, rows < columns; dissimilarity, and distance on a
    map."""

    rows: np.ndarray
    columns: np.ndarray
    delta: np.ndarray
    distance: np.ndarray


def pairs_block(band: Band, x: np.ndarray, most: int, random_state: int) -> Pairs:
    """Known pairs of a band, sorted: of all bands together about `most`, or all where there are no
    more.

    x (n, d) float64   the map
    The pairs depend on the band's place and on random_state only, not on what the others draw.
    """
    start, stop, n = band.place
    ends = np.cumsum(n - 1 - np.arange(start, stop))
    every, mine = n * (n - 1) // 2, int(ends[-1])
    if every <= most:
        chosen = np.arange(mine)
    else:
        rng = np.random.default_rng(np.random.SeedSequence([random_state, _PURPOSE, start]))
        chosen = np.unique(rng.integers(0, mine, round(most * (mine / every))))
    rows = np.searchsorted(ends, chosen, side="right")
    columns = n - (ends[rows] - chosen)
    rows += start
    delta = take(band, rows, columns)
    known = ~np.isnan(delta)
    rows, columns = rows[known], columns[known]
    distance = np.sqrt(np.square(x[rows] - x[columns]).sum(axis=1))
    return Pairs(rows.astype(np.int32), columns.astype(np.int32), delta[known], distance)


def take(band: Band, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(p,) float64: dissimilarities of pairs rows < columns, rows of the band; NaN: missing"""
    start, _, n = band.place
    found = np.empty(len(rows))
    _take(band.values, start, n, rows, columns, found)
    found[~(found >= 0)] = np.nan
    return found * band.scale


@njit
def _take(values, start, n, rows, columns, found):
    groups = (n + 15) // 16
    for p in range(len(rows)):
        found[p] = values[packed_at(groups, start // 16, rows[p], columns[p])]

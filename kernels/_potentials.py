"""Sums of weight * squared distance, and rows drawn by them: what the start of KMeans counts.

Squared distances are those of `kmeans.assign_block`, bit for bit: float64, (x - c)**2 added up over
the columns from first to last. Rows go in tiles, whose sums are added up in one fixed order.

n rows, d columns, c candidates, t tiles.
"""

import numpy as np

from kernels._jit import njit

TILE = 64  # rows; a power of two
APART = TILE + 8  # between columns of a tile: a power of two would crowd few cache lines


def tiles_of(rows: int) -> int:
    """Number of tiles of so many rows."""
    return -(-rows // TILE)


@njit
def _transpose(points, first, count, turned):
    """turned[c, i] = points[first + i, c]; the places of missing rows keep what they had."""
    for i in range(count):
        for c in range(points.shape[1]):
            turned[c, i] = points[first + i, c]


@njit
def _squared(turned, centre, found):
    """found[i]: squared distance of each row of the tile to the centre. Four columns at a time
    spare traffic and leave the order of the additions as it is."""
    d = centre.size
    for i in range(TILE):
        found[i] = 0.0
    for c in range(0, d - 3, 4):
        c0, c1, c2, c3 = centre[c], centre[c + 1], centre[c + 2], centre[c + 3]
        for i in range(TILE):
            a0, a1 = turned[c, i] - c0, turned[c + 1, i] - c1
            a2, a3 = turned[c + 2, i] - c2, turned[c + 3, i] - c3
            found[i] = (((found[i] + a0 * a0) + a1 * a1) + a2 * a2) + a3 * a3
    for c in range(d - d % 4, d):
        for i in range(TILE):
            a0 = turned[c, i] - centre[c]
            found[i] += a0 * a0


@njit
def _values(weights, closest, first, count, found):
    """From distances to a candidate to weight * min(distance, closest), 0 for missing rows."""
    for i in range(count):
        found[i] = min(found[i], closest[first + i])
    if weights.size:
        for i in range(count):
            found[i] *= weights[first + i]
    for i in range(count, TILE):
        found[i] = 0.0


@njit
def potentials(points, weights, closest, centres, candidates, sums):
    """Lower closest (n,) to the squared distance to the nearest of the new centres; then
    sums (c, t): of weight * min(closest, squared distance to the candidate), tile by tile.

    weights (n,) float64, or of size 0: all 1.
    """
    turned, found = np.zeros((points.shape[1], APART)), np.empty(TILE)
    for tile in range(sums.shape[1]):
        first = tile * TILE
        count = min(TILE, points.shape[0] - first)
        _transpose(points, first, count, turned)
        for j in range(centres.shape[0]):
            _squared(turned, centres[j], found)
            for i in range(count):
                closest[first + i] = min(closest[first + i], found[i])
        for j in range(candidates.shape[0]):
            _squared(turned, candidates[j], found)
            _values(weights, closest, first, count, found)
            half = TILE // 2
            while half:
                for i in range(half):
                    found[i] += found[half + i]
                half //= 2
            sums[j, tile] = found[0]


@njit
def rows_drawn(points, weights, closest, candidates, reached, shares, rows):
    """rows (c, draws) int64: for each candidate and each share in [0, 1) the row at that share of
    the potential; -1 where the potential is 0.

    reached (c, t)   sums of `potentials`, added up from tile to tile
    """
    turned, found = np.zeros((points.shape[1], APART)), np.empty(TILE)
    for j in range(candidates.shape[0]):
        total = reached[j, -1]
        for s in range(shares.size):
            rows[j, s] = -1
            if not total > 0.0:
                continue
            target = shares[s] * total
            tile = np.searchsorted(reached[j], target, side="right")
            if tile == reached.shape[1]:  # rounded up to the total: its last step
                tile = np.searchsorted(reached[j], total)
            first = tile * TILE
            count = min(TILE, points.shape[0] - first)
            _transpose(points, first, count, turned)
            _squared(turned, candidates[j], found)
            _values(weights, closest, first, count, found)
            so_far = reached[j, tile - 1] if tile else 0.0
            for i in range(count):
                if found[i] > 0.0:
                    rows[j, s] = first + i
                    so_far += found[i]
                    if so_far > target:
                        break

"""Where multidimensional scaling starts: classical scaling of all points or landmarks, or chance.

Classical scaling takes the principal axes of the centred squared dissimilarities; for many points
it takes those of m landmarks, and places each point by its dissimilarities to them: a sum over
pairs, so that bands of the matrix contribute apart. Letters: n points, m landmarks, d components.

What is missing (NaN, infinite or negative) is filled by one rule in `classical` and
`triangulation`: the shortest way over one other point, found again with what was filled until
nothing new comes; between points that no way joins, the largest value known, 1 where none is.
In `triangulate_block` a missing pair adds nothing: the point counts as being as far from that
landmark as the landmarks are in the mean square.

Torgerson (1952), Psychometrika 17, 401-419. de Silva, Tenenbaum (2004), "Sparse multidimensional
scaling using landmark points".
"""

from __future__ import annotations

import numpy as np

from kernels import mds
from kernels._bands import STRIP
from kernels._bands import _at as packed_at
from kernels._jit import njit

FLAT = 1e-12  # an axis with less than this share of the largest eigenvalue is rounding, not shape
_SIGN = 1e-6  # coordinates that differ by less than this share are equal when a sign is chosen
_PURPOSE = 1717  # parts these random numbers from others of the same seed


def classical(dissimilarities: np.ndarray, n_components: int) -> np.ndarray:
    """(m, d) float64: exact classical scaling (Torgerson) of a few points, centred.

    dissimilarities  (m, m): the mean of both triangles counts, of a pair known once that value;
                     the diagonal is taken as 0. Missing values: see above.

    Axes come by decreasing eigenvalue; beyond the positive ones coordinates are 0. On each axis the
    point farthest out (of equally far ones the first) has a positive coordinate.
    """
    values, vectors, _ = _axes(dissimilarities, n_components)
    return vectors * np.sqrt(values)


def landmarks(n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """(min(m, n),) int64: numbers of different points, ascending, each as likely as another."""
    return np.sort(rng.choice(n, min(m, n), replace=False)).astype(np.int64)


def triangulation(dissimilarities: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """(operator (d, m), mean (m,)): what places a point among m landmarks.

    dissimilarities  (m, m) of the landmarks, as in `classical`

    A point whose squared dissimilarities to them are s (m,) lies at operator @ (mean - s) / 2; a
    landmark lies where `classical` puts it.
    """
    values, vectors, squares = _axes(dissimilarities, n_components)
    roots = np.sqrt(values)
    operator = np.divide(vectors, roots, out=np.zeros_like(vectors), where=roots > 0)
    mean = squares.mean(axis=0) if len(squares) else np.zeros(0)
    return np.ascontiguousarray(operator.T), mean


def triangulate_block(
    band: mds.Band, landmarks: np.ndarray, operator: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """(n, d) float64: what one band contributes to where all n points start; the sum over bands is
    `operator @ (mean - s) / 2` of every point.

    landmarks  (m,) numbers of the landmarks, ascending
    operator, mean  of `triangulation`

    A landmark's own term (dissimilarity 0) comes from the band that holds its row.
    """
    start, stop, n = (int(number) for number in band.place)
    found = np.zeros((n, len(operator)))
    numbers, columns = np.asarray(landmarks, np.int64), np.ascontiguousarray(operator.T)
    _triangulate(band.values, start, stop, n, band.scale, numbers, columns, mean, found)
    return found / 2


@njit
def _triangulate(values, start, stop, n, scale, landmarks, operator, mean, found):
    """found (n, d) grows by operator[a] (m, d) times what mean[a] is more than the square."""
    groups, first = (n + STRIP - 1) // STRIP, start // STRIP
    for i in range(start, stop):
        for a in range(len(landmarks)):
            if landmarks[a] > i:
                delta = values[packed_at(groups, first, i, landmarks[a])] * scale
                if delta >= 0:
                    _add(found, i, operator, a, mean[a] - delta * delta)
            elif landmarks[a] == i:
                _add(found, i, operator, a, mean[a])
                for j in range(i + 1, n):
                    delta = values[packed_at(groups, first, i, j)] * scale
                    if delta >= 0:
                        _add(found, j, operator, a, mean[a] - delta * delta)


@njit
def _add(found, i, operator, a, share):
    for k in range(operator.shape[1]):
        found[i, k] += operator[a, k] * share


def rows_block(band: mds.Band, numbers: np.ndarray) -> np.ndarray:
    """(k, m) float64: dissimilarities of those k of m points, ascending, whose rows the band has.
    NaN: missing, the diagonal, and what is below it."""
    start, stop, n = (int(number) for number in band.place)
    numbers = np.asarray(numbers, np.int64)
    first, last = np.searchsorted(numbers, (start, stop))
    found = np.full((last - first, len(numbers)), np.nan)
    _rows(band.values, start, n, band.scale, numbers, first, found)
    return found


@njit
def _rows(values, start, n, scale, numbers, first, found):
    groups = (n + STRIP - 1) // STRIP
    for row in range(len(found)):
        for column in range(first + row + 1, len(numbers)):
            at = packed_at(groups, start // STRIP, numbers[first + row], numbers[column])
            delta = values[at] * scale
            if delta >= 0:
                found[row, column] = delta


def random_start(n: int, n_components: int, scale: float, random_state: int, run: int = 0):
    """(n, d) float64: uniform in the cube from -scale to scale; of each run others."""
    seeds = np.random.SeedSequence([int(random_state), _PURPOSE, int(run)])
    return np.random.default_rng(seeds).uniform(-scale, scale, (n, n_components))


def _axes(dissimilarities: np.ndarray, n_components: int) -> tuple[np.ndarray, ...]:
    """(values (d,), vectors (m, d), squares (m, m)): the largest eigenvalues of the centred squares
    with their axes, 0 for those that are not positive, and the squares, filled and symmetric."""
    squares = _filled(dissimilarities) ** 2
    m = len(squares)
    means = squares.mean(axis=0) if m else np.zeros(0)
    centred = (means[:, None] + means - squares - (means.mean() if m else 0.0)) / 2
    values, vectors = np.zeros(n_components), np.zeros((m, n_components))
    found, axes = np.linalg.eigh(centred)
    some = min(n_components, m)
    values[:some], vectors[:, :some] = found[::-1][:some], axes[:, ::-1][:, :some]
    values[values <= FLAT * values.max(initial=0.0)] = 0.0
    return values, vectors * _signs(vectors), squares


def _signs(vectors: np.ndarray) -> np.ndarray:
    """(d,): 1 or -1, so that the element farthest from 0 becomes positive in each column."""
    sizes = np.abs(vectors)
    if not len(sizes):
        return np.ones(vectors.shape[1])
    first = (sizes >= (1 - _SIGN) * sizes.max(axis=0)).argmax(axis=0)
    return np.where(vectors[first, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _filled(dissimilarities: np.ndarray) -> np.ndarray:
    """(m, m) float64: symmetric, diagonal 0, missing values filled by the rule of this module."""
    given = np.asarray(dissimilarities, np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"dissimilarities have shape {given.shape}; they must be square")
    known = np.isfinite(given) & (given >= 0)
    count = known.astype(np.int64) + known.T
    values = np.where(known, given, 0.0)
    values = (values + values.T) / np.maximum(count, 1)
    values[count == 0] = np.inf
    np.fill_diagonal(values, 0.0)
    while True:
        rows = np.flatnonzero(np.isinf(values).any(axis=1))
        if not len(rows):
            return values
        ways = {i: (values[i][:, None] + values[:, np.isinf(values[i])]).min(axis=0) for i in rows}
        if all(np.isinf(way).all() for way in ways.values()):
            break
        places = np.isinf(values)
        for i, way in ways.items():
            values[i, places[i]] = way
    joined = np.isfinite(values) & ~np.eye(len(values), dtype=bool)
    values[np.isinf(values)] = values[joined].max() if joined.any() else 1.0
    return values

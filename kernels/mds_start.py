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
    _, stop, n = (int(p) for p in band.place)
    found = np.zeros((n, len(operator)))
    if not len(landmarks):
        return found
    for first, rows in _strips(band):
        own = np.arange(first, min(first + len(rows), stop))
        beyond = np.flatnonzero(landmarks >= first)
        columns = landmarks[beyond] - first
        above = own[:, None] < landmarks[beyond]
        found[own] += _placed(rows[: len(own), columns], above, operator[:, beyond], mean[beyond])
        for number in np.flatnonzero((landmarks >= own[0]) & (landmarks <= own[-1])):
            row = landmarks[number]
            found[row] += operator[:, number] * mean[number] / 2
            right = rows[row - first, row + 1 - first :, None]
            one = slice(number, number + 1)
            found[row + 1 :] += _placed(right, True, operator[:, one], mean[one])
    return found


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


def _strips(band: mds.Band):
    """(first row, rows (<= STRIP, n - first) float64) of a band, a few rows at a time."""
    start, stop, n = (int(p) for p in band.place)
    at = 0
    for first in range(start, stop, mds.STRIP):
        place = (first, min(first + mds.STRIP, stop), n)
        size = mds.packed_size(n, place[0], place[1])
        part = mds.Band(band.values[at : at + size], place, band.scale)
        yield first, mds.unpack_band(part)
        at += size


def _placed(
    dissimilarities: np.ndarray, counted: np.ndarray | bool, operator: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """(rows, d): the terms of some points (rows) and landmarks (columns); missing ones are 0."""
    known = counted & ~np.isnan(dissimilarities)
    lacking = np.where(known, mean - np.where(known, dissimilarities, 0.0) ** 2, 0.0)
    return np.einsum("rm,dm->rd", lacking, operator) / 2

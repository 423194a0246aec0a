"""New items onto a finished map: majorisation onto their nearest landmarks (MI-MDS).

An item is placed where its distances to its k nearest landmarks fit best, the landmarks staying
where they are. From the mean p of the landmarks' positions p_i,

    z <- p + (1/k) sum_i delta_i (z - p_i) / |z - p_i|

until sum (|z - p_i| - delta_i)**2 / sum delta_i**2 falls by less than `tol`, or `max_iter` steps.
The sum never rises. Bae, Choi, Qiu, Fox (2010), HPDC, 203-214. Where the formula is silent:

    a known distance of 0      the item is placed on that landmark (the nearest; of several the
                               first)
    z on a landmark            the direction from it is that of the first axis: a step as good as
                               any, and the sum still does not rise
    missing distances          are left out; k is the number of known ones
    no known distance          the position is NaN
    no more landmarks known    their positions span a plane that steps from p never leave; the
    than dimensions            start is lifted off it, so high that the mean square of the
                               distances is that of the deltas

Every item is computed on its own: a result does not depend on what else is in the block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels._majorise import batch_for, place_rows, stress_rows
from kernels.neighbours import Search, as_matrix, over_rows

MAX_ITER = 1000
TOL = 1e-6


def interpolate(
    points: Any,
    landmarks: Any,
    embedding: Any,
    k: int = 10,
    n_threads: int | None = None,
) -> np.ndarray:
    """Positions (n, d) float64 of points on the map of the landmarks.

    points (n, q), landmarks (m, q)   float32 or float64, finite
    embedding (m, d)                  where the landmarks lie on the map
    k          how many landmarks an item is fitted to: all, where there are fewer
    n_threads  default: all usable cores. It does not change the result.
    Raises ValueError for arrays that do not fit each other or are not finite.
    """
    at = _embedding_of(embedding)
    if len(at) != len(landmarks):
        raise ValueError(f"embedding has {len(at)} rows, landmarks {len(landmarks)}")
    search = Search(points, landmarks, min(k, len(at)))
    placed = np.empty((len(search.points), at.shape[1]))
    cut_off = np.empty(len(placed), np.bool_)

    def place(start: int, stop: int) -> None:
        search.rows(start, stop)
        rows, (_, many) = slice(start, stop), search.indices.shape
        batch = batch_for(many, at.shape[1], TOL)
        found = (search.indices[rows], search.distances[rows], at)
        place_rows(*found, MAX_ITER, batch, placed[rows], cut_off[rows])

    over_rows(place, len(placed), n_threads)
    return placed


def place_block(
    indices: Any,
    distances: Any,
    landmarks_at: Any,
    *,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
    cut_off: np.ndarray | None = None,
) -> np.ndarray:
    """Positions (n, d) float64 of items whose distances to some landmarks are known.

    indices (n, k) int32, distances (n, k)   landmarks and distances to them, nearest first;
                              missing are an index below 0, and a NaN, infinite or negative distance
    landmarks_at (m, d)       positions on the map, finite
    cut_off (n,) bool         is told which items took max_iter steps: they have not converged
    Items without a known distance get NaN.
    """
    at = _embedding_of(landmarks_at)
    numbers, given = _pairs_of(indices, distances, len(at))
    placed = np.empty((len(numbers), at.shape[1]))
    batch = batch_for(numbers.shape[1], at.shape[1], tol)
    if cut_off is None:
        cut_off = np.empty(len(placed), np.bool_)
    place_rows(numbers, given, at, max_iter, batch, placed, cut_off)
    return placed


def placement_stress(
    positions: Any, indices: Any, distances: Any, landmarks_at: Any
) -> tuple[np.ndarray, np.ndarray]:
    """(residuals (n,), squares (n,)) float64 of placed items: sums over the known distances of
    (|z - p_i| - delta_i)**2 and of delta_i**2.

    residuals / squares is what place_block makes small, for each item; the sums of both over many
    items make their normalized stress. Items without a known distance have residual NaN, square 0.
    """
    at = _embedding_of(landmarks_at)
    numbers, given = _pairs_of(indices, distances, len(at))
    places = np.ascontiguousarray(positions, np.float64)
    if places.shape != (len(numbers), at.shape[1]):
        raise ValueError(f"positions have shape {places.shape}, not {(len(numbers), at.shape[1])}")
    residuals, squares = np.empty(len(numbers)), np.empty(len(numbers))
    stress_rows(places, numbers, given, at, residuals, squares)
    return residuals, squares


def _embedding_of(landmarks_at: Any) -> np.ndarray:
    return as_matrix(landmarks_at, "landmarks' positions").astype(np.float64, copy=False)


def _pairs_of(indices: Any, distances: Any, m: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.ascontiguousarray(indices, np.int32)
    given = np.ascontiguousarray(distances, np.float64)
    if numbers.ndim != 2 or numbers.shape != given.shape:
        raise ValueError(f"indices {numbers.shape} and distances {given.shape}: not the same rows")
    if numbers.size and int(numbers.max()) >= m:
        raise ValueError(f"indices name landmark {int(numbers.max())} of {m}")
    return numbers, given

"""Points of any dimension on a plane: as they are, or along their two principal axes."""

from typing import NamedTuple

import numpy as np

MOST_FOR_AXES = 1_000  # points or dimensions: beyond both, the axes are those of so many points
MOST_APART = 6.0  # how many times longer one side may be while both keep one scale


class Plane(NamedTuple):
    """points (m, 2), centroids (k, 2) float64; titles of both axes ('' = it means nothing).

    equal   both axes have one scale, so that distances are seen as they are
    axes    what the axes are, in words
    """

    points: np.ndarray
    centroids: np.ndarray
    titles: tuple[str, str]
    equal: bool
    axes: str


def project(points: np.ndarray, centroids: np.ndarray, random_state: int | None = None) -> Plane:
    """points (m, d), centroids (k, d) float, m >= 1, d >= 1 -> Plane; the same for the same seed.

    Of one dimension the points are spread upwards at random, since they would cover each other.
    """
    points = np.asarray(points, dtype=np.float64)
    centroids = np.asarray(centroids, dtype=np.float64)
    d = points.shape[1]
    if d == 1:
        lift = np.random.default_rng(0 if random_state is None else random_state)
        flat = np.column_stack([points[:, 0], lift.random(len(points))])
        marks = np.column_stack([centroids[:, 0], np.full(len(centroids), 0.5)])
        axes = "The one dimension runs along the page; the height of a point is random."
        return Plane(flat, marks, ("column 0", ""), False, axes)
    if d == 2:
        return _plane(points, centroids, ("column 0", "column 1"), "Both columns as they are.")
    mean = points.mean(axis=0)
    axes, shares = principal_axes(points - mean)
    told = tuple(
        f"principal axis {n} ({100 * share:.3g} % of the variance)"
        for n, share in enumerate(shares.tolist(), 1)
    )
    words = f"{d:,} dimensions on two principal axes (PCA of the points shown)."
    return _plane((points - mean) @ axes.T, (centroids - mean) @ axes.T, told, words)


def _plane(points, centroids, titles, axes: str) -> Plane:
    sides = np.ptp(points, axis=0)
    equal = bool(sides.max() <= MOST_APART * sides.min())
    remark = "" if equal or sides.min() == 0 else " The axes have different scales."
    return Plane(points, centroids, titles, equal, axes + remark)


def principal_axes(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions of largest variance and their shares of it.

    centred (m, d >= 2) float64, columns of mean 0
    Returns axes (2, d) orthonormal, each with its largest component positive, and shares (2,).
    """
    largest = float(np.abs(centred).max(initial=0)) or 1.0
    scaled = centred / largest  # squares neither overflow nor vanish
    seen = scaled
    if min(scaled.shape) > MOST_FOR_AXES:
        seen = scaled[:: -(-len(scaled) // MOST_FOR_AXES)]
    if len(seen) > seen.shape[1]:
        axes = np.linalg.svd(seen.T @ seen, hermitian=True)[2][:2]  # d x d instead of m x d
    else:
        axes = np.linalg.svd(seen, full_matrices=False)[2][:2]
    if len(axes) < 2:  # a single point has no second axis: any direction across the first
        other = np.zeros_like(axes[0])
        other[np.abs(axes[0]).argmin()] = 1
        other -= (other @ axes[0]) * axes[0]
        axes = np.vstack([axes[0], other / np.linalg.norm(other)])
    axes = axes * np.sign(axes[[0, 1], np.abs(axes).argmax(axis=1)])[:, None]
    whole = float((scaled**2).sum())
    parts = ((scaled @ axes.T) ** 2).sum(axis=0)
    return axes, parts / whole if whole else np.zeros(2)

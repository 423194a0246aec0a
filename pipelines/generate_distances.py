"""Distances to try things on: those of generated points, written block by block.

The points are the clouds of pipelines/generate_points.py in as many dimensions as asked for, so
that there are clusters to find and no map of two or three dimensions holds every distance. Only
the points and a few blocks are in memory, and each pair is computed once; a matrix of any size can
be written. Equal arguments make equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipelines.errors import UsageProblem
from pipelines.formats import points_writer
from pipelines.formats.distances import MatrixLayout
from pipelines.generate_points import Clouds
from storage.folder import open_folder, require_space

DTYPES = ("int16", "float32", "float64")
TRIANGLES = ("upper", "full")

_BLOCK = 2048  # rows and columns of a chunk
_STRIPE_BYTES = 2**26  # of the rows of a square that are made at once
_MOST_THREADS = 4


@dataclass(frozen=True)
class Distances:
    """Euclidean distances between the points of `clouds` (its dtype is float64).

    dtype     as stored; int16 holds distances divided by `bound`, which brings them into [0, 1]
    triangle  "upper" or "full": what is stored of the symmetric matrix
    """

    clouds: Clouds
    dtype: str = "float32"
    triangle: str = "upper"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageProblem(f"dtype is {self.dtype!r}; choose one of {', '.join(DTYPES)}.")
        if self.triangle not in TRIANGLES:
            raise UsageProblem(f"triangle is {self.triangle!r}; choose upper or full.")
        if self.clouds.dtype != "float64":
            raise ValueError("distances are computed of float64 points.")

    @cached_property
    def points(self) -> np.ndarray:
        """(n, dims) float64"""
        return np.concatenate(list(self.clouds.blocks()))

    @cached_property
    def bound(self) -> float:
        """A number that no distance exceeds: the diameter of a ball around the mean."""
        away = self.points - self.points.mean(axis=0)
        return 2.0 * float(np.sqrt((away**2).sum(axis=1).max())) or 1.0

    @cached_property
    def layout(self) -> MatrixLayout:
        """How a zarr array of them is stored: not compressed, for such numbers do not compress."""
        attributes: dict = {"kind": "distance"}
        if self.dtype == "int16":
            attributes |= {"distance_range": [0, 1], "divided_by": self.bound}
        n = self.clouds.n
        return MatrixLayout(n, _BLOCK, self.dtype, self.triangle, "none", attributes)

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """Distances between two ranges of points, (rows, columns) float64."""
        from scipy.spatial.distance import cdist

        values = cdist(self.points[rows], self.points[columns])
        if self.dtype == "int16":
            values /= self.bound
        return values


def write_distances(url: str, distances: Distances, labels: str | None = None) -> None:
    """Write a matrix (.zarr, or .npy for a square of floats), and a table of the true clusters.

    Each is complete or not there. Raises UsageProblem, NoSpace and StorageError.
    """
    if labels is not None and not distances.clouds.n_clusters:
        raise UsageProblem("uniform points have no labels.", remedy="Leave out the labels.")
    name = url.rstrip("/").lower()
    if name.endswith(".zarr"):
        _write_zarr(url.rstrip("/"), distances)
    elif name.endswith(".npy"):
        _write_npy(url, distances)
    else:
        text = f"{url} does not say how to write distances."
        raise UsageProblem(text, remedy="End the name with .zarr or .npy.")
    if labels is not None:
        from pipelines.generate_points import write_labels

        write_labels(labels, distances.clouds)


def _write_zarr(url: str, distances: Distances) -> None:
    layout = distances.layout
    parent = open_folder(os.path.split(url)[0] or ".")
    require_space(parent, layout.max_bytes)
    ranges = [slice(start, start + _BLOCK) for start in range(0, layout.n, _BLOCK)]
    distances.points.setflags(write=False)
    with points_writer.new_zarr(url) as place:
        above, name = os.path.split(place)
        folder = open_folder(above or ".")

        def write(i: int, j: int) -> None:
            values = distances.block(ranges[i], ranges[j])
            layout.write_block(folder, name, i, j, values)

        pairs = [(i, j) for i in range(len(ranges)) for j in range(i, len(ranges))]
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS))
        try:
            for _ in pool.map(write, *zip(*pairs, strict=True)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
        folder.put(f"{name}/zarr.json", layout.metadata())  # last: a store with it is whole


def _write_npy(url: str, distances: Distances) -> None:
    if distances.dtype == "int16":
        text = "an .npy file has no place for the scale of int16 distances."
        raise UsageProblem(text, remedy="Write a .zarr, or float32.")
    if distances.triangle != "full":
        text = "an .npy file holds the whole square, not its upper triangle."
        raise UsageProblem(text, remedy="Use --triangle full, or write a .zarr.")
    n = distances.clouds.n
    rows = max(_STRIPE_BYTES // (8 * n), 1)

    def stripes() -> Iterator[np.ndarray]:
        for start in range(0, n, rows):
            stripe = distances.block(slice(start, start + rows), slice(0, n))
            yield stripe.astype(distances.dtype)

    points_writer.write_points(url, stripes(), (n, n), distances.dtype, rows)

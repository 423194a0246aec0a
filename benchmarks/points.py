"""Points to cluster: four shapes, clustered or uniform, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

TOY_N, TOY_CLUSTERS = 6000, 20


@dataclass(frozen=True)
class Shape:
    """n points of d columns to be put in n_clusters clusters."""

    name: str
    n: int
    d: int
    n_clusters: int

    @property
    def words(self) -> str:
        return f"{self.n:,} x {self.d}, k = {self.n_clusters}"

    @property
    def products(self) -> int:
        """Multiply-adds of one iteration that measures every distance."""
        return self.n * self.d * self.n_clusters

    def toy(self) -> Shape:
        return Shape(self.name, TOY_N, self.d, min(self.n_clusters, TOY_CLUSTERS))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("k100", 1_000_000, 20, 100),
        Shape("k500", 1_000_000, 20, 500),
        Shape("d128", 200_000, 128, 256),
        Shape("d3", 2_000_000, 3, 16),
    )
}
KINDS = ("clustered", "uniform")


def shape_of(name: str, toy: bool = False) -> Shape:
    return SHAPES[name].toy() if toy else SHAPES[name]


def points(shape: Shape, kind: str, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """(n, d): normal clouds around centres drawn from a cube, or a cube filled evenly."""
    rng = np.random.default_rng(seed)
    size = (shape.n, shape.d)
    if kind == "uniform":
        return np.ascontiguousarray(rng.random(size, dtype=np.float32), dtype=dtype)
    centres = rng.uniform(-5, 5, (shape.n_clusters, shape.d)).astype(np.float32)
    drawn = centres[rng.integers(0, shape.n_clusters, shape.n)]
    drawn += rng.standard_normal(size, dtype=np.float32) * np.float32(1 if shape.d > 3 else 0.8)
    return np.ascontiguousarray(drawn, dtype=dtype)


def start(shape: Shape, drawn: np.ndarray, seed: int = 1) -> np.ndarray:
    """(n_clusters, d): different points, the centroids to start from."""
    rows = np.random.default_rng(seed).choice(shape.n, shape.n_clusters, replace=False)
    return drawn[rows].copy()


def saved(folder: Path, shape: Shape, kind: str, dtype: str) -> Path:
    """The points as a .npy file in the folder, written when it is not there yet."""
    path = folder / f"{shape.name}-{kind}-{dtype}.npy"
    if not path.exists():
        np.save(path, points(shape, kind, dtype))
    return path

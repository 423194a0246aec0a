"""Points to try things on: round clusters around random centres, or no clusters at all.

Centres lie uniformly in a cube from -10 to 10; the points of a cluster are normally distributed
around its centre. Rows are made in blocks, each from the random state and its own number alone, so
that any block can be made anywhere, and a file larger than the memory is written block by block.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipelines.errors import UsageProblem
from pipelines.formats import points_writer

HALF = 10.0  # of the side of the cube
DTYPES = ("float32", "float64")

_BLOCK = 2**20  # numbers in a block; part of the meaning of a random_state
_MOST_THREADS = 4


@dataclass(frozen=True)
class Clouds:
    """n points of n_features columns in n_clusters clusters; uniform ones when that is 0.

    cluster_std  standard deviation of each column around the centre of its cluster
    Raises UsageProblem for numbers that make no points. Equal arguments make equal points, and
    float32 ones are not float64 ones rounded.
    """

    n: int
    n_features: int = 2
    n_clusters: int = 8
    cluster_std: float = 1.0
    dtype: str = "float32"
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageProblem(f"dtype is {self.dtype!r}; choose one of {', '.join(DTYPES)}.")
        if self.n < 1:
            raise UsageProblem(f"n is {self.n}; at least 1 point is needed.")
        if self.n_features < 1:
            raise UsageProblem(f"n_features is {self.n_features}; at least 1 column is needed.")
        if not 0 <= self.n_clusters <= self.n:
            raise UsageProblem(
                f"n_clusters is {self.n_clusters}; 1 to n = {self.n:,} are possible."
            )
        if not self.cluster_std >= 0:
            raise UsageProblem(f"cluster_std is {self.cluster_std}; 0 or more is possible.")

    @property
    def block_rows(self) -> int:
        """Rows of every block but the last."""
        return max(_BLOCK // self.n_features // 8 * 8, 1)

    @property
    def n_blocks(self) -> int:
        return -(-self.n // self.block_rows)

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return self.n * self.n_features * np.dtype(self.dtype).itemsize

    @cached_property
    def centres(self) -> np.ndarray:
        """(n_clusters, n_features) float64"""
        return self._random(0).uniform(-HALF, HALF, (self.n_clusters, self.n_features))

    def labels(self, index: int) -> np.ndarray:
        """Cluster of each row of a block, (rows,) int64; each has its share of all rows."""
        start = index * self.block_rows
        rows = np.arange(start, min(start + self.block_rows, self.n))
        return self._random(2 * index + 1).permutation(rows) % max(self.n_clusters, 1)

    def block(self, index: int) -> np.ndarray:
        """The values of a block, (rows, n_features)."""
        rows = min(self.block_rows, self.n - index * self.block_rows)
        shape, random = (rows, self.n_features), self._random(2 * index + 2)
        dtype: Any = self.dtype
        if not self.n_clusters:
            values = random.random(shape, dtype=dtype)
            values -= 0.5
            values *= 2 * HALF
            return values
        values = random.standard_normal(shape, dtype=dtype)
        values *= self.cluster_std
        values += self.centres.astype(dtype)[self.labels(index)]
        return values

    def blocks(self) -> Iterator[np.ndarray]:
        """All blocks in order, made ahead by a few threads."""
        threads = min(os.cpu_count() or 1, _MOST_THREADS)
        with ThreadPoolExecutor(threads, thread_name_prefix="points") as pool:
            ahead = deque(pool.submit(self.block, k) for k in range(min(threads, self.n_blocks)))
            for following in range(threads, self.n_blocks + threads):
                if not ahead:
                    return
                done = ahead.popleft().result()
                if following < self.n_blocks:
                    ahead.append(pool.submit(self.block, following))
                yield done

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64([self.random_state, stream]))


def write_points(path: str, clouds: Clouds, labels: str | None = None) -> None:
    """Write the points, and where `labels` names a file a table of them: id (row from 0), label.

    The ending of the path chooses the format: see formats/points_writer.py. Each file is complete
    or not there. Raises UsageProblem, NoSpace and StorageError.
    """
    if labels is not None and not clouds.n_clusters:
        raise UsageProblem("uniform points have no labels.", remedy="Leave out the labels.")
    shape, rows = (clouds.n, clouds.n_features), clouds.block_rows
    points_writer.write_points(path, clouds.blocks(), shape, clouds.dtype, rows)
    if labels is not None:
        write_labels(labels, clouds)


def write_labels(path: str, clouds: Clouds) -> None:
    """Write the true cluster of each row: id (row from 0) and label; .gz compresses."""
    with points_writer.new_file(path) as file:
        packed = path.lower().endswith(".gz")
        points_writer.write_text(file, _label_lines(clouds), packed=packed)


def _label_lines(clouds: Clouds) -> Iterator[str]:
    yield "id\tlabel\n"
    width = len(str(clouds.n_clusters))
    names = [f"cluster-{k:0{width}d}" for k in range(1, clouds.n_clusters + 1)]
    row = 0
    for index in range(clouds.n_blocks):
        labels = clouds.labels(index).tolist()
        yield "".join(f"{row + k}\t{names[label]}\n" for k, label in enumerate(labels))
        row += len(labels)

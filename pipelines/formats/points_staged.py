"""Rows of an input that can only be read from its start, kept one object per partition.

Compressed text and compressed .npz are decompressed once by the driver, partition by partition, so
that a worker reads its own rows and nothing else, and no process holds more than one partition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from pipelines.formats import points_source
from pipelines.formats.bytestream import open_stored, read_at
from pipelines.formats.points_source import BLOCK_BYTES, Points
from storage.errors import KeyMissing
from storage.folder import Folder, require_space


@dataclass(frozen=True)
class StagedLayout:
    """Objects of values below a URL. starts: the first row of each of them, and the end."""

    url: str
    name: str
    starts: tuple[int, ...]
    d: int
    dtype: str
    needs_staging = False

    def part(self, start: int, stop: int) -> StagedLayout:
        return self

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        size = self.d * np.dtype(self.dtype).itemsize
        step = max(BLOCK_BYTES // size, 1)
        row = start
        while row < stop:
            k = bisect_right(self.starts, row) - 1
            behind = min(stop, self.starts[k + 1])
            with ExitStack() as close:
                file = open_stored(f"{self.url}/{key_of(k)}", close)
                for first in range(row, behind, step):
                    count = min(step, behind - first)
                    data = read_at(file, (first - self.starts[k]) * size, count * size, self.url)
                    if len(data) < count * size:
                        raise points_source.ends_early(self.name, first, self.starts[-1])
                    yield np.frombuffer(data, self.dtype).reshape(-1, self.d)
            row = behind


def staged(
    points: Points,
    folder: Folder,
    prefix: str,
    ranges: Sequence[tuple[int, int]],
    *,
    finite: bool = True,
) -> Points:
    """The same points, with rows that can be read alone; the points themselves where they can be.

    ranges: (start, stop) of each partition, from row 0 to the last without a gap. Objects that an
    earlier call left whole under prefix are kept. finite: NaN and infinite values are refused.
    Raises NoSpace, StorageError, InputProblem.
    """
    if not points.layout.needs_staging:
        return points
    starts = (*[start for start, _ in ranges], points.n)
    size = points.d * points.dtype.itemsize
    if not all(
        _size(folder, f"{prefix}/{key_of(k)}") == (stop - start) * size
        for k, (start, stop) in enumerate(ranges)
    ):
        require_space(folder, points.n * size)
        for k, rows in enumerate(_parts(points, ranges, finite)):
            folder.put(f"{prefix}/{key_of(k)}", rows.tobytes())
    url = f"{folder.url.rstrip('/')}/{prefix}"
    return points.read_from(
        StagedLayout(url, points.layout.name, starts, points.d, str(points.dtype))
    )


def key_of(part: int) -> str:
    """Name of the object that holds a partition."""
    return f"{part:05d}"


def _parts(points: Points, ranges: Sequence[tuple[int, int]], finite: bool) -> Iterator[np.ndarray]:
    """The rows of each range, in one pass."""
    blocks = points.layout.blocks(0, points.n)
    block = np.empty((0, points.d))
    for start, stop in ranges:
        rows = np.empty((stop - start, points.d), points.dtype)
        done = 0
        while done < len(rows):
            if not len(block):
                block = next(blocks)
            taken = min(len(block), len(rows) - done)
            rows[done : done + taken] = block[:taken]
            block, done = block[taken:], done + taken
        if finite:
            points_source.check_finite(rows, points.layout.name, start)
        yield rows


def _size(folder: Folder, key: str) -> int | None:
    try:
        return folder.size(key)
    except KeyMissing:
        return None

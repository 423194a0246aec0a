"""Dissimilarities that were read from text or a compressed file, kept one object per band.

They were read once and lie in a temporary file of the driver; a worker may be on another machine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats.dissimilarities_source import (
    TILE_BYTES,
    Dissimilarities,
    Read,
    averaged,
    cuts,
)
from pipelines.formats.points_staged import key_of
from pipelines.formats.ranges import Ranges
from storage.errors import KeyMissing
from storage.folder import Folder, require_space


@dataclass(frozen=True)
class BandsLayout:
    """Objects below a URL, each of them rows of the square from the column of the first on.

    starts: the first row of each, and the end
    """

    name: str
    n: int
    kind: str
    url: str
    starts: tuple[int, ...]
    upper = True
    mirrored = False

    @property
    def stored(self) -> np.dtype:
        return np.dtype(self.kind)

    @property
    def grain(self) -> tuple[int, int]:
        return 1, self.n

    @property
    def tile(self) -> tuple[int, int]:
        return max(TILE_BYTES // (self.n * self.stored.itemsize), 1), self.n

    @contextmanager
    def reading(self) -> Iterator[Read]:
        with ExitStack() as close:
            files: dict[int, Ranges] = {}

            def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
                found = np.empty((bottom - top, right - left), self.stored)
                row = top
                while row < bottom:
                    k = bisect_right(self.starts, row) - 1
                    behind = min(bottom, self.starts[k + 1])
                    if k not in files:
                        files[k] = Ranges(f"{self.url}/{key_of(k)}", self.name, close)
                    found[row - top : behind - top] = self._rows(
                        files[k], k, row, behind, left, right
                    )
                    row = behind
                return found

            yield read

    def _rows(self, file: Ranges, k: int, *tile: int) -> np.ndarray:
        top, bottom, left, right = tile
        first, size = self.starts[k], self.stored.itemsize
        width = self.n - first
        starts = [((row - first) * width + left - first) * size for row in range(top, bottom)]
        data = file.read(starts, (right - left) * size)
        if data is None:
            text = f"what was kept of {self.name} for workers is damaged: row {top:,} is not there."
            raise InputProblem(text, remedy="Run the command again with --overwrite.")
        return data.view(self.kind)


def staged(
    given: Dissimilarities, folder: Folder, prefix: str, ranges: Sequence[tuple[int, int]]
) -> Dissimilarities:
    """The same dissimilarities, with bands that any worker can read.

    They themselves where that is so already. ranges: (start, stop) of each band, without a gap.
    Objects that an earlier call left whole under prefix are kept. Raises NoSpace, StorageError.
    """
    if given.held is None:
        return given
    n, size = given.n, given.dtype.itemsize
    sizes = [(stop - start) * (n - start) * size for start, stop in ranges]
    missing = [
        k for k, nbytes in enumerate(sizes) if _size(folder, f"{prefix}/{key_of(k)}") != nbytes
    ]
    require_space(folder, sum(sizes[k] for k in missing))
    for k in missing:
        folder.put_parts(f"{prefix}/{key_of(k)}", _rows(given, *ranges[k]))
    url = f"{folder.url.rstrip('/')}/{prefix}"
    starts = (*[start for start, _ in ranges], n)
    return replace(given, bands=BandsLayout(given.layout.name, n, given.dtype.str, url, starts))


def _rows(given: Dissimilarities, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of a band, a few rows at a time."""
    n = given.n
    step = max(TILE_BYTES // (n * given.dtype.itemsize), 1)
    with given.layout.reading() as read:
        for top, bottom in cuts(start, stop, step):
            block = read(top, bottom, start, n)
            if given.symmetrize:
                block = averaged(block, read(start, n, top, bottom).T, 1.0).astype(given.dtype)
            yield block.tobytes()


def _size(folder: Folder, key: str) -> int | None:
    try:
        return folder.size(key)
    except KeyMissing:
        return None

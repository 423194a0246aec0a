"""Dissimilarities whose numbers lie in files as they are: .npy, .npz, square or condensed."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats import points_npy, points_source
from pipelines.formats.bytestream import open_stored
from pipelines.formats.dissimilarities_source import TILE_BYTES, Read, not_square
from pipelines.formats.ranges import Ranges

USUAL_NAMES = ("distances", "dissimilarities", "data", "D")  # of the array meant among several


@dataclass(frozen=True)
class Part:
    """A file with the rows from `row` on. offset: bytes before them."""

    url: str
    row: int = 0
    offset: int = 0


@dataclass(frozen=True)
class SquareLayout:
    """All numbers row by row in one file or several. turned: column by column."""

    name: str
    n: int
    kind: str
    parts: tuple[Part, ...]
    turned: bool = False
    upper: bool = False
    mirrored = False

    @property
    def stored(self) -> np.dtype:
        return np.dtype(self.kind).newbyteorder("=")

    @property
    def grain(self) -> tuple[int, int]:
        return 1, self.n

    @property
    def tile(self) -> tuple[int, int]:
        """Squares, for the other half is read too."""
        side = math.isqrt(TILE_BYTES // self.stored.itemsize)
        return side, side

    @contextmanager
    def reading(self) -> Iterator[Read]:
        with ExitStack() as close:
            files: dict[str, Ranges] = {}

            def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
                if self.turned:
                    return self._rows(files, close, left, right, top, bottom).T
                return self._rows(files, close, top, bottom, left, right)

            yield read

    def _rows(
        self, files: dict[str, Ranges], close: ExitStack, top: int, bottom: int, *columns: int
    ) -> np.ndarray:
        size = np.dtype(self.kind).itemsize
        left, right = columns
        found = np.empty((bottom - top, right - left), self.stored)
        for part, behind in zip(self.parts, [*self.parts[1:], Part("", self.n)], strict=True):
            first, last = max(top, part.row), min(bottom, behind.row)
            if first >= last:
                continue
            if part.url not in files:
                files[part.url] = Ranges(part.url, self.name, close)
            starts = [
                part.offset + ((row - part.row) * self.n + left) * size
                for row in range(first, last)
            ]
            data = files[part.url].read(starts, (right - left) * size)
            if data is None:
                raise points_source.ends_early(self.name, first, self.n)
            found[first - top : last - top] = data.view(self.kind)
        return found


@dataclass(frozen=True)
class CondensedLayout:
    """The upper triangle without its diagonal, row by row, as scipy.spatial.distance.pdist."""

    name: str
    n: int
    kind: str
    url: str
    offset: int
    upper = True
    mirrored = False

    @property
    def stored(self) -> np.dtype:
        return np.dtype(self.kind).newbyteorder("=")

    @property
    def grain(self) -> tuple[int, int]:
        return 1, self.n

    @property
    def tile(self) -> tuple[int, int]:
        """Whole rows: they lie side by side."""
        return max(TILE_BYTES // (self.n * self.stored.itemsize), 1), self.n

    @contextmanager
    def reading(self) -> Iterator[Read]:
        with ExitStack() as close:
            file = Ranges(self.url, self.name, close)
            yield lambda *tile: self._block(file, *tile)

    def _block(self, file: Ranges, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        found = np.zeros((bottom - top, right - left), self.stored)
        first, last = self._at(top, max(left, top + 1)), self._at(bottom - 1, right)
        size = np.dtype(self.kind).itemsize
        data = file.read([self.offset + first * size], max(last - first, 0) * size)
        if data is None:
            raise points_source.ends_early(self.name, top, self.n)
        values = data[0].view(self.kind)
        for row in range(top, bottom):
            begin = max(left, row + 1)
            if begin < right:
                at = self._at(row, begin) - first
                found[row - top, begin - left :] = values[at : at + right - begin]
        return found

    def _at(self, row: int, column: int) -> int:
        return row * self.n - row * (row + 1) // 2 + column - row - 1


@dataclass(frozen=True)
class Flat:
    """What an .npy or .npz holds. packed: the member that must be decompressed first, or None."""

    array: points_npy.Array
    nbytes: int
    packed: str | None = None


def look(url: str, name: str, archive: bool) -> Flat:
    """The header of an .npy or, from an archive, .npz. Raises InputProblem."""
    with ExitStack() as close:
        file = open_stored(url, close)
        size = points_source.stored_size(file)
        if not archive:
            array, packed = points_npy.header_of(points_npy.first_bytes(file, name), name), None
        else:
            info, array = points_npy.find_member(file, name, USUAL_NAMES)
            packed = info.filename if info.compress_type != zipfile.ZIP_STORED else None
    if packed is None and size < array.offset + array.nbytes:
        text = f"{name} ends early: {size:,} bytes of {array.offset + array.nbytes:,}."
        raise InputProblem(text, remedy="Copy it again.")
    return Flat(array, size, packed)


def layout_of(array: points_npy.Array, url: str, name: str) -> SquareLayout | CondensedLayout:
    """How an array is read that lies in a file from its offset on. Raises InputProblem."""
    n = records_of(array.shape, name)
    if len(array.shape) == 1:
        return CondensedLayout(name, n, array.stored, url, array.offset)
    parts = (Part(url, 0, array.offset),)
    return SquareLayout(name, n, array.stored, parts, array.fortran and n > 1)


def records_of(shape: tuple[int, ...], name: str) -> int:
    """Records of a square, or of a condensed matrix. Raises InputProblem when it is neither."""
    if len(shape) == 2 and shape[0] == shape[1] > 0:
        return shape[0]
    if not all(shape):
        remedy = "Give the distances of at least one record."
        raise InputProblem(f"{name} holds no numbers.", remedy=remedy)
    if len(shape) != 1:
        raise not_square(name, shape)
    n = (1 + math.isqrt(1 + 8 * shape[0])) // 2
    if n * (n - 1) // 2 != shape[0]:
        text = f"{name} holds {shape[0]:,} numbers in one dimension, and no number of records has "
        text += f"so many pairs: {n:,} have {n * (n - 1) // 2:,}."
        raise InputProblem(text, remedy="Save a square, or the condensed form of pdist.")
    return n

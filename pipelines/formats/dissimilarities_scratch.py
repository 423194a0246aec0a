"""Numbers that can only be read from the start of a file, kept as they are in a temporary file."""

from __future__ import annotations

import os
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from pipelines.engine import scratch
from pipelines.formats.bytestream import BLOCK, open_stored
from pipelines.formats.points_npy import told
from storage.directory import raise_for


class Scratch:
    """A new file in the system's temporary folder. It goes when nobody holds this any more."""

    def __init__(self) -> None:
        folder = scratch.make()
        weakref.finalize(self, scratch.remove, folder)
        self.path = str(folder / "numbers")

    @contextmanager
    def writing(self) -> Iterator[int]:
        """The number of the open file. Raises NoSpace on a full disk."""
        number = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield number
        except OSError as error:
            raise_for(error, self.path)
        finally:
            os.close(number)


def unpack(url: str, name: str, member: str) -> Scratch:
    """A member of an .npz, decompressed. Raises InputProblem for damaged data."""
    held = Scratch()
    with ExitStack() as close, held.writing() as number:
        file = open_stored(url, close)
        with told(name), zipfile.ZipFile(file) as archive, archive.open(member) as values:
            while data := values.read(BLOCK):  # the end is where the checksum is compared
                write_all(number, data)
    return held


class TriangleWriter:
    """Rows of the lower triangle, written as columns of the upper one: (n, n) float64.

    Rows are held until some of them can be turned at once.
    """

    def __init__(self, number: int, n: int, batch_bytes: int = 16 * 2**20):
        self._number, self._n = number, n
        self._first = 0
        self._batch = np.zeros((max(batch_bytes // (8 * n), 1), n))
        self._held = 0
        os.ftruncate(number, 8 * n * n)  # what is not written is 0

    def add(self, values: np.ndarray) -> None:
        """The next row, as far as it is known."""
        self._batch[self._held, : len(values)] = values
        self._held += 1
        if self._held == len(self._batch):
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        first, behind = self._first, self._first + self._held
        turned = np.ascontiguousarray(self._batch[: self._held, :behind].T)
        for row in range(behind):
            begin = max(first, row)
            piece = turned[row, begin - first :]
            write_all(self._number, piece.data, 8 * (row * self._n + begin))
        self._first, self._held = behind, 0
        self._batch[:] = 0


def write_all(number: int, data: bytes | memoryview, at: int | None = None) -> None:
    """Write to an open file, at its end or at a place."""
    view = memoryview(data).cast("B")
    while view:
        count = os.write(number, view) if at is None else os.pwrite(number, view, at)
        view = view[count:]
        at = None if at is None else at + count

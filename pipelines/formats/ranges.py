"""Many short ranges of bytes of one stored file, read together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

import numpy as np

from pipelines.formats.bytestream import open_stored, read_at
from storage.errors import StorageError
from storage.folder import split_url


class Ranges:
    """An open stored file. read(starts, nbytes) -> (len(starts), nbytes) uint8, or None where it
    ends before that. Raises StorageError."""

    def __init__(self, url: str, name: str, close: ExitStack):
        self._name, self._url = name, url
        self._file: IO[bytes] = open_stored(url, close)
        self._is_local = split_url(url)[0] == "file"

    def read(self, starts: Sequence[int], nbytes: int) -> np.ndarray | None:
        found = np.empty((len(starts), nbytes), np.uint8)
        if not found.size:
            return found
        if self._is_local:
            number = self._file.fileno()
            for row, start in zip(found, starts, strict=True):
                if not _read_into(number, row, start):
                    return None
            return found
        if len(starts) == 1:
            parts = [read_at(self._file, starts[0], nbytes, self._name)]
        else:
            parts = self._read_many(starts, nbytes)
        if any(len(part) < nbytes for part in parts):
            return None
        for row, part in zip(found, parts, strict=True):
            row[:] = np.frombuffer(part, np.uint8)
        return found

    def _read_many(self, starts: Sequence[int], nbytes: int) -> list[bytes]:
        """One request each, many at a time."""
        import fsspec

        try:
            files, path = fsspec.core.url_to_fs(self._url)
            ends = [start + nbytes for start in starts]
            return files.cat_ranges([path] * len(ends), list(starts), ends, on_error="raise")
        except Exception as error:  # each remote library has its own
            text = f"{self._name}: reading stopped at byte {starts[0]:,}: {error}."
            raise StorageError(text, remedy="Try again, or copy the file here first.") from error


@contextmanager
def ranges_of(url: str, name: str) -> Iterator[Ranges]:
    """The file at a path or URL, open."""
    with ExitStack() as close:
        yield Ranges(url, name, close)


def _read_into(number: int, row: np.ndarray, start: int) -> bool:
    """Whether all of the row could be read."""
    view = memoryview(row)
    while view:
        count = os.preadv(number, [view], start)
        if not count:
            return False
        view, start = view[count:], start + count
    return True

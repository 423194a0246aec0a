"""A tier on a local disk: one file per key, mapped into memory to be read.

What is read was checked to be what was written; a damaged file is never handed out. Files are
private to their owner and do not outlive it, so nothing waits for the disk to have them.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from storage.directory import raise_for, temporary_name
from storage.errors import Damaged, KeyMissing, TierFull
from storage.folder import check_key, readable_bytes
from storage.tier import Buffer, flat

MAGIC = b"whorl-t1"
HEAD = struct.Struct("<8sII")  # magic, number of buffers, checksum of the entries
ENTRY = struct.Struct("<QQ")  # of a buffer: its bytes, its checksum
ALIGNED = 64  # every buffer starts at a multiple: of a vector register, of a cache line
WORDS = 8192  # hashed into one word
# Odd multipliers: whichever single word of a block changes, its hash does
MULTIPLIERS = np.random.default_rng(64).integers(0, 2**63, WORDS, dtype=np.uint64) * 2 + 1


class DiskTier:
    """A Tier in a folder of its own, which is made with the first file."""

    name = "disk"

    def __init__(self, path: str, capacity_bytes: int | None = None) -> None:
        self.path = os.path.abspath(path)
        self.capacity_bytes = capacity_bytes

    @property
    def used_bytes(self) -> int:
        used = 0
        for parent, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):
                    used += os.stat(os.path.join(parent, name)).st_size
        return used

    def put(self, key: str, buffers: Sequence[Buffer]) -> None:
        path, views = self._path(key), [flat(buffer) for buffer in buffers]
        starts, nbytes = _layout([view.nbytes for view in views])
        self._require_room(key, path, nbytes)
        temporary = temporary_name(path)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(temporary, "xb") as file:
                file.write(_header(views))
                for start, view in zip(starts, views, strict=True):
                    file.write(bytes(start - file.tell()))
                    file.write(view)
            os.replace(temporary, path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TierFull(f"{path}: the disk is full.", tier=self.name, key=key) from error
            raise_for(error, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)

    def get(self, key: str) -> list[memoryview]:
        return self._views(key, self._map(key))

    @contextmanager
    def open(self, key: str) -> Iterator[list[memoryview]]:
        mapping = self._map(key)
        views: list[memoryview] = []
        try:
            views = self._views(key, mapping)
            yield views
        finally:
            # whatever still looks at it would read the file again
            mapping.madvise(mmap.MADV_DONTNEED)
            with suppress(BufferError):  # an array is still there, and closes it when it goes
                for view in views:
                    view.release()
                mapping.close()

    def exists(self, key: str) -> bool:
        return os.path.exists(self._path(key))

    def size(self, key: str) -> int:
        mapping = self._map(key)
        try:
            return sum(nbytes for nbytes, _ in self._entries(key, mapping))
        finally:
            mapping.close()

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self._path(key))

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _path(self, key: str) -> str:
        return os.path.join(self.path, check_key(key))

    def _require_room(self, key: str, path: str, nbytes: int) -> None:
        if self.capacity_bytes is None:
            return
        freed = os.path.getsize(path) if os.path.exists(path) else 0
        used = self.used_bytes
        if used - freed + nbytes > self.capacity_bytes:
            raise TierFull(
                f"{path}: {readable_bytes(nbytes)} do not fit, {readable_bytes(used)} of "
                f"{readable_bytes(self.capacity_bytes)} taken.",
                tier=self.name,
                key=key,
            )

    def _map(self, key: str) -> mmap.mmap:
        """The file, mapped so that arrays on it may be written to and the file never is."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                nbytes = os.fstat(file.fileno()).st_size
                if nbytes < HEAD.size:
                    raise self._damaged(key)
                mapping = mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_COPY)
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(f"{self.path} holds no {key}.", tier=self.name, key=key) from None
        except OSError as error:
            raise_for(error, path)
        mapping.madvise(mmap.MADV_WILLNEED)
        return mapping

    def _views(self, key: str, mapping: mmap.mmap) -> list[memoryview]:
        """The buffers in a mapped file. Raises Damaged unless all are as they were put."""
        entries = self._entries(key, mapping)
        starts, _ = _layout([nbytes for nbytes, _ in entries])
        whole = memoryview(mapping)
        views = []
        for start, (nbytes, checksum) in zip(starts, entries, strict=True):
            view = whole[start : start + nbytes]
            if checksum_of(view) != checksum:
                raise self._damaged(key)
            views.append(view)
        return views

    def _entries(self, key: str, mapping: mmap.mmap) -> list[tuple[int, int]]:
        magic, count, checksum = HEAD.unpack(mapping[: HEAD.size])
        table = mapping[HEAD.size : HEAD.size + count * ENTRY.size]
        if magic != MAGIC or len(table) != count * ENTRY.size or zlib.crc32(table) != checksum:
            raise self._damaged(key)
        entries: list[Any] = list(ENTRY.iter_unpack(table))
        if _layout([nbytes for nbytes, _ in entries])[1] != len(mapping):
            raise self._damaged(key)
        return entries

    def _damaged(self, key: str) -> Damaged:
        path = self._path(key)
        return Damaged(f"{path} is not as it was written.", tier=self.name, key=key)


def checksum_of(view: memoryview) -> int:
    """32 bits over the bytes, three times as fast as a CRC of them all (a CRC of hashes)."""
    block = WORDS * 8
    whole = view.nbytes // block * block
    words = np.frombuffer(view[:whole], np.uint64) if whole else np.empty(0, np.uint64)
    hashes = words.reshape(-1, WORDS) @ MULTIPLIERS
    return zlib.crc32(view[whole:], zlib.crc32(hashes.tobytes()))


def _layout(sizes: Sequence[int]) -> tuple[list[int], int]:
    """(start of each buffer in the file, bytes of the file)."""
    starts, end = [], HEAD.size + ENTRY.size * len(sizes)
    for nbytes in sizes:
        starts.append(-(-end // ALIGNED) * ALIGNED)
        end = starts[-1] + nbytes
    return starts, end


def _header(views: Sequence[memoryview]) -> bytes:
    table = b"".join(ENTRY.pack(view.nbytes, checksum_of(view)) for view in views)
    return HEAD.pack(MAGIC, len(views), zlib.crc32(table)) + table

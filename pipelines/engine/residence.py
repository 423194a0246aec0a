"""Where the data of the partitions of a process live: memory, the disk below it, or their source.

Iterations sweep over the partitions, round and round. The one used least recently is then the next
one wanted, so nothing is exchanged: what was loaded first stays in memory, the rest is mapped from
the disk for as long as it is used. What a map keeps in Partition.memory counts as memory too but
is never spilled: data make room for it, the last loaded first.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import os
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from pipelines.engine.arrays import (
    Form,
    arrays_of,
    buffers_of,
    copy_of,
    form_of,
    nbytes_within,
    owned,
)
from pipelines.engine.job import Partition
from storage.disk import DiskTier
from storage.errors import StorageError, TierFull
from storage.memory import MemoryTier

MOST_NOTES = 10
LARGE_BYTES = 4 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

log = logging.getLogger(__name__)
_numbers = itertools.count()


class Kept:
    """One partition that was loaded. `lock` is held by whoever loads, uses or moves it."""

    def __init__(self, index: int) -> None:
        self.index, self.number = index, next(_numbers)
        self.name = f"{self.number}-{index}"  # in the tiers: no other one ever has it
        self.lock = threading.RLock()
        self.load: Callable[[Any], Any]
        self.source: Any = None
        self.form: Form | None = None  # None until it is loaded
        self.nbytes = 0
        self.tier: MemoryTier | DiskTier | None = None  # None: ask the source
        self.partition: Partition | None = None  # while its data are in memory
        self.memory: dict[str, Any] = {}
        self.memory_bytes = 0
        self.is_dropped = False
        self.source_reads = self.memory_hits = self.disk_hits = 0
        self.spilled_bytes = self.damaged = 0

    @property
    def tier_name(self) -> str:
        return self.tier.name if self.tier is not None else "source"


class Residence:
    """Holds data within a limit. Methods that take a Kept are called with its lock held."""

    def __init__(self) -> None:
        self.notes: list[str] = []  # what went wrong with the disk, each once
        self._lock = threading.Lock()  # held for moments, never while something is read or written
        self._moving = threading.Lock()  # held by who makes room
        self._memory = MemoryTier()
        self._in_memory: dict[int, Kept] = {}
        self._limit: int | None = None
        self._memory_bytes = 0  # of all Partition.memory
        self._disk: DiskTier | None = None
        self._disk_is_full = False
        self._has_new_room = False

    def configure(self, memory_bytes: int | None, folder: str | None) -> None:
        if memory_bytes is not None:
            free_means_free()
        with self._lock:
            self._limit = memory_bytes
            self._set_capacity()
            if folder is None:
                self._disk = None
            elif self._disk is None or os.path.dirname(self._disk.path) != os.path.abspath(folder):
                name = f"partitions-{os.getpid()}-{uuid.uuid4().hex[:8]}"
                self._disk = DiskTier(os.path.join(folder, name))
        self.expect_room()
        self.make_room()

    def expect_room(self) -> None:
        """Something was dropped: what is on the disk may come back, and the disk be written to."""
        self._has_new_room, self._disk_is_full = True, False

    def read(self, kept: Kept) -> Any:
        """Data from the source. Raises what load raises, and TypeError unless it gives arrays."""
        data = owned(kept.load(kept.source), kept.source)
        kept.source_reads += 1
        return data

    def settle(self, kept: Kept, data: Any) -> None:
        """Find a place for data: memory, else the disk, else nowhere."""
        buffers = buffers_of(data)
        kept.form, kept.nbytes = form_of(data), sum(buffer.nbytes for buffer in buffers)
        try:
            self._memory.put(kept.name, buffers)
        except TierFull:
            self._spill(kept, buffers)
            return
        with self._lock:
            if kept.is_dropped:
                self._memory.delete(kept.name)
                return
            kept.tier, kept.partition = self._memory, Partition(kept.index, data, kept.memory)
            self._in_memory[kept.number] = kept

    def open(self, kept: Kept) -> tuple[Any, AbstractContextManager[Any] | None]:
        """Data that are not in memory, and what to exit after their use."""
        if isinstance(kept.tier, DiskTier) and not kept.is_dropped:
            opened = kept.tier.open(kept.name)
            try:
                data = arrays_of(kept.form or (), opened.__enter__())
            except StorageError as error:
                kept.damaged += 1
                kept.tier.delete(kept.name)
                kept.tier = None
                self._note(f"{error} The source was read again.")
            else:
                kept.disk_hits += 1
                if self._has_new_room and self._promote(kept, data):
                    opened.__exit__(None, None, None)
                    return kept.partition.data if kept.partition else copy_of(data), None
                return data, opened
        data = self.read(kept)
        self.settle(kept, data)
        return data, None

    def weigh(self, kept: Kept) -> None:
        """Count what a map left in Partition.memory, and make room for it."""
        nbytes = nbytes_within(kept.memory) if kept.memory else 0
        if nbytes != kept.memory_bytes:
            with self._lock:
                if not kept.is_dropped:
                    self._memory_bytes += nbytes - kept.memory_bytes
                    kept.memory_bytes = nbytes
                    self._set_capacity()
        self.make_room()

    def make_room(self) -> None:
        """Spill what was loaded last until memory is within its limit; passes over what is used."""
        if not self._is_over():
            return
        with self._moving:
            with self._lock:
                candidates = sorted(self._in_memory.values(), key=lambda kept: -kept.number)
            for kept in candidates:
                if not self._is_over():
                    break
                if kept.lock.acquire(blocking=False):
                    try:
                        self._evict(kept)
                    finally:
                        kept.lock.release()
        give_back_memory()

    def forget(self, kept: Kept) -> None:
        """Drop a partition, also while it is used or loaded: its lock need not be held."""
        with self._lock:
            kept.is_dropped, kept.partition = True, None
            self._in_memory.pop(kept.number, None)
            self._memory_bytes -= kept.memory_bytes
            kept.memory_bytes = 0
            self._set_capacity()
            self._memory.delete(kept.name)
            tier = kept.tier
        if isinstance(tier, DiskTier):
            tier.delete(kept.name)

    def close(self) -> None:
        """Remove the folder on the disk; a new one is made when it is wanted again."""
        if self._disk is not None:
            self._disk.remove()

    def _set_capacity(self) -> None:
        if self._limit is None:
            self._memory.capacity_bytes = None
        else:
            self._memory.capacity_bytes = max(0, self._limit - self._memory_bytes)

    def _is_over(self) -> bool:
        capacity = self._memory.capacity_bytes
        return capacity is not None and self._memory.used_bytes > capacity

    def _spill(self, kept: Kept, buffers: list[memoryview]) -> None:
        kept.tier, disk = None, self._disk
        if disk is None or self._disk_is_full:
            return
        try:
            disk.put(kept.name, buffers)
        except StorageError as error:
            self._disk_is_full = True
            self._note(f"{error} What does not fit into memory is read from its source each time.")
            return
        kept.spilled_bytes += kept.nbytes
        with self._lock:
            kept.tier = disk
            is_dropped = kept.is_dropped
        if is_dropped:
            disk.delete(kept.name)

    def _evict(self, kept: Kept) -> None:
        if kept.partition is None or kept.is_dropped:
            return
        self._spill(kept, buffers_of(kept.partition.data))
        with self._lock:
            kept.partition = None
            self._in_memory.pop(kept.number, None)
            self._memory.delete(kept.name)

    def _promote(self, kept: Kept, data: Any) -> bool:
        """Back into memory, where something else was dropped."""
        disk, capacity = kept.tier, self._memory.capacity_bytes
        if capacity is not None and self._memory.used_bytes + kept.nbytes > capacity:
            self._has_new_room = False
            return False
        self.settle(kept, copy_of(data))
        if kept.partition is None:
            return False
        if isinstance(disk, DiskTier):
            disk.delete(kept.name)
        return True

    def _note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(text)
            log.warning(text)


def free_means_free() -> None:
    """Have the C library return large arrays to the system when they are freed.

    By default glibc keeps as much as was ever freed at once, in each thread: a partition or more.
    """
    with suppress(OSError, AttributeError):  # another C library: it may do as it likes
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * LARGE_BYTES)


def give_back_memory() -> None:
    """Return what is free between smaller arrays, too."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

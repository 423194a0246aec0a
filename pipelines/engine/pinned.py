"""The partitions that this process holds, by key and index. What stays where: `residence.py`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pipelines.engine.errors import PartitionMissing
from pipelines.engine.job import Partition
from pipelines.engine.residence import Kept, Residence, give_back_memory


@dataclass(frozen=True)
class Loaded:
    """What load() did. tier: 'memory' | 'disk' | 'source' (neither had room)."""

    nbytes: int
    seconds: float
    tier: str


@dataclass(frozen=True)
class Counts:
    """What happened to the partitions of a key in this process.

    source_reads   times a source was read; once per partition where memory or disk had room
    memory_hits, disk_hits  uses of a partition out of memory, or mapped from the disk
    spilled_bytes  written to the disk
    damaged        files that were not as written: dropped, and the source read again
    notes          what went wrong with the disk, each once
    """

    source_reads: int = 0
    memory_hits: int = 0
    disk_hits: int = 0
    spilled_bytes: int = 0
    damaged: int = 0
    notes: tuple[str, ...] = ()


COUNTED = ("source_reads", "memory_hits", "disk_hits", "spilled_bytes", "damaged")


class PartitionCache:
    """All methods may be called from any thread; two uses of one partition wait for each other."""

    def __init__(self, memory_bytes: int | None = None, folder: str | None = None) -> None:
        self._residence = Residence()
        self._held: dict[tuple[str, int], Kept] = {}
        self._past: dict[str, dict[str, int]] = {}  # counts of what was dropped, by key
        self._gone = dict.fromkeys(COUNTED, 0)  # counts of keys that were dropped
        self._lock = threading.Lock()
        self.configure(memory_bytes, folder)

    def configure(self, memory_bytes: int | None, folder: str | None) -> None:
        """Limits from now on; None is no limit, or no disk cache.

        memory_bytes  for data and Partition.memory together; what is over it is spilled now
        folder        gets a subfolder, whose files go with their partitions
        """
        self._residence.configure(memory_bytes, folder)

    def load(self, key: str, index: int, load: Callable[[Any], Any], source: Any) -> Loaded:
        """Hold load(source), an array or a dict of arrays, as partition `index` of `key`.

        Nothing is done when it is held already. Raises what load raises, and TypeError for a
        result of another kind.
        """
        with self._lock:
            kept = self._held.setdefault((key, index), Kept(index))
        with kept.lock:
            if kept.form is not None:
                return Loaded(kept.nbytes, 0.0, kept.tier_name)
            started = time.perf_counter()
            kept.load, kept.source = load, source
            self._residence.settle(kept, self._residence.read(kept))
            return Loaded(kept.nbytes, time.perf_counter() - started, kept.tier_name)

    def use(self, key: str, index: int) -> Use:
        """`with cache.use(key, index) as partition`: its data are there inside the block only.

        When the block raises, Partition.memory is emptied: it may be half done.
        Raises PartitionMissing unless it was loaded here.
        """
        kept = self._held.get((key, index))
        if kept is None or kept.form is None:
            raise PartitionMissing(key, index)
        return Use(self._residence, kept)

    def held(self, key: str) -> dict[int, int]:
        """Bytes of each partition that was loaded, by index."""
        return {kept.index: kept.nbytes for kept in self._of(key) if kept.form is not None}

    def counts(self, key: str) -> Counts:
        with self._lock:
            sums = dict(self._past.get(key, {}))
            _add(sums, (kept for each, kept in self._held.items() if each[0] == key))
        return Counts(**sums, notes=tuple(self._residence.notes))

    def totals(self) -> Counts:
        """Of all keys of this process, those that were dropped too."""
        with self._lock:
            sums = dict(self._gone)
            for past in self._past.values():
                for name in COUNTED:
                    sums[name] += past[name]
            _add(sums, self._held.values())
        return Counts(**sums, notes=tuple(self._residence.notes))

    def drop(self, key: str, indices: Iterable[int] | None = None) -> None:
        """Forget partitions, by default all of a key and its counts; whoever uses one may go on."""
        chosen = [kept.index for kept in self._of(key)] if indices is None else list(indices)
        for index in chosen:
            with self._lock:
                kept = self._held.pop((key, index), None)
                if kept is None:
                    continue
                _add(self._past.setdefault(key, {}), [kept])
            self._residence.forget(kept)
        if indices is None:
            with self._lock:
                for name, count in self._past.pop(key, {}).items():
                    self._gone[name] += count
        with self._lock:
            if not self._held:
                self._residence.close()
        self._residence.expect_room()
        give_back_memory()

    def close(self) -> None:
        """Drop everything and remove the files. It may be used again afterwards."""
        with self._lock:
            keys = {key for key, _ in self._held}
        for key in keys:
            self.drop(key)
        self._residence.close()

    def _of(self, key: str) -> list[Kept]:
        with self._lock:
            return [self._held[each] for each in sorted(self._held) if each[0] == key]


def _add(sums: dict[str, int], kept: Iterable[Kept]) -> None:
    for name in COUNTED:
        sums.setdefault(name, 0)
    for each in kept:
        for name in COUNTED:
            sums[name] += getattr(each, name)


class Use:
    """A partition in use. A class, not a generator: an iteration may be 0.1 ms for 64 of them."""

    __slots__ = ("_kept", "_opened", "_residence")

    def __init__(self, residence: Residence, kept: Kept) -> None:
        self._residence, self._kept = residence, kept
        self._opened: AbstractContextManager[Any] | None = None

    def __enter__(self) -> Partition:
        kept = self._kept
        kept.lock.acquire()
        partition = kept.partition
        if partition is not None:
            kept.memory_hits += 1
            return partition
        try:
            data, self._opened = self._residence.open(kept)
        except BaseException:
            kept.lock.release()
            raise
        return Partition(kept.index, data, kept.memory)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        kept = self._kept
        try:
            if kind is not None:
                kept.memory.clear()
            if self._opened is not None:
                self._opened.__exit__(None, None, None)
            self._residence.weigh(kept)
        finally:
            kept.lock.release()


_CACHE = PartitionCache()


def cache() -> PartitionCache:
    """The cache of this process."""
    return _CACHE


def configure(memory_bytes: int | None, folder: str | None) -> None:
    """See PartitionCache.configure."""
    _CACHE.configure(memory_bytes, folder)

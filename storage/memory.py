"""A tier in this process: holds on to the buffers it is given, without a copy."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from storage.errors import KeyMissing, TierFull
from storage.folder import check_key, readable_bytes
from storage.tier import Buffer, flat


class MemoryTier:
    """A Tier. A pickled one arrives empty: memory does not travel."""

    name = "memory"

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self._held: dict[str, list[memoryview]] = {}
        self._used = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"capacity_bytes": self.capacity_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def used_bytes(self) -> int:
        return self._used

    def put(self, key: str, buffers: Sequence[Buffer]) -> None:
        views = [flat(buffer) for buffer in buffers]
        nbytes = _nbytes(views)
        with self._lock:
            more = nbytes - _nbytes(self._held.get(check_key(key), ()))
            if self.capacity_bytes is not None and self._used + more > self.capacity_bytes:
                raise TierFull(
                    f"memory: {readable_bytes(nbytes)} of {key} do not fit, "
                    f"{readable_bytes(self._used)} of {readable_bytes(self.capacity_bytes)} taken.",
                    tier=self.name,
                    key=key,
                )
            self._held[key] = views
            self._used += more

    def get(self, key: str) -> list[memoryview]:
        try:
            return list(self._held[key])
        except KeyError:
            raise KeyMissing(f"memory holds no {key}.", tier=self.name, key=key) from None

    @contextmanager
    def open(self, key: str) -> Iterator[list[memoryview]]:
        yield self.get(key)

    def exists(self, key: str) -> bool:
        return key in self._held

    def size(self, key: str) -> int:
        return _nbytes(self.get(key))

    def delete(self, key: str) -> None:
        with self._lock:
            self._used -= _nbytes(self._held.pop(key, ()))


def _nbytes(views: Sequence[memoryview]) -> int:
    return sum(view.nbytes for view in views)

"""What a tier of storage offers: bytes by key. It knows no policy, no types and no Dask.

A value is a list of buffers, as arrays are written without copying them together. It is put whole
or not at all, and is not changed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class Tier(Protocol):
    """name: for people     capacity_bytes: None where nothing but the machine is the limit.

    Picklable; a method may be called from any thread. `get`, `open` and `size` raise KeyMissing.
    """

    name: str
    capacity_bytes: int | None

    @property
    def used_bytes(self) -> int:
        """Bytes that count towards the capacity."""

    def put(self, key: str, buffers: Sequence[Buffer]) -> None:
        """Keep the buffers, instead of what the key had. Raises TierFull, and nothing changed."""

    def get(self, key: str) -> list[memoryview]:
        """The buffers, for as long as somebody holds on to them. Raises Damaged."""

    def open(self, key: str) -> AbstractContextManager[list[memoryview]]:
        """The buffers, for the length of a with block: then their memory is given back."""

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """Bytes of all buffers of a key."""

    def delete(self, key: str) -> None:
        """Forget a key; a missing one is no error. Who has its buffers may go on using them."""


def flat(buffer: Buffer) -> memoryview:
    """The bytes of a contiguous buffer of any type, uncopied."""
    view = memoryview(buffer)
    if view.nbytes == 0:  # cast refuses shapes with a zero
        return memoryview(b"")
    return view.cast("B")

"""A folder of immutable objects: a directory or a prefix of an object store, under one protocol.

A key is a relative path with "/" ("distances.zarr/c/0/1"). An object appears whole or not at
all: a directory gets a temporary name, fsync and rename; an object store gets one PUT.

Credentials are looked up by each process in its own environment. `storage_options` travel inside
the pickled folder, so they hold addresses and profile names, never secrets.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, Protocol

from storage.errors import NoSpace, StorageError


class Folder(Protocol):
    """What every place offers. Picklable; a method may be called from any thread.

    url: as given, for people     is_local: True for a directory
    All methods raise StorageError (one line naming the place), `get` and `size` raise KeyMissing.
    """

    url: str
    is_local: bool

    def put(self, key: str, data: bytes) -> None:
        """Write or replace one object, whole or not at all. Raises NoSpace."""

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        """As put(), of data that comes in parts and need not fit into memory."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write unless the key exists; True when this call wrote it."""

    def get(self, key: str) -> bytes:
        """All bytes of one object."""

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The objects of those keys that exist."""

    def exists(self, key: str) -> bool:
        """True for an object or for a prefix that holds one."""

    def size(self, key: str) -> int:
        """Bytes of one object."""

    def names(self) -> list[str]:
        """Sorted names at the top of the folder, files and subfolders."""

    def list(self, prefix: str = "") -> list[str]:
        """Sorted keys of all objects under prefix, temporary names left out."""

    def delete(self, key: str) -> None:
        """Remove one object; a missing one is no error."""

    def delete_tree(self, prefix: str) -> None:
        """Remove everything under prefix ("" is the whole folder)."""

    def free_bytes(self) -> int | None:
        """Bytes that can still be written here; None where there is no such limit."""

    def sweep(self, prefix: str = "") -> int:
        """Remove temporary names that killed writers left; how many there were."""


def open_folder(url: str, **storage_options: Any) -> Folder:
    """The folder at a path or URL. Nothing is created or contacted.

    A path or file:// is a directory; other protocols (s3, abfs, memory...) go through fsspec.
    Raises StorageError when the protocol is unknown or its library is not installed.
    """
    protocol, path = split_url(url)
    if protocol == "file":
        from storage.directory import Directory

        return Directory(path, url=url)
    from storage.objects import ObjectFolder

    return ObjectFolder(url, storage_options)


def split_url(url: str) -> tuple[str, str]:
    """("file", path) for paths and file:// URLs, (protocol, rest) for others."""
    protocol, separator, rest = url.partition("://")
    if not separator:
        return "file", url
    if protocol in ("file", "local"):
        return "file", rest
    return protocol, rest


def check_key(key: str) -> str:
    """The key itself. Raises StorageError for an absolute key, "..", or an empty part."""
    parts = key.split("/")
    if not key or any(part in ("", ".", "..") for part in parts) or "\0" in key:
        raise StorageError(f'"{key}" is not a key: a relative path without ".." is expected.')
    return key


def require_space(folder: Folder, needed: int, *, kept: int = 0) -> None:
    """Raise NoSpace when `needed` bytes do not fit; `kept` bytes are there already or get freed."""
    free = folder.free_bytes()
    if free is None or needed <= free + kept:
        return
    raise NoSpace(
        f"{readable_bytes(needed)} needed under {folder.url.rstrip(os.sep)}/, "
        f"{readable_bytes(free)} free.",
        remedy="Free some space, or choose another output folder.",
    )


def readable_bytes(nbytes: int) -> str:
    """For people: "61 GiB", "1.2 MiB", "512 B"."""
    if nbytes < 1024:
        return f"{nbytes} B"
    power = min(int(math.log(nbytes, 1024)), 5)
    value = nbytes / 1024**power
    digits = 1 if value < 10 else 0
    return f"{value:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[power]}"

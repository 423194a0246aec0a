"""Points in a zarr array (format 2 or 3): workers read the chunks that hold their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import open_stored, read_at
from pipelines.formats.points_source import BLOCK_BYTES, Points

MARKS = frozenset({"zarr.json", ".zarray", ".zgroup"})  # a folder with one of these is zarr's


@dataclass(frozen=True)
class ZarrLayout:
    """An array, or the member of a group; read in bands of whole chunks."""

    url: str
    name: str
    member: str  # "" for an array
    chunk_rows: int
    needs_staging = False

    def part(self, start: int, stop: int) -> ZarrLayout:
        return self

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        array = node_of(self.url, self.name)
        array = array[self.member] if self.member else array
        band = max(BLOCK_BYTES // (array.shape[1] * array.dtype.itemsize), 1)
        band = max(band // self.chunk_rows, 1) * self.chunk_rows
        row = start
        while row < stop:
            behind = min((row // band + 1) * band, stop)
            try:
                yield np.asarray(array[row:behind])
            except Exception as error:  # codecs and stores each have their own
                text = f"{self.name}: rows {row:,} to {behind - 1:,} cannot be read: {error}"
                raise InputProblem(text, remedy="Copy it again.") from error
            row = behind


def open_zarr(url: str, name: str, *, check: bool = True) -> Points:
    """A 2-D zarr array, or the one in a group, or that named points, as Points.

    "sha256" is that of shape, dtype and values in row order, whatever the chunks; of larger
    arrays "sha256_of_samples" is that of the names and sizes of all stored objects and of the
    first 256 KiB of 64 of them.
    """
    node = node_of(url, name)
    member = ""
    if not hasattr(node, "shape"):
        members = {key: item for key, item in node.members() if hasattr(item, "shape")}
        member = points_source.chosen_member(sorted(members), name, "array")
        node = members[member]
    points_source.check_shape(node.shape, name)
    dtype = points_source.kept_dtype(node.dtype, name)
    layout = ZarrLayout(url, name, member, int(node.chunks[0]))
    n, d = map(int, node.shape)
    objects = objects_of(url)
    checked = check and n * d * node.dtype.itemsize <= points_source.CHECKED_BYTES
    if checked:
        digest = _hash_values(layout, n, d, node.dtype)
    else:
        digest = hash_objects(url, objects, name)
    nbytes = sum(objects.values())
    return Points(
        url, "zarr", n, d, dtype, None, None, nbytes,
        points_source.identity(url, nbytes, n, digest, whole=checked),
        points_source.layout_warnings(name, n, d), checked, layout,
    )  # fmt: skip


def node_of(url: str, name: str) -> Any:
    """The array or group at url. InputProblem when there is none."""
    import zarr

    try:
        return zarr.open(store_of(url, read_only=True), mode="r")
    except Exception as error:  # damaged metadata, a missing codec
        raise InputProblem(f"{name} is no readable zarr array: {error}") from error


def store_of(url: str, *, read_only: bool) -> Any:
    """What zarr reads and writes through: a path, or the connections that fsspec has and closes."""
    if "://" not in url.removeprefix("file://"):
        return url.removeprefix("file://")
    import fsspec
    import zarr
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    files, path = fsspec.core.url_to_fs(url)
    files = AsyncFileSystemWrapper(files, asynchronous=True)
    return zarr.storage.FsspecStore(files, read_only=read_only, path=path)


def _hash_values(layout: ZarrLayout, n: int, d: int, stored: np.dtype) -> str:
    """sha256 of the values; InputProblem for one that is not finite."""
    digest, row = hashlib.sha256(f"{n} {d} {stored.newbyteorder('<').str}".encode()), 0
    for block in layout.blocks(0, n):
        if stored.kind == "f":
            points_source.check_finite(block, layout.name, row)
        digest.update(np.ascontiguousarray(block, stored.newbyteorder("<")).data)
        row += len(block)
    return digest.hexdigest()


def objects_of(url: str) -> dict[str, int]:
    """Bytes of each stored object, by its key below url."""
    import fsspec

    files, top = fsspec.core.url_to_fs(url)
    found = files.find(top, detail=True)
    return {path.removeprefix(top).strip("/"): int(info["size"]) for path, info in found.items()}


def hash_objects(url: str, objects: dict[str, int], name: str) -> str:
    digest = hashlib.sha256(repr(sorted(objects.items())).encode())
    keys = sorted(objects)
    for key in keys[:: max(len(keys) // points_source.SAMPLES, 1)]:
        with ExitStack() as close:
            file = open_stored(f"{url.rstrip('/')}/{key}", close)
            digest.update(read_at(file, 0, points_source.SAMPLE_BYTES, name))
    return digest.hexdigest()

"""Chunks of a zarr 3 array decoded here, where they are plain: numbers, perhaps zstd, perhaps a
crc32c. zarr itself takes a millisecond for each, and always decodes whole chunks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import DamagedResult, InputProblem, UsageProblem, WhorlError
from pipelines.formats.ranges import Ranges
from storage.errors import KeyMissing
from storage.folder import open_folder

_REMEDY = "Copy it again, or run what made it with --resume."


@dataclass(frozen=True)
class PlainChunks:
    """The chunks of a two-dimensional array at a url.

    chunk   rows and columns of one; kind: dtype as stored
    zstd    whether they are compressed; crc: whether each ends with a checksum
    fill    the number that absent ones stand for; None: none may be absent
    ours    whether damage is that of a result
    """

    url: str
    name: str
    chunk: tuple[int, int]
    kind: str
    zstd: bool
    crc: bool
    fill: float | None
    ours: bool

    def rows(self, i: int, j: int, first: int, behind: int) -> np.ndarray:
        """Rows first..behind-1, counted in the chunk, of chunk (i, j).

        Of one that is not compressed no others are read, unless `first` is 0: then all are, and
        the checksum is compared. Raises InputProblem, or DamagedResult, naming the chunk.
        """
        height, width = self.chunk
        row_bytes = width * np.dtype(self.kind).itemsize
        start, size = 0, height * row_bytes
        if first and not self.zstd:
            start, size = first * row_bytes, (behind - first) * row_bytes
        data = self._read(f"c/{i}/{j}", start, size)
        if data is None:
            return np.full((behind - first, width), self.fill, self.kind)
        if len(data) != size:
            raise self._damaged(f"c/{i}/{j}", f"it has {len(data):,} bytes of {size:,}")
        block = data.view(self.kind).reshape(-1, width)
        return block[: behind - first] if start else block[first:behind]

    def _read(self, key: str, start: int, size: int) -> np.ndarray | None:
        """Bytes of a chunk, decoded; None where there is no such chunk."""
        folder = open_folder(self.url)
        try:
            if start:
                with ExitStack() as close:
                    file = Ranges(f"{self.url.rstrip('/')}/{key}", self.name, close)
                    found = file.read([start], size)
                    return np.empty(0, np.uint8) if found is None else found[0]
            stored = np.frombuffer(folder.get(key), np.uint8)
        except (KeyMissing, UsageProblem):
            if folder.exists(key):
                raise
            if self.fill is None:
                raise self._problem(f"{self.name}: {key} is missing.") from None
            return None
        return self._decode(key, stored, size)

    def _decode(self, key: str, stored: np.ndarray, size: int) -> np.ndarray:
        if self.crc:
            stored, checksum = stored[:-4], stored[-4:]
            if _crc32c()(stored) != int.from_bytes(checksum.tobytes(), "little"):
                raise self._damaged(key, "its checksum does not match")
        if not self.zstd:
            return stored
        import zstandard

        try:
            text = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
        except zstandard.ZstdError as error:
            raise self._damaged(key, str(error)) from error
        return np.frombuffer(text, np.uint8)

    def _damaged(self, key: str, why: str) -> WhorlError:
        return self._problem(f"{self.name}: {key} is damaged: {why}.")

    def _problem(self, text: str) -> WhorlError:
        return (DamagedResult if self.ours else InputProblem)(text, remedy=_REMEDY)


def plain_chunks(array: Any, url: str, name: str, ours: bool) -> PlainChunks | None:
    """How the chunks of an open zarr array decode; None: by zarr only."""
    about = array.metadata.to_dict()
    if about.get("zarr_format") != 3 or about.get("storage_transformers"):
        return None
    grid, keys = about["chunk_grid"], about["chunk_key_encoding"]
    codecs = [(each["name"], dict(each.get("configuration") or {})) for each in about["codecs"]]
    names = [codec for codec, _ in codecs]
    usual = (["bytes"], ["bytes", "zstd"], ["bytes", "crc32c"], ["bytes", "zstd", "crc32c"])
    separator = (keys.get("configuration") or {}).get("separator", "/")
    if names not in usual or grid["name"] != "regular" or array.dtype.kind not in "fiub":
        return None
    if keys["name"] != "default" or separator != "/" or ("crc32c" in names and not _crc32c()):
        return None
    order = ">" if codecs[0][1].get("endian") == "big" else "<"
    kind = array.dtype.newbyteorder(order).str
    height, width = map(int, array.chunks)
    complete = "triangle" in array.attrs  # as whorl writes it: a chunk that is absent is damage
    fill = None if complete else array.fill_value.item()
    return PlainChunks(
        url, name, (height, width), kind, "zstd" in names, "crc32c" in names, fill, ours
    )


def _crc32c() -> Callable[[np.ndarray], int] | None:
    """The checksum by the processor's instruction, as zarr takes it."""
    try:
        from google_crc32c import value
    except ImportError:  # an older zarr has another library
        return None
    return value

"""Labels of rows as a zarr 3 array whose chunks are the partitions of the computation.

A worker encodes and writes the labels of its partition as one chunk; the metadata is written once.
Same labels, same bytes: all chunks are stored, the last one is padded with -1, the fill value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.distances import ChunkWritten, to_buffer
from storage.errors import KeyMissing
from storage.folder import Folder, open_folder

LABELS = "labels.zarr"
DTYPE = "int32"
LEVEL = 1  # of zstd
NO_LABEL = -1


@dataclass(frozen=True)
class LabelLayout:
    """How n labels are cut into chunks of `rows`. attributes: zarr attributes, JSON values."""

    n: int
    rows: int
    attributes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.n < 1 or self.rows < 1:
            raise ValueError(f"n ({self.n}) and rows ({self.rows}) are at least 1.")

    @property
    def max_bytes(self) -> int:
        """Bytes of all chunks if nothing compresses."""
        return -(-self.n // self.rows) * (4 * self.rows + 64) + 4096

    def metadata(self) -> bytes:
        """The bytes of zarr.json."""
        store: dict[str, Any] = {}
        self._create(store, self.n)
        return store["zarr.json"].to_bytes()

    def encode(self, labels: np.ndarray) -> bytes:
        """The bytes of one chunk: labels (m,) of integers, at most a chunk."""
        store: dict[str, Any] = {}
        padded = np.full(self.rows, NO_LABEL, DTYPE)
        padded[: len(labels)] = labels
        self._create(store, self.rows)[:] = padded
        return store["c/0"].to_bytes()

    def write_chunk(
        self, folder: Folder, prefix: str, index: int, labels: np.ndarray
    ) -> ChunkWritten:
        """Store the labels (m,) of chunk `index`; prefix is the key of the array in the folder.

        Raises ValueError for another number of labels than the chunk has, NoSpace, StorageError.
        """
        expected = min(self.rows, self.n - index * self.rows)
        if len(labels) != expected:
            raise ValueError(f"{len(labels)} labels for chunk {index}, expected {expected}.")
        data = self.encode(labels)
        folder.put(f"{prefix}/c/{index}", data)
        return ChunkWritten(f"c/{index}", len(data), hashlib.sha256(data).hexdigest())

    def _create(self, store: dict[str, Any], n: int) -> Any:
        import zarr
        from zarr.codecs import Crc32cCodec, ZstdCodec

        return zarr.create_array(
            zarr.storage.MemoryStore(store),
            shape=(n,),
            chunks=(self.rows,),
            dtype=DTYPE,
            fill_value=NO_LABEL,
            compressors=[ZstdCodec(level=LEVEL), Crc32cCodec()],
            dimension_names=["row"],
            attributes=self.attributes,
            config={"write_empty_chunks": True},
            zarr_format=3,
        )


class LabelArray:
    """Stored labels, read chunk by chunk: n, rows (of a chunk), dtype, attributes."""

    def __init__(self, folder: Folder, prefix: str):
        self._folder, self._prefix = folder, prefix
        self.url = f"{folder.url.rstrip('/')}/{prefix}".rstrip("/")
        try:
            self._metadata = folder.get(self._key("zarr.json"))
            described = json.loads(self._metadata)
            (self.n,) = (int(side) for side in described["shape"])
            self.dtype = np.dtype(described["data_type"])
            self.rows = int(described["chunk_grid"]["configuration"]["chunk_shape"][0])
            self.attributes: dict[str, Any] = described["attributes"]
        except KeyMissing:
            raise DamagedResult(f"{self.url} is not a zarr array: no zarr.json.") from None
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DamagedResult(f"{self.url}/zarr.json is damaged: {error}.") from error

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n,)

    def chunk_keys(self) -> list[str]:
        """Keys below the array of every chunk that a finished one has."""
        return [f"c/{index}" for index in range(-(-self.n // self.rows))]

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, labels (m,) int32) of each chunk, without padding.

        Raises DamagedResult naming a chunk that is absent or does not decode.
        """
        for index, key in enumerate(self.chunk_keys()):
            first = index * self.rows
            yield first, self._decode(key)[: self.n - first]

    def all(self) -> np.ndarray:
        """All labels: (n,) int32."""
        return np.concatenate([labels for _, labels in self.chunks()])

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _decode(self, key: str) -> np.ndarray:
        import zarr

        try:
            data = self._folder.get(self._key(key))
        except KeyMissing:
            raise DamagedResult(f"{self.url}/{key} is missing.") from None
        described = {**json.loads(self._metadata), "shape": [self.rows]}
        store = {"zarr.json": to_buffer(json.dumps(described).encode()), "c/0": to_buffer(data)}
        try:
            return np.asarray(zarr.open_array(zarr.storage.MemoryStore(store), mode="r")[:])
        except Exception as error:
            raise DamagedResult(f"{self.url}/{key} is damaged: {error}") from error


def open_labels(url: str, **storage_options: Any) -> LabelArray:
    """The labels of a finished result folder.

    Raises UsageProblem when there are none, DamagedResult when the folder is unfinished.
    """
    from pipelines.results import read_run

    run = read_run(url, **storage_options)
    folder = open_folder(url, **storage_options)
    if LABELS not in folder.names():
        raise UsageProblem(f"{url} holds no labels (it is a run of {run.get('app')}).")
    return LabelArray(folder, LABELS)

"""A distance matrix as a zarr 3 array whose chunks are the blocks of the computation.

A block is encoded by the worker that computed it and written as one chunk (and its mirror), with
no state shared between workers: the metadata is written once, chunk (i, j) belongs to one task.
Same values, same bytes: NaN has one bit pattern, there is no -0.0, edges are padded with the
fill value. Every chunk that belongs to the triangle is stored, also one that is all fill value,
so that a chunk's presence says "done" and its absence is damage.

`triangle` "full": all chunks. "upper": chunks below the diagonal are absent, and a reader takes
them from their mirror; a chunk on the diagonal is whole, both its halves are filled.
`dtype` int16: round(d * 32767), missing is -1, attribute `scale_factor` is 1 / 32767; only for
distances in [0, 1]. Elsewhere missing is NaN.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from pipelines.errors import DamagedResult, UsageProblem
from storage.errors import KeyMissing
from storage.folder import Folder, open_folder

INT16_SCALE = 32767
DTYPES = ("float32", "float64", "float16", "int16")


@dataclass(frozen=True)
class ChunkWritten:
    """One stored chunk: key below the array ("c/0/1"), stored bytes, sha256 of them in hex."""

    key: str
    nbytes: int
    sha256: str


@dataclass(frozen=True)
class MatrixLayout:
    """How an n x n matrix is cut into chunks of block_size rows and columns, and their encoding.

    compression  "none" or "zstd:LEVEL" (1 to 19); a crc32c ends every chunk in either case
    attributes   zarr attributes, JSON values. Readers know `kind` ("distance", or "score": no
                 zero diagonal) and `distance_range` ([low, high], both ends possible, or absent)
    """

    n: int
    block_size: int
    dtype: str = "float32"
    triangle: str = "full"
    compression: str = "zstd:1"
    attributes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.n < 1 or self.block_size < 1:
            raise ValueError(f"n ({self.n}) and block_size ({self.block_size}) are at least 1.")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}.")
        if self.triangle not in ("full", "upper"):
            raise ValueError(f'triangle {self.triangle!r} is not "full" or "upper".')
        zstd_level(self.compression)

    @property
    def n_blocks(self) -> int:
        """Blocks along one side."""
        return -(-self.n // self.block_size)

    @property
    def chunk(self) -> int:
        """Rows and columns of a chunk: a block larger than the matrix is cut to it."""
        return min(self.block_size, self.n)

    @property
    def max_bytes(self) -> int:
        """Bytes of all chunks if nothing compresses: what the output can take at most."""
        chunks = len(self.chunk_keys())
        return chunks * (self.chunk**2 * np.dtype(self.dtype).itemsize + 64) + 4096

    def chunk_keys(self) -> list[str]:
        """Keys below the array of every chunk that a finished matrix has."""
        return chunk_keys(self.n_blocks, self.triangle)

    def metadata(self) -> bytes:
        """The bytes of zarr.json."""
        store: dict[str, Any] = {}
        self._create(store, (self.n, self.n))
        return store["zarr.json"].to_bytes()

    def encode(self, values: np.ndarray) -> bytes:
        """The bytes of one chunk.

        values (rows, columns) float, at most a chunk, NaN = missing. Raises ValueError for a
        block larger than a chunk and for values that the dtype cannot hold.
        """
        return self._encode_all([self._pack(values)])[0]

    def write_block(
        self, folder: Folder, prefix: str, i: int, j: int, values: np.ndarray
    ) -> list[ChunkWritten]:
        """Store block (i, j), i <= j, and its mirror (j, i) where the layout has one.

        prefix is the key of the array in the folder; values as in `encode`, of exactly the
        block's rows and columns. Raises NoSpace and StorageError.
        """
        expected = (self._side(i), self._side(j))
        if i > j or values.shape != expected:
            raise ValueError(f"block ({i}, {j}) of shape {values.shape}, expected {expected}.")
        packed = self._pack(values)
        targets = {f"c/{i}/{j}": packed}
        if i != j and self.triangle == "full":
            targets[f"c/{j}/{i}"] = packed.T
        written = []
        for key, data in zip(targets, self._encode_all(list(targets.values())), strict=True):
            folder.put(f"{prefix}/{key}", data)
            written.append(ChunkWritten(key, len(data), hashlib.sha256(data).hexdigest()))
        return written

    def _side(self, index: int) -> int:
        return min(self.block_size, self.n - index * self.block_size)

    def _encode_all(self, blocks: list[np.ndarray]) -> list[bytes]:
        """One call into zarr for a block and its mirror, packed: it costs about a millisecond."""
        chunk = self.chunk
        padded = np.empty((len(blocks) * chunk, chunk), dtype=self.dtype)
        for k, values in enumerate(blocks):
            rows, columns = values.shape
            if rows < chunk or columns < chunk:
                padded[k * chunk : (k + 1) * chunk] = self._fill
            padded[k * chunk : k * chunk + rows, :columns] = values
        store: dict[str, Any] = {}
        array = self._create(store, padded.shape)
        array[:] = padded
        return [store[f"c/{k}/0"].to_bytes() for k in range(len(blocks))]

    @property
    def _fill(self) -> float:
        return -1 if self.dtype == "int16" else np.nan

    def _pack(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        if self.dtype != "int16":
            with np.errstate(over="ignore"):
                packed = values.astype(self.dtype)
            packed += packed.dtype.type(0)  # -0 becomes 0: equal numbers are equal bytes
            if np.isinf(packed).any():
                raise ValueError(f"a distance is infinite, or too large for {self.dtype}.")
            missing = np.isnan(packed)
            if missing.any():
                packed[missing] = np.nan  # one of the many NaN
            return packed
        missing = np.isnan(values)
        if not ((values >= 0) & (values <= 1) | missing).all():
            raise ValueError("int16 holds only distances in [0, 1].")
        scaled = np.rint(values.astype(np.float64) * INT16_SCALE)
        return np.where(missing, -1, scaled).astype(np.int16)

    def _create(self, store: dict[str, Any], shape: tuple[int, int]) -> Any:
        import zarr
        from zarr.codecs import Crc32cCodec, ZstdCodec

        level = zstd_level(self.compression)
        attributes = {**self.attributes, "triangle": self.triangle}
        if self.dtype == "int16":
            attributes |= {"scale_factor": 1 / INT16_SCALE, "missing_value": -1}
        return zarr.create_array(
            zarr.storage.MemoryStore(store),
            shape=shape,
            chunks=(self.chunk, self.chunk),
            dtype=self.dtype,
            fill_value=self._fill,
            compressors=[*([ZstdCodec(level=level)] if level else []), Crc32cCodec()],
            dimension_names=["row", "column"],
            attributes=attributes,
            config={"write_empty_chunks": True},
            zarr_format=3,
        )


def chunk_keys(n_blocks: int, triangle: str) -> list[str]:
    """Keys of the chunks of n_blocks x n_blocks blocks, of the upper triangle or all."""
    return [
        f"c/{i}/{j}"
        for i in range(n_blocks)
        for j in range(i if triangle == "upper" else 0, n_blocks)
    ]


def zstd_level(compression: str) -> int:
    """0 for "none", LEVEL for "zstd:LEVEL". Raises ValueError for anything else."""
    if compression == "none":
        return 0
    name, _, level = compression.partition(":")
    if name != "zstd" or not level.isdecimal() or not 1 <= int(level) <= 19:
        raise ValueError(f'compression {compression!r} is not "none" or "zstd:1" to "zstd:19".')
    return int(level)


class DistanceMatrix:
    """A stored matrix, read in stripes of rows; the whole is never in memory.

    n, dtype (as stored), triangle, block_size, attributes; ids: list of n names, or None.
    """

    def __init__(self, folder: Folder, prefix: str, ids: list[str] | None):
        self._folder, self._prefix = folder, prefix
        self.url = f"{folder.url.rstrip('/')}/{prefix}".rstrip("/")
        try:
            self._metadata = folder.get(self._key("zarr.json"))
            described = json.loads(self._metadata)
            self.n = int(described["shape"][0])
            self.dtype = np.dtype(described["data_type"])
            self.block_size = int(described["chunk_grid"]["configuration"]["chunk_shape"][0])
            self.attributes: dict[str, Any] = described["attributes"]
            self.triangle: str = self.attributes["triangle"]
        except KeyMissing:
            raise DamagedResult(f"{self.url} is not a zarr array: no zarr.json.") from None
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DamagedResult(f"{self.url}/zarr.json is damaged: {error}.") from error
        if ids is not None and len(ids) != self.n:
            raise DamagedResult(f"{self.url} has {self.n:,} rows, ids.tsv {len(ids):,} records.")
        self.ids = ids

    @property
    def shape(self) -> tuple[int, int]:
        return self.n, self.n

    @cached_property
    def n_blocks(self) -> int:
        """Blocks along one side."""
        return -(-self.n // self.block_size)

    def chunk_keys(self) -> list[str]:
        """Keys below the array of every chunk that a finished matrix has."""
        return chunk_keys(self.n_blocks, self.triangle)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop-1: (stop - start, n) float32, float64 when stored so; missing is NaN.

        Reads whole chunks, so stripes that begin and end at multiples of block_size are cheapest.
        Raises DamagedResult naming a chunk that is absent or does not decode.
        """
        start, stop = max(start, 0), min(stop, self.n)
        kind = np.float64 if self.dtype == np.float64 else np.float32
        stripe = np.empty((max(stop - start, 0), self.n), dtype=kind)
        if not stripe.size:
            return stripe
        size = self.block_size
        for i in range(start // size, -(-stop // size)):
            low, high = max(start, i * size), min(stop, (i + 1) * size)
            for j in range(self.n_blocks):
                block = self.block(i, j)
                stripe[low - start : high - start, j * size : (j + 1) * size] = block[
                    low - i * size : high - i * size
                ]
        return stripe

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) without padding, as in `rows`; below an "upper" triangle its mirror."""
        if self.triangle == "upper" and i > j:
            return self.block(j, i).T
        size = self.block_size
        stored = self._decode(f"c/{i}/{j}")[: self.n - i * size, : self.n - j * size]
        if self.dtype != np.int16:
            return stored.astype(np.float32) if self.dtype == np.float16 else stored
        unpacked = (stored / np.float64(INT16_SCALE)).astype(np.float32)
        unpacked[stored < 0] = np.nan
        return unpacked

    def stripes(self, max_bytes: int = 128 * 2**20):
        """(start, rows) pairs that cover the matrix, each of whole blocks or of max_bytes."""
        step = max(1, min(self.block_size, max_bytes // (self.n * 4)))
        for block_start in range(0, self.n, self.block_size):
            block_stop = min(block_start + self.block_size, self.n)
            for start in range(block_start, block_stop, step):
                yield start, self.rows(start, min(start + step, block_stop))

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _decode(self, key: str) -> np.ndarray:
        import zarr

        try:
            data = self._folder.get(self._key(key))
        except KeyMissing:
            raise DamagedResult(f"{self.url}/{key} is missing.") from None
        try:
            store = {"zarr.json": self._one_chunk, "c/0/0": to_buffer(data)}
            return np.asarray(zarr.open_array(zarr.storage.MemoryStore(store), mode="r")[:])
        except Exception as error:
            raise DamagedResult(f"{self.url}/{key} is damaged: {error}") from error

    @cached_property
    def _one_chunk(self):
        """The metadata as if the array were one chunk: any chunk decodes by itself with it."""
        described = json.loads(self._metadata)
        described["shape"] = [self.block_size, self.block_size]
        return to_buffer(json.dumps(described).encode())


def to_buffer(data: bytes):
    """Bytes as zarr's in-memory store holds them."""
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(data)


def open_distances(url: str, *, ids: list[str] | None = None, **storage_options) -> DistanceMatrix:
    """The matrix of a finished result folder, or of the zarr array at url, finished or not.

    ids: names of the rows, else those of ids.tsv where the folder has one.
    Raises UsageProblem when there is nothing, DamagedResult when the folder is unfinished.
    """
    if PurePosixPath(url.rstrip("/")).suffix == ".zarr":
        return DistanceMatrix(open_folder(url, **storage_options), "", ids)
    from pipelines.results import read_run

    run = read_run(url, **storage_options)
    folder = open_folder(url, **storage_options)
    if "distances.zarr" not in folder.names():
        raise UsageProblem(f"{url} holds no distances (it is a run of {run.get('app')}).")
    if ids is None and "ids.tsv" in folder.names():
        ids = read_ids(folder)
    return DistanceMatrix(folder, "distances.zarr", ids)


def ids_table(ids: list[str], lengths: Any, descriptions: list[str]) -> bytes:
    """ids.tsv: index, id, length, description; tabs and control letters become spaces."""
    lines = ["index\tid\tlength\tdescription"]
    for index, (name, length, text) in enumerate(zip(ids, lengths, descriptions, strict=True)):
        lines.append(f"{index}\t{printable(name)}\t{int(length)}\t{printable(text)}")
    return ("\n".join(lines) + "\n").encode()


def read_ids(folder: Folder, key: str = "ids.tsv") -> list[str]:
    """The id column of ids.tsv. Raises DamagedResult when it has none."""
    header, *lines = folder.get(key).decode().split("\n")
    if "id" not in header.split("\t"):
        raise DamagedResult(f'{folder.url}/{key} has no column "id".')
    column = header.split("\t").index("id")
    return [line.split("\t")[column] for line in lines if line]


def printable(text: str) -> str:
    """The text with tabs, line ends and other control letters as spaces."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)

"""Points written block by block, whatever their number: .npy, .zarr, .csv, .tsv or .parquet.

The ending of the name chooses; behind .csv and .tsv a .gz may stand. A file is complete or not
there. Equal blocks make equal bytes.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

from pipelines.errors import UsageProblem
from pipelines.formats.points_parquet import write_parquet
from pipelines.formats.points_zarr import MARKS, store_of
from storage.directory import Directory, replace_file, sync_directory, temporary_name
from storage.errors import StorageError
from storage.folder import open_folder, require_space, split_url

ENDINGS = (".npy", ".zarr", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")

_DIGITS = {"float32": "%.9g", "float64": "%r"}  # as few as bring the number back
_TEXT_BYTES = {"float32": 13, "float64": 20}  # of a number with its delimiter, about

Blocks = Iterable[np.ndarray]


def write_points(url: str, blocks: Blocks, shape: tuple[int, int], dtype: str, rows: int) -> None:
    """Write blocks of `rows` rows (the last may have fewer), together of that shape.

    Raises UsageProblem for an ending that is none of ENDINGS, NoSpace and StorageError.
    """
    ending = ending_of(url)
    parent, _ = os.path.split(url.rstrip("/"))
    size = np.dtype(dtype).itemsize
    if ending[:4] in (".csv", ".tsv"):
        size = _TEXT_BYTES[dtype] // (2 if ending.endswith(".gz") else 1)
    require_space(open_folder(parent or "."), shape[0] * shape[1] * size)
    if ending == ".zarr":
        _write_zarr(url.rstrip("/"), blocks, shape, dtype, rows)
        return
    with new_file(url) as file:
        if ending == ".npy":
            _write_npy(file, blocks, shape, dtype)
        elif ending == ".parquet":
            write_parquet(file, blocks, column_names(shape[1]), dtype)
        else:
            delimiter = "," if ending.startswith(".csv") else "\t"
            text = _text(blocks, shape[1], dtype, delimiter)
            write_text(file, text, packed=ending.endswith(".gz"))


def ending_of(url: str) -> str:
    """One of ENDINGS. Raises UsageProblem."""
    name = os.path.basename(url.rstrip("/")).lower()
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return ending
    text = f"{url} does not say how to write points."
    raise UsageProblem(text, remedy=f"End the name with one of {', '.join(ENDINGS)}.")


@contextmanager
def new_file(url: str) -> Iterator[IO[bytes]]:
    """A file to write at a path or URL; on any error nothing gets that name.

    Raises NoSpace and StorageError.
    """
    protocol, path = split_url(url)
    if protocol == "file":
        with replace_file(path) as file:
            yield file
        return
    import fsspec

    try:
        remote = fsspec.open(url, "wb").open()
        try:
            yield remote
        except BaseException:
            with suppress(Exception):  # each library has its own, some have none
                remote.discard()
                remote.closed = True  # or closing it would complete the upload
            raise
        remote.close()
    except (OSError, ImportError, ValueError) as error:
        parent, name = os.path.split(url)
        open_folder(parent).exists(name)  # says it better: no credentials, no library, no bucket
        raise StorageError(f"{url} cannot be written: {error}.") from error


def write_text(file: IO[bytes], text: Iterable[str], *, packed: bool) -> None:
    """Pieces of text as UTF-8, compressed or not."""
    if not packed:
        for piece in text:
            file.write(piece.encode())
        return
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed:  # no time: equal bytes
        for piece in text:
            compressed.write(piece.encode())


def _write_npy(file: IO[bytes], blocks: Blocks, shape: tuple[int, int], dtype: str) -> None:
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for block in blocks:
        file.write(np.ascontiguousarray(block).data)


def _text(blocks: Blocks, d: int, dtype: str, delimiter: str) -> Iterator[str]:
    yield delimiter.join(column_names(d)) + "\n"
    row = delimiter.join([_DIGITS[dtype]] * d) + "\n"
    for block in blocks:
        for start in range(0, len(block), 1024):
            part = block[start : start + 1024]
            yield row * len(part) % tuple(part.ravel().tolist())


def column_names(d: int) -> list[str]:
    """x1, x2, ..."""
    return [f"x{k}" for k in range(1, d + 1)]


def _write_zarr(url: str, blocks: Blocks, shape: tuple[int, int], dtype: str, rows: int) -> None:
    with new_zarr(url) as place:
        local = split_url(place)[0] == "file"
        store = place if local else store_of(place, read_only=False)
        _fill_zarr(store, blocks, shape, dtype, rows)


@contextmanager
def new_zarr(url: str) -> Iterator[str]:
    """Where to write the objects of a zarr array; a directory gets its name at the end.

    Replaces an array that has the name. On any error a directory is not there; on an object store
    what was written stays. Raises UsageProblem for a name that something else has.
    """
    protocol, path = split_url(url)
    if protocol != "file":
        yield url
        return
    if os.path.exists(path) and not (os.path.isdir(path) and MARKS & set(os.listdir(path))):
        raise UsageProblem(f"{url} exists and is no zarr array.", remedy="Choose another name.")
    temporary = temporary_name(os.path.abspath(path))
    try:
        yield temporary
        Directory(path).delete_tree("")
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path) or ".")
    finally:
        Directory(temporary).delete_tree("")


def _fill_zarr(store: Any, blocks: Blocks, shape: tuple[int, int], dtype: str, rows: int) -> None:
    """One chunk per block, eight where there are few blocks, for the last chunk is filled up.

    With a checksum and as they are: random numbers do not compress.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    few = shape[0] <= 16 * rows and rows % 8 == 0
    array = zarr.create_array(
        store,
        shape=shape,
        chunks=(min(rows // 8 if few else rows, shape[0]), shape[1]),
        dtype=dtype,
        compressors=[Crc32cCodec()],
        dimension_names=["row", "column"],
        config={"write_empty_chunks": True},
        overwrite=True,
    )
    row = 0
    for block in blocks:
        array[row : row + len(block)] = block
        row += len(block)

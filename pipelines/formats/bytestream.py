"""Bytes of an input: a path, any fsspec URL or '-', plain or compressed, hashed on the way.

The compression is told by the first bytes, never by the name: gzip (many members too), bzip2, xz,
zstd. A stream that ends too early, or does not decompress, is a StreamDamageError after every byte
before the damage was handed out. NUL bytes after the last member are padding; anything else there
is damage.
"""

import bz2
import difflib
import hashlib
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, Any

from pipelines.errors import InputProblem, UsageProblem
from storage.errors import StorageError
from storage.folder import open_folder

BLOCK = 4 * 2**20  # bytes of text per block: enough for whole-array passes, and the cache holds it
_STORED_BLOCK = 2**18  # compressed bytes per read, which may hold a thousand times as much text
_LOCAL = "file://"


class StreamDamageError(Exception):
    """Compressed data that cannot be read to its end. The text goes on after "FILE ..."."""


class ByteStream:
    """One pass over an input. nbytes and sha256, of the bytes as stored, are final at its end."""

    def __init__(self, url: str | os.PathLike[str], keep: Callable[[bytes], None] | None = None):
        self.url = url = os.fspath(url)
        self.name = "standard input" if url == "-" else url
        self.nbytes = 0
        self.compression = "none"
        self._keep = keep
        self._hash = hashlib.sha256()
        self._close = ExitStack()
        self._file: IO[bytes] = open_stored(url, self._close)

    def __enter__(self) -> "ByteStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The decompressed bytes in blocks of about BLOCK, read one block ahead in a thread."""
        blocks = self._read_ahead()
        self._close.callback(blocks.close)  # before the file is closed under the thread
        return blocks

    def _read_ahead(self) -> Generator[bytes, None, None]:
        blocks = _gather(self._text())
        if self.url == "-":  # Ctrl-C could not stop a thread that waits for a pipe
            yield from blocks
            return
        with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
            ahead = thread.submit(next, blocks, None)
            while (block := ahead.result()) is not None:
                ahead = thread.submit(next, blocks, None)
                yield block

    def _text(self) -> Iterator[bytes]:
        first = self._stored(_STORED_BLOCK)
        self.compression = compression_of(first)
        if self.compression == "none":
            while first:
                yield first
                first = self._stored(BLOCK)
        else:
            yield from self._members(first)

    def _stored(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except Exception as error:  # each remote library has its own
            text = f"{self.name}: reading stopped after {self.nbytes:,} bytes: {error}."
            raise StorageError(text, remedy="Try again, or copy the file here first.") from error
        self.nbytes += len(data)
        self._hash.update(data)
        if self._keep is not None and data:
            self._keep(data)
        return data

    def _members(self, data: bytes) -> Iterator[bytes]:
        member: Any = None
        while data:
            if member is None and not data.strip(b"\0"):
                data = self._stored(_STORED_BLOCK)
                continue
            member = member or _decompressor(self.compression)
            try:
                text = member.decompress(data)
            except Exception as error:  # zlib, bz2, lzma and zstandard each have their own
                raise StreamDamageError(f"holds damaged {self.compression} data") from error
            if text:
                yield text
            ended = member.eof
            data = member.unused_data if ended else b""
            member = None if ended else member
            data = data or self._stored(_STORED_BLOCK)
        if member is not None:
            raise StreamDamageError("ends in the middle of its compressed data")


def read_bytes(url: str) -> bytes:
    """The whole text of a small input, decompressed. InputProblem when that fails."""
    with ByteStream(url) as stream:
        try:
            return b"".join(stream.blocks())
        except StreamDamageError as error:
            raise InputProblem(f"{stream.name} {error}.", remedy="Copy it again.") from error


def read_at(file: IO[bytes], start: int, nbytes: int, name: str) -> bytes:
    """nbytes of a stored file from byte `start`; fewer where it ends. Raises StorageError."""
    try:
        file.seek(start)
        return file.read(nbytes)
    except Exception as error:  # each remote library has its own
        text = f"{name}: reading stopped after {start:,} bytes: {error}."
        raise StorageError(text, remedy="Try again, or copy the file here first.") from error


def compression_of(first: bytes) -> str:
    """'none', 'gzip', 'bzip2', 'xz' or 'zstd', by the first bytes of a file."""
    if first.startswith(b"\x1f\x8b"):
        return "gzip"
    if first.startswith(b"BZh") and first[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if first.startswith(b"\xfd7zXZ\0"):
        return "xz"
    return "zstd" if first.startswith(b"\x28\xb5\x2f\xfd") else "none"


def _decompressor(compression: str) -> Any:
    if compression == "gzip":
        return zlib.decompressobj(wbits=31)
    if compression == "bzip2":
        return bz2.BZ2Decompressor()
    if compression == "xz":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()


def _gather(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces joined to a quarter of BLOCK. What came before an error is handed out first."""
    waiting: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= BLOCK // 4:
                yield b"".join(waiting) if len(waiting) > 1 else piece
                waiting, size = [], 0
    except StreamDamageError:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


def open_stored(url: str, close: ExitStack) -> IO[bytes]:
    """The bytes of a file or URL as they are stored; closed by `close`. See read_at.

    Raises UsageProblem when there is no such file, StorageError when it cannot be reached.
    """
    if url == "-":
        if sys.stdin.isatty():
            raise UsageProblem("standard input is a terminal.", remedy="Pipe a file into it.")
        return sys.stdin.buffer
    path = url.removeprefix(_LOCAL)
    try:
        return close.enter_context(open(path, "rb") if "://" not in path else _open_remote(url))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageProblem(f"{url} does not exist.", remedy=_nearest(path)) from None
    except IsADirectoryError:
        raise UsageProblem(f"{url} is a folder, not a file.", remedy=_inside(path)) from None
    except PermissionError:
        remedy = "Ask its owner, or give another file."
        raise UsageProblem(f"{url} cannot be read: permission denied.", remedy=remedy) from None
    except OSError as error:  # a name that is too long, a link to itself
        raise UsageProblem(f"{url} cannot be read: {error.strerror}.") from None


def _open_remote(url: str) -> Any:
    import fsspec

    try:
        return fsspec.open(url, "rb").open()
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        parent, name = os.path.split(url)
        open_folder(parent).exists(name)  # says it better: no credentials, no library, no bucket
        raise StorageError(f"{url} cannot be opened: {error}.") from error


def _nearest(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        names = open_folder(folder or ".").names()
    except StorageError:
        names = []
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {os.path.join(folder, near[0])}?"
    return "Give the path of a file, a URL, or - for standard input."


def _inside(path: str) -> str:
    endings = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn")
    for name in open_folder(path).names():
        stem, last = os.path.splitext(name)
        if (stem if last in (".gz", ".bz2", ".xz", ".zst") else name).endswith(endings):
            return f"Give one file, for example {os.path.join(path, name)}."
    return "Give one file."

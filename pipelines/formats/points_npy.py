"""Points in .npy and .npz files: read by byte range, or streamed where an .npz is compressed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import ByteStream, open_stored, read_at
from pipelines.formats.points_source import BLOCK_BYTES, Points

_HEADER_BYTES = 2**16  # far more than the header of an array of numbers
_COLUMNS_BYTES = 64 * 2**20  # of a block of a file in Fortran order, where each column is a read


@dataclass(frozen=True)
class Array:
    """The header of an .npy file: where the values start, and how they lie there."""

    offset: int
    stored: str
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.stored).itemsize


@dataclass(frozen=True)
class NpyLayout:
    """Values that lie in a file as they are: of an .npy, or of an .npz that is not compressed."""

    url: str
    name: str
    array: Array
    needs_staging = False

    def part(self, start: int, stop: int) -> NpyLayout:
        return self

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        with ExitStack() as close:
            file = open_stored(self.url, close)
            read = self._by_column if self.array.fortran else self._by_row
            size = self.array.shape[1] * np.dtype(self.array.stored).itemsize
            step = max(1, (_COLUMNS_BYTES if self.array.fortran else BLOCK_BYTES) // size)
            for row in range(start, stop, step):
                yield read(file, row, min(row + step, stop))

    def _by_row(self, file: IO[bytes], start: int, stop: int) -> np.ndarray:
        d = self.array.shape[1]
        return self._values(file, start * d, (stop - start) * d, start).reshape(-1, d)

    def _by_column(self, file: IO[bytes], start: int, stop: int) -> np.ndarray:
        n, d = self.array.shape
        columns = [self._values(file, n * k + start, stop - start, start) for k in range(d)]
        return np.stack(columns, axis=1)

    def _values(self, file: IO[bytes], first: int, count: int, row: int) -> np.ndarray:
        stored = np.dtype(self.array.stored)
        at = self.array.offset + first * stored.itemsize
        data = read_at(file, at, count * stored.itemsize, self.name)
        if len(data) < count * stored.itemsize:
            raise points_source.ends_early(self.name, row, self.array.shape[0])
        return np.frombuffer(data, stored)


@dataclass(frozen=True)
class PackedLayout:
    """A compressed member of an .npz: every reader goes through it from its start."""

    url: str
    name: str
    member: str
    array: Array
    needs_staging = True

    def part(self, start: int, stop: int) -> PackedLayout:
        return self

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        n, d = self.array.shape
        stored = np.dtype(self.array.stored)
        step = n if self.array.fortran else max(1, BLOCK_BYTES // (d * stored.itemsize))
        with ExitStack() as close:
            file = open_stored(self.url, close)
            with told(self.name):
                archive = close.enter_context(zipfile.ZipFile(file))
                values = close.enter_context(archive.open(self.member))
                values.read(self.array.offset)
                for first in range(0, stop, step):
                    rows = min(step, n - first)
                    data = _exactly(values, rows * d * stored.itemsize)
                    block = np.frombuffer(data, stored)
                    block = block.reshape((rows, d), order="F" if self.array.fortran else "C")
                    if first + rows > start:
                        yield block[max(start - first, 0) : stop - first]
                if stop == n:
                    values.read(1)  # the end is where the checksum is compared


def open_npy(url: str, name: str, *, vector: bool = False, check: bool = True) -> Points:
    """An .npy file as Points; vector and check as in `open_points`."""
    with ExitStack() as close:
        file = open_stored(url, close)
        size = points_source.stored_size(file)
        array = check_array(header_of(first_bytes(file, name), name), name, vector)
        limit = points_source.CHECKED_BYTES if check else 0
        return _opened(url, name, file, size, array, limit)


def open_npz(url: str, name: str, *, vector: bool = False, check: bool = True) -> Points:
    """The one array of an .npz file, or the one named points, as Points."""
    with ExitStack() as close:
        file = open_stored(url, close)
        size = points_source.stored_size(file)
        info, array = find_member(file, name, points_source.USUAL_NAMES)
        packed = info.compress_type != zipfile.ZIP_STORED
        array = check_array(array, name, vector)
        limit = points_source.CHECKED_BYTES if check else 0
        if packed:
            return _opened_packed(url, name, info.filename, array, size, check)
        points = _opened(url, name, file, size, array, limit)
        warnings = points_source.layout_warnings(name, points.n, points.d)
        return replace(points, format="npz", warnings=warnings)


def find_member(file: IO[bytes], name: str, usual: tuple[str, ...]) -> tuple[Any, Array]:
    """The one array of an open .npz, or that of a usual name: its entry, and its header with the
    offset in the file, or in the member where that is compressed."""
    with told(name), zipfile.ZipFile(file) as archive:
        found = {i.filename.removesuffix(".npy"): i for i in archive.infolist()
                 if i.filename.endswith(".npy")}  # fmt: skip
        info = found[points_source.chosen_member(list(found), name, "array", usual)]
        with archive.open(info) as member:
            array = header_of(io.BytesIO(member.read(_HEADER_BYTES)), name)
    if info.compress_type != zipfile.ZIP_STORED:
        return info, array
    local = read_at(file, info.header_offset, 30, name)
    name_bytes, extra = struct.unpack("<HH", local[26:30])
    start = info.header_offset + 30 + name_bytes + extra
    return info, replace(array, offset=start + array.offset)


def header_of(file: IO[bytes], name: str) -> Array:
    """The header of an .npy, of any shape; InputProblem unless it is an array of numbers."""
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            reader = np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(file, max_header_size=_HEADER_BYTES)
    except (ValueError, SyntaxError, EOFError) as error:
        text = f"{name} has a damaged header of an .npy file."
        raise InputProblem(text, remedy="Copy it again.") from error
    points_source.kept_dtype(dtype, name)
    return Array(file.tell(), dtype.str, shape, bool(fortran))


def first_bytes(file: IO[bytes], name: str) -> IO[bytes]:
    """Enough of an open file to hold its header."""
    return io.BytesIO(read_at(file, 0, _HEADER_BYTES, name))


def check_array(array: Array, name: str, vector: bool = False) -> Array:
    """The array with rows and columns. InputProblem when it has none."""
    shape = array.shape
    if vector and len(shape) == 1:
        shape = (*shape, 1)
    points_source.check_shape(shape, name)
    return replace(array, shape=shape, fortran=array.fortran and min(shape) > 1)


def _opened(url: str, name: str, file: IO[bytes], size: int, array: Array, limit: int) -> Points:
    (n, d), stored = array.shape, np.dtype(array.stored)
    behind = size - array.offset - array.nbytes
    if behind < 0:
        whole = max(size - array.offset, 0) // (d * stored.itemsize)
        raise points_source.ends_early(name, 0 if array.fortran else whole, n)
    warnings = points_source.layout_warnings(name, n, d)
    if behind:
        warnings.append(f"{name} has {behind:,} bytes behind its array; they are not read")
    checked = size <= limit
    if checked:
        digest = _check_values(url, name, array)
    else:
        digest = points_source.hash_samples(file, size, name)
    return Points(
        url, "npy", n, d, points_source.kept_dtype(stored, name), None, None, size,
        points_source.identity(url, size, n, digest, whole=checked), warnings, checked,
        NpyLayout(url, name, array),
    )  # fmt: skip


def _opened_packed(
    url: str, name: str, member: str, array: Array, size: int, check: bool
) -> Points:
    """Compressed values: read through once, whatever their size, for half of them is no array."""
    (n, d), stored = array.shape, np.dtype(array.stored)
    if array.fortran and array.nbytes > points_source.CHECKED_BYTES:
        text = f"{name} is compressed and stored column by column: no row of it can be read alone."
        raise InputProblem(text, remedy="Save it with numpy.save.")
    layout = PackedLayout(url, name, member, array)
    row = 0
    for block in layout.blocks(0, n):
        if stored.kind == "f" and check:
            points_source.check_finite(block, name, row)
        row += len(block)
    with ByteStream(url) as stream:
        for _ in stream.blocks():
            pass
    return Points(
        url, "npz", n, d, points_source.kept_dtype(stored, name), None, None, size,
        points_source.identity(url, size, n, stream.sha256),
        points_source.layout_warnings(name, n, d), check, layout,
    )  # fmt: skip


def _check_values(url: str, name: str, array: Array) -> str:
    """One pass over a stored file: its sha256, and InputProblem for a value that is not finite."""
    stored, (n, d) = np.dtype(array.stored), array.shape
    rest, at, left = b"", 0, array.nbytes
    with ByteStream(url) as stream:
        skip = array.offset
        for block in stream.blocks():
            part = block[skip:] if skip < len(block) else b""
            skip = max(skip - len(block), 0)
            part = (rest + part if rest else part)[:left]
            whole = len(part) - len(part) % stored.itemsize
            values, rest = np.frombuffer(part[:whole], stored), part[whole:]
            left -= whole
            found = points_source.first_not_finite(values) if stored.kind == "f" else None
            if found is not None:
                where = at + found
                row, column = (where % n, where // n) if array.fortran else divmod(where, d)
                raise points_source.not_finite(name, row, column, float(values[found]))
            at += values.size
        return stream.sha256


def _exactly(file: Any, nbytes: int) -> bytes:
    data = file.read(nbytes)
    if len(data) < nbytes:
        raise EOFError
    return data


@contextmanager
def told(name: str) -> Iterator[None]:
    """Turn what the zip library raises into one line."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        text = f"{name} is a damaged .npz file: {error or 'it ends too early'}."
        raise InputProblem(text, remedy="Copy it again, or save it with numpy.save.") from error

"""What points are once their file was opened, and the piece of them that a worker loads.

A Layout knows how one format is read in blocks of consecutive rows. It is small and picklable, so
that a Source, which is a layout and a range of rows, can travel to a worker. Whatever a format
stores becomes float32 or float64: these two stay as they are, float16, bool and whole numbers of 8
and 16 bits become float32, which holds them exactly, all others float64 (whole numbers beyond 2^53
are rounded). Every value is finite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol

import numpy as np

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.bytestream import read_at

CHECKED_BYTES = 256 * 2**20  # of a file that is read, hashed and checked whole when it is opened
BLOCK_BYTES = 4 * 2**20  # of the values in one block: whole-array passes, and the cache holds it
SAMPLES, SAMPLE_BYTES = 64, 2**18  # of a larger file, for its identity
USUAL_NAMES = ("points", "data", "X", "coordinates")  # of the array that is meant among several

FINITE_REMEDY = "Leave such rows out, or put numbers there."


class Layout(Protocol):
    """How the rows of one input are read. Small and picklable."""

    @property
    def name(self) -> str:
        """Of the input, in messages."""

    @property
    def needs_staging(self) -> bool:
        """Whether a row cannot be reached without what is before it."""

    def part(self, start: int, stop: int) -> Layout:
        """A layout that can read at least these rows, and carries no more than it must."""

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Rows start..stop-1 as consecutive (rows, d) arrays of the stored dtype.

        Raises InputProblem naming the place where the input is wrong.
        """


@dataclass(frozen=True)
class Source:
    """Rows start..stop-1 of some points: what `load_rows` gets."""

    layout: Layout
    start: int
    stop: int
    d: int
    dtype: str


@dataclass(frozen=True)
class Points:
    """Points in a file, opened and checked as far as can be done in about a second.

    url       where they were found; format: 'npy', 'npz', 'text', 'parquet' or 'zarr'
    n, d      rows and columns; dtype: float32 or float64, what `load_rows` gives
    ids       names of the rows, or None where they have none
    names     names of the columns, or None
    nbytes    as stored, so of the compressed data
    identity  {"path", "bytes", "records", "sha256"}; above CHECKED_BYTES "sha256_of_samples", the
              hash of 64 evenly spaced pieces of 256 KiB, stands in for "sha256"
    checked   whether every value was looked at; else `load_rows` does it
    """

    url: str
    format: str
    n: int
    d: int
    dtype: np.dtype
    ids: list[str] | None
    names: list[str] | None
    nbytes: int
    identity: dict[str, Any]
    warnings: list[str]
    checked: bool
    layout: Layout

    def source(self, start: int, stop: int) -> Source:
        """What `load_rows` needs for rows start..stop-1."""
        if not 0 <= start <= stop <= self.n:
            raise ValueError(f"rows {start} to {stop} of {self.n} points.")
        return Source(self.layout.part(start, stop), start, stop, self.d, str(self.dtype))

    def read_from(self, layout: Layout) -> Points:
        """The same points, their rows read by another layout."""
        return replace(self, layout=layout)


def load_rows(source: Source) -> np.ndarray:
    """The rows of a source, (rows, d) C-contiguous, finite; read by whoever calls.

    Reads the byte range of the rows where the format allows it, never more than a block beside
    the result. Raises InputProblem naming row and column of a value that is not finite, and
    whatever else is wrong with the input.
    """
    rows = np.empty((source.stop - source.start, source.d), source.dtype)
    done = 0
    for block in source.layout.blocks(source.start, source.stop):
        part = rows[done : done + len(block)]
        part[:] = block
        check_finite(part, source.layout.name, source.start + done)
        done += len(block)
    if done < len(rows):
        raise ends_early(source.layout.name, source.start + done, source.stop)
    return rows


def kept_dtype(stored: np.dtype, name: str) -> np.dtype:
    """float32 or float64 for a stored dtype. InputProblem for what is no number."""
    if stored.kind == "O":
        text = f"{name} holds Python objects, which would be read by running what is in the file."
        raise InputProblem(text, remedy="Save numbers: numpy.save(FILE, points.astype(float)).")
    if stored.kind not in "fiub":
        text = f"{name} holds {stored.name if stored.names is None else 'records'}, not numbers."
        remedy = "Save a 2-D array of numbers, one row per point."
        if stored.kind == "c":
            text, remedy = f"{name} holds complex numbers.", "Save real and imaginary parts."
        raise InputProblem(text, remedy=remedy)
    exact = stored.itemsize <= (4 if stored.kind == "f" else 2)
    return np.dtype(np.float32 if exact else np.float64)


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """InputProblem unless there are rows and columns, at least one of each."""
    if len(shape) != 2:
        count = f"{len(shape)} dimension{'' if len(shape) == 1 else 's'}"
        text = f"{name} holds an array of {count}, not of 2: rows and columns."
        remedy = "Save one row per point."
        if len(shape) == 1:
            remedy = "One number per point? Save points.reshape(-1, 1)."
        raise InputProblem(text, remedy=remedy)
    if min(shape) == 0:
        what = "rows" if shape[0] == 0 else "columns"
        raise InputProblem(f"{name} has no {what}.", remedy="Give at least one point.")


def check_finite(rows: np.ndarray, name: str, first_row: int) -> None:
    """InputProblem for the first value that is NaN or infinite. rows (rows, d) float."""
    at = first_not_finite(rows)
    if at is not None:
        row, column = divmod(at, rows.shape[1])
        raise not_finite(name, first_row + row, column, float(rows[row, column]))


def first_not_finite(values: np.ndarray) -> int | None:
    """Index, in C order, of the first NaN or infinite one of float values; None when all are."""
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=None if values.itemsize > 2 else np.float32)):
            return None  # one that is not would have spread; a sum can overflow without one
    finite = np.isfinite(values).ravel()
    return None if finite.all() else int(np.argmin(finite))


def not_finite(name: str, row: int, column: int, value: float) -> InputProblem:
    """The refusal of a value, wherever it is met. Row and column are counted from 0."""
    text = f"{name}: row {row:,}, column {column:,} (counted from 0) is {value}."
    return InputProblem(text, remedy=FINITE_REMEDY)


def ends_early(name: str, row: int, n: int) -> InputProblem:
    text = f"{name} ends before row {row:,} (counted from 0) of {n:,}."
    return InputProblem(text, remedy="Copy it again.")


def layout_warnings(name: str, n: int, d: int) -> list[str]:
    """What may be a mistake and may be meant."""
    if n == 1 and d > 1:
        return [f"{name} has one row of {d:,} columns: is it transposed?"]
    return []


def stored_size(file: IO[bytes]) -> int:
    """Bytes of an open stored file."""
    return file.seek(0, 2)


def require_bytes(size: int, name: str) -> None:
    if size == 0:
        raise InputProblem(f"{name} is empty (0 bytes).", remedy="Give at least one point.")


def identity(path: str, nbytes: int, n: int, sha256: str, whole: bool = True) -> dict[str, Any]:
    """What run.json keeps of an input."""
    key = "sha256" if whole else "sha256_of_samples"
    return {"path": path, "bytes": nbytes, "records": n, key: sha256}


def hash_samples(file: IO[bytes], size: int, name: str) -> str:
    """sha256 of the size of a stored file and of evenly spaced pieces, its ends too."""
    digest = hashlib.sha256(str(size).encode())
    last = max(size - SAMPLE_BYTES, 0)
    for k in range(SAMPLES):
        digest.update(read_at(file, last * k // (SAMPLES - 1), SAMPLE_BYTES, name))
    return digest.hexdigest()


def chosen_member(
    names: list[str], name: str, what: str, usual: tuple[str, ...] = USUAL_NAMES
) -> str:
    """The one array that is meant: the only one, or one of a usual name."""
    known = [member for member in names if member in usual]
    if len(names) == 1 or len(known) == 1:
        return (known or names)[0]
    found = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    if not names:
        raise InputProblem(f"{name} holds no {what}.", remedy="Save one 2-D array.")
    text = f"{name} holds {len(names):,} {what}s ({found})."
    raise UsageProblem(text, remedy=f"Name one of them {usual[0]}, or save it alone.")

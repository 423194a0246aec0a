"""What `check` tells of points: ranges, equal rows, constant columns, and what is wrong."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from pipelines.errors import InputProblem, WhorlError
from pipelines.formats import points_source
from pipelines.formats.bytestream import ByteStream, StreamDamageError, open_stored
from pipelines.formats.points import format_of, open_points
from pipelines.formats.points_folder import COORDINATES, is_folder
from pipelines.formats.points_source import Points
from pipelines.formats.points_table import HEAD, looks_like_table
from pipelines.formats.points_zarr import MARKS
from storage.folder import open_folder

COMPARED_ROWS = 10_000_000  # of which equal ones are counted

_ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".parquet")
_PACKED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Survey:
    """Points that were looked at from end to end, right or wrong. Lists have one item per column.

    duplicate_rows  rows that are equal to an earlier one, among the first compared_rows
    """

    source: str
    format: str
    nbytes: int = 0
    n: int = 0
    d: int = 0
    dtype: str = ""
    names: list[str] | None = None
    n_ids: int = 0
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    not_finite: int = 0
    duplicate_rows: int = 0
    compared_rows: int = 0
    warnings: list[str] = field(default_factory=list)
    n_problems: int = 0
    problems: list[str] = field(default_factory=list)


def looks_like_points(url: str) -> bool:
    """Whether a file or folder is meant to be points, wrong ones too. UsageProblem: missing."""
    if url == "-":
        return False
    if is_folder(url):
        names = set(open_folder(url).names())
        return bool(MARKS & names) or ("run.json" not in names and bool(names & set(COORDINATES)))
    name = url.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    try:
        kind = format_of(url)
    except InputProblem:
        return name.endswith(_ENDINGS)
    if kind in ("npy", "parquet") or name.endswith(_ENDINGS):
        return True
    return kind == "text" and looks_like_table(_head(url))


def survey_points(url: str, columns: str | None = None) -> Survey:
    """Look at all points. UsageProblem when there are none; what is wrong is in the survey."""
    try:
        points = open_points(url, columns=columns, check=False)
    except WhorlError as problem:
        if not isinstance(problem, InputProblem):
            raise
        kind, nbytes = _stored(url)
        return Survey(url, kind, nbytes, n_problems=1, problems=[str(problem)])
    try:
        return _look(points)
    except InputProblem as problem:
        return Survey(
            url, points.format, points.nbytes, points.n, points.d, str(points.dtype), points.names,
            n_problems=1, problems=[str(problem)], warnings=points.warnings,
        )  # fmt: skip


def _look(points: Points) -> Survey:
    low = np.full(points.d, np.inf, points.dtype)
    high = -low
    hashes: list[np.ndarray] = []
    row = wrong = 0
    problems: list[str] = []
    for block in points.layout.blocks(0, points.n):
        values = block.astype(points.dtype)  # a copy of its own, in C order
        at = points_source.first_not_finite(values)
        if at is not None:
            wrong += int((~np.isfinite(values)).sum())
            where = divmod(at, points.d)
            value = float(values[where])
            name = points.layout.name
            if not problems:
                bad = points_source.not_finite(name, row + where[0], where[1], value)
                problems = [str(bad)]
        np.fmin(low, np.fmin.reduce(values, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(values, axis=0), out=high)
        if row < COMPARED_ROWS:
            hashes.append(hash_rows(values[: COMPARED_ROWS - row]))
        row += len(values)
    compared = np.concatenate(hashes)
    constant = np.flatnonzero(low == high).tolist() if points.n > 1 else []
    return Survey(
        points.url, points.format, points.nbytes, points.n, points.d, str(points.dtype),
        points.names, len(points.ids or ()), (low + 0).tolist(), (high + 0).tolist(), wrong,
        len(compared) - len(np.unique(compared)), len(compared),
        points.warnings + _constant(constant, points.names), wrong, problems,
    )  # fmt: skip


def _stored(url: str) -> tuple[str, int]:
    """Format and size of something that could not be opened."""
    if is_folder(url):
        return "folder", 0
    with ExitStack() as close:
        nbytes = points_source.stored_size(open_stored(url, close))
    return format_of(url) if nbytes else "empty", nbytes


def hash_rows(values: np.ndarray) -> np.ndarray:
    """(rows,) uint64 of (rows, d) float: equal rows have equal ones, others do not but by chance.

    0 and -0 are equal.
    """
    values = values + values.dtype.type(0)
    words = values.view(np.uint32 if values.itemsize == 4 else np.uint64).astype(np.uint64)
    words ^= words >> np.uint64(32)
    words *= np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(29)
    factors = np.random.default_rng(0).integers(0, 2**63, values.shape[1], np.uint64)
    return (words * (2 * factors + np.uint64(1))).sum(axis=1)


def _constant(columns: list[int], names: list[str] | None) -> list[str]:
    if not columns:
        return []
    shown = ", ".join(str(names[k] if names else k) for k in columns[:5])
    shown += ", ..." if len(columns) > 5 else ""
    counted = "" if names else " (counted from 0)"
    if len(columns) == 1:
        return [f"column {shown}{counted} has the same value in all rows"]
    return [f"{len(columns):,} columns have the same value in all rows: {shown}{counted}"]


def _head(url: str) -> bytes:
    """The first bytes of a text, decompressed, as far as they go."""
    head = b""
    with ByteStream(url) as stream:
        try:
            for block in stream.blocks():
                head += block
                if len(head) >= HEAD:
                    break
        except StreamDamageError:
            pass
    return head[:HEAD]

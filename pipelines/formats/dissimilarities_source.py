"""What dissimilarities are once their file was opened, and the band of them that a worker loads.

A Layout knows how one format is read in rectangles. It is small and picklable, so that a
BandSource, which is a layout and a range of rows, can travel to a worker. What is stored means a
number >= 0, or missing: NaN, and in int16 every negative number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from kernels import mds
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import ByteStream, open_stored
from pipelines.formats.dissimilarities_checks import Checker

CHECKED_BYTES = points_source.CHECKED_BYTES  # of stored values that are all looked at when opened
TILE_BYTES = points_source.BLOCK_BYTES  # of values that are read at a time

Read = Callable[[int, int, int, int], np.ndarray]
Tile = tuple[int, int, int, int]  # top, bottom, left, right


class Layout(Protocol):
    """How the matrix of one input is read. Small and picklable.

    name      of the input, in messages
    n         records
    stored    dtype of what `reading` gives, in the byte order of this machine
    upper     what is below the diagonal is not stored
    mirrored  both halves are known to be equal
    grain     rows and columns of what is read at once, however little of it is asked for
    tile      rows and columns that are best asked for
    """

    name: str
    n: int
    stored: np.dtype
    upper: bool
    mirrored: bool
    grain: tuple[int, int]
    tile: tuple[int, int]

    def reading(self) -> AbstractContextManager[Read]:
        """Gives read(top, bottom, left, right): rows top..bottom-1 of columns left..right-1.

        What is below the diagonal means nothing where `upper`. Raises InputProblem naming the
        place where the input is wrong.
        """


@dataclass(frozen=True)
class BandSource:
    """Rows start..stop-1 of the upper triangle: what `load_band` gets.

    stored_scale   dissimilarity = stored number * stored_scale; scale: the same of the band
    symmetrize     take the mean of both halves
    check          look at every value, and (zero_diagonal) whether the diagonal is 0
    """

    layout: Layout
    start: int
    stop: int
    dtype: str
    stored_scale: float
    scale: float
    symmetrize: bool
    check: bool
    zero_diagonal: bool = True


@dataclass(frozen=True)
class Dissimilarities:
    """A matrix of dissimilarities in a file or folder, opened and checked as far as can be done
    in about a second.

    url         where it was found; format: 'result', 'zarr', 'npy', 'condensed', 'npz', 'text',
                'phylip' or 'salsa'
    n           records; dtype: as stored; scale: dissimilarity = stored number * scale
    ids         names of the records, or None where they have none
    identity    {"path", "bytes", "records", "sha256" or "sha256_of_samples"}, and of a result
                "run_sha256", that of its run.json
    nbytes      as stored, so of the compressed data
    checked     whether every value was looked at; else `load_band` does it
    high        the largest dissimilarity; missing: pairs without one; None where not known yet
    breaks      share of the sampled triples that break the triangle inequality, None: no triples
    attributes  what the format tells beside the numbers
    held        what keeps a temporary file of the numbers, where `layout` reads one: workers then
                need what `staged` gives; bands: how they read that
    zero_diagonal   whether it must be 0
    """

    url: str
    format: str
    n: int
    dtype: np.dtype
    scale: float
    ids: list[str] | None
    identity: dict[str, Any]
    nbytes: int
    warnings: list[str]
    checked: bool
    layout: Layout
    symmetrize: bool = False
    high: float | None = None
    missing: int | None = None
    breaks: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    held: Any = field(default=None, repr=False, compare=False)
    bands: Layout | None = None
    zero_diagonal: bool = True

    @property
    def kept(self) -> np.dtype:
        """float32 or float64: of what `rows` and `submatrix` give."""
        return points_source.kept_dtype(self.dtype, self.url)

    def source(self, start: int, stop: int, dtype: str | np.dtype) -> BandSource:
        """What `load_band` needs for rows start..stop-1, to keep in float32, float64 or int16.

        Raises UsageProblem for int16 of numbers whose range is not known.
        """
        symmetrize = self.symmetrize and self.bands is None
        return BandSource(
            self.bands or self.layout, start, stop, str(np.dtype(dtype)), self.scale,
            self.band_scale(dtype), symmetrize, not self.checked, self.zero_diagonal,
        )  # fmt: skip

    def band_scale(self, dtype: str | np.dtype) -> float:
        """By what the numbers of a band of that dtype are multiplied."""
        if np.dtype(dtype) != np.int16:
            return 1.0
        if self.dtype == np.int16:
            return self.scale
        limits = self.attributes.get("distance_range")
        high = limits[1] if limits and limits[1] else self.high
        if high is None:
            text = f"the largest distance in {self.url} is not known, so int16 has no scale."
            raise UsageProblem(text, remedy="Use --dtype float32.")
        return float(high if high > 0 else 1.0) / 32767

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """(m, n) float32 or float64: whole rows. Missing is NaN, the diagonal is 0.

        numbers (m,) int, of records, in any order. Of a matrix of which only one half is stored,
        or both are averaged, all rectangles that touch the rows are read.
        """
        wanted, places = np.unique(np.asarray(numbers, np.int64), return_inverse=True)
        found = np.full((len(wanted), self.n), np.nan, self.kept)
        with self.layout.reading() as read:
            if self.layout.upper or self.symmetrize:
                self._rows_of_tiles(read, wanted, found)
            else:
                for chosen in groups(wanted, self.layout.grain[0]):
                    top, bottom = int(wanted[chosen.start]), int(wanted[chosen.stop - 1]) + 1
                    for left, right in cuts(0, self.n, self.layout.tile[1]):
                        block = read(top, bottom, left, right)[wanted[chosen] - top]
                        found[chosen, left:right] = self._floats(block)
        found[np.arange(len(wanted)), wanted] = 0
        return found[places]

    def submatrix(self, numbers: np.ndarray) -> np.ndarray:
        """(m, m) float32 or float64 among some records. Missing is NaN, the diagonal is 0."""
        wanted, places = np.unique(np.asarray(numbers, np.int64), return_inverse=True)
        found = np.zeros((len(wanted), len(wanted)), self.kept)
        height, width = self.layout.grain
        with self.layout.reading() as read:
            for rows in groups(wanted, height):
                for columns in groups(wanted, width):
                    if columns.stop <= rows.start + 1:
                        continue
                    tile = (*_span(wanted[rows]), *_span(wanted[columns]))
                    block = self._read(read, tile)
                    picked = block[wanted[rows] - tile[0]][:, wanted[columns] - tile[2]]
                    found[rows, columns] = self._floats(picked)
        found = np.triu(found, 1)
        found += found.T
        return found[places][:, places]

    def _rows_of_tiles(self, read: Read, wanted: np.ndarray, found: np.ndarray) -> None:
        for top, bottom, left, right in tiles(self.layout, 0, self.n):
            rows, columns = _within(wanted, top, bottom), _within(wanted, left, right)
            if rows.start == rows.stop and columns.start == columns.stop:
                continue
            block = self._read(read, (top, bottom, left, right))
            if left < bottom:  # on the diagonal: its square holds both halves
                square = np.triu(block[:, : bottom - top], 1)
                block = np.concatenate([square + square.T, block[:, bottom - top :]], axis=1)
                columns = _within(wanted, bottom, right)
            found[rows, left:right] = self._floats(block[wanted[rows] - top])
            found[columns, top:bottom] = self._floats(block[:, wanted[columns] - left]).T

    def _read(self, read: Read, tile: Tile) -> np.ndarray:
        """A rectangle of the upper triangle as stored, or the mean of it and its mirror."""
        if not self.symmetrize:
            return read(*tile)
        top, bottom, left, right = tile
        return averaged(read(*tile), read(left, right, top, bottom).T, self.scale)

    def _floats(self, block: np.ndarray) -> np.ndarray:
        return floats(block, self.scale).astype(self.kept, copy=False)


def load_band(source: BandSource) -> dict[str, np.ndarray]:
    """A packed band, as kernels.mds.band_of takes it, read by whoever calls.

    Never holds more than a few rectangles beside the band. Raises InputProblem naming the pair
    that is wrong, where the input was not checked when it was opened.
    """
    layout = source.layout
    place = (source.start, source.stop, layout.n)
    values = mds.new_band(layout.n, source.start, source.stop, source.dtype)
    checker = None
    if source.check:
        checker = checker_of(layout, source.stored_scale, source.symmetrize, source.zero_diagonal)
    as_stored = source.scale == source.stored_scale and not source.symmetrize
    as_stored = as_stored and layout.stored == np.int16 == values.dtype
    both = source.check or source.symmetrize
    for top, left, block, mirror in blocks(layout, place[:2], both):
        if source.symmetrize:
            block, mirror = averaged(block, mirror, source.stored_scale), None
        if checker is not None:
            checker.see(top, left, block, mirror)
        if as_stored:
            mds.fill_band(values, place, top, left, block)
        else:
            numbers = floats(block, source.stored_scale)
            mds.fill_band(values, place, top, left, numbers, source.scale)
    if checker is not None:
        checker.finish()
    return {
        "values": values,
        "place": np.array(place, np.int64),
        "scale": np.array([source.scale]),
    }


def check_all(layout: Layout, scale: float, symmetrize: bool, zero_diagonal: bool) -> Checker:
    """A look at every pair, by whoever calls."""
    checker = checker_of(layout, scale, symmetrize, zero_diagonal)
    for top, left, block, mirror in blocks(layout, (0, layout.n), True):
        if symmetrize:
            block, mirror = averaged(block, mirror, scale), None
        checker.see(top, left, block, mirror)
    return checker


def checker_of(layout: Layout, scale: float, symmetrize: bool, zero_diagonal: bool) -> Checker:
    """What looks at the numbers of a layout; at their means, as floats, where they are averaged."""
    shown = points_source.kept_dtype(layout.stored, layout.name)
    signed = layout.stored == np.int16 and not symmetrize
    return Checker(layout.name, 1.0 if symmetrize else scale, shown, signed, zero_diagonal)


def blocks(
    layout: Layout, rows: tuple[int, int], both: bool
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray | None]]:
    """(top, left, block, mirror) of the upper triangle of some rows; mirror: the same pairs from
    the other half, where both halves are asked for and there are two."""
    both = both and not layout.upper and not layout.mirrored
    with layout.reading() as read:
        for top, bottom, left, right in tiles(layout, *rows):
            block = read(top, bottom, left, right)
            yield top, left, block, read(left, right, top, bottom).T if both else None


def tiles(layout: Layout, start: int, stop: int) -> Iterator[Tile]:
    """Rectangles that cover the upper triangle of rows start..stop-1. The first one of a row of
    them starts on the diagonal, and holds all of it that is in these rows."""
    height, width = layout.tile
    for top, bottom in cuts(start, stop, height):
        behind = min(max(-(-bottom // width) * width, bottom), layout.n)
        yield top, bottom, top, behind
        for left, right in cuts(behind, layout.n, width):
            yield top, bottom, left, right


def cuts(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """(first, behind) of parts that end at multiples of step."""
    while start < stop:
        behind = min((start // step + 1) * step, stop)
        yield start, behind
        start = behind


def groups(wanted: np.ndarray, step: int) -> Iterator[slice]:
    """Slices of sorted numbers that lie between the same multiples of step."""
    homes = wanted // step
    edges = [*np.flatnonzero(np.diff(homes, prepend=-1)).tolist(), len(wanted)]
    for first, behind in pairwise(edges):
        yield slice(first, behind)


def floats(block: np.ndarray, scale: float) -> np.ndarray:
    """Dissimilarities of stored numbers: floats as they are, others float64; missing is NaN."""
    if block.dtype.kind == "f":
        return block
    values = block.astype(np.float64)
    if scale < 1:
        values /= 1 / scale  # 1 / 32767 is no float64, 32767 is one
    else:
        values *= scale
    if block.dtype == np.int16:
        values[block < 0] = np.nan
    return values


def averaged(one: np.ndarray, other: np.ndarray | None, scale: float) -> np.ndarray:
    """The mean of two halves of stored numbers, as in `floats`. Of a pair that is known in one of
    them, that one; a negative float stays, to be found."""
    one, other = floats(one, scale), floats(other, scale)
    mean = one / 2 + other / 2
    lowest = np.fmin(one, other)
    odd = np.isnan(mean) | (lowest < 0)
    mean[odd] = lowest[odd]
    return mean


def _within(wanted: np.ndarray, start: int, stop: int) -> slice:
    return slice(*np.searchsorted(wanted, (start, stop)).tolist())


def _span(numbers: np.ndarray) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[-1]) + 1


def hash_of(url: str, nbytes: int) -> tuple[str, str]:
    """("sha256", hex) of a file, or ("sha256_of_samples", hex) of a large one."""
    if nbytes <= CHECKED_BYTES:
        with ByteStream(url) as stream:
            for _ in stream.blocks():
                pass
        return "sha256", stream.sha256
    with ExitStack() as close:
        digest = points_source.hash_samples(open_stored(url, close), nbytes, url)
    return "sha256_of_samples", digest


def not_square(name: str, shape: tuple[int, ...]) -> InputProblem:
    size = " x ".join(f"{side:,}" for side in shape)
    text = f"{name} is {size}, not square: a row and a column per record are expected."
    return InputProblem(text, remedy="Coordinates of points? use: run kmeans, run interpolate.")

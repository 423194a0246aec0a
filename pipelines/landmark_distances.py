"""The nearest landmarks of a block of new items: by alignment, by coordinates, by given distances.

Runs on workers. The distances of a block to all landmarks are never held together: they come in
pieces of columns, of which the k nearest so far are kept. Of equally near landmarks those with the
lower numbers are kept, so that pieces and blocks change nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from kernels import neighbours, swg

COLUMNS = 1024  # landmarks that a block is aligned with at a time
FEW = 64  # nearest landmarks that are found by insertion
NONE = -1  # number of a landmark that there is not: fewer than k are known

Nearest = tuple[np.ndarray, np.ndarray]  # numbers (b, k) int32, distances (b, k) float64
See = Callable[[int, np.ndarray], None]  # (first landmark, distances (b, c)) of each piece


class Landmarks(Protocol):
    """What new items are measured against: sequences, points or columns."""

    @property
    def n(self) -> int:
        """How many there are."""

    def measure(self, block: Any, wanted: Wanted, n_threads: int) -> Found:
        """What is wanted of the distances of the items in a block to all landmarks."""


class Wanted(NamedTuple):
    """The k nearest landmarks; distances to those of the numbers `far` (f,), ascending; all
    distances of the rows `rows` (r,) of the block."""

    k: int
    far: np.ndarray
    rows: np.ndarray


class Found(NamedTuple):
    """numbers (b, k) int32 and distances (b, k) of the nearest landmarks, as `nearest_sequences`
    tells them; far (b, f); whole (r, m). float64, NaN: no distance."""

    numbers: np.ndarray
    distances: np.ndarray
    far: np.ndarray
    whole: np.ndarray


class SequenceBlock(NamedTuple):
    """Sequences: codes (letters,) uint8, offsets (b + 1,) int64 from 0."""

    codes: np.ndarray
    offsets: np.ndarray


@dataclasses.dataclass(frozen=True)
class SequenceLandmarks:
    """Sequences that others are aligned with, and how: what is broadcast.

    codes (letters,) uint8, offsets (m + 1,) int64   as kernels.sequences.pack makes them
    self_scores (m,) int64                           where swg.needs_self_scores(distance)
    """

    codes: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    gap_open: int
    gap_extend: int
    distance: str
    strand: str = "one"
    self_scores: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.offsets) - 1

    def taken(self, numbers: np.ndarray) -> SequenceLandmarks:
        """Those landmarks only, in that order."""
        codes, offsets = taken_sequences(self.codes, self.offsets, numbers)
        selves = None if self.self_scores is None else self.self_scores[numbers]
        return dataclasses.replace(self, codes=codes, offsets=offsets, self_scores=selves)

    def measure(self, block: SequenceBlock, wanted: Wanted, n_threads: int) -> Found:
        """By alignment."""
        far = np.empty((len(block.offsets) - 1, len(wanted.far)))
        whole = np.empty((len(wanted.rows), self.n))

        def see(start: int, values: np.ndarray) -> None:
            stop = start + values.shape[1]
            low, high = np.searchsorted(wanted.far, (start, stop))
            far[:, low:high] = values[:, wanted.far[low:high] - start]
            whole[:, start:stop] = values[wanted.rows]

        found = nearest_sequences(*block, self, wanted.k, n_threads=n_threads, see=see)
        return Found(*found, far, whole)


@dataclasses.dataclass(frozen=True)
class PointLandmarks:
    """Vectors (m, q) float32 or float64."""

    vectors: np.ndarray

    @property
    def n(self) -> int:
        return len(self.vectors)

    def measure(self, block: np.ndarray, wanted: Wanted, n_threads: int) -> Found:
        """By coordinates (b, q)."""
        from scipy.spatial.distance import cdist

        found = neighbours.nearest(block, self.vectors, wanted.k, n_threads=n_threads)
        far = cdist(block, self.vectors[wanted.far])
        return Found(*found, far, cdist(block[wanted.rows], self.vectors))


@dataclasses.dataclass(frozen=True)
class GivenLandmarks:
    """Columns (m,) of the rows of distances that are given."""

    columns: np.ndarray

    @property
    def n(self) -> int:
        return len(self.columns)

    def measure(self, block: np.ndarray, wanted: Wanted, n_threads: int) -> Found:
        """By the distances (b, all columns) themselves, NaN: none."""
        taken = block[:, self.columns].astype(np.float64)
        found = neighbours.select_block(taken, wanted.k)
        return Found(*found, taken[:, wanted.far], taken[wanted.rows])


def taken_sequences(
    codes: np.ndarray, offsets: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, offsets) of some sequences, in the order of their numbers."""
    parts = [codes[offsets[k] : offsets[k + 1]] for k in numbers]
    lengths = np.diff(offsets)[numbers]
    joined = np.concatenate([*parts, np.empty(0, np.uint8)])
    return joined, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def nearest_sequences(
    codes: np.ndarray,
    offsets: np.ndarray,
    landmarks: SequenceLandmarks,
    k: int,
    *,
    n_threads: int = 1,
    see: See | None = None,
) -> Nearest:
    """The k nearest landmarks of some sequences: (numbers (b, k), distances (b, k)), nearest first.

    codes (letters,) uint8, offsets (b + 1,) int64   the new sequences
    see    is shown the distances to all landmarks, piece by piece
    A pair without a distance does not count. Where fewer than k are known, numbers are NONE and
    distances NaN behind them.
    """
    kept = KNearest(len(offsets) - 1, k)
    for start, values in sequence_distances(codes, offsets, landmarks, n_threads):
        kept.add(start, values)
        if see is not None:
            see(start, values)
    return kept.found


def sequence_distances(
    codes: np.ndarray, offsets: np.ndarray, landmarks: SequenceLandmarks, n_threads: int = 1
) -> Iterator[tuple[int, np.ndarray]]:
    """(first landmark, distances (b, c) float64, NaN: none) in pieces of COLUMNS landmarks."""
    offsets = np.asarray(offsets, np.int64)
    b, costs = len(offsets) - 1, (landmarks.scores, landmarks.gap_open, landmarks.gap_extend)
    selves = None
    if swg.needs_self_scores(landmarks.distance):
        own = swg.self_scores(codes, offsets, *costs)
        theirs = landmarks.self_scores
        if theirs is None:
            theirs = swg.self_scores(landmarks.codes, landmarks.offsets, *costs)
    for start in range(0, landmarks.n if b else 0, COLUMNS):
        stop = min(start + COLUMNS, landmarks.n)
        first, last = landmarks.offsets[start], landmarks.offsets[stop]
        both = np.concatenate([codes, landmarks.codes[first:last]])
        ends = landmarks.offsets[start + 1 : stop + 1] - first + offsets[-1]
        if swg.needs_self_scores(landmarks.distance):
            selves = np.concatenate([own, theirs[start:stop]])
        done = swg.distance_block(
            both, np.concatenate([offsets, ends]), (0, b), (b, b + stop - start),
            scores=costs[0], gap_open=costs[1], gap_extend=costs[2],
            distance=landmarks.distance, strand=landmarks.strand, self_scores=selves,
            n_threads=n_threads,
        )  # fmt: skip
        yield start, done.values


class KNearest:
    """The k smallest of each row, as columns come by in their order."""

    def __init__(self, rows: int, k: int):
        self._k = k
        empty = np.full((rows, k), NONE, np.int32), np.full((rows, k), np.nan)
        self._held: list[Nearest] = [empty]

    def add(self, start: int, values: np.ndarray) -> None:
        """Distances (rows, c) to the landmarks from `start` on."""
        own = np.arange(start, start + values.shape[1], dtype=np.int32)
        self._held.append((np.broadcast_to(own, values.shape), values))
        if sum(values.shape[1] for _, values in self._held) > 2 * self._k:
            self._select()

    def _select(self) -> None:
        numbers, distances = map(np.hstack, zip(*self._held, strict=True))
        chosen, nearest = smallest(distances, self._k)
        picked = np.take_along_axis(numbers, np.maximum(chosen, 0), 1)
        self._held = [(np.where(chosen >= 0, picked, np.int32(NONE)), nearest)]

    @property
    def found(self) -> Nearest:
        """Numbers (rows, k) int32 and distances (rows, k) float64."""
        if len(self._held) > 1:
            self._select()
        return self._held[0]


def smallest(distances: np.ndarray, k: int) -> Nearest:
    """As neighbours.select_block, which inserts one by one: many are sorted."""
    if k <= FEW:
        return neighbours.select_block(distances, k)
    with np.errstate(invalid="ignore"):
        known = (distances >= 0) & (distances < np.inf)
    values = np.where(known, distances, np.inf)
    order = np.argsort(values, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(values, order, 1)
    some = nearest < np.inf
    return np.where(some, order, NONE).astype(np.int32), np.where(some, nearest, np.nan)

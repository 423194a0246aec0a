"""The nearest landmarks of a block of new items: by alignment, by coordinates, by given distances.

Runs on workers. The distances of a block to all landmarks are never held together: they come in
pieces of columns, of which the k nearest so far are kept. Of equally near landmarks those with the
lower numbers are kept, so that pieces and blocks change nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from kernels import swg

COLUMNS = 1024  # landmarks that a block is aligned with at a time
NONE = -1  # number of a landmark that there is not: fewer than k are known

Nearest = tuple[np.ndarray, np.ndarray]  # numbers (b, k) int32, distances (b, k) float64
See = Callable[[int, np.ndarray], None]  # (first landmark, distances (b, c)) of each piece


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


def nearest_given(distances: np.ndarray, k: int) -> Nearest:
    """The k nearest landmarks of items whose distances to all of them are given, as
    `nearest_sequences` returns them. distances (b, m), NaN: none."""
    kept = KNearest(len(distances), k)
    for start in range(0, distances.shape[1], COLUMNS):
        kept.add(start, distances[:, start : start + COLUMNS])
    return kept.found


class KNearest:
    """The k smallest of each row, as columns come by in their order."""

    def __init__(self, rows: int, k: int):
        self._k = k
        self._numbers = np.full((rows, k), NONE, np.int32)
        self._values = np.full((rows, k), np.inf)

    def add(self, start: int, values: np.ndarray) -> None:
        """Distances (rows, c) to the landmarks from `start` on."""
        numbers = np.arange(start, start + values.shape[1], dtype=np.int32)
        values = np.where(np.isnan(values), np.inf, values)
        numbers = np.hstack([self._numbers, np.broadcast_to(numbers, values.shape)])
        values = np.hstack([self._values, values])
        chosen = smallest(values, self._k)
        self._numbers = np.take_along_axis(numbers, chosen, 1)
        self._values = np.take_along_axis(values, chosen, 1)

    @property
    def found(self) -> Nearest:
        """Numbers (rows, k) int32 and distances (rows, k) float64."""
        known = np.isfinite(self._values)
        return np.where(known, self._numbers, NONE), np.where(known, self._values, np.nan)


def smallest(values: np.ndarray, k: int) -> np.ndarray:
    """(rows, k) int64: columns of the k smallest of each row, by value, equal ones by column.

    values (rows, c >= k), no NaN.
    """
    bound = np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    below, equal = values < bound, values == bound
    room = k - below.sum(axis=1, keepdims=True)
    chosen = below | (equal & (np.cumsum(equal, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(values), k)
    order = np.argsort(np.take_along_axis(values, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1)

"""What the rows of iterations tell of time: columns, and what follows from them."""

from collections.abc import Mapping, Sequence

import numpy as np


class Iterations:
    """Rows of iterations as columns; what a row lacks is NaN.

    run, iteration (r,) int64    started, mapped, stopped (r,) float64 epoch seconds
    seconds (r, ranks) float64   of the maps of each rank; NaN where a rank took no part
    """

    def __init__(self, rows: Sequence[Mapping]):
        self.rows = [row for row in rows or () if isinstance(row, Mapping)]
        self.run = np.array([int(row.get("run") or 0) for row in self.rows], dtype=np.int64)
        self.iteration = np.array(
            [int(row.get("iteration", n)) for n, row in enumerate(self.rows)], dtype=np.int64
        )
        self.started, self.mapped, self.stopped = map(self.value, ("started", "mapped", "stopped"))
        found = [_seconds(row) for row in self.rows]
        self.seconds = np.full((len(found), max(map(len, found), default=0)), np.nan)
        for n, one in enumerate(found):
            self.seconds[n, : len(one)] = one

    def __len__(self) -> int:
        return len(self.rows)

    def value(self, name: str) -> np.ndarray:
        """Another column of the rows, (r,) float64."""
        return np.array([number(row.get(name)) for row in self.rows], dtype=np.float64)

    @property
    def slowest(self) -> np.ndarray:
        """Seconds of the slowest rank's map, (r,); rank 0's span where no seconds were told."""
        untold = self.mapped - self.started
        known = np.isfinite(self.seconds).any(axis=1)
        return np.where(known, np.max(self.seconds, axis=1, initial=-1, where=self.known), untold)

    @property
    def mean(self) -> np.ndarray:
        """Seconds of the map, mean of the ranks, (r,)."""
        told = self.known.sum(axis=1)
        total = np.where(self.known, self.seconds, 0).sum(axis=1)
        return np.where(told > 0, total / np.maximum(told, 1), self.slowest)

    @property
    def known(self) -> np.ndarray:
        return np.isfinite(self.seconds)

    @property
    def whole(self) -> np.ndarray:
        """From the end of the iteration before in the same run, else from the start, to the end."""
        begun = self.started.copy()
        follows = np.flatnonzero((self.run[1:] == self.run[:-1]) & (np.diff(self.stopped) > 0)) + 1
        begun[follows] = np.fmin(begun[follows], self.stopped[follows - 1])
        return self.stopped - begun

    @property
    def overhead(self) -> np.ndarray:
        """Seconds not spent in the slowest rank's map, (r,); clocks differ, so never below 0."""
        return np.maximum(self.whole - self.slowest, 0)


def number(value: object) -> float:
    """A number of run.json or a row, NaN where there is none."""
    return float(value) if isinstance(value, int | float | np.number) else np.nan


def found(run: Mapping, *names: str) -> float:
    """The first of these keys of run.json that is a number, else NaN."""
    return next((number(run[name]) for name in names if np.isfinite(number(run.get(name)))), np.nan)


def _seconds(row: Mapping) -> list[float]:
    value = row.get("seconds")
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [number(one) for one in value]
    return [number(value)] if isinstance(value, int | float) else []


def pieces(told: Iterations) -> list[tuple[str, np.ndarray]]:
    """[(which iterations, seconds (3,) in maps, in waiting for the slowest rank, in the rest)].

    The first one; of the later ones the medians piece by piece, and the longest.
    """
    waiting = np.maximum(told.slowest - told.mean, 0)
    parts = np.column_stack([told.mean, waiting, told.overhead])
    known = np.isfinite(parts).all(axis=1)
    rows = [("first", parts[0])] if len(told) and known[0] else []
    later = parts[1:][known[1:]]
    if len(later):
        rows.append(("later, median", np.median(later, axis=0)))
        rows.append(("later, longest", later[later.sum(axis=1).argmax()]))
    return rows

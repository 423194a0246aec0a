"""What can be wrong with dissimilarities: a look at every number, rectangle by rectangle."""

from __future__ import annotations

import math

import numpy as np

from pipelines.errors import InputProblem

TOLERANCE = 1e-6  # relative, of two halves that should be equal, and of the diagonal


class Checker:
    """Looks at the upper triangle and remembers what is wrong with it.

    name     of the input; scale: dissimilarity = stored number * scale
    shown    dtype in which numbers are told
    signed   a negative number is a missing dissimilarity, as in int16
    zero_diagonal   of dissimilarities it must be 0, of weights it has no meaning

    high (the largest dissimilarity, -inf: none) and missing (pairs) are of what was seen.
    """

    def __init__(
        self, name: str, scale: float, shown: np.dtype, signed: bool, zero_diagonal: bool = True
    ):
        self.name, self._scale, self._shown, self._signed = name, scale, shown, signed
        self._zero_diagonal = zero_diagonal
        self.missing = 0
        self._high = -math.inf
        self._odd = {"infinite": 0, "negative": 0}
        self._first_odd: tuple[int, int, float] | None = None
        self._off_diagonal, self._first_off = 0, (0, 0.0)
        self._unequal, self._worst = 0, (-1.0, 0, 0, 0.0, 0.0)

    @property
    def high(self) -> float:
        return self._high * self._scale

    def see(self, top: int, left: int, block: np.ndarray, mirror: np.ndarray | None = None) -> None:
        """Look at rows from top on and columns from left on; what is below the diagonal is not
        looked at.

        block (r, c)    as stored
        mirror (r, c)   the same pairs, read from the other side of the diagonal
        """
        crosses = left < top + len(block)
        if mirror is not None and not _same(block, mirror):
            self._compare(top, left, block, mirror)
        if crosses:
            if self._zero_diagonal:
                self._see_diagonal(top, left, block)
            block = np.triu(block, top - left + 1)  # and 0 elsewhere
        self._see_values(top, left, block)

    def problems(self) -> list[InputProblem]:
        """What is wrong with what was seen."""
        found = []
        if self._first_odd is not None:
            found.append(self._odd_value(*self._first_odd))
        if self._off_diagonal:
            found.append(self._not_zero(*self._first_off))
        if self._unequal:
            found.append(self._not_symmetric())
        return found

    def finish(self) -> None:
        """Raise the first problem, an InputProblem, if there is one."""
        for problem in self.problems():
            raise problem

    def _see_values(self, top: int, left: int, block: np.ndarray) -> None:
        if not block.size:
            return
        with np.errstate(invalid="ignore"):
            low, high = block.min(), block.max()
        if low >= 0 and high < math.inf:  # False where one is NaN
            self._high = max(self._high, float(high))
            return
        with np.errstate(invalid="ignore"):
            negative, unknown = block < 0, np.isnan(block)
            infinite = np.isinf(block)
        if self._signed:
            unknown, negative = negative, np.zeros_like(negative)
        odd = negative | infinite
        self.missing += int(np.count_nonzero(unknown))
        self._odd["infinite"] += int(np.count_nonzero(infinite))
        self._odd["negative"] += int(np.count_nonzero(negative & ~infinite))
        if odd.any() and self._first_odd is None:
            row, column = np.unravel_index(int(odd.argmax()), odd.shape)
            self._first_odd = (top + int(row), left + int(column), float(block[row, column]))
        usual = block[~(odd | unknown)]
        if usual.size:
            self._high = max(self._high, float(usual.max()))

    def _see_diagonal(self, top: int, left: int, block: np.ndarray) -> None:
        first = max(top, left)
        values = np.diagonal(block, top - left)
        values = values.astype(np.float64)
        with np.errstate(invalid="ignore"):
            near = TOLERANCE * np.nanmax(np.abs(block), initial=0)
            off = np.abs(values) > near  # False where it is NaN
            if self._signed:
                off &= values > 0
        if off.any():
            if not self._off_diagonal:
                at = int(off.argmax())
                self._first_off = (first + at, float(values[at]))
            self._off_diagonal += int(np.count_nonzero(off))

    def _compare(self, top: int, left: int, block: np.ndarray, mirror: np.ndarray) -> None:
        one, other = self._floats(block), self._floats(mirror)
        with np.errstate(invalid="ignore"):
            difference = np.abs(one - other)
            unequal = difference > TOLERANCE * np.maximum(np.abs(one), np.abs(other))
        half = np.isnan(one) != np.isnan(other)
        difference[half] = math.inf
        unequal = np.triu(unequal | half, top - left + 1)
        if not unequal.any():
            return
        self._unequal += int(np.count_nonzero(unequal))
        row, column = np.unravel_index(
            int(np.where(unequal, difference, -1).argmax()), unequal.shape
        )
        worst = float(difference[row, column])
        if worst > self._worst[0]:
            values = float(block[row, column]), float(mirror[row, column])
            self._worst = (worst, top + int(row), left + int(column), *values)

    def _floats(self, block: np.ndarray) -> np.ndarray:
        values = block.astype(np.float64)
        if self._signed:
            values[block < 0] = np.nan
        return values

    def _text(self, value: float) -> str:
        if self._signed and value < 0:
            return "missing"
        return str(self._shown.type(value * self._scale)).removesuffix(".0")

    def _odd_value(self, row: int, column: int, value: float) -> InputProblem:
        text = f"{self.name}: d[{row},{column}] (counted from 0) is {self._text(value)}"
        counts = [f"{count:,} {kind}" for kind, count in self._odd.items() if count]
        if sum(self._odd.values()) > 1:
            text += f", the first of {' and '.join(counts)} ones"
        what = "distance" if self._zero_diagonal else "weight"
        remedy = f"Write NaN where a {what} is not known."
        return InputProblem(f"{text}; a {what} is 0 or more.", remedy=remedy)

    def _not_zero(self, row: int, value: float) -> InputProblem:
        text = f"{self.name}: d[{row},{row}] is {self._text(value)}, not 0"
        if self._off_diagonal > 1:
            text += f", the first of {self._off_diagonal:,} on the diagonal"
        remedy = "Is it a similarity? Distances are 0 between equal things: give 1 - s."
        return InputProblem(f"{text}.", remedy=remedy)

    def _not_symmetric(self) -> InputProblem:
        _, row, column, value, mirrored = self._worst
        pairs = f"worst of {self._unequal:,} pairs" if self._unequal > 1 else "one pair"
        text = (
            f"{self.name} is not symmetric: d[{row},{column}]={self._text(value)}, "
            f"d[{column},{row}]={self._text(mirrored)} ({pairs})."
        )
        remedy = "Average them with --symmetrize." if self._zero_diagonal else "Average them first."
        return InputProblem(text, remedy=remedy)


def _same(block: np.ndarray, mirror: np.ndarray) -> bool:
    """Whether both hold the same bits, which NaN do that are not equal."""
    if block.dtype.kind == "f":
        bits = f"u{block.dtype.itemsize}"
        block, mirror = block.view(bits), mirror.view(bits)
    return np.array_equal(block, mirror)

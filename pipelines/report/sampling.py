"""A bounded look at a matrix of any size: which records, and their distances to each other."""

import math
from typing import Protocol

import numpy as np

MOST_RECORDS = 2_000
STRIPE_BYTES = 64 << 20  # rows are read in stripes of at most this many bytes
READ_BYTES = 2 << 30  # decoded bytes that are read in all


class Rows(Protocol):
    """What the report needs of a distance matrix; NaN is a missing distance.

    A matrix in blocks that has `block_size` and `block(i, j)` too is read block by block, which is
    less to read and to hold.
    """

    n: int

    def rows(self, start: int, stop: int) -> np.ndarray:
        """float (stop - start, n)."""


def choose(n: int, most: int, random_state: int | None, block_size: int = 1) -> np.ndarray:
    """Sorted numbers of at most `most` of n records, drawn without replacement from a seed.

    To read one distance is to read its block. Where all blocks of the upper triangle would pass
    READ_BYTES, the records are drawn from as many stripes of blocks as fit.
    Returns (min(n, most),) int64.
    """
    if n <= most:
        return np.arange(n, dtype=np.int64)
    draw = np.random.default_rng(0 if random_state is None else random_state)
    stripes = -(-n // block_size)
    affordable = max(math.isqrt(READ_BYTES // 2) // block_size, -(-most // block_size), 1)
    if affordable >= stripes:
        return np.sort(draw.choice(n, most, replace=False)).astype(np.int64)
    firsts = draw.choice(stripes, affordable, replace=False) * block_size
    members = np.concatenate([np.arange(a, min(a + block_size, n)) for a in firsts.tolist()])
    return np.sort(draw.choice(members, min(most, len(members)), replace=False)).astype(np.int64)


def read_sample(matrix: Rows, chosen: np.ndarray) -> np.ndarray:
    """Distances among the chosen records.

    chosen (k,)   int64, sorted record numbers
    Returns (k, k) float32, NaN = missing. One block or one stripe of rows is held beside it.
    """
    sample = np.full((len(chosen), len(chosen)), np.nan, dtype=np.float32)
    by_block = hasattr(matrix, "block") and hasattr(matrix, "block_size")
    (_read_blocks if by_block else _read_rows)(matrix, chosen, sample)
    return sample


def _read_blocks(matrix, chosen: np.ndarray, sample: np.ndarray) -> None:
    size = matrix.block_size
    home, offset = chosen // size, chosen % size
    stripes = [(i, np.flatnonzero(home == i)) for i in np.unique(home).tolist()]
    for place, (i, rows) in enumerate(stripes):
        for j, columns in stripes[place:]:
            part = matrix.block(i, j)[offset[rows]][:, offset[columns]]
            sample[np.ix_(rows, columns)] = part
            sample[np.ix_(columns, rows)] = part.T


def _read_rows(matrix, chosen: np.ndarray, sample: np.ndarray) -> None:
    height = max(1, STRIPE_BYTES // max(1, 8 * matrix.n))
    done = 0
    while done < len(chosen):
        first = int(chosen[done])
        until = int(np.searchsorted(chosen, first + height))
        rows = matrix.rows(first, int(chosen[until - 1]) + 1)
        sample[done:until] = rows[chosen[done:until] - first][:, chosen]
        done = until

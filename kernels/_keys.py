"""Keys: the score of an alignment and its counts of columns in one integer.

Any integer that adds up along an alignment can be maximised by the same recurrence
(kernels/_gotoh.py). There are three kinds:

    score       A * score, A = 1
    identical   A * score + M
    columns     A * score + B * M - N

M counts identical columns, N all others. A exceeds what stands below it, so that the largest key
belongs to the best score, of these to the most identical columns, and of these to the fewest
others; and M and N can be read off the key.
"""

from typing import NamedTuple

from kernels._jit import njit


class Packing(NamedTuple):
    """How counts are packed into keys for queries and targets of given lengths."""

    a: int  # weight of the score
    b: int  # weight of an identical column, 0 where none is counted
    other: int  # of any other column
    gap_open: int
    gap_extend: int
    smallest: int  # key of one aligned column, padding included
    largest: int


def packing(kind: str, scores, gap_open: int, gap_extend: int, rows: int, columns: int) -> Packing:
    """Weights for alignments of at most `rows` with at most `columns` letters."""
    shorter = min(rows, columns)
    if kind == "score":
        a, b, other = 1, 0, 0
    elif kind == "identical":
        a, b, other = shorter + 1, 1, 0
    else:
        b, other = rows + columns + 1, -1
        a = b * (shorter + 2)
    smallest = min(int(scores.min()) * a + other, -a)
    largest = int(scores.max()) * a + b
    return Packing(a, b, other, a * gap_open - other, a * gap_extend - other, smallest, largest)


@njit
def record(
    keys, queries, targets, turned, triangle, most, a, b, other,
    score, identical, others, overflowed,
):  # fmt: skip
    """Unpack keys (queries, L) into the counts of a block. Returns how many pairs overflowed.

    A key above `most` is not to be trusted; its pair is listed in overflowed (pairs, 2) instead.
    """
    n = 0
    for k in range(queries.size):
        for lane in range(targets.size):
            q, t = (targets[lane], queries[k]) if turned else (queries[k], targets[lane])
            if triangle and q <= t:
                continue
            key = keys[k, lane]
            if key > most:
                overflowed[n, 0], overflowed[n, 1] = q, t
                n += 1
                continue
            # other columns make the rest below A * score negative where nothing is identical
            value = (key + b - 1) // a if other else key // a
            if score.size:
                score[q, t] = value
            if b:
                rest = key - a * value
                matches = (rest + b - 1) // b if other else rest
                identical[q, t] = matches
                if other:
                    others[q, t] = b * matches - rest
    return n

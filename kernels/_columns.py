"""Alignments with all kinds of columns counted: a scalar kernel for the distances that need them.

Two integers stand for a cell: its score, and below it a packed `rank` that settles which of the
best-scoring alignments is meant: most identical columns, then fewest others, then fewest gap
columns, then most columns of a chosen kind (positive scores, or transitions).
"""

import numpy as np

from kernels._jit import njit


@njit
def align_pair(a, b, scores, chosen, gap_open, gap_extend, rank, h, h_rank, f, f_rank):
    """(score, rank) of the best local alignment of codes a and b.

    scores, chosen (c, c)   score of a column; 1 where it is of the chosen kind
    rank                    (identical, other, gap, chosen): weights of the columns in the rank
    h, h_rank, f, f_rank    (len(b) + 1,) int64 scratch
    """
    low = -(1 << 60)
    best, best_rank = 0, 0
    for j in range(b.size + 1):
        h[j], h_rank[j], f[j], f_rank[j] = 0, 0, low, 0
    gap = -rank[1] - rank[2]
    for i in range(a.size):
        diagonal, diagonal_rank = h[0], h_rank[0]
        left, left_rank = 0, 0
        e, e_rank = low, 0
        for j in range(1, b.size + 1):
            x, y = a[i], b[j - 1]
            column = rank[0] if x == y else -rank[1]
            value = diagonal + scores[x, y]
            value_rank = diagonal_rank + column + rank[3] * chosen[x, y]
            diagonal, diagonal_rank = h[j], h_rank[j]
            # a gap from the left, then one from above: opened or extended, whichever ranks higher
            opened, extended = left - gap_open, e - gap_extend
            if opened > extended or (opened == extended and left_rank > e_rank):
                e, e_rank = opened, left_rank + gap
            else:
                e, e_rank = extended, e_rank + gap
            opened, extended = h[j] - gap_open, f[j] - gap_extend
            if opened > extended or (opened == extended and h_rank[j] > f_rank[j]):
                f[j], f_rank[j] = opened, h_rank[j] + gap
            else:
                f[j], f_rank[j] = extended, f_rank[j] + gap
            if e > value or (e == value and e_rank > value_rank):
                value, value_rank = e, e_rank
            if f[j] > value or (f[j] == value and f_rank[j] > value_rank):
                value, value_rank = f[j], f_rank[j]
            if value < 0 or (value == 0 and value_rank < 0):
                value, value_rank = 0, 0
            h[j], h_rank[j] = value, value_rank
            left, left_rank = value, value_rank
            if value > best or (value == best and value_rank > best_rank):
                best, best_rank = value, value_rank
    return best, best_rank


@njit
def count_columns(
    codes, starts, lengths, query, targets, complement, scores, chosen, gap_open, gap_extend, out
):
    """out[k] = (score, identical, others, gaps, chosen) of query with targets[k].

    Others include gaps. Sequence k is codes[starts[k]:starts[k] + lengths[k]].
    complement   table of complements: the other strand of the targets; empty: the given one
    """
    a = codes[starts[query] : starts[query] + lengths[query]]
    for k in range(targets.size):
        t = targets[k]
        b = codes[starts[t] : starts[t] + lengths[t]].copy()
        if complement.size:
            b = complement[b[::-1]]
        n = b.size
        h, h_rank = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
        f, f_rank = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
        base = a.size + n + 1
        few = min(a.size, n) + 1
        rank = (base * base * few, base * few, few, 1)
        score, packed = align_pair(
            a, b, scores, chosen, gap_open, gap_extend, rank, h, h_rank, f, f_rank
        )
        kind = packed % few
        rest = (packed - kind) // few  # identical * base^2 - others * base - gaps
        gaps = (-rest) % base
        rest = (rest + gaps) // base  # identical * base - others
        others = (-rest) % base
        out[k, 0], out[k, 1], out[k, 2] = score, (rest + others) // base, others
        out[k, 3], out[k, 4] = gaps, kind


def rank_fits(rows: int, columns: int) -> bool:
    """Whether the ranks of alignments of sequences this long fit 64 bits."""
    base = rows + columns + 1
    return base * base * (min(rows, columns) + 1) ** 2 < 2**62

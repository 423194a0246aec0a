"""Keys: the score of an alignment and its counts of columns in one integer.

Any integer that adds up along an alignment can be maximised by the same recurrence
(kernels/_gotoh.py). With S the score, M the identical columns, N all others, O the gaps opened:

    score       S
    identical   A S + M
    columns     A S + B M - N, or A S + B M + O

A exceeds what stands below it, so that the largest key belongs to the best score, of these to the
most identical columns, and of these to the fewest others; and the counts can be read off the key.

Narrow lanes want small keys:

* All keys may share a divisor. With EDNAFULL's 5, -4, 16 and 4, S - M is a multiple of 4; with A
  one less than a multiple of 4, so is every key, and a quarter of it is kept (`unit`).
* Where a mismatch costs what it costs to extend a gap, S = match M - extend N - (open - extend) O:
  the fewest others have the most gaps opened, and O is far smaller than N.
* `narrow` weights are smaller than the largest thinkable counts. A key then has several readings;
  but few of them can be alignments (no score without identical columns, no more identical columns
  than letters, no more gaps than the score has room for). Where just one can, and no better
  alignment can hide behind it, it is the answer; all other pairs are aligned again with wider keys.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from kernels._gotoh import Form, key_range
from kernels._jit import njit


class Packing(NamedTuple):
    """How counts are packed into keys."""

    a: int  # weight of the score
    b: int  # weight of an identical column, 0 where none is counted
    other: int  # of any other column: -1 or 0
    opened: int  # of a gap opened: 1 or 0
    unit: int  # all keys are divided by it
    narrow: bool  # a key may have several readings
    gap_open: int  # as keys
    gap_extend: int
    smallest: int  # key of one aligned column
    largest: int
    least_match: int  # smallest score of an identical column


class Scheme(NamedTuple):
    """What packing has to know of the scores that occur among some residues."""

    match: int  # largest score of an identical column
    least_match: int
    same_match: bool  # all of them score the same
    other: int  # largest score of any other column
    same_other: bool
    divisor: int  # of all scores of other columns, gap costs and differences between matches
    smallest: int
    largest: int
    gap_open: int
    gap_extend: int


@functools.lru_cache(4096)
def _scheme(scores: bytes, a: int, letters: int, gap_open: int, gap_extend: int) -> Scheme:
    table = np.frombuffer(scores, np.int64).reshape(a, a)
    present = [code for code in range(a) if letters >> code & 1] or [0]
    table = table[np.ix_(present, present)]
    match = table.diagonal()
    off = table[~np.eye(len(present), dtype=bool)]
    if off.size == 0:
        off = np.array([-gap_extend])
    divisor = math.gcd(gap_open, gap_extend, *(int(s) for s in np.unique(off)))
    divisor = math.gcd(divisor, *(int(s) for s in np.unique(match - match[0])))
    return Scheme(
        int(match.max()), int(match.min()), bool((match == match[0]).all()), int(off.max()),
        bool((off == off[0]).all()), divisor, int(table.min()), int(table.max()),
        gap_open, gap_extend,
    )  # fmt: skip


def scheme(scores: np.ndarray, letters: int, gap_open: int, gap_extend: int) -> Scheme:
    """Of the residues whose bits are set in `letters`."""
    return _scheme(scores.tobytes(), scores.shape[0], letters, gap_open, gap_extend)


@functools.lru_cache(65536)
def choose(
    kind: str, form: Form, scoring: Scheme, rows: int, columns: int, bound: int
) -> tuple[Packing, bool, bool, int, int] | None:
    """The packing for alignments of at most `rows` with at most `columns` letters in a form.

    bound   no alignment scores more
    Returns (packing, whether no key can overflow, whether it is worth trying, zero, most), see
    key_range; None where the form has no packing for this.
    """
    shorter = min(rows, columns)
    if kind == "score":
        return None if form.narrow else _fit(form, scoring, 1, 0, shorter, bound, rows + columns)
    if kind == "identical":
        unit = scoring.divisor if math.gcd(scoring.match, scoring.divisor) == 1 else 1
        start, step = shorter + 1, 1
        if form.narrow:
            if scoring.other > 0 or scoring.match <= 0:
                return None
            bound = bound if form.narrow == 1 else int(AIM * bound)
            reach = 32 * scoring.gap_extend + scoring.gap_open + 2 * scoring.largest
            start, step = (unit << form.bits) // (bound + reach) + unit, -1
            start = min(start, shorter)
        while (scoring.match * start + 1) % unit:
            start += step
        while start >= max(shorter // LEAST_WEIGHT, 1) or not form.narrow:
            found = _fit(form, scoring, start, 1, shorter, bound, rows + columns, unit=unit)
            if not form.narrow or found[1]:
                return found
            start -= unit
        return None
    if not form.narrow:
        b = rows + columns + 1
        return _fit(form, scoring, b * (shorter + 2), b, shorter, bound, rows + columns, other=-1)
    uniform = scoring.same_match and scoring.same_other and scoring.match > 0
    if not uniform or scoring.other != -scoring.gap_extend:
        return None
    b = scoring.match * shorter // scoring.gap_open + 2
    least = max(b // LEAST_SHARE, 2)
    while b >= least:
        found = _fit(form, scoring, b * (shorter + 1), b, shorter, bound, rows + columns, opened=1)
        if found[1]:
            return found
        b = b * 7 // 8
    return None


AIM = 0.6  # of the bound: where sequences differ enough to need larger weights, they score less
LEAST_WEIGHT = 24  # narrow weights of a score below 1/24 of the letters hardly leave one reading
LEAST_SHARE = 2  # weights of an identical column below 1/2 of what rules out others: same
WORTH_TRYING = 4  # a form is tried where it holds this many times the largest key of a column


def _fit(
    form: Form, scoring: Scheme, a: int, b: int, shorter: int, bound: int, span: int,
    *, other: int = 0, opened: int = 0, unit: int = 1,
) -> tuple[Packing, bool, bool, int, int]:  # fmt: skip
    gap_open = (a * scoring.gap_open - other - opened) // unit
    gap_extend = (a * scoring.gap_extend - other) // unit
    smallest = min((scoring.smallest * a + other) // unit, -gap_extend)
    largest = -(-(scoring.largest * a + b) // unit)
    narrow = form.narrow > 0
    pack = Packing(
        a, b, other, opened, unit, narrow, gap_open, gap_extend, smallest, largest,
        scoring.least_match,
    )  # fmt: skip
    zero, most = key_range(form, smallest, largest, gap_open, gap_extend, span)
    surely = a * bound + b * shorter + opened * b <= most * unit
    # a matrix without positive scores must not make a lane look wide that cannot hold its zero
    trying = form.rebased and not form.narrow
    trying = trying and most >= max(WORTH_TRYING * max(largest, 1), 3 * gap_open)
    return pack, surely, surely or trying, zero, most


def key_table(pack: Packing, scores: np.ndarray) -> np.ndarray:
    """(a + 1, a + 1) int64: skewed keys of one aligned column, the last code being the padding."""
    a = scores.shape[0]
    table = np.full((a + 1, a + 1), -pack.gap_extend, np.int64)
    table[:a, :a] = (scores * pack.a + pack.other) // pack.unit
    np.fill_diagonal(table[:a, :a], (scores.diagonal() * pack.a + pack.b) // pack.unit)
    return table + 2 * pack.gap_extend


@njit
def read_key(key, pack, shorter, letters, match, gap_open, gap_extend):
    """(score, identical, others, whether that is the only reading) of a key.

    key                above 0
    shorter, letters   of the shorter sequence, of both
    """
    a, b, other, opened, unit, narrow = pack[0], pack[1], pack[2], pack[3], pack[4], pack[5]
    least_match = pack[10]
    key *= unit
    if other:  # the rest below A S is negative where nothing is identical
        score = (key + b - 1) // a
        rest = key - a * score
        identical = (rest + b - 1) // b
        return score, identical, b * identical - rest, True
    score = key // a
    rest = key - a * score
    if opened:
        identical = rest // b
        gaps = rest - b * identical
        others = (match * identical - score - (gap_open - gap_extend) * gaps) // gap_extend
        # each gap opened costs gap_open, and only identical columns earn: other readings have more
        alone = gap_open * (gaps + b) > match * (identical - 1) - score
        alone &= gap_open * (b * (identical + 1) + gaps) > match * shorter
        return score, identical, others, alone
    if not narrow:
        return score, rest, 0, True
    # As many identical columns as there can be: each takes two letters and earns least_match, and
    # what the score lacks to that was lost on other letters, at gap_open each at most (a mismatch
    # that costs more would be two gaps). The next reading, a better score with fewer of them, must
    # have too few for that score.
    identical = rest + (shorter - rest) // a * a
    score = (key - identical) // a
    while 2 * identical * gap_open + least_match * identical - score > letters * gap_open:
        identical -= a
        score += 1
    alone = identical >= 0 and score >= 0 and match * (identical - a) < score + 1
    return score, identical, 0, alone


@njit
def record(
    keys, queries, targets, query_lengths, target_lengths, turned, triangle, wanted, most, pack,
    match, gap_open, gap_extend, score, identical, others, failed,
):  # fmt: skip
    """Unpack keys (queries, L) into the counts of a block. Returns (pairs unpacked, pairs failed).

    wanted (rows, columns)   the pairs to unpack; empty: all
    failed (pairs, 3)        filled with (row, column, whether it has more than one reading) of
                             pairs whose key is above `most`, or has more than one reading
    """
    seen = n = 0
    for k in range(queries.size):
        for lane in range(targets.size):
            q, t = (targets[lane], queries[k]) if turned else (queries[k], targets[lane])
            if (triangle and q <= t) or (wanted.size and not wanted[q, t]):
                continue
            seen += 1
            key = keys[k, lane]
            s, m, rest, alone = 0, 0, 0, True
            if 0 < key <= most:
                shorter = min(query_lengths[k], target_lengths[lane])
                letters = query_lengths[k] + target_lengths[lane]
                s, m, rest, alone = read_key(
                    key, pack, shorter, letters, match, gap_open, gap_extend
                )
            if key > most or not alone:
                failed[n, 0], failed[n, 1], failed[n, 2] = q, t, not alone
                n += 1
                continue
            if score.size:
                score[q, t] = s
            if identical.size:
                identical[q, t] = m
            if others.size:
                others[q, t] = rest
    return seen, n

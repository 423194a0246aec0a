"""Distances from alignments: the names, the formulas, and blocks of them.

The vector kernel (kernels/_pairs.py) counts for the distances that need the score or identical and
other columns; the three that need gaps, positive columns or transitions too take the scalar one
(kernels/_columns.py).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from kernels import _columns, sequences
from kernels._jit import njit
from kernels._pairs import Counts, Group

DISTANCES = {
    "identity-longer": "1 - identical columns / longer sequence",
    "identity-shorter": "1 - identical columns / shorter sequence",
    "identity-aligned": "1 - identical columns / all columns",
    "similarity-aligned": "1 - (identical + positive columns) / all columns",
    "score-max": "1 - score / larger self score",
    "score-min": "1 - score / smaller self score",
    "jukes-cantor": "-3/4 ln(1 - 4/3 p), p = mismatches / aligned residues",
    "kimura": "-1/2 ln(1 - 2P - Q) - 1/4 ln(1 - 2Q), "
    "P transitions, Q transversions / aligned residues",
    "score": "the score itself, a similarity",
}
BOUNDED = tuple(name for name in DISTANCES if name not in ("jukes-cantor", "kimura", "score"))

_MODE = {name: number for number, name in enumerate(DISTANCES)}
_SCALAR = ("similarity-aligned", "jukes-cantor", "kimura")  # need all kinds of columns


class Block(NamedTuple):
    """Distances of one block of pairs, and what was met on the way."""

    values: np.ndarray  # (rows, columns) float64; NaN = missing
    cells: int  # of the dynamic programming, sum of length x length over the pairs aligned
    clipped: int  # pairs whose normalised score was beyond [0, 1]
    missing: int  # pairs without a distance
    short: int  # identity-aligned: pairs aligned over less than half of the shorter sequence
    repeated: int  # pairs aligned again in wider lanes


def kind_of(distance: str) -> str:
    """What the kernel has to count: 'score', 'identical', 'columns' or 'all'."""
    if distance in _SCALAR:
        return "all"
    if distance == "identity-aligned":
        return "columns"
    return "score" if needs_self_scores(distance) else "identical"


def needs_self_scores(distance: str) -> bool:
    """Whether distance_block wants the self scores."""
    return distance in ("score-max", "score-min", "score")


def block_of(
    pairs: Group, rows, columns, diagonal: bool, distance: str, strand: str, selves, n_threads: int
) -> Block:
    """Distances of sequences `rows` and `columns` of `pairs`, both ranges of consecutive numbers.

    diagonal   rows and columns are the same sequences
    selves     (n,) int64 self scores of `pairs`, where `needs_self_scores(distance)`
    """
    strands = [np.zeros(0, np.uint8)]
    if strand == "both":
        sequences.check_strands(pairs.scores)
        strands.append(sequences.complements())
    fill = _scalar_block if distance in _SCALAR else _vector_block
    values, noted = fill(pairs, rows, columns, diagonal, distance, strands, selves, n_threads)
    cells = _cells(pairs.lengths, rows, columns, diagonal) * len(strands)
    return Block(values, cells, *(int(count) for count in noted))


def _vector_block(pairs, rows, columns, diagonal, distance, strands, selves, n_threads):
    """The distances whose counts the vector kernel packs into keys: (values, what was noted)."""
    kind, repeated, best = kind_of(distance), 0, None
    scored = kind == "score" or len(strands) > 1
    for complement in strands:
        counts = Counts(
            pairs, rows, columns,
            triangle=diagonal, kind=kind, scored=scored, complement=complement,
        )  # fmt: skip
        counts.fill(n_threads)
        repeated += counts.repeated
        if best is None:
            best = counts
        else:
            keep_better(
                best.score, best.identical, best.others,
                counts.score, counts.identical, counts.others,
            )  # fmt: skip
    values = np.zeros((rows.size, columns.size))
    noted = np.zeros(3, np.int64)
    first = (rows[0], columns[0]) if values.size else (0, 0)
    finish(
        _MODE[distance], best.score, best.identical, best.others, pairs.lengths, selves,
        best.rows, best.columns, *first, diagonal, values, noted,
    )  # fmt: skip
    return values, (*noted, repeated)


def _cells(lengths, rows, columns, diagonal: bool) -> int:
    total = int(lengths[rows].sum()) * int(lengths[columns].sum())
    return (total - int((lengths[rows] ** 2).sum())) // 2 if diagonal else total


@njit
def keep_better(score, identical, others, score2, identical2, others2):
    """Keep, pair by pair, the counts of the better alignment, by the order of kernels/_keys.py."""
    for i in range(score.shape[0]):
        for j in range(score.shape[1]):
            better = score2[i, j] > score[i, j]
            if identical.size and score2[i, j] == score[i, j]:
                better = identical2[i, j] > identical[i, j]
                if others.size and identical2[i, j] == identical[i, j]:
                    better = others2[i, j] < others[i, j]
            if better:
                score[i, j] = score2[i, j]
                if identical.size:
                    identical[i, j] = identical2[i, j]
                if others.size:
                    others[i, j] = others2[i, j]


@njit
def finish(
    mode, score, identical, others, lengths, selves,
    rows, columns, first_row, first_column, diagonal, values, noted,
):  # fmt: skip
    """Counts, which stand in ascending length, into values, which stand in the given order.

    rows, columns             sequence of each row and column of the counts
    first_row, first_column   sequence of the first row and column of values
    noted (3,)                clipped, missing, short: pairs
    """
    for i in range(rows.size):
        for j in range(columns.size):
            if diagonal and i < j:
                continue
            r, c = rows[i] - first_row, columns[j] - first_column
            m, n = lengths[rows[i]], lengths[columns[j]]
            if diagonal and i == j:
                values[r, c] = selves[rows[i]] if mode == 8 else 0.0
                continue
            if mode <= 1:  # identity-longer, identity-shorter
                length = max(m, n) if mode == 0 else min(m, n)
                value = 1.0 - identical[i, j] / length if length else 1.0
            elif mode == 2:  # identity-aligned
                length = identical[i, j] + others[i, j]
                value = 1.0 - identical[i, j] / length if length else 1.0
                noted[2] += 2 * length < min(m, n)
            elif mode == 8:  # score
                value = float(score[i, j])
            else:  # score-max, score-min
                a, b = selves[rows[i]], selves[columns[j]]
                whole = max(a, b) if mode == 4 else min(a, b)
                value = 1.0 - score[i, j] / whole if whole > 0 else np.nan
                if value < 0.0 or value > 1.0:
                    noted[0] += 1
                    value = min(max(value, 0.0), 1.0)
            noted[1] += np.isnan(value)
            values[r, c] = value
            if diagonal:
                values[c, r] = value


def _scalar_block(pairs, rows, columns, diagonal, distance, strands, selves, n_threads):
    """The distances that need all kinds of columns: (values, what was noted)."""
    chosen = _chosen(distance, pairs.scores)
    values = np.zeros((rows.size, columns.size))
    missing = np.zeros(rows.size, np.int64)

    def fill_row(k: int) -> None:
        targets = columns[k + 1 :] if diagonal else columns
        best = None
        for complement in strands:
            counts = np.zeros((targets.size, 5), np.int64)
            _columns.count_columns(
                pairs.codes, pairs.starts, pairs.lengths, rows[k], targets, complement,
                pairs.scores, chosen, pairs.gap_open, pairs.gap_extend, counts,
            )  # fmt: skip
            best = counts if best is None else _better_columns(best, counts)
        value = _corrected(distance, best)
        missing[k] = np.isnan(value).sum()
        values[k, columns.size - targets.size :] = value
        if diagonal:
            values[k + 1 :, k] = value

    if n_threads > 1:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(fill_row, range(rows.size)))
    else:
        for k in range(rows.size):
            fill_row(k)
    return values, (0, missing.sum(), 0, 0)


def _chosen(distance: str, scores: np.ndarray) -> np.ndarray:
    """(a, a) int64: 1 for the columns counted last: positive and not identical, or transitions."""
    if distance == "similarity-aligned":
        chosen = (scores > 0).astype(np.int64)
        np.fill_diagonal(chosen, 0)
        return chosen
    chosen = np.zeros(scores.shape, np.int64)
    if distance == "kimura":
        for x, y in ("AG", "CT"):
            i, j = sequences.NUCLEOTIDES.index(x), sequences.NUCLEOTIDES.index(y)
            chosen[i, j] = chosen[j, i] = 1
    return chosen


def _better_columns(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Row by row the counts that come first, by the order of kernels/_columns.py."""
    sign = np.array([1, 1, -1, -1, 1])
    difference = (two - one) * sign
    first = np.argmax(difference != 0, axis=1)
    better = difference[np.arange(len(one)), first] > 0
    return np.where(better[:, None], two, one)


def _corrected(distance: str, counts: np.ndarray) -> np.ndarray:
    """Distances from (score, identical, others, gaps, chosen); 1 for the empty alignment."""
    _, identical, others, gaps, chosen = counts.T.astype(np.float64)
    columns = identical + others
    with np.errstate(divide="ignore", invalid="ignore"):
        if distance == "similarity-aligned":
            return np.where(columns > 0, 1 - (identical + chosen) / columns, 1.0)
        # whole numbers up to the division: a saturated pair must not escape by a rounding error
        residues = columns - gaps
        mismatches = others - gaps
        if distance == "jukes-cantor":
            left = 3 * residues - 4 * mismatches
            value = -0.75 * np.log(left / (3 * residues))
            saturated = left <= 0
        else:
            left = residues - mismatches - chosen  # 1 - 2 P - Q
            right = residues - 2 * (mismatches - chosen)  # 1 - 2 Q
            value = -0.5 * np.log(left / residues) - 0.25 * np.log(right / residues)
            saturated = (left <= 0) | (right <= 0)
    value = np.where(saturated, np.nan, value + 0.0)
    return np.where(residues > 0, value, 1.0)

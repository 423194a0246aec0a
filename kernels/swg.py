"""All-pairs Smith-Waterman-Gotoh: exact local alignment, identity without traceback, distances.

Of all best-scoring local alignments of a pair the one with the most identical columns is meant, and of these
the one with the fewest others. That is a property of the unordered pair: distances are symmetric, whatever the
order of the sequences and however the work is cut into blocks.

A gap of k residues costs gap_open + (k - 1) * gap_extend, as in parasail and EMBOSS (BLAST and SeqAn charge the
extension once more). An identical column pairs equal codes: case folded, U = T, N with N counts.

Gotoh (1982), J. Mol. Biol. 162, 705-708. Smith and Waterman (1981), J. Mol. Biol. 147, 195-197.
"""

import os
from typing import NamedTuple

import numpy as np

from kernels import _columns, sequences
from kernels._gotoh import PROFILE_BYTES, Form, key_range
from kernels._jit import njit
from kernels._pairs import LADDERS, Counts, Group, group, packing
from kernels._simd import register_bytes

DISTANCES = {
    "identity-longer": "1 - identical columns / longer sequence",
    "identity-shorter": "1 - identical columns / shorter sequence",
    "identity-aligned": "1 - identical columns / all columns",
    "similarity-aligned": "1 - (identical + positive columns) / all columns",
    "score-max": "1 - score / larger self score",
    "score-min": "1 - score / smaller self score",
    "jukes-cantor": "-3/4 ln(1 - 4/3 p), p = mismatches / aligned residues",
    "kimura": "-1/2 ln(1 - 2P - Q) - 1/4 ln(1 - 2Q), P transitions, Q transversions / aligned residues",
    "score": "the score itself, a similarity",
}
BOUNDED = tuple(name for name in DISTANCES if name not in ("jukes-cantor", "kimura", "score"))
STRANDS = ("one", "both")
DTYPES = ("float32", "float64", "float16", "int16")
INT16_SCALE = 32767  # int16 stores round(d * 32767), missing -1

_MODE = {name: number for number, name in enumerate(DISTANCES)}
_SCALAR = ("similarity-aligned", "jukes-cantor", "kimura")  # need all kinds of columns
_MOST_ROWS = 2048  # of a block of distance_matrix


class Block(NamedTuple):
    """Distances of one block of pairs, and what was met on the way."""

    values: np.ndarray  # (rows, columns) float64; NaN = missing
    cells: int  # of the dynamic programming, sum of length x length over the pairs aligned
    clipped: int  # pairs whose normalised score was beyond [0, 1]
    missing: int  # pairs without a distance
    short: int  # pairs that align over less than half of the shorter sequence (identity-aligned only)
    repeated: int  # pairs aligned again in wider lanes


def distance_matrix(
    sequences_,
    *,
    alphabet: str = "auto",
    matrix=None,
    gap_open: int | None = None,
    gap_extend: int | None = None,
    distance: str = "identity-longer",
    strand: str = "one",
    dtype: str = "float32",
    n_threads: int | None = None,
) -> np.ndarray:
    """Distances between all sequences, on all cores of this machine.

    sequences   str or bytes each, any lengths
    alphabet    'dna', 'rna', 'protein'; 'auto': nucleotide when every letter is an IUPAC nucleotide code and at
                least 90 % are A, C, G, T or U, else protein
    matrix      name (EDNAFULL, BLOSUM62, ...) or (a, a) integers in the order of sequences.letters(alphabet)
    gap_open, gap_extend   costs; a gap of k residues costs gap_open + (k - 1) * gap_extend
    distance    one of DISTANCES; the empty alignment has distance 1
    strand      'both': the better of the forward and the reverse complement (nucleotides)
    dtype       float32, float64, float16, or int16 = round(distance * 32767), missing -1
    n_threads   None: one for each usable core
    None elsewhere: the alphabet's default, EDNAFULL 16/4 for nucleotides, BLOSUM62 11/1 for proteins.

    Returns (n, n) of dtype, symmetric, 0 on the diagonal (for 'score' the self scores). NaN marks a pair without
    a distance: a self score of 0, a saturated correction.
    Raises ValueError for a foreign letter, an unknown option, sequences too long for 64-bit keys.
    """
    codes, offsets, alphabet = sequences.pack(sequences_, alphabet)
    scores, gap_open, gap_extend = sequences.scoring(alphabet, matrix, gap_open, gap_extend)
    check_options(distance, strand, alphabet, dtype)
    lengths = np.diff(offsets)
    unfit = unfit_pair(lengths, scores, gap_open, gap_extend, distance)
    if unfit is not None:
        raise ValueError(f"sequences {unfit[0]} and {unfit[1]} are too long: their keys need more than 64 bits")
    threads = n_threads or usable_cores()
    options = {
        "scores": scores, "gap_open": gap_open, "gap_extend": gap_extend, "distance": distance,
        "strand": strand, "n_threads": threads,
        "self_scores": self_scores(codes, offsets, scores, gap_open, gap_extend)
        if needs_self_scores(distance) else None,
    }  # fmt: skip
    n = lengths.size
    result = np.zeros((n, n), dtype)
    for top in range(0, n, _MOST_ROWS):
        rows = (top, min(top + _MOST_ROWS, n))
        for left in range(top, n, _MOST_ROWS):
            columns = (left, min(left + _MOST_ROWS, n))
            values = store(distance_block(codes, offsets, rows, columns, **options).values, dtype)
            result[slice(*rows), slice(*columns)] = values
            result[slice(*columns), slice(*rows)] = values.T
    return result


def distance_block(
    codes, offsets, rows, columns, *, scores, gap_open, gap_extend, distance, strand="one", self_scores=None, n_threads=1
) -> Block:  # fmt: skip
    """Distances between sequences rows[0]..rows[1] and columns[0]..columns[1].

    codes (letters,) uint8, offsets (n + 1,) int64   all sequences, as sequences.pack makes them
    rows, columns    (start, stop): equal, for a block on the diagonal, or disjoint
    scores (a, a)    substitution scores; gap costs as in distance_matrix
    self_scores      (n,) int64 of all sequences, where `needs_self_scores(distance)`
    """
    diagonal = tuple(rows) == tuple(columns)
    lo, hi = min(rows[0], columns[0]), max(rows[1], columns[1])
    near = [np.arange(*rows), np.arange(*columns)]
    offsets = np.asarray(offsets, np.int64)
    if hi - lo > 2 * (rows[1] - rows[0] + columns[1] - columns[0]):  # far apart: take along just the two groups
        picked = np.concatenate(near)
    else:
        picked = np.arange(lo, hi)
    sizes = np.diff(offsets)[picked]
    local = np.concatenate([[0], np.cumsum(sizes)])
    letters = np.concatenate(
        [np.empty(0, np.uint8), *(codes[offsets[i] : offsets[i + 1]] for i in picked)]
    )
    pairs = group(letters, local, scores, gap_open, gap_extend)
    here = [np.searchsorted(picked, side) for side in near] if picked.size == hi - lo else [
        np.arange(near[0].size), np.arange(near[0].size, picked.size)
    ]  # fmt: skip
    selves = np.zeros(picked.size, np.int64) if self_scores is None else self_scores[picked]
    strands = [None, _complement()] if strand == "both" else [None]
    fill = _scalar_block if distance in _SCALAR else _vector_block
    return fill(pairs, *here, diagonal, distance, strands, selves, n_threads)


def self_scores(codes, offsets, scores, gap_open, gap_extend) -> np.ndarray:
    """(n,) int64: the local alignment score of each sequence with itself.

    Where every letter of a sequence scores best with itself, that is the sum of these scores; the others are
    aligned.
    """
    pairs = group(codes, offsets, scores, gap_open, gap_extend)
    own = pairs.scores.diagonal()
    sums = np.concatenate([[0], np.cumsum(own[pairs.codes])])
    offsets = np.asarray(offsets, np.int64)
    result = sums[offsets[1:]] - sums[offsets[:-1]]
    for i in np.flatnonzero(result != pairs.bounds):
        twice = Counts(pairs, [i], [i], triangle=False, kind="score")
        twice.fill()
        result[i] = twice.score[0, 0]
    return result


def needs_self_scores(distance: str) -> bool:
    """Whether distance_block wants the self scores."""
    return distance in ("score-max", "score-min", "score")


def working_bytes(lengths, distance: str, rows: int, columns: int) -> int:
    """Memory that distance_block takes at its peak, for at most `rows` and `columns` of these sequences.

    Counts and values of every pair, the scores of one batch, the cells kept between rows and tiles of the
    longest sequences, and a copy of the letters.
    """
    lengths = np.sort(np.asarray(lengths))[::-1]
    longest = int(lengths[0]) if lengths.size else 0
    letters = int(lengths[: rows + columns].sum())
    vector = register_bytes()
    return rows * columns * 40 + 2 * PROFILE_BYTES + longest * 4 * vector + 2 * letters + (8 << 20)


def kind_of(distance: str) -> str:
    """What the kernel has to count: 'score', 'identical', 'columns' or 'all'."""
    if distance in _SCALAR:
        return "all"
    if distance == "identity-aligned":
        return "columns"
    return "score" if needs_self_scores(distance) else "identical"


def check_options(distance: str, strand: str, alphabet: str, dtype: str) -> None:
    """ValueError for names that do not exist or do not go together."""
    for label, value, known in (
        ("distance", distance, tuple(DISTANCES)),
        ("strand", strand, STRANDS),
        ("dtype", dtype, DTYPES),
    ):
        if value not in known:
            raise ValueError(f"{label} is {value!r}; choose one of {', '.join(known)}")
    if alphabet == "protein" and distance in ("jukes-cantor", "kimura"):
        raise ValueError(f"distance {distance} is for nucleotides, not for proteins")
    if alphabet == "protein" and strand == "both":
        raise ValueError("strand 'both' is for nucleotides; proteins have one")
    if dtype == "int16" and distance not in BOUNDED:
        raise ValueError(f"dtype int16 holds distances from 0 to 1; {distance} is not bounded by 1")
    if dtype == "float16" and distance == "score":
        raise ValueError("dtype float16 holds whole numbers to 2048 only; scores go beyond, take float32")


def unfit_pair(lengths, scores, gap_open, gap_extend, distance) -> tuple[int, int] | None:
    """The two longest sequences, longest first, where the keys of their alignment need more than 64 bits."""
    lengths = np.asarray(lengths)
    if lengths.size < 2:
        return None
    second, first = (int(i) for i in np.argsort(lengths, kind="stable")[-2:])
    m, n = int(lengths[first]), int(lengths[second])
    kind = kind_of(distance)
    if kind == "all":
        return None if _columns.rank_fits(m, n) else (first, second)
    pack = packing(kind, scores, gap_open, gap_extend, m, n)
    _, most = key_range(Form(64, False), pack.smallest, pack.largest, pack.gap_open, pack.gap_extend, m + n)
    bound = int(np.max(scores)) * n
    return None if pack.a * bound + pack.b * n <= most else (first, second)


def store(values: np.ndarray, dtype: str) -> np.ndarray:
    """Distances as they are kept: int16 = round(d * 32767) and -1 for missing; else a plain cast."""
    if dtype != "int16":
        return values.astype(dtype)
    return np.where(np.isnan(values), -1, np.rint(values * INT16_SCALE)).astype(np.int16)


def usable_cores() -> int:
    """Cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def warm_up(distance: str = "identity-longer", alphabet: str = "dna") -> None:
    """Compile, or load from the cache, every kernel that `distance` may need."""
    scores, gap_open, gap_extend = sequences.scoring(alphabet)
    codes, offsets, _ = sequences.pack(["ACGT", "ACT"], alphabet)
    kind = kind_of(distance)
    pairs = group(codes, offsets, scores, gap_open, gap_extend)
    for step in range(len(LADDERS.get(kind, ()))):
        Counts(pairs, [0], [1], triangle=False, kind=kind).run_step(step)
    selves = self_scores(codes, offsets, scores, gap_open, gap_extend)
    distance_block(
        codes, offsets, (0, 2), (0, 2), scores=scores, gap_open=gap_open, gap_extend=gap_extend,
        distance=distance, self_scores=selves,
    )  # fmt: skip


def _complement() -> np.ndarray:
    return sequences.reverse_complement(np.arange(len(sequences.NUCLEOTIDES), dtype=np.uint8))[::-1].copy()


def _vector_block(pairs: Group, rows, columns, diagonal, distance, strands, selves, n_threads) -> Block:
    """The distances whose counts the vector kernel packs into keys."""
    kind, repeated, best = kind_of(distance), 0, None
    for complement in strands:
        counts = Counts(
            pairs, rows, columns, triangle=diagonal, kind=kind, complement=complement,
            scored=kind == "score" or len(strands) > 1,
        )  # fmt: skip
        counts.fill(n_threads)
        repeated += counts.repeated
        if best is None:
            best = counts
        else:
            _keep_better(
                best.score, best.identical, best.others, counts.score, counts.identical, counts.others
            )
    values = np.zeros((rows.size, columns.size))
    noted = np.zeros(3, np.int64)
    finish(
        _MODE[distance], best.score, best.identical, best.others, pairs.lengths, selves,
        best.rows - rows[0] if rows.size else best.rows,
        best.columns - columns[0] if columns.size else best.columns,
        rows[0] if rows.size else 0, columns[0] if columns.size else 0, diagonal, values, noted,
    )  # fmt: skip
    cells = _cells(pairs.lengths, rows, columns, diagonal) * len(strands)
    return Block(values, cells, *(int(x) for x in noted), repeated)


def _cells(lengths, rows, columns, diagonal: bool) -> int:
    total = int(lengths[rows].sum()) * int(lengths[columns].sum())
    return (total - int((lengths[rows] ** 2).sum())) // 2 if diagonal else total


@njit
def _keep_better(score, identical, others, score2, identical2, others2):
    """Keep, pair by pair, the counts of the better alignment, by the order of the module."""
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
def finish(mode, score, identical, others, lengths, selves, rows, columns, row0, column0, diagonal, values, noted):
    """Counts, which stand in ascending length, into values, which stand in the given order.

    rows, columns   place in `values` of each row and column of the counts
    noted (3,)      clipped, missing, short: pairs
    """
    for i in range(rows.size):
        for j in range(columns.size):
            if diagonal and i < j:
                continue
            r, c = rows[i], columns[j]
            m, n = lengths[row0 + r], lengths[column0 + c]
            if diagonal and i == j:
                values[r, c] = selves[row0 + r] if mode == 8 else 0.0
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
                a, b = selves[row0 + r], selves[column0 + c]
                whole = max(a, b) if mode == 4 else min(a, b)
                value = 1.0 - score[i, j] / whole if whole > 0 else np.nan
                if value < 0.0 or value > 1.0:
                    noted[0] += 1
                    value = min(max(value, 0.0), 1.0)
            noted[1] += np.isnan(value)
            values[r, c] = value
            if diagonal:
                values[c, r] = value


def _scalar_block(pairs: Group, rows, columns, diagonal, distance, strands, selves, n_threads) -> Block:
    """The distances that need all kinds of columns."""
    from concurrent.futures import ThreadPoolExecutor

    chosen = _chosen(distance, pairs.scores)
    values = np.zeros((rows.size, columns.size))
    missing = np.zeros(rows.size, np.int64)

    def fill_row(k: int) -> None:
        targets = columns[k + 1 :] if diagonal else columns
        best = None
        for complement in strands:
            table = np.zeros(0, np.uint8) if complement is None else complement
            counts = np.zeros((targets.size, 5), np.int64)
            _columns.count_columns(
                pairs.codes, pairs.starts, pairs.lengths, rows[k], targets, table, pairs.scores, chosen,
                pairs.gap_open, pairs.gap_extend, counts,
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
    cells = _cells(pairs.lengths, rows, columns, diagonal) * len(strands)
    return Block(values, cells, 0, int(missing.sum()), 0, 0)


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
    """Row by row the counts that come first: score, identical, fewest others, fewest gaps, chosen."""
    sign = np.array([1, 1, -1, -1, 1])
    difference = (two - one) * sign
    first = np.argmax(difference != 0, axis=1)
    better = difference[np.arange(len(one)), first] > 0
    return np.where(better[:, None], two, one)


def _corrected(distance: str, counts: np.ndarray) -> np.ndarray:
    """Distances from (score, identical, others, gaps, chosen); the empty alignment has distance 1."""
    _, identical, others, gaps, chosen = counts.T.astype(np.float64)
    columns = identical + others
    with np.errstate(divide="ignore", invalid="ignore"):
        if distance == "similarity-aligned":
            return np.where(columns > 0, 1 - (identical + chosen) / columns, 1.0)
        residues = columns - gaps
        mismatches = others - gaps
        if distance == "jukes-cantor":
            left = 1 - 4 * mismatches / (3 * residues)
            value = -0.75 * np.log(left)
            saturated = left <= 0
        else:
            p, q = chosen / residues, (mismatches - chosen) / residues
            left, right = 1 - 2 * p - q, 1 - 2 * q
            value = -0.5 * np.log(left) - 0.25 * np.log(right)
            saturated = (left <= 0) | (right <= 0)
    value = np.where(saturated, np.nan, value + 0.0)
    return np.where(residues > 0, value, 1.0)

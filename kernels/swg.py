"""All-pairs Smith-Waterman-Gotoh: exact local alignment, identity without traceback, distances.

Of all best-scoring local alignments of a pair the one with the most identical columns is meant, and
of these the one with the fewest others. That is a property of the unordered pair: distances are
symmetric, whatever the order of the sequences and however the work is cut into blocks.

A gap of k residues costs gap_open + (k - 1) * gap_extend, as in parasail and EMBOSS (BLAST and
SeqAn charge the extension once more). An identical column pairs equal codes: case folded, U = T,
N with N counts.

Gotoh (1982), J. Mol. Biol. 162, 705-708. Smith and Waterman (1981), J. Mol. Biol. 147, 195-197.
"""

import os
from collections.abc import Iterable

import numpy as np

from kernels import _columns, sequences
from kernels._distances import BOUNDED, DISTANCES, Block, block_of, kind_of, needs_self_scores
from kernels._gotoh import PROFILE_BYTES, Form
from kernels._keys import choose, scheme
from kernels._pairs import LADDERS, Counts, group
from kernels._simd import register_bytes

__all__ = [
    "BOUNDED",
    "DISTANCES",
    "DTYPES",
    "INT16_SCALE",
    "STRANDS",
    "Block",
    "check_options",
    "distance_block",
    "distance_matrix",
    "kind_of",
    "needs_self_scores",
    "self_scores",
    "store",
    "unfit_pair",
    "usable_cores",
    "warm_up",
    "working_bytes",
]

STRANDS = ("one", "both")
DTYPES = ("float32", "float64", "float16", "int16")
INT16_SCALE = 32767  # int16 stores round(d * 32767), missing -1

_MOST_ROWS = 2048  # of a block of distance_matrix


def distance_matrix(
    sequences_: Iterable[str | bytes],
    *,
    alphabet: str = "auto",
    matrix: str | np.ndarray | None = None,
    gap_open: int | None = None,
    gap_extend: int | None = None,
    distance: str = "identity-longer",
    strand: str = "one",
    dtype: str = "float32",
    n_threads: int | None = None,
) -> np.ndarray:
    """Distances between all sequences, on all cores of this machine.

    sequences_  str or bytes each, any lengths
    alphabet    'dna', 'rna', 'protein'; 'auto': nucleotide when every letter is an IUPAC nucleotide
                code and at least 90 % are A, C, G, T or U, else protein
    matrix      name (EDNAFULL, BLOSUM62, ...) or (a, a) integers in the order of
                sequences.letters(alphabet)
    gap_open, gap_extend   a gap of k residues costs gap_open + (k - 1) * gap_extend
    distance    one of DISTANCES; the empty alignment has distance 1
    strand      'both': the better of the forward and the reverse complement (nucleotides)
    dtype       float32, float64, float16, or int16 = round(distance * 32767), missing -1
    n_threads   None: one for each usable core
    None elsewhere: the alphabet's default, EDNAFULL 16/4 or, for proteins, BLOSUM62 11/1.

    Returns (n, n) of dtype, symmetric, 0 on the diagonal (for 'score' the self scores). NaN marks a
    pair without a distance: a self score of 0, a saturated correction.
    Raises ValueError for a foreign letter, an unknown option, sequences too long for 64-bit keys.
    """
    codes, offsets, alphabet = sequences.pack(sequences_, alphabet)
    scores, gap_open, gap_extend = sequences.scoring(alphabet, matrix, gap_open, gap_extend)
    check_options(distance, strand, alphabet, dtype, scores)
    unfit = unfit_pair(np.diff(offsets), scores, gap_open, gap_extend, distance)
    if unfit is not None:
        raise ValueError(
            f"sequences {unfit[0]} and {unfit[1]} are too long: their keys need more than 64 bits"
        )
    costs = {"scores": scores, "gap_open": gap_open, "gap_extend": gap_extend}
    options = costs | {
        "distance": distance,
        "strand": strand,
        "n_threads": n_threads or usable_cores(),
    }
    if needs_self_scores(distance):
        options["self_scores"] = self_scores(codes, offsets, **costs)
    n = offsets.size - 1
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
    codes: np.ndarray,
    offsets: np.ndarray,
    rows: tuple[int, int],
    columns: tuple[int, int],
    *,
    scores: np.ndarray,
    gap_open: int,
    gap_extend: int,
    distance: str,
    strand: str = "one",
    self_scores: np.ndarray | None = None,
    n_threads: int = 1,
) -> Block:
    """Distances between sequences rows[0]..rows[1] and columns[0]..columns[1].

    codes (letters,) uint8, offsets (n + 1,) int64   all sequences, as sequences.pack makes them
    rows, columns    (start, stop): equal, for a block on the diagonal, or disjoint
    scores (a, a)    substitution scores; gap costs as in distance_matrix
    self_scores      (n,) int64 of all sequences, where `needs_self_scores(distance)`
    """
    diagonal = tuple(rows) == tuple(columns)
    offsets = np.asarray(offsets, np.int64)
    parts = [rows] if diagonal else [rows, columns]
    letters = np.concatenate([codes[offsets[start] : offsets[stop]] for start, stop in parts])
    picked = np.concatenate([np.arange(*part) for part in parts])
    local = np.concatenate([[0], np.cumsum(np.diff(offsets)[picked])])
    selves = np.zeros(picked.size, np.int64) if self_scores is None else self_scores[picked]
    here = np.arange(rows[1] - rows[0])
    there = here if diagonal else here.size + np.arange(columns[1] - columns[0])
    pairs = group(letters, local, scores, gap_open, gap_extend)
    return block_of(pairs, here, there, diagonal, distance, strand, selves, n_threads)


def self_scores(
    codes: np.ndarray, offsets: np.ndarray, scores: np.ndarray, gap_open: int, gap_extend: int
) -> np.ndarray:
    """(n,) int64: the local alignment score of each sequence with itself.

    Where every letter of a sequence scores best with itself, that is the sum of these scores; the
    others are aligned.
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


def working_bytes(lengths: np.ndarray, distance: str, rows: int, columns: int) -> int:
    """Memory that distance_block takes at its peak, for at most `rows` and `columns` of these.

    Counts and values of every pair, the scores of one batch, the cells kept between rows and tiles
    of the longest sequences, and a copy of the letters.
    """
    lengths = np.sort(np.asarray(lengths))[::-1]
    longest = int(lengths[0]) if lengths.size else 0
    letters = int(lengths[: rows + columns].sum())
    vector = register_bytes()
    return rows * columns * 40 + 2 * PROFILE_BYTES + longest * 4 * vector + 2 * letters + (8 << 20)


def check_options(
    distance: str, strand: str, alphabet: str, dtype: str, scores: np.ndarray | None = None
) -> None:
    """ValueError for names, and scores, that do not exist or do not go together."""
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
    if strand == "both" and scores is not None:
        sequences.check_strands(scores)
    if dtype == "int16" and distance not in BOUNDED:
        raise ValueError(f"dtype int16 holds distances from 0 to 1; {distance} goes beyond")
    if dtype == "float16" and distance == "score":
        raise ValueError("dtype float16 holds whole numbers to 2048 only; take float32 for scores")


def unfit_pair(
    lengths: np.ndarray, scores: np.ndarray, gap_open: int, gap_extend: int, distance: str
) -> tuple[int, int] | None:
    """The two longest sequences, longest first, where their keys need more than 64 bits."""
    lengths = np.asarray(lengths)
    if lengths.size < 2:
        return None
    second, first = (int(i) for i in np.argsort(lengths, kind="stable")[-2:])
    m, n = int(lengths[first]), int(lengths[second])
    kind = kind_of(distance)
    if kind == "all":
        return None if _columns.rank_fits(m, n) else (first, second)
    everything = scheme(np.asarray(scores, np.int64), -1, gap_open, gap_extend)
    _, surely, *_ = choose(kind, Form(64, False), everything, m, n, max(everything.match, 0) * n)
    return None if surely else (first, second)


def store(values: np.ndarray, dtype: str) -> np.ndarray:
    """Distances as they are kept: int16 = round(d * 32767), missing -1; else a plain cast."""
    if dtype != "int16":
        return values.astype(dtype)
    return np.where(np.isnan(values), -1, np.rint(values * INT16_SCALE)).astype(np.int16)


def usable_cores() -> int:
    """Cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def warm_up(distance: str = "identity-longer", alphabet: str = "dna", strand: str = "one") -> None:
    """Compile, or load from the cache, every kernel that `distance` may need."""
    scores, gap_open, gap_extend = sequences.scoring(alphabet)
    codes, offsets, _ = sequences.pack(["ACGT", "ACT"], alphabet)
    kind = kind_of(distance)
    pairs = group(codes, offsets, scores, gap_open, gap_extend)
    for step in range(len(LADDERS.get(kind, ()))):
        Counts(pairs, [0], [1], triangle=False, kind=kind).run_step(step)
    costs = {"scores": scores, "gap_open": gap_open, "gap_extend": gap_extend}
    selves = self_scores(codes, offsets, **costs)
    options = costs | {"distance": distance, "strand": strand, "self_scores": selves}
    distance_block(codes, offsets, (0, 2), (0, 2), **options)

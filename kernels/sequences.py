"""Residue codes and substitution matrices.

A sequence is a vector of uint8 codes: the place of each letter in `letters(alphabet)`. Lower case
reads as upper case. In nucleotide alphabets U reads as T; the amino acids O, U and J, which no
common matrix knows, read as X. Many sequences travel as one vector `codes` with `offsets` (n + 1):
sequence i is codes[offsets[i]:offsets[i + 1]].
"""

import difflib
from collections.abc import Iterable

import numpy as np

NUCLEOTIDES = "ATGCSWRYKMBVHDN"
AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYVBZX*"
FOREIGN = 255  # code of a byte that is no letter of the alphabet
LIMIT = 2**20  # scores and gap costs lie below

ALPHABETS = ("dna", "rna", "protein")
DEFAULTS = {  # matrix, gap_open, gap_extend
    "dna": ("EDNAFULL", 16, 4),
    "rna": ("EDNAFULL", 16, 4),
    "protein": ("BLOSUM62", 11, 1),
}
ALIASES = {"NUC44": "EDNAFULL", "NUC4.4": "EDNAFULL", "DNAFULL": "EDNAFULL"}

_COMPLEMENT = "TACGSWYRMKVBDHN"  # of NUCLEOTIDES, letter by letter
_READ_AS = {"protein": {"O": "X", "U": "X", "J": "X"}, "dna": {"U": "T"}, "rna": {"U": "T"}}
_NUCLEOTIDE_SHARE = 0.9  # of A, C, G, T, U; below it N, R, K, ... are taken for amino acids


def letters(alphabet: str) -> str:
    """The letters of 'dna', 'rna' or 'protein', in the order of their codes."""
    if alphabet not in ALPHABETS:
        raise ValueError(f"alphabet is {alphabet!r}; choose one of {', '.join(ALPHABETS)}")
    return AMINO_ACIDS if alphabet == "protein" else NUCLEOTIDES


def code_table(alphabet: str) -> bytes:
    """256 bytes for bytes.translate: letter -> residue code, FOREIGN for anything else."""
    table = bytearray([FOREIGN] * 256)
    known = letters(alphabet)
    same = {letter: letter for letter in known} | _READ_AS[alphabet]
    for letter, read_as in same.items():
        table[ord(letter)] = table[ord(letter.lower())] = known.index(read_as)
    return bytes(table)


def detect_alphabet(counts: np.ndarray) -> str:
    """'dna', 'rna' or 'protein' for letters counted by byte value.

    counts   (256,) integers: how often each byte occurs
    Nucleotide when every letter is an IUPAC nucleotide code and at least 90 % are A, C, G, T or U;
    of these RNA when U occurs and T does not. No letters at all read as DNA.
    """
    folded = np.array(counts, dtype=np.int64)
    folded[65:91] += folded[97:123]
    folded[97:123] = 0
    total = int(folded.sum())
    iupac = int(folded[[ord(c) for c in NUCLEOTIDES + "U"]].sum())
    plain = int(folded[[ord(c) for c in "ACGTU"]].sum())
    if iupac < total or plain < _NUCLEOTIDE_SHARE * total:
        return "protein"
    return "rna" if folded[ord("U")] > 0 and folded[ord("T")] == 0 else "dna"


def encode(sequence: str | bytes, alphabet: str) -> np.ndarray:
    """Residue codes (length,) uint8 of one sequence.

    A foreign letter is a ValueError that names its place.
    """
    raw = _raw(sequence)
    codes = np.frombuffer(raw.translate(code_table(alphabet)), np.uint8)
    foreign = np.flatnonzero(codes == FOREIGN)
    if foreign.size:
        at = int(foreign[0])
        raise ValueError(f"letter {at + 1} is {chr(raw[at])!r}, which is no {alphabet} letter")
    return codes


def _raw(sequence: str | bytes) -> bytes:
    """Letters as bytes; those beyond latin-1 become '?', which is no letter of any alphabet."""
    if isinstance(sequence, str):
        return sequence.encode("latin-1", "replace")
    return bytes(sequence)


def pack(
    sequences: Iterable[str | bytes], alphabet: str = "auto"
) -> tuple[np.ndarray, np.ndarray, str]:
    """Sequences as (codes (total letters,) uint8, offsets (n + 1,) int64, alphabet)."""
    raw = [_raw(sequence) for sequence in sequences]
    if alphabet == "auto":
        joined = np.frombuffer(b"".join(raw), np.uint8)
        alphabet = detect_alphabet(np.bincount(joined, minlength=256))
    coded = []
    for number, sequence in enumerate(raw):
        try:
            coded.append(encode(sequence, alphabet))
        except ValueError as error:
            raise ValueError(f"sequence {number}: {error}") from None
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([c.size for c in coded], out=offsets[1:])
    return np.concatenate([np.empty(0, np.uint8), *coded]), offsets, alphabet


def complements() -> np.ndarray:
    """(15,) uint8: the complement of each nucleotide code."""
    return np.array([NUCLEOTIDES.index(letter) for letter in _COMPLEMENT], np.uint8)


def check_strands(scores: np.ndarray) -> None:
    """ValueError where a column and its complement score differently.

    Then the better of both strands would depend on which of two sequences is turned.
    """
    turned = complements()
    if not np.array_equal(scores, np.asarray(scores)[np.ix_(turned, turned)]):
        raise ValueError(
            "strand 'both' needs a matrix that scores complements alike (A with C as T with G)"
        )


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """The other strand, 5' to 3', of nucleotide codes."""
    return complements()[codes[::-1]]


def substitution_matrix(name: str, alphabet: str) -> np.ndarray:
    """A named substitution matrix as (a, a) int32, in the order of letters(alphabet).

    A letter that the matrix lacks scores as X or N does there, else as the matrix's smallest value.
    Matrices: the package scoring-matrices; EDNAFULL is also known as NUC.4.4 and DNAFULL.
    """
    from scoring_matrices import ScoringMatrix

    known = sorted(ScoringMatrix.BUILTIN_MATRICES)
    wanted = ALIASES.get(name.upper(), name.upper())
    if wanted not in known:
        near = difflib.get_close_matches(wanted, [*known, *ALIASES], n=3)
        hint = "see scoring-matrices for the names"
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        raise ValueError(f"there is no substitution matrix {name!r}; {hint}")
    matrix = ScoringMatrix.from_name(wanted)
    return arrange(np.asarray(matrix), matrix.alphabet, alphabet, name)


def arrange(values: np.ndarray, given: str, alphabet: str, name: str = "the matrix") -> np.ndarray:
    """Scores (b, b) for the letters `given`, rearranged to (a, a) int32 for letters(alphabet)."""
    exact = np.rint(values)
    if not np.array_equal(exact, values):
        raise ValueError(f"{name} holds scores that are not integers; scale and round them")
    if not np.array_equal(exact, exact.T):
        raise ValueError(f"{name} is not symmetric; a distance needs a symmetric one")
    wanted = letters(alphabet)
    plain = AMINO_ACIDS[:20] if alphabet == "protein" else "ACGT"
    lacking = [letter for letter in plain if letter not in given]
    if lacking:
        raise ValueError(f"{name} has no scores for {', '.join(lacking)}: it is not for {alphabet}")
    unknown = "X" if alphabet == "protein" else "N"
    at = [given.find(letter) if letter in given else given.find(unknown) for letter in wanted]
    scores = np.full((len(wanted), len(wanted)), exact.min(), np.int32)
    here = np.array([k for k, place in enumerate(at) if place >= 0])
    there = np.array([place for place in at if place >= 0])
    scores[np.ix_(here, here)] = exact[np.ix_(there, there)]
    return scores


def match_mismatch(match: int, mismatch: int, alphabet: str) -> np.ndarray:
    """(a, a) int32 with `match` for equal letters and `mismatch` for all others."""
    a = len(letters(alphabet))
    scores = np.full((a, a), mismatch, np.int32)
    np.fill_diagonal(scores, match)
    return scores


def scoring(
    alphabet: str,
    matrix: str | np.ndarray | None = None,
    gap_open: int | None = None,
    gap_extend: int | None = None,
) -> tuple[np.ndarray, int, int]:
    """(scores (a, a) int32, gap_open, gap_extend), the alphabet's default for each that is None.

    A gap of k residues costs gap_open + (k - 1) * gap_extend. Costs are positive numbers.
    """
    name, default_open, default_extend = DEFAULTS[alphabet]
    gap_open = default_open if gap_open is None else gap_open
    gap_extend = default_extend if gap_extend is None else gap_extend
    for label, cost in (("gap_open", gap_open), ("gap_extend", gap_extend)):
        if not 0 < cost < LIMIT or cost != int(cost):
            raise ValueError(f"{label} is {cost}; it is a whole number from 1 to {LIMIT - 1}")
    if gap_extend > gap_open:
        raise ValueError(f"gap_extend ({gap_extend}) must not exceed gap_open ({gap_open})")
    if matrix is None or isinstance(matrix, str):
        scores = substitution_matrix(matrix or name, alphabet)
    else:
        scores = np.asarray(matrix)
    a = len(letters(alphabet))
    if scores.shape != (a, a):
        raise ValueError(
            f"the matrix has shape {scores.shape}; "
            f"{alphabet} needs ({a}, {a}), letters {letters(alphabet)}"
        )
    if not np.array_equal(scores, np.rint(scores)):
        raise ValueError("the matrix holds scores that are not integers; scale and round them")
    if not np.array_equal(scores, scores.T):
        raise ValueError("the matrix is not symmetric; a distance needs a symmetric one")
    if scores.max() >= LIMIT or scores.min() <= -LIMIT:
        raise ValueError(f"the matrix holds scores beyond +-{LIMIT - 1}")
    return np.ascontiguousarray(scores, np.int32), int(gap_open), int(gap_extend)

"""Substitution matrices in the text form of NCBI: BLOSUM62 as its download offers it, or one's own.

Lines that start with "#" are comments. The first other line names the columns, one letter each;
every further line is a letter and one whole number per column, the rows in any order. Lower case is
upper case and U is T in nucleotide matrices. The matrix must hold A, C, G and T, or the 20 amino
acids, and be symmetric. A letter of the alphabet that it lacks scores as X (N) does in it; without
X (N) as its smallest value. Letters that the alphabet lacks are left out.
"""

import numpy as np

from kernels.sequences import arrange
from pipelines.errors import InputProblem
from pipelines.formats.bytestream import read_bytes
from pipelines.formats.fasta_checks import LETTER_OF, quote

LARGEST = 2**15 - 1  # of a score, either sign

_FORM = "A matrix file has a line of letters, then lines of one letter and whole numbers."


def read_scoring_matrix(path: str, alphabet: str) -> np.ndarray:
    """The matrix of a file as (a, a) int32, in the order of kernels.sequences.letters(alphabet).

    Raises InputProblem naming the line or the pair of letters, UsageProblem for a missing file.
    """
    columns, rows = _table(path)
    given = [_folded(letter, alphabet) for letter in columns]
    if sorted(given) != sorted(set(given)):
        twice = next(letter for letter in given if given.count(letter) > 1)
        raise InputProblem(f"{path}: the letter {quote(twice)} has two columns.", remedy=_FORM)
    values = np.zeros((len(given), len(given)), np.int64)
    seen: dict[str, int] = {}
    for number, letter, scores in rows:
        letter = _folded(letter, alphabet)
        if letter not in given or letter in seen:
            what = f"is a second row for {quote(letter)}" if letter in seen else "has no column"
            text = f"{path} line {number:,}: {quote(letter)} {what}."
            raise InputProblem(text, remedy="Rows and columns are the same letters.")
        seen[letter] = number
        values[given.index(letter)] = scores
    lacking = [letter for letter in given if letter not in seen]
    if lacking:
        text = f"{path} has no row for {', '.join(lacking)}."
        raise InputProblem(text, remedy="Rows and columns are the same letters.")
    _check_symmetric(path, values, given)
    try:
        return arrange(values, "".join(given), alphabet, path)
    except ValueError as error:
        remedy = f"Give a {LETTER_OF[alphabet]} matrix, or choose another --alphabet."
        raise InputProblem(f"{error}.", remedy=remedy) from error


def _table(path: str) -> tuple[list[str], list[tuple[int, str, list[int]]]]:
    """The letters of the columns, and (line, letter, scores) of each row."""
    text = read_bytes(path).decode("utf-8", "backslashreplace").removeprefix("\ufeff")
    columns: list[str] = []
    rows = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        fields = line.split()
        if not fields or line.lstrip().startswith("#"):
            continue
        if not columns:
            if any(len(field) > 1 or field.isdigit() for field in fields):
                text = (
                    f"{path} line {number:,} is {quote(line)}: one letter per column is expected."
                )
                raise InputProblem(text, remedy=_FORM)
            columns = fields
            continue
        if len(fields) != len(columns) + 1:
            text = f"{path} line {number:,} has {len(fields) - 1} scores, not {len(columns)}."
            raise InputProblem(text, remedy=_FORM)
        rows.append((number, fields[0], [_score(path, number, field) for field in fields[1:]]))
    if not rows:
        raise InputProblem(f"{path} holds no substitution matrix.", remedy=_FORM)
    return columns, rows


def _score(path: str, number: int, field: str) -> int:
    try:
        score = int(field)
    except ValueError:
        text = f"{path} line {number:,}: {quote(field)} is not a whole number."
        raise InputProblem(text, remedy="Scale and round the scores.") from None
    if abs(score) > LARGEST:
        text = f"{path} line {number:,}: {score:,} is beyond {LARGEST:,}."
        raise InputProblem(text, remedy="Scale the scores down.")
    return score


def _folded(letter: str, alphabet: str) -> str:
    letter = letter.upper()
    return "T" if letter == "U" and alphabet != "protein" else letter


def _check_symmetric(path: str, values: np.ndarray, given: list[str]) -> None:
    apart = np.argwhere(np.triu(values != values.T))
    if apart.size:
        i, j = apart[0].tolist()
        pair = (
            f"{given[i]} to {given[j]} is {values[i, j]}, {given[j]} to {given[i]} {values[j, i]}"
        )
        text = f"{path} is not symmetric: {pair} (first of {len(apart)} pairs)."
        raise InputProblem(text, remedy="A distance needs a symmetric matrix.")

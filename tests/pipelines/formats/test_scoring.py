import gzip

import numpy as np
import pytest

from kernels.sequences import AMINO_ACIDS, NUCLEOTIDES, substitution_matrix
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.scoring import read_scoring_matrix

DNA = "# mine\n\n   A  C  G  T\nA  5 -4 -3 -4\nC -4  5 -4 -3\nG -3 -4  5 -4\nT -4 -3 -4  5\n"


def ncbi(matrix, alphabet):
    rows = [f"{a} {' '.join(map(str, row))}" for a, row in zip(alphabet, matrix, strict=True)]
    return "\n".join(["#  as from NCBI", "   " + "  ".join(alphabet), *rows]) + "\n"


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "mine.txt"

    def read(text, alphabet="dna"):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            return read_scoring_matrix(str(path), alphabet)
        except InputProblem as error:
            return str(error).replace(str(path), "mine.txt")

    return read


@pytest.mark.parametrize(
    ("name", "alphabet", "letters"),
    [("BLOSUM62", "protein", AMINO_ACIDS), ("EDNAFULL", "dna", NUCLEOTIDES)],
)
def test_matrix__is_the_named_one_when_written_out(read, name, alphabet, letters):
    matrix = substitution_matrix(name, alphabet)
    scores = read(ncbi(matrix, letters), alphabet)
    assert scores.dtype == np.int32
    assert np.array_equal(scores, matrix)


def test_matrix__does_not_depend_on_the_order_of_its_rows(read):
    head, *rows = DNA.splitlines()[2:]
    assert np.array_equal(read("\n".join([head, *rows[::-1]])), read(DNA))


def test_matrix__reads_crlf_lower_case_u_and_gzip(read):
    text = DNA.lower().replace("t", "u").replace("\n", "\r\n")
    assert np.array_equal(read(gzip.compress(text.encode()), "rna"), read(DNA))


def test_matrix__fills_letters_that_it_lacks(read):
    scores = read(DNA)
    n = NUCLEOTIDES.index("N")
    assert scores.shape == (15, 15)
    assert scores[0, 0] == 5
    assert scores[0, NUCLEOTIDES.index("G")] == -3
    assert scores[n].tolist() == [-4] * 15
    with_n = read(
        DNA.replace("A  C", "N A  C")
        .replace("A  5", "N 1 1 1 1 1\nA 1 5")
        .replace("C -4  5", "C 1 -4 5")
        .replace("G -3", "G 1 -3")
        .replace("T -4", "T 1 -4")
    )
    assert with_n[n].tolist() == [1] * 15


def test_matrix__leaves_letters_out_that_the_alphabet_lacks(read):
    matrix = np.pad(substitution_matrix("BLOSUM62", "protein"), (0, 1))
    scores = read(ncbi(matrix, AMINO_ACIDS + "J"), "protein")
    assert np.array_equal(scores, matrix[:-1, :-1])


def test_matrix__names_the_pair_that_is_not_symmetric(read):
    text = read(DNA.replace("G -3 -4", "G -2 -4"))
    assert text == "mine.txt is not symmetric: A to G is -3, G to A -2 (first of 1 pairs)."


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("A  5 -4 -3 -4", "A  5 -4 -3", "mine.txt line 4 has 3 scores, not 4."),
        ("A  5", "A  5.5", 'mine.txt line 4: "5.5" is not a whole number.'),
        ("A  5", "A  99999", "mine.txt line 4: 99,999 is beyond 32,767."),
        ("T -4", "W -4", 'mine.txt line 7: "W" has no column.'),
        ("T -4", "A -4", 'mine.txt line 7: "A" is a second row for "A".'),
        ("T -4 -3 -4  5\n", "", "mine.txt has no row for T."),
        ("A  C  G  T", "A  C  G  G", 'mine.txt: the letter "G" has two columns.'),
        ("A  C  G  T", "A, C, G, T", 'mine.txt line 3 is "   A, C, G, T": one letter per column'),
        (DNA, "# nothing", "mine.txt holds no substitution matrix."),
    ],
)
def test_matrix__names_the_line_that_is_wrong(read, old, new, text):
    assert read(DNA.replace(old, new)).startswith(text)


def test_matrix__must_be_of_the_alphabet(read):
    assert "has no scores for R, N, D" in read(DNA, "protein")


def test_matrix__refuses_a_missing_file(tmp_path):
    with pytest.raises(UsageProblem, match="does not exist"):
        read_scoring_matrix(str(tmp_path / "none.txt"), "dna")

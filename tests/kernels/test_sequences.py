"""Letters, alphabets, and substitution matrices against Biopython's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import sequences
from tests import naive


@pytest.mark.parametrize("alphabet", ["dna", "rna", "protein"])
def test_encode__gives_places_in_letters(alphabet):
    letters = sequences.letters(alphabet)
    assert sequences.encode(letters, alphabet).tolist() == list(range(len(letters)))
    assert sequences.encode(letters.lower().encode(), alphabet).tolist() == list(
        range(len(letters))
    )
    assert sequences.encode("", alphabet).dtype == np.uint8


def test_encode__reads_u_as_t_and_rare_amino_acids_as_x():
    assert np.array_equal(sequences.encode("ACGUu", "rna"), sequences.encode("ACGTt", "dna"))
    assert np.array_equal(
        sequences.encode("OUJouj", "protein"), sequences.encode("XXXXXX", "protein")
    )


@pytest.mark.parametrize(
    ("text", "alphabet", "place", "letter"),
    [
        ("ACGTE", "dna", 5, "E"),
        ("-ACG", "rna", 1, "-"),
        ("MK1", "protein", 3, "1"),
        ("AC*", "dna", 3, r"\*"),
        ("AC\n", "dna", 3, r"\\n"),
        ("ACé", "protein", 3, "é"),
        ("A€", "protein", 2, r"\?"),
    ],
)
def test_encode__names_the_foreign_letter(text, alphabet, place, letter):
    with pytest.raises(ValueError, match=f"letter {place} is '{letter}'.*no {alphabet} letter"):
        sequences.encode(text, alphabet)


def test_code_table__knows_only_its_letters():
    for alphabet, letters in (("dna", "ATGCSWRYKMBVHDNU"), ("protein", naive.AMINO_ACIDS + "OUJ")):
        table = sequences.code_table(alphabet)
        known = {chr(byte) for byte, code in enumerate(table) if code != sequences.FOREIGN}
        assert known == set(letters + letters.lower())


def test_letters__refuses_unknown_alphabet():
    with pytest.raises(ValueError, match="'xna'; choose one of dna, rna, protein"):
        sequences.letters("xna")


@pytest.mark.parametrize(
    ("text", "alphabet"),
    [
        ("ACGT", "dna"),
        ("ACG", "dna"),
        ("ACGU", "rna"),
        ("acgu", "rna"),
        ("ACGUT", "dna"),
        ("", "dna"),
        ("MKV", "protein"),
        ("ACGTACGTAN", "dna"),  # 90 % are plain
        ("ACGTACGTNN", "protein"),  # 80 %: N is asparagine
        ("NNNN", "protein"),
        ("ACGTACGTACGTACGTE", "protein"),  # one letter that is no nucleotide
        ("ACGTACGTACGTACGT*", "protein"),
    ],
)
def test_detect_alphabet__follows_the_rule(text, alphabet):
    counts = np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256)
    assert sequences.detect_alphabet(counts) == alphabet
    assert sequences.pack([text[:2], text[2:]])[2] == alphabet


def test_pack__lays_sequences_end_to_end():
    codes, offsets, alphabet = sequences.pack(["ACG", b"", "tt"], "dna")
    assert offsets.tolist() == [0, 3, 3, 5]
    assert codes.tolist() == naive.codes("ACGTT", "dna").tolist()
    assert (codes.dtype, offsets.dtype, alphabet) == (np.uint8, np.int64, "dna")
    assert sequences.pack([], "auto")[1].tolist() == [0]


def test_pack__names_the_sequence_of_a_foreign_letter():
    with pytest.raises(ValueError, match="sequence 1: letter 2 is '!'"):
        sequences.pack(["ACGT", "A!"], "dna")


@given(st.text(naive.NUCLEOTIDES))
def test_reverse_complement__is_the_other_strand(text):
    codes = sequences.encode(text, "dna")
    turned = sequences.reverse_complement(codes)
    assert turned.tolist() == naive.codes(naive.other_strand(text), "dna").tolist()
    assert np.array_equal(sequences.reverse_complement(turned), codes)


@pytest.mark.parametrize(
    ("name", "alphabet", "theirs"),
    [
        ("EDNAFULL", "dna", "NUC.4.4"),
        ("nuc.4.4", "rna", "NUC.4.4"),
        ("DNAfull", "dna", "NUC.4.4"),
        ("BLOSUM62", "protein", "BLOSUM62"),
        ("blosum50", "protein", "BLOSUM50"),
        ("PAM250", "protein", "PAM250"),
    ],
)
def test_substitution_matrix__equals_biopythons(name, alphabet, theirs):
    substitution_matrices = pytest.importorskip("Bio.Align.substitution_matrices")
    expected = substitution_matrices.load(theirs)
    letters = [c for c in sequences.letters(alphabet) if c in expected.alphabet]
    got = sequences.substitution_matrix(name, alphabet)
    places = [sequences.letters(alphabet).index(c) for c in letters]
    assert len(letters) >= 15
    assert np.array_equal(
        got[np.ix_(places, places)], [[expected[x, y] for y in letters] for x in letters]
    )


def test_substitution_matrix__suggests_near_names():
    with pytest.raises(ValueError, match=r"BLOSUM63.*did you mean .*BLOSUM62"):
        sequences.substitution_matrix("BLOSUM63", "protein")
    with pytest.raises(ValueError, match="see scoring-matrices"):
        sequences.substitution_matrix("????", "protein")


def test_substitution_matrix__is_refused_for_the_wrong_alphabet():
    with pytest.raises(ValueError, match=r"EDNAFULL has no scores for .*protein"):
        sequences.substitution_matrix("EDNAFULL", "protein")


def test_arrange__fills_in_letters_that_are_not_given():
    values = np.array([[5, -1, -2, -3, 7], [-1, 6, -4, -5, 8], [-2, -4, 4, -6, 9],
                       [-3, -5, -6, 3, -9], [7, 8, 9, -9, 1]])  # fmt: skip
    got = sequences.arrange(values, "ACGTN", "dna")
    assert got[0, 3] == -1  # A with C, which stand at 0 and 3
    assert got[0, 4] == 7  # A with S: as with N
    assert got[4, 5] == 1  # S with W: as N with N
    assert sequences.arrange(values[:4, :4], "ACGT", "dna")[0, 4] == -6  # no N: the smallest value


@pytest.mark.parametrize(
    ("change", "message"), [((0, 1, 0.5), "not integers"), ((0, 1, 3), "not symmetric")]
)
def test_arrange__refuses_what_is_no_scoring(change, message):
    values = np.eye(4)
    values[change[0], change[1]] = change[2]
    if message == "not integers":
        values[change[1], change[0]] = change[2]
    with pytest.raises(ValueError, match=message):
        sequences.arrange(values, "ACGT", "dna")


def test_match_mismatch__fills_all_letters():
    got = sequences.match_mismatch(2, -3, "protein")
    assert got.shape == (24, 24)
    assert (np.diag(got) == 2).all()
    assert (got[~np.eye(24, dtype=bool)] == -3).all()


def test_scoring__knows_the_defaults():
    scores, *gaps = sequences.scoring("rna")
    assert gaps == [16, 4]
    assert scores[0, 0] == 5
    scores, *gaps = sequences.scoring("protein")
    assert gaps == [11, 1]
    assert scores[0, 0] == 4
    assert scores.dtype == np.int32


@pytest.mark.parametrize(
    ("gap_open", "gap_extend", "message"),
    [
        (0, 1, "gap_open is 0"),
        (-3, 1, "gap_open is -3"),
        (5, 0, "gap_extend is 0"),
        (2.5, 1, "gap_open is 2.5; it is a whole number"),
        (float("nan"), 1, "gap_open is nan"),
        (float("inf"), 1, "gap_open is inf"),
        (2**20, 1, "gap_open is 1048576"),
        (3, 4, r"gap_extend \(4\) must not exceed gap_open \(3\)"),
    ],
)
def test_scoring__refuses_costs_that_are_none(gap_open, gap_extend, message):
    with pytest.raises(ValueError, match=message):
        sequences.scoring("dna", None, gap_open, gap_extend)


def spoilt(place, value, dtype=np.float64):
    matrix = np.eye(15).astype(dtype)
    matrix[place] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(4), r"shape \(4, 4\); dna needs \(15, 15\)"),
        (np.ones(15), r"shape \(15,\)"),
        (spoilt((0, 1), 3), "not symmetric"),
        (spoilt((2, 2), 0.5), "not integers"),
        (spoilt((2, 2), np.nan), "not integers"),
        (spoilt((2, 2), np.inf), "beyond"),
        (spoilt((2, 2), 2**20), "beyond"),
        (spoilt((2, 2), -(2**31), np.int64), "beyond"),
        (spoilt((2, 2), 2**32 + 1, np.int64), "beyond"),
    ],
)
def test_scoring__refuses_matrices_that_are_none(matrix, message):
    with pytest.raises(ValueError, match=message):
        sequences.scoring("dna", matrix)


def test_scoring__takes_whole_numbers_of_any_type():
    for matrix in (np.eye(15), np.eye(15, dtype=np.int8), np.eye(15).tolist()):
        assert np.array_equal(sequences.scoring("dna", matrix, 3.0, 1)[0], np.eye(15))

"""Distance matrices against the written formulas, and what must never change them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import sequences, swg
from tests import naive, strategies
from tests.kernels import truth

FOR_PROTEINS = [name for name in swg.DISTANCES if name not in ("jukes-cantor", "kimura")]
CASES = [("dna", name) for name in swg.DISTANCES] + [("protein", name) for name in FOR_PROTEINS]

LOPSIDED = sequences.match_mismatch(5, -4, "dna")
LOPSIDED[0, 2] = LOPSIDED[2, 0] = 1  # A with G, but not T with C


@pytest.mark.parametrize(("alphabet", "distance"), CASES)
@strategies.steady(25)
@given(data=st.data())
def test_distance_matrix__equals_the_formulas(alphabet, distance, data):
    texts = data.draw(strategies.sequence_sets(alphabet, least=0))
    scores, gap_open, gap_extend = data.draw(strategies.costs(alphabet))
    strand = "one" if alphabet == "protein" else data.draw(st.sampled_from(swg.STRANDS))
    if strand == "both":
        turned = sequences.complements()
        scores = np.maximum(scores, scores[np.ix_(turned, turned)])
    got = swg.distance_matrix(
        texts, alphabet=alphabet, matrix=scores, gap_open=gap_open, gap_extend=gap_extend,
        distance=distance, strand=strand, dtype="float64", n_threads=1,
    )  # fmt: skip
    expected = naive.distance_matrix(
        distance, texts, (scores, gap_open, gap_extend),
        alphabet=alphabet, strand=strand, align=truth.align,
    )  # fmt: skip
    truth.assert_near(got, expected)


@pytest.mark.parametrize("distance", swg.DISTANCES)
def test_distance_matrix__equals_the_formulas_without_numba(distance):
    texts = truth.RELATED[:4]
    got = swg.distance_matrix(texts, distance=distance, alphabet="dna", dtype="float64")
    truth.assert_near(got, naive.distance_matrix(distance, texts, sequences.scoring("dna")))


@pytest.mark.parametrize(("alphabet", "distance"), CASES)
@pytest.mark.parametrize(
    "texts", [[], [""], ["A"], ["A", "A"], ["", ""], ["", "W"], ["A", "", "C"]]
)
def test_distance_matrix__of_hardly_anything(alphabet, distance, texts):
    got = swg.distance_matrix(texts, alphabet=alphabet, distance=distance, dtype="float64")
    expected = naive.distance_matrix(
        distance, texts, sequences.scoring(alphabet), alphabet=alphabet
    )
    assert got.shape == (len(texts), len(texts))
    truth.assert_near(got, expected)


@pytest.mark.parametrize(("alphabet", "distance"), CASES)
def test_distance_matrix__is_symmetric_with_a_clean_diagonal(alphabet, distance, rng):
    letters = sequences.letters(alphabet)
    texts = strategies.relatives(rng, letters, 30, 60) + ["X" if alphabet == "protein" else "N", ""]
    got = swg.distance_matrix(texts, alphabet=alphabet, distance=distance)
    assert np.array_equal(got, got.T, equal_nan=True)
    if distance != "score":
        assert not got.diagonal().any()
        assert np.nanmin(got) >= 0


@pytest.mark.parametrize("distance", swg.DISTANCES)
def test_distance_matrix__does_not_know_the_order_of_sequences(distance, rng):
    texts = strategies.relatives(rng, "ACGT", 25, 80, change=0.4)
    texts += strategies.random_sequences(rng, "ACGT", rng.integers(0, 60, 25))
    order = rng.permutation(len(texts))
    whole = swg.distance_matrix(texts, alphabet="dna", distance=distance)
    shuffled = swg.distance_matrix([texts[k] for k in order], alphabet="dna", distance=distance)
    assert whole[np.ix_(order, order)].tobytes() == shuffled.tobytes()


@pytest.mark.parametrize("distance", swg.DISTANCES)
@pytest.mark.parametrize("size", [1, 7, 50, 64, 100])
def test_distance_block__blocks_are_parts_of_the_whole(distance, size):
    rng = np.random.default_rng(8)
    texts = strategies.relatives(rng, "ACGT", 30, 70, change=0.4)
    texts += strategies.random_sequences(rng, "ACGT", rng.integers(0, 60, 20))
    if size == 1:
        texts = texts[::10]
    n = len(texts)
    whole = swg.distance_matrix(texts, alphabet="dna", distance=distance, dtype="float64")
    edges = [*range(0, n, size), n]
    for top, bottom in itertools.pairwise(edges):
        for left, right in itertools.pairwise(edges):
            part = truth.block(texts, (top, bottom), (left, right), distance).values
            assert part.tobytes() == whole[top:bottom, left:right].tobytes()


def test_distance_matrix__is_cut_into_blocks_without_a_seam(monkeypatch, rng):
    texts = strategies.relatives(rng, "ACGT", 23, 50)
    whole = swg.distance_matrix(texts, distance="identity-aligned")
    monkeypatch.setattr(swg, "_MOST_ROWS", 7)
    assert swg.distance_matrix(texts, distance="identity-aligned").tobytes() == whole.tobytes()


def test_distance_block__takes_empty_ranges():
    for rows, columns in (((2, 2), (0, 3)), ((0, 3), (4, 4)), ((1, 1), (1, 1))):
        for distance in swg.DISTANCES:
            found = truth.block(truth.RELATED, rows, columns, distance)
            assert found.values.shape == (rows[1] - rows[0], columns[1] - columns[0])
            assert (found.cells, found.missing) == (0, 0)


@pytest.mark.parametrize("distance", swg.DISTANCES)
def test_distance_matrix__threads_change_no_byte(distance, rng):
    texts = strategies.relatives(rng, "ACGT", 70, 50, change=0.3) + truth.RELATED
    one, three, all_cores = (
        swg.distance_matrix(texts, alphabet="dna", distance=distance, n_threads=n)
        for n in (1, 3, None)
    )
    assert one.tobytes() == three.tobytes() == all_cores.tobytes()


def test_distance_matrix__folds_case_and_reads_u_as_t():
    for distance in swg.DISTANCES:
        values = [
            swg.distance_matrix(texts, alphabet=alphabet, distance=distance)
            for texts, alphabet in (
                (["ACGUUN", "uuacg", "GGU"], "rna"),
                (["acgttn", "TTACG", b"ggt"], "dna"),
            )
        ]
        assert values[0].tobytes() == values[1].tobytes()


def test_strand_both__finds_the_reverse_complement(rng):
    (text,) = strategies.random_sequences(rng, "ACGTRY", [60])
    other = naive.other_strand(text)
    for distance in swg.DISTANCES:
        options = {"alphabet": "dna", "distance": distance}
        one = swg.distance_matrix([text, text], **options, strand="one")[0, 1]
        both = swg.distance_matrix([text, other], **options, strand="both")[0, 1]
        assert both == one
    assert swg.distance_matrix([text, other], alphabet="dna")[0, 1] > 0.3


def test_alphabet_auto__takes_mostly_plain_nucleotides_as_dna():
    dna, protein = ["ACGTACGTA", "N"], ["ACGTACGT", "NN"]
    for texts, alphabet in ((dna, "dna"), (protein, "protein")):
        got = swg.distance_matrix(texts, distance="score")
        assert np.array_equal(got, swg.distance_matrix(texts, distance="score", alphabet=alphabet))
    with pytest.raises(ValueError, match="for nucleotides, not for proteins"):
        swg.distance_matrix(protein, distance="kimura")


@pytest.mark.parametrize("name", ["BLOSUM45", "PAM70"])
def test_own_matrix__equals_the_named_one(name, rng):
    texts = strategies.random_sequences(rng, naive.AMINO_ACIDS, [30] * 8)
    matrix = sequences.substitution_matrix(name, "protein")
    named, own, floats = (
        swg.distance_matrix(texts, matrix=given, gap_open=9, gap_extend=2, distance="score-max")
        for given in (name, matrix, matrix.astype(np.float64))
    )
    assert named.tobytes() == own.tobytes() == floats.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "hamming"}, "distance is 'hamming'; choose one of identity-longer"),
        ({"strand": "two"}, "strand is 'two'"),
        ({"dtype": "float8"}, "dtype is 'float8'"),
        ({"alphabet": "xna"}, "alphabet is 'xna'"),
        ({"matrix": "EDNAFUL"}, "did you mean EDNAFULL"),
        ({"alphabet": "protein", "distance": "kimura"}, "for nucleotides"),
        ({"alphabet": "protein", "distance": "jukes-cantor"}, "for nucleotides"),
        ({"alphabet": "protein", "strand": "both"}, "proteins have one"),
        ({"strand": "both", "matrix": LOPSIDED}, "scores complements alike"),
        ({"distance": "score", "dtype": "float16"}, "float16"),
        ({"distance": "score", "dtype": "int16"}, "int16"),
        ({"distance": "kimura", "dtype": "int16"}, "int16"),
        ({"distance": "jukes-cantor", "dtype": "int16"}, "int16"),
        ({"gap_open": 1, "gap_extend": 2}, "must not exceed"),
    ],
)
def test_distance_matrix__refuses(options, message):
    with pytest.raises(ValueError, match=message):
        swg.distance_matrix(["ACGT", "ACG"], **options)


def test_unfit_pair__names_the_two_longest():
    scores, *gaps = sequences.scoring("dna")
    lengths = np.array([500, 3_000_000, 200, 40_000_000])
    assert swg.unfit_pair(lengths, scores, *gaps, "identity-longer") is None
    assert swg.unfit_pair(lengths, scores, *gaps, "score-max") is None
    assert swg.unfit_pair(lengths, scores, *gaps, "identity-aligned") == (3, 1)
    assert swg.unfit_pair(lengths[:3], scores, *gaps, "identity-aligned") is None
    assert swg.unfit_pair(lengths, scores, *gaps, "kimura") == (3, 1)
    for lengths in ([], [10**9]):
        assert swg.unfit_pair(np.array(lengths, int), scores, *gaps, "identity-aligned") is None


@pytest.mark.parametrize("distance", ["identity-longer", "identity-aligned", "score", "kimura"])
def test_unfit_pair__knows_a_length_from_which_on_all_are_unfit(distance):
    scores, *gaps = sequences.scoring("dna")
    unfit = [
        swg.unfit_pair(np.array([1 << k, 1 << k]), scores, *gaps, distance) is not None
        for k in range(4, 40)
    ]
    assert unfit == sorted(unfit)
    assert not unfit[10]
    assert unfit[-1] or distance == "score"


def test_unfit_pair__allows_what_can_be_aligned():
    """What is just allowed by the two longest is aligned, although a third is as long as a lane."""
    scores = sequences.match_mismatch(2**20 - 1, -1, "dna")
    for n in range(5000, 20000, 500):
        lengths = np.array([2 * n - 1, n, 5])
        if swg.unfit_pair(lengths, scores, 2**20 - 1, 1, "identity-aligned") is not None:
            break
    else:
        pytest.fail("every length is allowed")
    lengths = [2 * (n - 500) - 1, n - 500, 5]
    texts = ["ACGT" * (length // 4) for length in lengths]
    options = {"matrix": scores, "gap_open": 2**20 - 1, "gap_extend": 1}
    got = swg.distance_matrix(texts, distance="identity-aligned", **options)
    assert got[0].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"sequences 0 and 1 are too long.*64 bits"):
        swg.distance_matrix(["A" * 2 * n, "A" * n], distance="identity-aligned", **options)


def test_distance_matrix__keeps_its_input(rng):
    codes = rng.integers(0, 4, 200).astype(np.uint8)
    offsets = np.array([0, 50, 120, 200])
    for array in (codes, offsets):
        array.flags.writeable = False
    for distance in swg.DISTANCES:
        scores, gap_open, gap_extend = sequences.scoring("dna")
        scores.flags.writeable = False
        selves = swg.self_scores(codes, offsets, scores, gap_open, gap_extend)
        selves.flags.writeable = False
        done = swg.distance_block(
            codes, offsets, (0, 3), (0, 3), scores=scores, gap_open=gap_open,
            gap_extend=gap_extend, distance=distance, strand="both", self_scores=selves,
        )  # fmt: skip
        assert done.values.shape == (3, 3)


@pytest.mark.parametrize(("alphabet", "distance"), CASES)
def test_warm_up__leaves_nothing_to_compile(alphabet, distance, rng):
    from numba.core import event

    swg.warm_up(distance, alphabet)
    letters = sequences.letters(alphabet)[:20]
    texts = strategies.relatives(rng, letters, 60, 200, change=0.05)
    texts += strategies.random_sequences(rng, letters, [900, 10, 0])
    with event.install_recorder("numba:compile") as recorder:
        swg.distance_matrix(texts, alphabet=alphabet, distance=distance, n_threads=2)
    assert not recorder.buffer


def test_working_bytes__grows_with_everything():
    lengths = np.full(1000, 300)
    small = swg.working_bytes(lengths, "score-max", 100, 100)
    assert small < swg.working_bytes(lengths, "score-max", 1000, 1000)
    assert small < swg.working_bytes(np.append(lengths, 10**6), "score-max", 100, 100)
    assert swg.working_bytes(np.array([], int), "score-max", 0, 0) > 0

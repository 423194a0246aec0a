"""What distances are made of: self scores, corrections, missing and clipped pairs."""

import numpy as np
import pytest

from kernels import sequences, swg
from tests import naive, strategies
from tests.kernels import truth


def test_distance_block__notes_what_it_met():
    texts = ["ACGT", "N", "NN", "ACGTACGTACGTACGT", "TTTT"]
    done = truth.block(texts, (0, 5), (0, 5), "score-min")
    expected = naive.distance_matrix("score-min", texts, sequences.scoring("dna"))
    assert done.missing == np.isnan(np.triu(expected, 1)).sum() == 7
    lengths = [len(text) for text in texts]
    assert done.cells == sum(a * b for i, a in enumerate(lengths) for b in lengths[:i])
    part = truth.block(texts, (0, 2), (3, 5), "score-min")
    assert (part.missing, part.cells) == (2, (4 + 1) * (16 + 4))


def test_distance_block__counts_clipped_pairs(rng):
    """Letters that score higher with others than with themselves give scores beyond the selves."""
    texts = strategies.random_sequences(rng, naive.NUCLEOTIDES, [20] * 12)
    scores = rng.integers(-4, 6, (15, 15))
    scores = np.maximum(scores, scores.T)
    costs = (scores, 3, 1)
    codes, offsets, _ = sequences.pack(texts, "dna")
    selves = swg.self_scores(codes, offsets, *costs)
    done = swg.distance_block(
        codes, offsets, (0, 12), (0, 12), scores=scores, gap_open=3, gap_extend=1,
        distance="score-min", self_scores=selves,
    )  # fmt: skip
    pairs = [(i, j) for i in range(12) for j in range(i)]
    clipped = [
        naive.distance("score-min", texts[i], texts[j], costs, align=truth.align)[1]
        for i, j in pairs
    ]
    assert done.clipped == sum(clipped) > 0
    assert done.values.min() >= 0


def test_distance_block__counts_short_alignments():
    texts = ["ACGTACGTACGT", "ACGTTTTTTTTT", "CCCCCCCCCCCC", "ACGTACGTACGA", "ACGTA", "CGT" * 9]
    scores = sequences.scoring("dna")
    plain = np.zeros((15, 15), np.int64)
    short = 0
    for i, one in enumerate(texts):
        for two in texts[:i]:
            found = truth.align(naive.codes(one, "dna"), naive.codes(two, "dna"),
                                scores[0].astype(np.int64), plain, *scores[1:])  # fmt: skip
            short += 2 * (found[1] - found[2]) < min(len(one), len(two))
    assert truth.block(texts, (0, 6), (0, 6), "identity-aligned").short == short > 0
    assert truth.block(texts, (0, 6), (0, 6), "identity-longer").short == 0


def test_self_scores__are_local_alignment_scores(rng):
    texts = ["", "N", "NNNN", "ACGTN", "NNACNNGTNN", "A", "RYKM", *truth.RELATED]
    texts += strategies.random_sequences(rng, naive.NUCLEOTIDES, [40] * 10)
    codes, offsets, _ = sequences.pack(texts, "dna")
    for costs in (sequences.scoring("dna"), sequences.scoring("dna", None, 1, 1)):
        expected = [truth.true_pair(text, text, "dna", costs)[0] for text in texts]
        assert swg.self_scores(codes, offsets, *costs).tolist() == expected
        part = swg.self_scores(codes, offsets[3:9], *costs)
        assert part.tolist() == expected[3:8]


def test_distance_matrix__a_self_score_of_nothing_is_a_missing_pair():
    got = swg.distance_matrix(["ACGT", "NN", "ACGA", "NNN"], alphabet="dna", distance="score-min")
    assert np.array_equal(np.isnan(got), [[0, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]])
    got = swg.distance_matrix(["ACGT", "NN", "NNN"], alphabet="dna", distance="score-max")
    assert got[0].tolist() == [0, 1, 1]
    assert np.isnan(got[1, 2])


@pytest.mark.parametrize(
    ("distance", "one", "two", "expected"),
    [
        ("jukes-cantor", "AAAA", "AAAA", 0.0),
        ("jukes-cantor", "ACGTACGTAA", "ACGTACGTGA", -0.75 * np.log(1 - 4 / 3 * 0.1)),
        ("jukes-cantor", "ACCCCCCA", "ATTTTTTA", np.nan),  # 3/4 differ: saturated
        ("kimura", "ACGTACGTAA", "ACGTACGTGA", -0.5 * np.log(0.8)),
        ("kimura", "AAAAAAA" "CC" "CC" "CC", "AAAAAAA" "TT" "AA" "CC", None),
        ("kimura", "ACCCCA", "ATTAAA", np.nan),  # 1 - 2 P - Q is 0, but for a rounding error
        ("kimura", "ACCA", "AAAA", np.nan),  # 1 - 2 Q is 0
        ("kimura", "A", "C", 1.0),
        ("similarity-aligned", "A", "C", 1.0),
    ],
)  # fmt: skip
def test_corrected_distances__by_hand(distance, one, two, expected):
    """Mismatches cost nothing and gaps much, so that the alignment is the whole of both."""
    scores = sequences.match_mismatch(1, 0, "dna")
    scores[naive.NUCLEOTIDES.index("A"), naive.NUCLEOTIDES.index("C")] = 0
    if expected is None:
        p, q = 2 / 13, 2 / 13
        expected = -0.5 * np.log(1 - 2 * p - q) - 0.25 * np.log(1 - 2 * q)
    got = swg.distance_matrix(
        [one, two], alphabet="dna", matrix=scores, gap_open=50, gap_extend=50,
        distance=distance, dtype="float64",
    )  # fmt: skip
    truth.assert_near(got[0, 1], expected)


def test_similarity__counts_positive_columns_beside_identical_ones():
    got = swg.distance_matrix(
        ["WWILKWW", "WWVVRWW"], alphabet="protein", distance="similarity-aligned", dtype="float64"
    )
    truth.assert_near(got[0, 1], 1 - (4 + 3) / 7)  # I/V, L/V and K/R score above 0


@pytest.mark.parametrize("dtype", swg.DTYPES)
@pytest.mark.parametrize("distance", swg.BOUNDED)
def test_distance_matrix__stores_bounded_distances_in_every_dtype(dtype, distance):
    exact = swg.distance_matrix(truth.RELATED, alphabet="dna", distance=distance, dtype="float64")
    got = swg.distance_matrix(truth.RELATED, alphabet="dna", distance=distance, dtype=dtype)
    assert got.dtype == dtype
    if dtype == "int16":
        expected = [-1 if np.isnan(d) else round(d * 32767) for d in exact.ravel()]
        assert got.ravel().tolist() == expected
    else:
        assert got.tobytes() == exact.astype(dtype).tobytes()

"""The scalar kernel: all kinds of columns of the alignment that the order of counts settles."""

import numpy as np
import pytest

from kernels import _columns, _distances, sequences
from tests import naive, strategies
from tests.kernels import truth

CHEAP = [  # many alignments of the same score
    (sequences.match_mismatch(1, 0, "dna"), 1, 1),
    (sequences.match_mismatch(2, -1, "dna"), 2, 1),
    (sequences.match_mismatch(3, -1, "dna"), 3, 1),
    (sequences.match_mismatch(2, 1, "dna"), 4, 1),
    (sequences.match_mismatch(4, -2, "dna"), 6, 2),
]


@pytest.mark.parametrize("distance", ["similarity-aligned", "kimura"])
@pytest.mark.parametrize("costs", CHEAP, ids=range(len(CHEAP)))
@pytest.mark.parametrize("strand", ["one", "both"])
def test_count_columns__settles_ties_by_the_definition(distance, costs, strand, rng):
    scores, gap_open, gap_extend = costs
    texts = strategies.random_sequences(rng, "AG", rng.integers(1, 30, 25))
    texts += strategies.random_sequences(rng, "ACGT", rng.integers(0, 30, 25))
    codes, offsets, _ = sequences.pack(texts, "dna")
    chosen = naive.chosen_columns(distance, scores, "dna")
    complement = sequences.complements() if strand == "both" else np.zeros(0, np.uint8)
    targets = np.arange(len(texts))
    for query in range(0, len(texts), 4):
        out = np.zeros((len(texts), 5), np.int64)
        _columns.count_columns(
            codes, offsets[:-1], np.diff(offsets), query, targets, complement,
            scores.astype(np.int64), chosen, gap_open, gap_extend, out,
        )  # fmt: skip
        for target, got in enumerate(out.tolist()):
            other = texts[target] if strand == "one" else naive.other_strand(texts[target])
            pair = naive.codes(texts[query], "dna"), naive.codes(other, "dna")
            score, identical, others, gaps, extra = truth.align(*pair, scores, chosen, *costs[1:])
            assert got == [score, identical, -others, -gaps, extra]


def test_rank_fits__says_when_ranks_need_more_than_64_bits(rng):
    """The largest rank of the longest sequences that fit is below 2^63."""
    assert _columns.rank_fits(1, 10**9)
    assert not _columns.rank_fits(40_000, 40_000)
    n = next(n for n in range(1000, 40_000) if not _columns.rank_fits(n, n)) - 1
    assert n > 20_000
    base, few = 2 * n + 1, n + 1
    assert n * base * base * few + n < 2**63


def test_keep_better__compares_score_then_identical_then_others():
    ones = [(5, 3, 2), (5, 3, 2), (5, 3, 2), (5, 3, 2), (5, 3, 2), (0, 0, 0)]
    twos = [(6, 0, 9), (4, 9, 0), (5, 4, 9), (5, 3, 1), (5, 3, 3), (0, 0, 0)]
    kept = [(6, 0, 9), (5, 3, 2), (5, 4, 9), (5, 3, 1), (5, 3, 2), (0, 0, 0)]
    for counted in (1, 2, 3):  # score, identical, others
        one, two, expected = (
            [np.array([row], np.int32) for row in np.transpose(rows)] for rows in (ones, twos, kept)
        )
        none = [np.zeros((0, 0), np.int32)] * (3 - counted)
        _distances.keep_better(*one[:counted], *none, *two[:counted], *none)
        if counted == 3:
            assert np.array_equal(one, expected)
        assert np.array_equal(one[0], expected[0])


def test_better_columns__compares_in_the_order_of_the_ranks():
    one = np.array([[5, 3, 4, 2, 1]] * 7)
    two = np.array([[6, 0, 9, 9, 0], [4, 9, 0, 0, 9], [5, 4, 9, 9, 0], [5, 3, 3, 9, 0],
                    [5, 3, 4, 1, 0], [5, 3, 4, 2, 2], [5, 3, 4, 2, 0]])  # fmt: skip
    got = _distances._better_columns(one, two)
    assert np.array_equal(got, [*two[:1], one[1], *two[2:6], one[6]])

"""The nearest landmarks of blocks: pieces of columns, ties, missing distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import sequences, swg
from pipelines import landmark_distances
from pipelines.landmark_distances import (
    NONE,
    GivenLandmarks,
    KNearest,
    PointLandmarks,
    SequenceBlock,
    SequenceLandmarks,
    Wanted,
    nearest_sequences,
    taken_sequences,
)


def letters(rng, n, low=5, high=40):
    return ["".join(rng.choice(list("ACGT"), rng.integers(low, high))) for _ in range(n)]


def landmarks_of(texts, distance="identity-longer", strand="one"):
    codes, offsets, _ = sequences.pack(texts, "dna")
    return SequenceLandmarks(codes, offsets, *sequences.scoring("dna"), distance, strand)


def whole(new, known, distance="identity-longer", strand="one"):
    """(b, m) by the kernel's own whole matrix."""
    full = swg.distance_matrix(
        [*new, *known], alphabet="dna", distance=distance, strand=strand, dtype="float64"
    )
    return full[: len(new), len(new) :]


def by_definition(distances, k):
    """Row by row: sort the pairs (distance, number) that are known."""
    numbers, values = np.full((len(distances), k), NONE), np.full((len(distances), k), np.nan)
    for row, line in enumerate(distances):
        pairs = sorted((value, j) for j, value in enumerate(line) if not np.isnan(value))[:k]
        for i, (value, j) in enumerate(pairs):
            numbers[row, i], values[row, i] = j, value
    return numbers, values


@pytest.mark.parametrize("distance", ["identity-longer", "score-max", "jukes-cantor"])
@pytest.mark.parametrize("strand", ["one", "both"])
@pytest.mark.parametrize("columns", [1, 4, 11, 100])
def test_nearest_sequences__are_those_of_the_whole_matrix(
    rng, monkeypatch, distance, strand, columns
):
    monkeypatch.setattr(landmark_distances, "COLUMNS", columns)
    new, known = letters(rng, 7), letters(rng, 11)
    new[2] = known[4]
    codes, offsets, _ = sequences.pack(new, "dna")
    shown = np.full((7, 11), -1.0)

    def see(start, values):
        shown[:, start : start + values.shape[1]] = values

    found = nearest_sequences(codes, offsets, landmarks_of(known, distance, strand), 5, see=see)
    expected = whole(new, known, distance, strand)
    np.testing.assert_array_equal(shown, expected)
    numbers, values = by_definition(expected, 5)
    np.testing.assert_array_equal(found[0], numbers)
    np.testing.assert_array_equal(found[1], values)
    assert (found[0].dtype, found[1].dtype) == (np.int32, np.float64)
    assert found[1][2, 0] == 0


def test_nearest_sequences__take_the_lower_number_of_equal_ones(rng, monkeypatch):
    monkeypatch.setattr(landmark_distances, "COLUMNS", 3)
    (text,) = letters(rng, 1)
    codes, offsets, _ = sequences.pack([text, text[::-1]], "dna")
    found = nearest_sequences(codes, offsets, landmarks_of([text] * 8), 4)
    np.testing.assert_array_equal(found[0], [[0, 1, 2, 3]] * 2)


def test_nearest_sequences__are_fewer_where_fewer_are_known(rng):
    new, known = letters(rng, 3), letters(rng, 2)
    codes, offsets, _ = sequences.pack(new, "dna")
    numbers, values = nearest_sequences(codes, offsets, landmarks_of(known), 4)
    np.testing.assert_array_equal(numbers[:, 2:], NONE)
    assert np.isnan(values[:, 2:]).all()
    assert np.isfinite(values[:, :2]).all()
    none = nearest_sequences(codes[:0], offsets[:1], landmarks_of(known), 4)
    assert none[0].shape == none[1].shape == (0, 4)


def test_taken__are_the_landmarks_of_those_numbers(rng):
    known = letters(rng, 6)
    there = landmarks_of(known, "score-max")
    costs = (there.scores, there.gap_open, there.gap_extend)
    selves = swg.self_scores(there.codes, there.offsets, *costs)
    there = SequenceLandmarks(there.codes, there.offsets, *costs, "score-max", "one", selves)
    codes, offsets, _ = sequences.pack([known[k] for k in (4, 1, 4)], "dna")
    taken = there.taken(np.array([4, 1, 4]))
    np.testing.assert_array_equal(taken.codes, codes)
    np.testing.assert_array_equal(taken.offsets, offsets)
    np.testing.assert_array_equal(taken.self_scores, selves[[4, 1, 4]])
    assert (there.n, taken.n) == (6, 3)
    empty = taken_sequences(there.codes, there.offsets, np.array([], np.int64))
    assert (empty[0].tolist(), empty[1].tolist()) == ([], [0])


def test_every_kind__tells_the_nearest_and_whole_rows(rng, monkeypatch):
    points, vectors = rng.random((9, 4), np.float32), rng.random((6, 4), np.float32)
    apart = points.astype(float)[:, None] - vectors.astype(float)[None]
    expected = np.sqrt((apart**2).sum(axis=2))
    rows, far = np.array([0, 7]), np.array([0, 2])
    found = PointLandmarks(vectors).measure(points, Wanted(3, far, rows), 1)
    np.testing.assert_allclose(found.far, expected[:, far], rtol=1e-12)
    np.testing.assert_array_equal(found.numbers, by_definition(expected, 3)[0])
    np.testing.assert_allclose(found.whole, expected[rows], rtol=1e-12)
    chosen = np.array([1, 3, 4])
    expected[7, 3] = np.nan
    found = GivenLandmarks(chosen).measure(expected, Wanted(3, far, rows), 1)
    np.testing.assert_array_equal(found.far, expected[:, chosen[far]])
    np.testing.assert_array_equal(found.numbers, by_definition(expected[:, chosen], 3)[0])
    np.testing.assert_array_equal(found.whole, expected[rows][:, chosen])
    new = letters(rng, 3)
    block = SequenceBlock(*sequences.pack(new, "dna")[:2])
    known = letters(rng, 5)
    monkeypatch.setattr(landmark_distances, "COLUMNS", 2)
    found = landmarks_of(known).measure(block, Wanted(2, np.array([1, 2, 4]), np.array([2])), 2)
    np.testing.assert_array_equal(found.whole, whole(new, known)[[2]])
    np.testing.assert_array_equal(found.far, whole(new, known)[:, [1, 2, 4]])


@given(st.data())
def test_pieces__change_nothing(data):
    rows, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 12))
    k, step = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 13))
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan])
    cells = data.draw(st.lists(values, min_size=rows * m, max_size=rows * m))
    distances = np.array(cells, float).reshape(rows, m)
    kept = KNearest(rows, k)
    for start in range(0, m, step):
        kept.add(start, distances[:, start : start + step])
    numbers, found = by_definition(distances, k)
    np.testing.assert_array_equal(kept.found[0], numbers)
    np.testing.assert_array_equal(kept.found[1], found)


@given(st.integers(1, 90), st.integers(1, 40), st.integers(0, 99))
def test_many_neighbours__are_sorted_to_the_same(m, step, seed):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 9, (3, m)).astype(float)
    distances[rng.random((3, m)) < 0.1] = np.nan
    kept = KNearest(3, landmark_distances.FEW + 1)
    for start in range(0, m, step):
        kept.add(start, distances[:, start : start + step])
    numbers, found = by_definition(distances, landmark_distances.FEW + 1)
    np.testing.assert_array_equal(kept.found[0], numbers)
    np.testing.assert_array_equal(kept.found[1], found)

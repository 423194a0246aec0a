"""Where scaling starts: classical scaling, landmarks, chance; and whether points are joined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import mds_problem, mds_start
from kernels.mds import Weighting
from tests import naive_mds
from tests.kernels import matrices

NONE = Weighting()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", ["euclidean", "city_block", "chance", "blobs", "heavy_tails"])
def test_classical__is_torgersons(name, d):
    values = matrices.matrix(name, 30, seed=d)
    got = mds_start.classical(values, d)
    expected = naive_mds.torgerson(values, d)
    near = 1e-9 * np.abs(expected @ expected.T).max()
    np.testing.assert_allclose(got @ got.T, expected @ expected.T, atol=near)
    last, wanted = got[:, -1:], expected[:, -1:]
    np.testing.assert_allclose(last @ last.T, wanted @ wanted.T, atol=near)


def test_classical__is_scikit_learns():
    manifold = pytest.importorskip("sklearn.manifold")
    if not hasattr(manifold, "ClassicalMDS"):
        pytest.skip("scikit-learn has no ClassicalMDS before 1.8")
    values = matrices.matrix("euclidean", 40)
    expected = manifold.ClassicalMDS(metric="precomputed", n_components=3).fit_transform(values)
    got = mds_start.classical(values, 3)
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_euclidean_points__are_found_again(n, d, seed):
    points = np.random.default_rng(seed).normal(size=(n, d))
    got = mds_start.classical(naive_mds.distances(points), d)
    assert naive_mds.procrustes(points, got) < 1e-6
    np.testing.assert_allclose(got.mean(axis=0), 0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sign_of_an_axis__is_that_of_the_farthest_point(n, d, seed):
    got = mds_start.classical(matrices.matrix("chance", n, seed), d)
    farthest = got[np.abs(got).argmax(axis=0), np.arange(d)]
    assert (farthest >= 0).all()
    order = np.random.default_rng(seed).permutation(n)
    turned = mds_start.classical(matrices.matrix("chance", n, seed)[np.ix_(order, order)], d)
    np.testing.assert_allclose(turned, got[order], atol=1e-6 * np.abs(got).max())


def test_axes_beyond_the_positive_eigenvalues__are_0():
    line = naive_mds.distances(np.arange(7.0)[:, None])
    assert not mds_start.classical(line, 3)[:, 1:].any()
    assert mds_start.classical(np.zeros((3, 3)), 2).tolist() == [[0, 0]] * 3
    assert mds_start.classical(np.zeros((1, 1)), 2).tolist() == [[0, 0]]
    assert mds_start.classical(np.zeros((0, 0)), 2).shape == (0, 2)
    assert mds_start.classical(line[:2, :2], 5).shape == (2, 5)
    with pytest.raises(ValueError, match="square"):
        mds_start.classical(np.zeros((3, 2)), 2)


def test_missing_values__are_ways_over_another_point():
    tree = np.full((6, 6), np.nan)
    for i, j, length in [(0, 1, 1.0), (1, 2, 2.0), (2, 3, 4.0), (1, 4, 8.0), (4, 5, 16.0)]:
        tree[i, j] = length  # known once
    ways = np.array(
        [
            [0, 1, 3, 7, 9, 25],
            [1, 0, 2, 6, 8, 24],
            [3, 2, 0, 4, 10, 26],
            [7, 6, 4, 0, 14, 30],
            [9, 8, 10, 14, 0, 16],
            [25, 24, 26, 30, 16, 0],
        ]
    )
    expected = mds_start.classical(ways, 3)
    assert np.array_equal(mds_start.classical(tree, 3), expected)
    tree[0, 5], tree[3, 0] = -1, np.inf  # missing too
    assert np.array_equal(mds_start.classical(tree, 3), expected)


def test_what_no_way_joins__is_as_far_as_anything_known():
    apart = np.full((4, 4), np.nan)
    apart[0, 1], apart[2, 3] = 3.0, 5.0
    filled = 5.0 * (1 - np.eye(4))
    filled[0, 1] = filled[1, 0] = 3.0
    assert np.array_equal(mds_start.classical(apart, 3), mds_start.classical(filled, 3))
    nothing = np.full((4, 4), np.nan)
    simplex = mds_start.classical(nothing, 3)
    np.testing.assert_allclose(naive_mds.distances(simplex), 1 - np.eye(4), atol=1e-12)


def test_both_triangles__count():
    values = matrices.matrix("chance", 9)
    lower, upper = values * 1.25, values * 0.75
    uneven = np.tril(lower) + np.triu(upper)
    np.testing.assert_allclose(
        mds_start.classical(uneven, 2), mds_start.classical(values, 2), atol=1e-12
    )


@pytest.mark.parametrize(("n", "m"), [(0, 5), (1, 5), (7, 7), (7, 9), (100, 20)])
def test_landmarks__are_different_points(n, m):
    numbers = mds_start.landmarks(n, m, np.random.default_rng(3))
    assert numbers.dtype == np.int64
    assert len(np.unique(numbers)) == min(n, m)
    assert sorted(numbers) == numbers.tolist()
    assert all(0 <= number < n for number in numbers)
    assert numbers.tolist() == mds_start.landmarks(n, m, np.random.default_rng(3)).tolist()


def test_every_point__is_a_landmark_equally_often():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([mds_start.landmarks(50, 10, rng) for _ in range(2000)])
    times = np.bincount(drawn, minlength=50)
    assert np.abs(times - 400).max() < 5 * np.sqrt(400)


def triangulated(values, bands, numbers, d):
    among = values[np.ix_(numbers, numbers)]
    operator, mean = mds_start.triangulation(among, d)
    assert operator.shape == (d, len(numbers))
    assert mean.shape == (len(numbers),)
    return sum(
        mds_start.triangulate_block(band, numbers, operator, mean) for band in bands
    ), mds_start.classical(among, d)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_triangulation__finds_euclidean_points_again(n, d, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d))
    values = naive_mds.distances(points)
    bands = matrices.bands_of(values, cuts=matrices.cuts_of(rng, n))
    numbers = mds_start.landmarks(n, max(d + 2, n // 3), rng)
    got, _ = triangulated(values, bands, numbers, d)
    among = points[numbers]
    spread = np.linalg.svd(among - among.mean(axis=0), compute_uv=False)
    if len(numbers) > d and spread[-1] > 1e-2:  # else landmarks are too flat to place others
        assert naive_mds.procrustes(points, got) < 1e-5


@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("name", ["chance", "city_block", "repeated"])
def test_triangulation__puts_landmarks_where_classical_does(name, dtype):
    values = matrices.stored(matrices.matrix(name, 61), dtype)
    for numbers in (np.arange(61), np.arange(0, 61, 3)):
        got, expected = triangulated(values, matrices.bands_of(values, dtype), numbers, 3)
        np.testing.assert_allclose(got[numbers], expected, atol=1e-9 * np.abs(expected).max())


def test_triangulation__is_its_formula_and_misses_nothing_known():
    values = matrices.matrix("chance", 50, missing=0.3)
    numbers = np.arange(2, 50, 5)
    got, _ = triangulated(values, matrices.bands_of(values, cuts=[16, 32]), numbers, 2)
    operator, mean = mds_start.triangulation(values[np.ix_(numbers, numbers)], 2)
    squares = values**2
    np.fill_diagonal(squares, 0.0)
    lacking = np.nan_to_num(mean - squares[:, numbers])
    np.testing.assert_allclose(got, lacking @ operator.T / 2, atol=1e-12)


@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_rows_block__is_what_is_known_among_some_points(dtype):
    values = matrices.stored(matrices.matrix("chance", 70, missing=0.3), dtype)
    numbers = np.array([0, 3, 15, 16, 40, 41, 69])
    parts = [
        mds_start.rows_block(band, numbers)
        for band in matrices.bands_of(values, dtype, cuts=[16, 32, 48])
    ]
    assert [len(part) for part in parts] == [3, 1, 2, 1]
    expected = np.where(np.triu(np.ones((7, 7)), 1) > 0, values[np.ix_(numbers, numbers)], np.nan)
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-12, equal_nan=True)


def started(values, d, random_state=0, cuts=None):
    over = matrices.over(matrices.bands_of(values, cuts=cuts))
    return mds_problem.classical_over(over, len(values), d, random_state)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_few_points__start_classically(n, missing):
    values = matrices.matrix("chance", n, missing=missing)
    expected = mds_start.classical(values, 2)
    np.testing.assert_array_equal(started(values, 2), expected)
    np.testing.assert_array_equal(started(values, 2, cuts=[16, 32] if n > 32 else []), expected)


def test_many_points__start_among_landmarks(monkeypatch):
    monkeypatch.setattr(mds_problem, "MOST_LANDMARKS", 30)
    points = np.random.default_rng(0).normal(size=(120, 3))
    got = started(naive_mds.distances(points), 3)
    assert naive_mds.procrustes(points, got) < 1e-9
    values = matrices.matrix("city_block", 120)
    one, again, other = (started(values, 2, seed) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()
    near = 1e-12 * np.abs(one).max()
    np.testing.assert_allclose(started(values, 2, 1, cuts=[48]), one, rtol=0, atol=near)
    whole = naive_mds.torgerson(values, 2)
    assert naive_mds.normalized(values, one) < 1.5 * naive_mds.normalized(values, whole)


def test_random_start__differs_between_runs_only():
    one = mds_start.random_start(1000, 3, 2.5, 7, 0)
    assert one.shape == (1000, 3)
    assert 2.4 < np.abs(one).max() < 2.5
    assert np.abs(one.mean(axis=0)).max() < 0.2
    assert one.tobytes() == mds_start.random_start(1000, 3, 2.5, 7).tobytes()
    assert not np.isin(mds_start.random_start(1000, 3, 2.5, 7, 1), one).any()
    assert not np.isin(mds_start.random_start(1000, 3, 2.5, 8, 0), one).any()
    assert mds_start.random_start(0, 2, 1.0, 0).shape == (0, 2)


def components(there):
    """Lowest number of the points that can be reached from each, by definition."""
    reach = np.linalg.matrix_power((there | np.eye(len(there), dtype=bool)).astype(float), 1) > 0
    for _ in range(len(there).bit_length()):
        reach = (reach.astype(float) @ reach) > 0
    return reach.argmax(axis=1)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 70), st.floats(0.8, 1.0), st.integers(0, 2**32 - 1), st.booleans())
def test_components__are_those_of_the_known_pairs(n, missing, seed, weighted):
    rng = np.random.default_rng(seed)
    lost = matrices.symmetric(rng.random((n, n)) < missing).astype(bool)
    values = np.where(lost, np.nan, 1 - np.eye(n))
    weights = matrices.symmetric(rng.integers(0, 2, (n, n)).astype(float)) if weighted else None
    there = naive_mds.known(values) & (True if weights is None else weights > 0)
    bands = matrices.bands_of(values, cuts=matrices.cuts_of(rng, n), weights=weights)
    kind = Weighting("given") if weighted else NONE
    labels = mds_problem.components_block(bands[0], kind)
    for band in bands[1:]:
        labels = mds_problem.join_components(labels, mds_problem.components_block(band, kind))
    assert np.array_equal(labels, components(there))


def test_unconnected_points__are_told():
    mds_problem.check_connected(np.zeros(5, np.int64))
    mds_problem.check_connected(np.zeros(0, np.int64))
    with pytest.raises(ValueError, match=r"connect point 1 with point 0 \(4 of 6 points are apart"):
        mds_problem.check_connected(np.array([0, 1, 1, 3, 1, 0]))

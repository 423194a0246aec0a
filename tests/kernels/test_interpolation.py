"""Majorisation of new items: the naive twin, least squares, the written rules, blocks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from kernels import interpolation, neighbours
from tests import naive_interpolation as naive


def problem(n, m, d, k, seed=0, noise=0.2):
    """(indices, distances, positions): the k nearest landmarks of n items in d + 2 dimensions."""
    rng = np.random.default_rng(seed)
    landmarks, points = rng.normal(size=(m, d + 2)), rng.normal(size=(n, d + 2))
    indices, distances = neighbours.nearest(points, landmarks, k, n_threads=1)
    return indices, distances, landmarks[:, :d] * (1 + noise * rng.normal(size=(m, d)))


def placed_by_definition(indices, distances, at, **options):
    pairs = zip(indices, distances, strict=True)
    return np.array([naive.place(i, d, at, **options) for i, d in pairs])


def assert_close(found, expected):
    scale = np.nanmax(np.abs(expected), initial=1e-300)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 10, 37])
def test_place_block__equals_the_definition(d, k):
    indices, distances, at = problem(33, 100, d, k, seed=d)
    found = interpolation.place_block(indices, distances, at)
    assert_close(found, placed_by_definition(indices, distances, at))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 511, 512, 513])
def test_place_block__any_number_of_items(n):
    indices, distances, at = problem(n, 50, 3, 6, noise=2.0)
    found = interpolation.place_block(indices, distances, at, max_iter=20)
    assert found.shape == (n, 3)
    if n:
        assert_close(found, placed_by_definition(indices, distances, at, max_iter=20))


@pytest.mark.parametrize(("max_iter", "tol"), [(0, 1e-6), (1, 0), (17, 0), (1000, 1e-3), (9, -1)])
def test_place_block__stops_as_told(max_iter, tol):
    indices, distances, at = problem(50, 80, 2, 5)
    found = interpolation.place_block(indices, distances, at, max_iter=max_iter, tol=tol)
    expected = placed_by_definition(indices, distances, at, max_iter=max_iter, tol=tol)
    assert_close(found, expected)


def test_place_block__stress_never_rises():
    indices, distances, at = problem(300, 80, 3, 10, noise=1.0)
    before = np.full(300, np.inf)
    for steps in range(30):
        z = interpolation.place_block(indices, distances, at, max_iter=steps, tol=0)
        now, squares = interpolation.placement_stress(z, indices, distances, at)
        assert (now <= before * (1 + 1e-12)).all()
        before = now
    assert np.median(before / squares) < 0.3


def test_place_block__tells_which_items_took_all_their_steps():
    indices, distances, at = problem(300, 60, 3, 10, noise=1.0)
    distances[3], distances[7, 0] = np.nan, 0
    before, cut_off = np.ones(300, bool), np.empty(300, bool)
    for steps, most in ((0, 298), (1, 298), (20, 290), (5000, 0)):
        found = interpolation.place_block(indices, distances, at, max_iter=steps, cut_off=cut_off)
        further = interpolation.place_block(indices, distances, at, max_iter=2 * steps + 9)
        np.testing.assert_array_equal(found[~cut_off], further[~cut_off])
        assert cut_off.sum() == most if steps <= 1 else cut_off.sum() <= most
        assert (cut_off <= before).all()
        before = cut_off.copy()


def test_place_block__ends_in_a_minimum():
    """Least squares from there finds nothing lower nearby, and hardly moves."""
    indices, distances, at = problem(40, 80, 3, 10)
    found = interpolation.place_block(indices, distances, at, max_iter=100_000, tol=1e-16)
    for i, d, z in zip(indices, distances, found, strict=True):
        best = least_squares(lambda x, i=i, d=d: np.linalg.norm(x - at[i], axis=1) - d, z)
        assert 2 * best.cost > naive.stress(z, at[i], d) * (1 - 1e-9)
        np.testing.assert_allclose(best.x, z, atol=1e-4)


def test_interpolate__finds_points_of_the_same_space():
    rng = np.random.default_rng(4)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    landmarks, points = rng.normal(size=(2000, 3)), rng.normal(size=(500, 3)) * 0.7
    placed = interpolation.interpolate(points, landmarks, landmarks @ turn)
    off = np.linalg.norm(placed - points @ turn, axis=1)
    assert np.median(off) < 2e-3
    assert off.max() < 0.1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interpolate__is_nearest_and_place_block(n_threads):
    rng = np.random.default_rng(5)
    points, landmarks = rng.normal(size=(3000, 16)).astype("f4"), rng.normal(size=(400, 16))
    at = rng.normal(size=(400, 3))
    indices, distances = neighbours.nearest(points, landmarks, 10)
    expected = interpolation.place_block(indices, distances, at)
    found = interpolation.interpolate(points, landmarks, at, n_threads=n_threads)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_interpolate__onto_few_landmarks(m):
    rng = np.random.default_rng(m)
    landmarks, points = rng.normal(size=(m, 3)), rng.normal(size=(20, 3))
    placed = interpolation.interpolate(points, landmarks, landmarks)
    indices, distances = neighbours.nearest(points, landmarks, m)
    residuals, squares = interpolation.placement_stress(placed, indices, distances, landmarks)
    assert (residuals < 1e-3 * squares).all()
    assert interpolation.interpolate(points[:0], landmarks, landmarks).shape == (0, 3)


def test_place_block__bytes_do_not_depend_on_the_block():
    indices, distances, at = problem(700, 90, 3, 8, noise=1.0)
    distances[::5, 3:] = np.nan
    distances[7::50, 2] = 0
    whole = interpolation.place_block(indices, distances, at)
    for cuts in ([0, 1, 2, 700], [0, 333, 350, 357, 700], range(0, 701, 7)):
        parts = [
            interpolation.place_block(indices[a:b], distances[a:b], at)
            for a, b in itertools.pairwise(cuts)
        ]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    order = np.random.default_rng(0).permutation(700)
    shuffled = interpolation.place_block(indices[order], distances[order], at)
    assert shuffled.tobytes() == whole[order].tobytes()


def test_place_block__distance_0_is_a_place_on_the_landmark():
    at = np.array([[0.0, 1.0], [5.0, 5.0], [2.0, -1.0]])
    indices = [[2, 0, 1], [0, 1, 2], [1, 2, 0]]
    found = interpolation.place_block(indices, [[0, 0, 3], [1, 0, 2], [np.nan, 2, 0]], at)
    np.testing.assert_array_equal(found, at[[2, 1, 0]])


def test_place_block__missing_distances_are_left_out():
    indices, distances, at = problem(30, 40, 2, 6)
    for missing in (np.nan, np.inf, -1.0):
        holes, numbers = distances.copy(), indices.copy()
        holes[:, 1::2] = missing
        found = interpolation.place_block(numbers, holes, at)
        fewer = interpolation.place_block(indices[:, ::2], distances[:, ::2], at)
        np.testing.assert_array_equal(found, fewer)
    numbers[:, 3:] = -1
    fewer = interpolation.place_block(indices[:, :3], distances[:, :3], at)
    np.testing.assert_array_equal(interpolation.place_block(numbers, distances, at), fewer)


def test_place_block__nothing_known_is_nan():
    indices, distances, at = problem(9, 40, 2, 6)
    distances[4] = np.nan
    found = interpolation.place_block(indices, distances, at)
    assert np.isnan(found).all(axis=1).tolist() == [i == 4 for i in range(9)]
    residuals, squares = interpolation.placement_stress(found, indices, distances, at)
    assert np.isnan(residuals[4])
    assert squares[4] == 0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_place_block__landmarks_at_one_place(d):
    """The mean is on all of them: the first step goes along the first axis."""
    at = np.full((12, d), 7.0)
    found = interpolation.place_block([range(12)], [np.linspace(1, 2, 12)], at)
    np.testing.assert_allclose(found[0] - at[0], np.eye(d)[0] * 1.5, atol=1e-12)


def test_place_block__start_on_a_landmark():
    at = np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])  # the mean is the first one
    numbers, distances = [range(5)], np.array([[0.5, 1, 1, 1, 1]])
    found = interpolation.place_block(numbers, distances, at, max_iter=1)
    np.testing.assert_allclose(found, [[0.1, 0.0]], atol=1e-15)
    assert_close(found, placed_by_definition(numbers, distances, at, max_iter=1))


def test_place_block__two_landmarks_in_three_dimensions():
    """Steps from between them would stay on their line, where nothing is equally far from both."""
    found = interpolation.place_block([[0, 1]], [[1.0, 1.0]], np.array([[0.0, 0, 0], [1, 0, 0]]))
    np.testing.assert_allclose(found, [[0.5, np.sqrt(0.75), 0]], atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_place_block__equals_the_definition_on_grids(data):
    """Equal positions, equal distances, holes."""
    d, k, n = (data.draw(st.integers(1, top)) for top in (4, 8, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    at = rng.integers(-2, 3, (9, d)).astype(float)
    indices = np.array([rng.permutation(9)[:k] for _ in range(n)])
    distances = np.sort(rng.integers(0, 6, (n, k)) * 0.5 + data.draw(st.sampled_from([0, 0.25])))
    distances[rng.random((n, k)) < 0.2] = np.nan
    found = interpolation.place_block(indices, distances, at, max_iter=20)
    residuals, squares = interpolation.placement_stress(found, indices, distances, at)
    expected = placed_by_definition(indices, distances, at, max_iter=20)
    for row in range(n):
        known = naive.known_of(indices[row], distances[row])
        if known:
            anchors, deltas = at[[j for j, _ in known]], [delta for _, delta in known]
            assert np.isclose(residuals[row], naive.stress(found[row], anchors, deltas))
            assert squares[row] == np.square(deltas).sum()
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda at: interpolation.place_block([[0]], [[1.0, 2.0]], at), "not the same rows"),
        (lambda at: interpolation.place_block([[4]], [[1.0]], at), "indices name landmark 4 of 4"),
        (
            lambda at: interpolation.place_block([[0]], [[1.0]], at * np.nan),
            "positions must be fin",
        ),
        (lambda at: interpolation.interpolate(at, at, at[:3]), "embedding has 3 rows, landmarks 4"),
        (lambda at: interpolation.interpolate(at, at, at, k=0), "k must be 1 to 4"),
    ],
)
def test_interpolation__refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((4, 2)))

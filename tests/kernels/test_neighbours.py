"""The k nearest landmarks: the naive twin, scikit-learn, ties, blocks, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from kernels import _landmarks, _neighbours, neighbours
from tests import naive_interpolation as naive
from tests.kernels import clouds

WIDTHS = (1, 2, 3, 5, 16, 33)


def shell(rng, n, d):
    """Almost equally far from the origin, some by less than float32 tells apart."""
    directions = rng.normal(size=(n, d))
    directions /= np.sqrt(np.square(directions).sum(axis=1, keepdims=True))
    return directions * (1 + rng.choice([0, 1e-12, 1e-9, 1e-7, 1e-5], (n, 1)))


def pair(name, n, m, d, dtype="float64"):
    """Points and landmarks of one cloud; some points lie on landmarks."""
    rng = np.random.default_rng(d)
    values = clouds.KINDS[name](rng, n + m, d) if name != "shell" else shell(rng, n + m, d)
    values = values.astype(dtype)
    points, landmarks = values[:n].copy(), values[n:]
    points[1::7] = np.resize(landmarks, points[1::7].shape)
    points[::11] *= 1e-9 if name == "shell" else 1
    return points, landmarks


def same(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[0].dtype == np.int32
    assert found[1].dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*sorted(clouds.KINDS), "shell"])
def test_nearest__equals_the_definition(name, dtype):
    for d in WIDTHS:
        points, landmarks = pair(name, 83, 700, d, dtype)
        same(neighbours.nearest(points, landmarks, 10), naive.nearest(points, landmarks, 10))


@pytest.mark.parametrize("m", [1, 2, 7, 8, 9, 31, 32, 33, 100, 321])
def test_nearest__any_number_of_landmarks(m):
    points, landmarks = pair("normal", 37, m, 4)
    for k in {1, min(2, m), max(m // 2, 1), max(m - 1, 1), m}:
        same(neighbours.nearest(points, landmarks, k), naive.nearest(points, landmarks, k))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 48, 49, 500])
def test_nearest__any_number_of_points(n):
    points, landmarks = pair("blobs", n, 400, 6)
    found = neighbours.nearest(points, landmarks, 3, n_threads=1)
    same(found, naive.nearest(points, landmarks, 3))
    assert found[0].shape == (n, 3)


def test_nearest__is_that_of_scikit_learn():
    points, landmarks = pair("normal", 3000, 5000, 16, "float32")
    search = NearestNeighbors(n_neighbors=10, algorithm="kd_tree").fit(landmarks.astype(float))
    distances, indices = search.kneighbors(points.astype(float))
    found = neighbours.nearest(points, landmarks, 10)
    np.testing.assert_array_equal(found[0], indices)
    np.testing.assert_allclose(found[1], distances, rtol=1e-12)


@pytest.mark.parametrize("name", ["normal", "integers", "shell", "blobs"])
def test_nearest__is_the_same_without_int16(name):
    points, landmarks = pair(name, 200, 900, 16)
    packed = _landmarks.pack(landmarks)
    packed = packed._replace(pairs=packed.pairs[:0], pair_halves=packed.pair_halves[:0])
    found = np.empty((200, 5), np.int32), np.empty((200, 5))
    _neighbours.search(points, packed, *found)
    same(found, naive.nearest(points, landmarks, 5))


def test_nearest__points_far_from_all_landmarks():
    points, landmarks = pair("normal", 60, 500, 3)
    for reach in (3.0, 1e3, 1e9, 1e20, 1e149):
        points[::3] = landmarks[:20] * reach
        same(neighbours.nearest(points, landmarks, 4), naive.nearest(points, landmarks, 4))


@pytest.mark.parametrize("size", [1e-170, 1e-145, 1e-30, 1e30, 1e140])
def test_nearest__any_size(size):
    points, landmarks = pair("normal", 40, 300, 5)
    points, landmarks = points * size, landmarks * size
    same(neighbours.nearest(points, landmarks, 4), naive.nearest(points, landmarks, 4))


def test_nearest__mixed_types_and_layouts():
    points, landmarks = pair("normal", 50, 300, 7)
    whole = np.asfortranarray(np.rint(points * 3).astype(np.int64))
    for a, b in ((points.astype("f4"), landmarks), (points, landmarks.astype("f4")),
                 (whole, landmarks[:, ::-1]), (points[::2], landmarks[::3])):  # fmt: skip
        same(neighbours.nearest(a, b, 6), naive.nearest(a, b, 6))


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_nearest__does_not_depend_on_threads_or_blocks(n_threads):
    points, landmarks = pair("blobs", 5000, 700, 16, "float32")
    points[77] *= 1e6  # beyond int16
    whole = neighbours.nearest(points, landmarks, 10, n_threads=n_threads)
    cuts = [0, 1, 18, 1000, 1001, 4000, 5000]
    parts = [
        neighbours.nearest(points[a:b], landmarks, 10, n_threads=1)
        for a, b in itertools.pairwise(cuts)
    ]
    same(whole, [np.concatenate(arrays) for arrays in zip(*parts, strict=True)])


def test_nearest__notices_that_landmarks_changed():
    points, landmarks = pair("normal", 20, 60, 3)
    for _ in range(3):
        same(neighbours.nearest(points, landmarks, 2), naive.nearest(points, landmarks, 2))
        landmarks[7] = points[3]
        same(neighbours.nearest(points, landmarks, 2), naive.nearest(points, landmarks, 2))
        landmarks = landmarks[1:]


def test_nearest__equal_landmarks_come_in_order():
    landmarks = np.repeat(np.random.default_rng(1).normal(size=(5, 3)), 200, axis=0)
    indices, distances = neighbours.nearest(landmarks[400:403] + 0.01, landmarks, 150)
    assert indices.tolist() == [list(range(400, 550))] * 3
    assert np.ptp(distances) == 0


def passed_blocks(points, landmarks, k, paired):
    """Blocks of landmarks that the filter lets pass, for each point."""
    packed = _landmarks.pack(landmarks)
    work = _landmarks.work_for(packed, k)
    full = _neighbours.TILE
    work.numbers[:full] = np.arange(full)
    _neighbours.load_rows(points, full, paired, packed, work)
    _neighbours.score_batch(full, paired, packed, work)
    _neighbours.bound_tile(0, k, paired, packed, work)
    return _neighbours.measure_tile(0, k, paired, packed, work) / full


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_filters__leave_little_to_measure(offset):
    rng = np.random.default_rng(3)
    points, landmarks = rng.normal(size=(16, 16)) + offset, rng.normal(size=(8000, 16)) + offset
    kinds = (True, False) if len(_landmarks.pack(landmarks).pairs) else (False,)
    for paired in kinds:
        assert 9 <= passed_blocks(points, landmarks, 10, paired) < 13


def test_filters__are_not_blinded_by_an_outlier():
    rng = np.random.default_rng(3)
    points, landmarks = rng.normal(size=(16, 16)), rng.normal(size=(8000, 16))
    landmarks[77] = 1e7
    assert 9 <= passed_blocks(points, landmarks, 10, False) < 13


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nearest__small_grids(data):
    """Ties everywhere."""
    d, m, n = (data.draw(st.integers(1, top)) for top in (4, 90, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    k, width = data.draw(st.integers(1, m)), data.draw(st.integers(1, 4))
    points, landmarks = (rng.integers(0, width, (count, d)) * 0.3 + 7 for count in (n, m))
    same(neighbours.nearest(points, landmarks, k), naive.nearest(points, landmarks, k))


@pytest.mark.parametrize(
    ("points", "landmarks", "k", "message"),
    [
        (np.zeros((2, 3)), np.zeros((4, 2)), 1, "points have 3 columns, landmarks 2"),
        (np.zeros((2, 3)), np.zeros((4, 3)), 5, "k must be 1 to 4, the number of landmarks; not 5"),
        (np.zeros((2, 3)), np.zeros((4, 3)), 0, "k must be 1 to 4"),
        (np.zeros((2, 3)), np.zeros((0, 3)), 1, "k must be 1 to 0"),
        (np.zeros(3), np.zeros((4, 3)), 1, r"points have shape \(3,\): needed is a matrix"),
        (np.array([[0.0], [np.nan]]), np.zeros((4, 1)), 1, "points must be finite: row 1 has NaN"),
        (np.zeros((4, 1)), np.array([[np.inf]]), 1, "landmarks must be finite: row 0"),
        (np.full((4, 1), 1e151), np.zeros((2, 1)), 1, "points have values beyond 1e"),
    ],
)
def test_nearest__refuses(points, landmarks, k, message):
    with pytest.raises(ValueError, match=message):
        neighbours.nearest(points, landmarks, k)


def test_select_block__takes_the_nearest_known():
    rng = np.random.default_rng(5)
    for dtype in ("float32", "float64", "int16"):
        rows = rng.integers(0, 30, (40, 77)).astype(dtype)
        if dtype != "int16":
            rows[rng.random(rows.shape) < 0.3] = np.nan
            rows[3], rows[4, 5:] = np.nan, np.inf
        rows[rng.random(rows.shape) < 0.2] = -1
        indices, distances = neighbours.select_block(rows, 10)
        for row, numbers, found in zip(rows, indices, distances, strict=True):
            expected = naive.select(row, 10)
            assert list(zip(found, numbers, strict=True))[: len(expected)] == expected
            assert (numbers[len(expected) :] == -1).all()
            assert np.isnan(found[len(expected) :]).all()


def test_select_block__of_nothing():
    indices, distances = neighbours.select_block(np.zeros((0, 5)), 3)
    assert indices.shape == distances.shape == (0, 3)
    assert neighbours.select_block(np.zeros((2, 0)), 1)[0].tolist() == [[-1], [-1]]
    with pytest.raises(ValueError, match="k = 0"):
        neighbours.select_block(np.zeros((2, 5)), 0)

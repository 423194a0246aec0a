"""Centroids move to means; clusters without points take the farthest ones, by a written rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import kmeans
from tests import naive
from tests.kernels import clouds
from tests.strategies import steady


def iterate(points, centroids, weights=None, cuts=()):
    blocks = clouds.blocks_of(np.asarray(points), weights, cuts)
    state = kmeans.start_state(np.asarray(centroids, float))
    return clouds.iterate(blocks, state, clouds.frame_of(blocks))


@pytest.mark.parametrize("make", [None, clouds.whole_weights, clouds.any_weights])
@given(problem=clouds.problems())
@steady(100)
def test_iteration__moves_centroids_as_defined(problem, make):
    points, centroids, _, rng = problem
    weights = make and make(rng, len(points)) + 0.5
    cuts = sorted({int(c) for c in rng.integers(1, len(points) + 1, 3)} - {len(points)})
    state = iterate(points, centroids, weights, cuts)
    expected = naive.kmeans_step(points, centroids, weights)
    spread = np.ptp(points.astype(float), axis=0)
    error = 1e-9 * spread + 1e-13 * np.abs(points).max(axis=0)
    assert (np.abs(state.centroids - expected) <= error).all()
    np.testing.assert_allclose(
        state.shift, ((expected - centroids) ** 2).sum(), rtol=1e-7,
        atol=len(centroids) * 1e-7 * float((spread**2).sum()),
    )  # fmt: skip


def test_empty_clusters__take_the_farthest_points_in_order():
    points = [[0.0], [1], [2], [10], [30], [31], [60]]
    state = iterate(points, [[1.0], [900], [30], [800]])
    # farthest: 60 from 30, then 10 from 1; without them 30 and 31, and 0, 1 and 2, are left
    np.testing.assert_allclose(state.centroids.ravel(), [1, 60, 30.5, 10], rtol=1e-12)


@pytest.mark.parametrize("cuts", [(), (1,), (2, 5), (1, 2, 3, 4, 5, 6)])
def test_empty_clusters__of_equally_far_points_take_the_first(cuts):
    points = [[-3.0], [3], [0], [-3], [3], [1], [-1]]
    state = iterate(points, [[0.0], [900], [800], [700]], None, cuts)
    np.testing.assert_allclose(state.centroids.ravel()[1:], [-3, 3, -3], rtol=1e-12)
    np.testing.assert_allclose(state.centroids[0], 3 / 4, rtol=1e-12)


def test_empty_cluster__takes_no_point_of_weight_0():
    points, weights = [[0.0], [1], [2], [50], [7]], np.array([1.0, 1, 1, 0, 2])
    state = iterate(points, [[1.0], [900]], weights)
    np.testing.assert_allclose(state.centroids.ravel(), [1, 7], rtol=1e-12)
    heavy = iterate(points, [[1.0], [50]], weights)  # only a point of weight 0 is its own
    np.testing.assert_allclose(heavy.centroids.ravel(), [1, 7], rtol=1e-12)


def test_empty_clusters__where_all_points_are_centroids_stay():
    points = [[0.0, 1], [0, 1], [4, 4]]
    start = np.array([[0.0, 1], [9, 9], [4, 4], [9, 9], [0, 1]])
    state = iterate(points, start)
    np.testing.assert_allclose(state.centroids, start, rtol=1e-12, atol=1e-12)
    assert state.shift <= 1e-20


def test_empty_clusters__more_than_points_take_what_there_is():
    state = iterate([[0.0], [8]], [[1.0], [90], [91], [92], [93]])
    np.testing.assert_allclose(state.centroids.ravel(), [1, 8, 0, 92, 93], rtol=1e-12)


@pytest.mark.parametrize(
    "weights",
    [
        [0.1, 0.2, 0.7, 1 / 3],
        [1e-3, 7e2, 0.3, 0.1],
        None,
    ],
)
def test_empty_clusters__a_cluster_robbed_of_all_points_stays(weights):
    """What is left of sums of fractions must not be taken for a weight."""
    points = [[-5.0, 3.3], [7.1, 3.3], [100, 0], [100.1, 0]]
    start = np.array([[1.0, 3.3], [900, 900], [901, 901], [100.05, 0]])
    state = iterate(points, start, None if weights is None else np.array(weights))
    expected = naive.kmeans_step(np.array(points), start, weights and np.array(weights))
    np.testing.assert_allclose(state.centroids, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("light", [1e-3, 1e-9, 1e-13])
def test_centroids__of_light_points_are_means_too(light, rng):
    points = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 30])
    weights = np.repeat([1.0, light], 40)
    start = np.array([[0.0, 0], [30, 30]])
    state = iterate(points, start, weights)
    assert np.abs(state.centroids[1] - points[40:].mean(axis=0)).max() < 1e-6


@given(data=st.data(), n=st.integers(1, 60), d=st.integers(1, 3), count=st.integers(1, 70))
@steady(100)
def test_farthest__of_joined_blocks_are_those_of_all(data, n, d, count):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    points = rng.integers(-3, 4, (n, d)).astype("float32")
    weights = rng.integers(0, 3, n).astype(float)
    weights[rng.integers(n)] = 1
    centroids = clouds.centroids_for(points, 4, rng)
    cuts = sorted({int(c) for c in rng.integers(1, n + 1, 4)} - {n})
    blocks = clouds.blocks_of(points, weights, cuts)
    frame = clouds.frame_of(blocks)
    far = kmeans.joined(
        kmeans.join_farthest, [kmeans.farthest_block(b, centroids, frame, count) for b in blocks]
    )
    true = naive.kmeans_distances(points, centroids)
    order = sorted(np.flatnonzero(weights > 0), key=lambda i: (-true.min(axis=1)[i], i))[:count]
    real = far.distances >= 0
    assert len(far.distances) == count
    assert far.rows[real].tolist() == order
    assert not real[len(order) :].any()
    np.testing.assert_array_equal(far.points[real], points[order])
    np.testing.assert_array_equal(far.labels[real], true.argmin(axis=1)[order])
    np.testing.assert_array_equal(far.weights[real], weights[order])

"""KMeans of one machine: whole runs."""

import numpy as np
import pytest

from kernels import kmeans
from tests import naive
from tests.kernels import clouds

cluster = pytest.importorskip("sklearn.cluster")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init", ["auto", "k-means||", "random"])
def test_kmeans__labels_and_inertia_are_those_of_its_centroids(dtype, weighted, init, rng):
    points = clouds.cloud("normal", 5000, 6, dtype)
    weights = clouds.any_weights(rng, 5000) if weighted else None
    found = kmeans.kmeans(points, 20, init=init, sample_weight=weights, random_state=3)
    assert found.centroids.shape == (20, 6)
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.labels, naive.kmeans_labels(points, found.centroids))
    expected = naive.kmeans_inertia(points, found.centroids, weights)
    np.testing.assert_allclose(found.inertia, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans__from_given_centroids_ends_where_scikit_learn_does(dtype, weighted, rng):
    points = clouds.cloud("normal", 3000, 4, dtype)
    weights = rng.random(3000) + 0.1 if weighted else None
    start = points[:15].astype(np.float64)
    found = kmeans.kmeans(points, 15, init=start, tol=0, max_iter=1000, sample_weight=weights)
    fit = cluster.KMeans(15, init=start, n_init=1, tol=0, max_iter=1000, algorithm="lloyd")
    fit.fit(points.astype(np.float64), sample_weight=weights)
    np.testing.assert_allclose(found.centroids, fit.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(found.labels, fit.labels_)
    np.testing.assert_allclose(found.inertia, fit.inertia_, rtol=1e-9)


@pytest.mark.parametrize("tol", [1e-4, 1e-2])
def test_kmeans__tol_and_max_iter_mean_what_they_mean_in_scikit_learn(tol):
    points = clouds.cloud("normal", 3000, 4, "float64")
    start = points[:15]
    for most in (1, 2, 7, 300):
        found = kmeans.kmeans(points, 15, init=start, tol=tol, max_iter=most)
        fit = cluster.KMeans(
            15, init=start, n_init=1, tol=tol, max_iter=most, algorithm="lloyd"
        ).fit(points)
        np.testing.assert_allclose(found.centroids, fit.cluster_centers_, atol=1e-9)
    assert fit.n_iter_ < 300


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init", ["k-means++", "k-means||", "random"])
def test_kmeans__threads_change_no_byte(init, weighted, rng):
    points = clouds.cloud("normal", 20_000, 5, "float32")
    weights = clouds.any_weights(rng, 20_000) if weighted else None
    runs = [
        kmeans.kmeans(
            points, 12, init=init, n_init=2, sample_weight=weights, random_state=1, n_threads=n
        )
        for n in (1, 2, 3)
    ]
    assert len({clouds.bytes_of(*run) for run in runs}) == 1


def test_kmeans__keeps_the_best_run():
    points = clouds.cloud("normal", 2000, 3, "float64")
    several = [kmeans.kmeans(points, 10, init="random", n_init=n).inertia for n in (1, 4, 12)]
    assert several == sorted(several, reverse=True)
    assert several[0] > several[-1]


@pytest.mark.parametrize("init", ["k-means++", "k-means||", "random"])
def test_kmeans__of_few_points(init):
    points = np.array([[1.0, 5], [2, 4], [9, 9]])
    one = kmeans.kmeans(points[:1], 1, init=init)
    assert (one.centroids.tolist(), one.labels.tolist(), one.inertia) == ([[1, 5]], [0], 0)
    three = kmeans.kmeans(points, 3, init=init)
    assert sorted(three.labels.tolist()) == [0, 1, 2]
    assert three.inertia == 0
    equal = kmeans.kmeans(points[[1] * 7], 3, init=init)
    assert equal.inertia == 0
    assert equal.labels.tolist() == [0] * 7


@pytest.mark.parametrize("weights", [None, np.array([2.0, 0, 1, 1])])
def test_kmeans__reads_lists_integers_strides_and_other_byte_orders(weights):
    points = np.array([[0, 1], [5, 5], [0, 2], [9, 1]], np.float64)
    expected = clouds.bytes_of(*kmeans.kmeans(points, 2, sample_weight=weights))
    wide = np.zeros((8, 4))
    wide[::2, ::2] = points
    for same in (points.tolist(), points.astype(int), wide[::2, ::2], points.astype(">f8"),
                 np.asfortranarray(points)):  # fmt: skip
        assert clouds.bytes_of(*kmeans.kmeans(same, 2, sample_weight=weights)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": np.zeros(3)}, "matrix"),
        ({"points": np.zeros((0, 2))}, "matrix"),
        ({"points": np.array([[0.0], [np.nan]])}, r"points\[1, 0\] is nan"),
        ({"points": np.array([[0.0], [np.inf]], "float32")}, r"points\[1, 0\] is inf"),
        ({"n_clusters": 5}, "n_clusters must be 1 to 4"),
        ({"n_clusters": 0}, "n_clusters must be 1 to 4"),
        ({"init": "k-mean"}, "init is 'k-mean'"),
        ({"init": np.zeros((3, 2))}, "init must be finite centroids"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"sample_weight": [1, 1, 1, -1.0]}, "not negative"),
        ({"sample_weight": np.zeros(4)}, "not all 0"),
    ],
)
def test_kmeans__refuses_what_makes_no_sense(options, message):
    given = {"points": np.arange(8.0).reshape(4, 2), "n_clusters": 2} | options
    with pytest.raises(ValueError, match=message):
        kmeans.kmeans(**given)

"""KMeans against scikit-learn in float64, from the same centroids at every iteration."""

import numpy as np
import pytest

from kernels import kmeans
from tests import naive
from tests.kernels import clouds
from tests.kernels.truth import needs_data

cluster = pytest.importorskip("sklearn.cluster")

TIE = 1e-12  # relative difference of squared distances below which scikit-learn may differ
OPEN = ["s1", "s3", "a1", "a3", "dim032", "unbalance"]


def one_iteration(points, centroids, weights=None):
    """scikit-learn's fit of one iteration: centroids after it, their labels and inertia."""
    fit = cluster.KMeans(
        len(centroids), init=centroids, n_init=1, max_iter=1, tol=0.0, algorithm="lloyd"
    )
    return fit.fit(points.astype(np.float64), sample_weight=weights)


def apart(one, two):
    """Whether squared distances differ by more than scikit-learn's rounding."""
    return np.abs(one - two) > TIE * np.maximum(one, two)


def has_ties(points, centroids):
    """Whether a point lies between equally near centroids, so that the next ones may differ."""
    first, second = np.sort(naive.kmeans_distances(points, centroids), axis=1)[:, :2].T
    return not apart(first, second).all()


def differences(points, centroids, labels, others):
    """Number of points whose labels differ; all of them lie between equally near centroids."""
    differ = np.flatnonzero(labels != others)
    distances = naive.kmeans_distances(points[differ], centroids)
    rows = np.arange(len(differ))
    assert not apart(distances[rows, labels[differ]], distances[rows, others[differ]]).any()
    return len(differ)


def compare(points, centroids, iterations, weights=None):
    """Every iteration from scikit-learn's centroids: ours are the same. Returns (number of labels
    that differ, number of iterations without a tie)."""
    blocks = clouds.blocks_of(points, weights)
    frame = clouds.frame_of(blocks)
    differ = checked = 0
    for _ in range(iterations):
        fit = one_iteration(points, centroids, weights)
        state = clouds.iterate(blocks, kmeans.start_state(centroids), frame)
        if not has_ties(points, centroids):
            error = 1e-10 * frame.spread + 1e-14 * np.abs(points).max(axis=0)
            assert (np.abs(state.centroids - fit.cluster_centers_) <= error).all()
            checked += 1
        centroids = np.ascontiguousarray(fit.cluster_centers_)
        labels = [kmeans.assign_block(block, centroids, frame)[0] for block in blocks]
        differ += differences(points, centroids, np.concatenate(labels), fit.labels_)
        assert_inertia(blocks, centroids, frame, fit.inertia_)
    return differ, checked


def assert_inertia(blocks, centroids, frame, expected):
    """Exact from distances; from sums as far as cancellation lets it be."""
    np.testing.assert_allclose(clouds.inertia(blocks, centroids, frame), expected, rtol=1e-9)
    told = clouds.iterate(blocks, kmeans.start_state(centroids), frame).inertia
    around = float((frame.variances * frame.weight).sum())
    np.testing.assert_allclose(told, expected, rtol=1e-9, atol=1e-13 * around)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d", "k"), [(4097, 2, 17), (1000, 20, 100), (3000, 129, 16),
                                           (5000, 3, 5), (700, 64, 2), (300, 1, 9)])  # fmt: skip
def test_iterations__on_random_points_are_those_of_scikit_learn(dtype, n, d, k):
    rng = np.random.default_rng(n)
    for name in ("normal", "blobs", "far_away", "constant_columns")[: 4 if d > 1 else 3]:
        points = clouds.cloud(name, n, d, dtype)
        start = points[rng.choice(n, k, replace=False)].astype(np.float64)
        differ, checked = compare(points, start, 12)
        assert differ <= (5 if name == "far_away" and dtype == "float32" else 0)  # a grid of 1/16
        assert checked >= 6


@pytest.mark.parametrize("make", clouds.WEIGHTS)
def test_iterations__with_weights_are_those_of_scikit_learn(make, rng):
    for name in ("normal", "blobs"):
        points = clouds.cloud(name, 2000, 6, "float32")
        weights = make(rng, 2000)
        start = points[np.flatnonzero(weights > 0)[:25]].astype(np.float64)
        assert compare(points, start, 12, weights) == (0, 12)


def test_iterations__where_ties_abound_differ_in_ties_only(rng):
    points = np.unique(clouds.cloud("integers", 4000, 5, "float64"), axis=0)
    start = points[rng.choice(len(points), 40, replace=False)]
    differ, _ = compare(points, start, 10)
    assert differ < len(points)


@needs_data
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPEN)
def test_iterations__on_open_sets_are_those_of_scikit_learn(name, dtype, rng):
    points = clouds.open_points(name).astype(dtype)
    k = clouds.best_inertia()[name]["k"]
    start = points[rng.choice(len(points), k, replace=False)].astype(np.float64)
    differ, checked = compare(points, start, 15)
    assert differ <= 2
    assert checked >= 10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_empty_cluster__takes_the_point_that_scikit_learn_takes(dtype, rng):
    points = clouds.cloud("normal", 1500, 4, dtype)
    start = points[rng.choice(1500, 12, replace=False)].astype(np.float64)
    start[5] = 50.0
    weights = rng.random(1500) + 0.5
    for given in (None, weights):
        state, fit = reseeded(points, start, given)
        np.testing.assert_allclose(state.centroids, fit.cluster_centers_, rtol=1e-9, atol=1e-11)


def test_empty_clusters__take_the_points_that_scikit_learn_takes(rng):
    points = clouds.cloud("normal", 1500, 4, "float64")
    start = points[rng.choice(1500, 12, replace=False)]
    start[2], start[3], start[9] = 50.0, 60.0, start[1]
    state, fit = reseeded(points, start, None)
    ours, theirs = (c[np.lexsort(c.T)] for c in (state.centroids, fit.cluster_centers_))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def reseeded(points, start, weights):
    """(our state, scikit-learn's fit) after one iteration from centroids without points."""
    blocks = clouds.blocks_of(points, weights)
    frame = clouds.frame_of(blocks)
    state = clouds.iterate(blocks, kmeans.start_state(start), frame)
    assert len(np.unique(kmeans.assign_block(blocks[0], start, frame)[0])) < len(start)
    return state, one_iteration(points, start, weights)

"""KMeans over blocks against the definition: labels, distances, sums, inertia."""

import numpy as np
import pytest
from hypothesis import given

from kernels import kmeans
from tests import naive
from tests.kernels import clouds
from tests.strategies import steady

DTYPES = ("float32", "float64")


def assert_true(points, centroids, weights=None):
    """One block of these points has the labels, distances, sums and inertia of the definition."""
    block, frame = clouds.one_block(points, weights)
    k = len(centroids)
    sums, totals, inertia = kmeans.partial_sums(block, centroids, frame)
    labels, distances = kmeans.assign_block(block, centroids, frame)
    true = naive.kmeans_distances(points, centroids)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, true.argmin(axis=1))
    np.testing.assert_array_equal(distances, true.min(axis=1))
    exact, weight = naive.kmeans_sums(points - frame.origin, labels, k, weights)
    heaviest = 1.0 if weights is None else weights.max()
    step = np.bincount(labels, minlength=k) * heaviest * 2.0**-40
    assert (np.abs(sums - exact) <= np.outer(step, frame.spread) + 1e-13 * np.abs(exact)).all()
    assert (np.abs(totals - weight) <= step + 1e-13 * weight).all()
    around = np.sum((points - frame.origin) ** 2 * (1 if weights is None else weights[:, None]))
    expected = naive.kmeans_inertia(points, centroids, weights)
    np.testing.assert_allclose(inertia, [expected], rtol=1e-9, atol=1e-11 * around)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 16, 17, 20, 64, 129])
@pytest.mark.parametrize("k", [1, 2, 5, 16, 17, 100])
def test_labels__are_those_of_the_definition_for_any_shape(dtype, d, k):
    rng = np.random.default_rng(d * 1000 + k)
    for n in (1, 2, 63, 64, 65, 1000):
        points = clouds.cloud("normal", n, d, dtype, n)
        assert_true(points, clouds.centroids_for(points, k, rng, "near"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(clouds.KINDS))
@pytest.mark.parametrize("how", clouds.PLACES)
def test_labels__are_those_of_the_definition_for_any_kind(dtype, name, how):
    rng = np.random.default_rng(3)
    for n, d, k in ((4097, 2, 17), (1000, 20, 33), (130, 129, 5)):
        points = clouds.cloud(name, n, d, dtype)
        assert_true(points, clouds.centroids_for(points, k, rng, how))


@given(problem=clouds.problems())
@steady(300)
def test_labels__are_those_of_the_definition(problem):
    points, centroids, weights, rng = problem
    assert_true(points, centroids, weights and weights(rng, len(points)) + 1e-3)


def test_labels__of_equally_near_centroids_the_lower_index_wins():
    points = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [5, 5]])
    centroids = np.array([[9.0, 9], [1, 0], [0, 1], [0, 1], [1, 0], [9, 9]])
    block, frame = clouds.one_block(points)
    labels, distances = kmeans.assign_block(block, centroids, frame)
    assert labels.tolist() == [1, 1, 2, 1, 0]
    assert distances.tolist() == [1, 0, 0, 1, 32]


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels__a_last_bit_decides(dtype):
    """Points halfway between two centroids, and their neighbours in the dtype."""
    halfway = np.array([[1.0, 2.0, 3.0]], dtype)
    above, below = (np.nextafter(halfway, np.array(end, dtype)) for end in (9, -9))
    points = np.concatenate([halfway, above, below] * 30)
    centroids = np.array([[0.0, 1, 2], [2.0, 3, 4], [2.0, 3, 4]])
    block, frame = clouds.one_block(points)
    labels, _ = kmeans.assign_block(block, centroids, frame)
    assert labels.tolist() == [0, 1, 0] * 30
    assert_true(points, centroids)


def test_labels__float32_points_are_those_of_the_same_points_in_float64(rng):
    points = clouds.cloud("normal", 3000, 20, "float32")
    centroids = clouds.centroids_for(points, 40, rng, "near")
    for method in (kmeans.assign_block, kmeans.partial_sums):
        (one, frame), (two, other) = (clouds.one_block(p) for p in (points, points.astype(float)))
        assert clouds.bytes_of(*frame[:3]) == clouds.bytes_of(*other[:3])
        got, expected = method(one, centroids, frame), method(two, centroids, other)
        assert clouds.bytes_of(*got) == clouds.bytes_of(*expected)


@given(problem=clouds.problems())
@steady(60)
def test_labels__follow_their_rows(problem):
    points, centroids, weights, rng = problem
    weights = weights and weights(rng, len(points)) + 1e-3
    order = rng.permutation(len(points))
    block, frame = clouds.one_block(points, weights)
    turned = kmeans.Block(points[order].copy(), 0, None if weights is None else weights[order])
    labels, distances = kmeans.assign_block(block, centroids, frame)
    again, same = kmeans.assign_block(turned, centroids, frame)
    np.testing.assert_array_equal(again, labels[order])
    np.testing.assert_array_equal(same, distances[order])


@given(problem=clouds.problems())
@steady(60)
def test_labels__do_not_depend_on_the_cut(problem):
    points, centroids, _, rng = problem
    cuts = sorted(rng.integers(0, len(points) + 1, 3).tolist())
    cuts = [cut for cut in dict.fromkeys(cuts) if 0 < cut < len(points)]
    block, frame = clouds.one_block(points)
    whole = kmeans.assign_block(block, centroids, frame)
    parts = [kmeans.assign_block(b, centroids, frame) for b in clouds.blocks_of(points, None, cuts)]
    for got, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(got), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums__a_weight_counts_as_repeats(dtype):
    rng = np.random.default_rng(5)
    points = clouds.cloud("normal", 900, 7, dtype)
    weights = clouds.whole_weights(rng, 900)
    centroids = clouds.centroids_for(points, 12, rng)
    one, frame = clouds.one_block(points, weights)
    two, _ = clouds.one_block(np.repeat(points, weights.astype(int), axis=0))
    got = kmeans.partial_sums(one, centroids, frame)
    expected = kmeans.partial_sums(two, centroids, frame)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)


def test_sums__a_weight_of_0_counts_for_nothing(rng):
    points = clouds.cloud("normal", 500, 4, "float32")
    weights = clouds.any_weights(rng, 500)
    weights[::3] = 0
    centroids = clouds.centroids_for(points, 9, rng)
    frame = clouds.one_block(points, weights)[1]
    moved = points.copy()
    moved[::3] = points[[1]]
    got, expected = (
        kmeans.partial_sums(kmeans.Block(p, 0, weights), centroids, frame) for p in (points, moved)
    )
    assert clouds.bytes_of(*got) == clouds.bytes_of(*expected)
    assert_true(points, centroids, weights)


def test_sums__weights_of_1_are_no_weights(rng):
    points = clouds.cloud("normal", 2000, 6, "float32")
    centroids = clouds.centroids_for(points, 30, rng)
    (one, frame), (two, _) = clouds.one_block(points), clouds.one_block(points, np.ones(2000))
    got, expected = (kmeans.partial_sums(b, centroids, frame) for b in (one, two))
    assert clouds.bytes_of(*got) == clouds.bytes_of(*expected)


@pytest.mark.slow  # kernels are compiled anew for arrays that cannot be written
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks__read_points_that_cannot_be_written(dtype, rng):
    points, weights = clouds.cloud("normal", 300, 5, dtype), clouds.any_weights(rng, 300)
    centroids = clouds.centroids_for(points, 8, rng)
    block, frame = clouds.one_block(points, weights)
    expected = kmeans.partial_sums(block, centroids, frame)
    for array in (points, weights, centroids):
        array.setflags(write=False)
    block, frame = clouds.one_block(points, weights)
    assert clouds.bytes_of(*kmeans.partial_sums(block, centroids, frame)) == clouds.bytes_of(
        *expected
    )
    np.testing.assert_array_equal(
        kmeans.assign_block(block, centroids, frame)[0], naive.kmeans_labels(points, centroids)
    )


@pytest.mark.parametrize("n", [1, 2, 2047, 4095, 4096, 131_072, 131_073, 1_000_003])
def test_block_ranges__cover_all_rows_once(n):
    ranges = kmeans.block_ranges(n)
    assert [a for a, _ in ranges] == [0, *(b for _, b in ranges[:-1])]
    assert ranges[-1][1] == n
    assert len({b - a for a, b in ranges[:-1]}) <= 1
    assert all(b > a for a, b in ranges)
    assert len(ranges) <= kmeans.MOST_BLOCKS


@pytest.mark.parametrize("name", sorted(clouds.KINDS))
def test_frame__describes_all_points(name):
    points = clouds.cloud(name, 5000, 3, "float64")
    frame = clouds.frame_of(clouds.blocks_of(points))
    mean = points.astype(np.longdouble).mean(axis=0)
    rounding = 5000 * 2.0**-53 * np.abs(points).max(axis=0)
    assert (np.abs(frame.origin - mean) <= rounding).all()
    variances = ((points - mean) ** 2).mean(axis=0)
    assert (np.abs(frame.variances - variances) <= 1e-9 * variances + rounding**2).all()
    np.testing.assert_array_equal(frame.spread, np.abs(points - frame.origin).max(axis=0))
    assert (frame.rows, frame.weight, frame.most_weight) == (5000, 5000, 1)

"""Starts of KMeans over blocks: reproducible, drawn as they should be, good enough."""

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import _potentials, kmeans, kmeans_start
from tests import naive
from tests.kernels import clouds
from tests.strategies import steady

methods = pytest.mark.parametrize("method", kmeans_start.METHODS)


def start(method, blocks, k, random_state=0, over=None):
    weighted = blocks[0].sample_weight is not None
    frame = clouds.frame_of(blocks)
    over = over or clouds.over(blocks)
    return kmeans_start.start(method, over, frame, k, random_state, weighted=weighted)


def is_row_of(points):
    known = {row.tobytes() for row in points.astype(np.float64)}
    return lambda row: row.tobytes() in known


def problem(rng, *, n=3000, d=4, dtype="float32", weighted=False):
    """(points, weights or None, blocks) cut where it is awkward."""
    points = clouds.cloud("blobs", n, d, dtype)
    weights = clouds.whole_weights(rng, n) if weighted else None
    return points, weights, clouds.blocks_of(points, weights, [1, 64, 500, 1313, n - 1])


@methods
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_start__gives_rows_of_the_points(method, weighted, dtype, rng):
    points, weights, blocks = problem(rng, weighted=weighted, dtype=dtype)
    positive = points if weights is None else points[weights > 0]
    for k in (1, 2, 7, 40):
        centroids = start(method, blocks, k)
        assert centroids.shape == (k, 4)
        assert centroids.dtype == np.float64
        assert len(np.unique(centroids, axis=0)) == k
        if method != "k-means||" or k == 1:
            assert all(map(is_row_of(positive), centroids))
        assert not any("start" in block.memory for block in blocks)


@methods
@pytest.mark.parametrize("weighted", [False, True])
def test_start__gives_the_same_bytes_however_blocks_are_worked_on(method, weighted, rng):
    _, _, blocks = problem(rng, weighted=weighted)
    expected = start(method, blocks, 23).tobytes()

    def backwards(function, *args):
        return [function(block, *args) for block in blocks[::-1]][::-1]

    def sent(function, *args):
        """Blocks that are loaded anew before every call."""
        function, args = pickle.loads(pickle.dumps((function, args)))
        return [
            function(kmeans.Block(b.points, b.first_row, b.sample_weight), *args) for b in blocks
        ]

    def some_lost(function, *args):
        for block in blocks:
            if rng.random() < 0.3:
                block.memory.clear()
        return [function(block, *args) for block in blocks]

    with ThreadPoolExecutor(3) as pool:

        def threads(function, *args):
            return list(pool.map(lambda block: function(block, *args), blocks))

        for over in (backwards, sent, some_lost, threads):
            assert start(method, blocks, 23, over=over).tobytes() == expected


@methods
def test_start__depends_on_the_random_state_alone(method, rng):
    _, _, blocks = problem(rng)
    seeds = [0, 1, 2**40, (0, 1), (1, 1), (0, 2)]
    found = {start(method, blocks, 9, seed).tobytes() for seed in seeds}
    assert len(found) == len(seeds)
    assert {start(method, blocks, 9, seed).tobytes() for seed in seeds} == found
    assert start(method, blocks, 9, (1,)).tobytes() == start(method, blocks, 9, 1).tobytes()


@methods
def test_start__after_another_is_what_it_is_alone(method, rng):
    """A start that was cut short leaves memories behind."""
    _, _, blocks = problem(rng)
    expected = start(method, blocks, 9, 1).tobytes()
    calls = itertools.count()

    def broken(function, *args):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return [function(block, *args) for block in blocks]

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            start("k-means++", blocks, 9, 0, broken)
        calls = itertools.count()
    assert start(method, blocks, 9, 1).tobytes() == expected


@pytest.mark.parametrize(
    ("method", "k", "expected"),
    [("k-means++", 1, 1), ("k-means++", 2, 3), ("k-means++", 30, 31),
     ("k-means||", 30, 2 * kmeans_start.ROUNDS + 2), ("random", 30, 1)],
)  # fmt: skip
def test_start__asks_the_blocks_seldom(method, k, expected, rng):
    _, _, blocks = problem(rng)
    calls = []

    def over(function, *args):
        calls.append(function)
        return [function(block, *args) for block in blocks]

    start(method, blocks, k, over=over)
    assert len(calls) == expected


@methods
def test_start__points_too_large_to_send_along_change_nothing(method, rng, monkeypatch):
    points = clouds.cloud("normal", 400, 300, "float32")
    blocks = clouds.blocks_of(points, None, [100, 101, 300])
    found = []
    for most in (0, 1 << 16, 1 << 40):
        monkeypatch.setattr(kmeans_start, "_CARRIED", most)
        found.append(start(method, blocks, 60).tobytes())
    assert len(set(found)) == 1


@methods
@pytest.mark.parametrize("weighted", [False, True])
def test_start__as_many_centroids_as_points_are_all_points(method, weighted, rng):
    points = rng.normal(size=(50, 3)) * 10.0 ** rng.integers(-4, 4, (50, 1))
    weights = rng.random(50) if weighted else None
    centroids = start(method, clouds.blocks_of(points, weights, [7, 20]), 50)
    np.testing.assert_array_equal(centroids[np.lexsort(centroids.T)], points[np.lexsort(points.T)])


@methods
def test_start__repeats_centroids_where_too_few_points_differ(method, rng):
    points = np.repeat(rng.normal(size=(3, 2)), [20, 1, 30], axis=0)[rng.permutation(51)]
    blocks = clouds.blocks_of(points, None, [10, 11])
    if method != "random":
        assert len(np.unique(start(method, blocks, 3), axis=0)) == 3
        assert len(np.unique(start(method, blocks, 8), axis=0)) == 3
    assert all(map(is_row_of(points), start(method, blocks, 8)))
    one = start(method, clouds.blocks_of(points[[4] * 9], None, [2]), 5)
    np.testing.assert_array_equal(one, points[[4] * 5])


@methods
def test_start__with_fewer_weights_than_centroids_repeats_those(method, rng):
    points, weights = rng.normal(size=(30, 2)), np.zeros(30)
    weights[[3, 17]] = 2.0, 1e-300
    blocks = clouds.blocks_of(points, weights, [10, 17])
    found = start(method, blocks, 4)
    assert all(map(is_row_of(points[[3, 17]]), found))
    np.testing.assert_array_equal(start(method, blocks, 1), points[[3]])


@methods
def test_start__refuses_what_cannot_be(method, rng):
    blocks = clouds.blocks_of(rng.normal(size=(5, 2)))
    with pytest.raises(ValueError, match=r"n_clusters is 6; choose 1 to 5"):
        start(method, blocks, 6)
    with pytest.raises(ValueError, match="n_clusters is 0"):
        start(method, blocks, 0)
    with pytest.raises(ValueError, match=r"init is 'k-mean'; choose one of k-means\+\+"):
        start(method[:6], blocks, 2) if method == "k-means++" else start("k-mean", blocks, 2)
    with pytest.raises(ValueError, match="all sample weights are 0"):
        start(method, clouds.blocks_of(rng.normal(size=(5, 2)), np.zeros(5)), 2)


@pytest.mark.parametrize("method", ["k-means++", "k-means||"])
def test_start__refuses_distances_that_overflow(method, rng):
    blocks = clouds.blocks_of(rng.normal(size=(50, 2)) * 1e200)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="squared distances overflow"):
        start(method, blocks, 3)


def test_plus_plus__draws_by_weight_times_squared_distance():
    """All pairs of centroids of a few points, as often as the rule says: the first by weight, the
    second the one that leaves least of several that are drawn by what the first one left."""
    x, weights = np.array([0.0, 1.0, 1.5, 4.0]), np.array([2.0, 1.0, 3.0, 0.5])
    trials, expected = 2 * kmeans_start.TRIALS, np.zeros((4, 4))
    for first, p in enumerate(weights / weights.sum()):
        left = weights * (x - x[first]) ** 2
        potential = (weights * np.minimum((x - x[first]) ** 2, (x - x[:, None]) ** 2)).sum(axis=1)
        for second in range(4):
            worse, same = potential > potential[second], potential == potential[second]
            assert same.sum() == 1
            none_better = np.array([left[worse | same].sum(), left[worse].sum()]) / left.sum()
            expected[first, second] = p * np.subtract(*none_better**trials)
    blocks = clouds.blocks_of(x[:, None], weights, [1, 3])
    found = np.zeros((4, 4))
    for seed in range(3000):
        pair = start("k-means++", blocks, 2, seed)
        found[tuple(np.searchsorted(x, pair.ravel()))] += 1 / 3000
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 3000)
    assert (found[expected == 0] == 0).all()


def test_random__draws_by_the_weights_of_what_is_left():
    x, weights = np.arange(4.0), np.array([1.0, 2.0, 0.0, 4.0])
    expected = np.zeros((4, 4))
    for one, two in itertools.permutations(range(4), 2):
        if weights[one]:
            expected[one, two] = weights[one] / 7 * weights[two] / (7 - weights[one])
    blocks = clouds.blocks_of(x[:, None], weights, [1, 2])
    found = np.zeros((4, 4))
    for seed in range(3000):
        found[tuple(start("random", blocks, 2, seed).ravel().astype(int))] += 1 / 3000
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 3000)
    assert (found[expected == 0] == 0).all()


@given(problem=clouds.problems(), shares=st.lists(st.floats(0, 1, exclude_max=True), min_size=1))
@steady(150)
def test_try_block__leaves_and_draws_what_the_definition_does(problem, shares):
    points, centroids, weights, rng = problem
    weights = weights and weights(rng, len(points))
    block = kmeans.Block(points, 1000, weights)
    chosen, candidates = centroids[: len(centroids) // 2], centroids[len(centroids) // 2 :]
    drawn = kmeans_start._try_block(block, chosen, candidates, np.array(shares))
    closest = naive.kmeans_distances(points, chosen).min(axis=1, initial=np.inf)
    for j, candidate in enumerate(candidates):
        left = np.minimum(closest, naive.kmeans_distances(points, candidate[None])[:, 0])
        left = left if weights is None else left * weights
        np.testing.assert_allclose(drawn.sums[j], left.sum(), rtol=1e-13)
        if not left.sum() > 0:
            assert (drawn.rows[j] == -1).all()
            continue
        rows, reached = drawn.rows[j] - 1000, np.cumsum(left)
        assert (left[rows] > 0).all()
        target, error = np.array(shares) * left.sum(), 1e-12 * left.sum()
        assert (reached[rows] >= target - error).all()
        assert (reached[rows] - left[rows] <= target + error).all()
        np.testing.assert_array_equal(drawn.points[j], points[rows])


@given(problem=clouds.problems(), cuts=st.lists(st.integers(0, 40), max_size=6))
@steady(100)
def test_memory__of_any_centroids_leaves_no_trace(problem, cuts):
    """Closest distances are those of kmeans.assign_block, in whatever steps they came about."""
    points, centroids, _, _ = problem
    block, frame = clouds.one_block(points)
    for cut in [*cuts, len(centroids)]:
        some = centroids[: max(cut, 1)]
        near = kmeans_start._nearest(block, some, frame)
        fresh = kmeans.assign_block(clouds.one_block(points)[0], some, frame)
        assert clouds.bytes_of(near.labels, near.closest) == clouds.bytes_of(*fresh)
        other = kmeans.Block(points)
        for stop in (len(some) // 2, len(some)):
            kmeans_start._try_block(other, some[:stop], some[:1], np.zeros(1))
        assert other.memory["start"].closest.tobytes() == near.closest.tobytes()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 129])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_potentials__of_many_tiles_for_any_columns(d, dtype, rng):
    for n in (1, 63, 64, 65, 1000):
        points = clouds.cloud("normal", n, d, dtype, n)
        candidates = clouds.centroids_for(points, 5, rng, "near")
        sums = np.empty((5, _potentials.tiles_of(n)))
        closest, weights = np.full(n, np.inf), rng.random(n)
        _potentials.potentials(points, weights, closest, candidates[:2], candidates, sums)
        true = naive.kmeans_distances(points, candidates)
        np.testing.assert_array_equal(closest, true[:, :2].min(axis=1))
        left = np.minimum(true.T, closest) * weights
        for j in range(5):
            tiles = np.add.reduceat(left[j], np.arange(0, n, _potentials.TILE))
            np.testing.assert_allclose(sums[j], tiles, rtol=1e-13)


def test_oversampling__takes_rows_as_often_as_it_should(rng):
    points = rng.normal(size=(8, 1)) * [[1], [1], [1], [1], [1], [1], [1], [9]]
    weights = np.array([1.0, 2, 0, 1, 1, 1, 1, 1])
    block, frame = clouds.one_block(points, weights)
    centroids = points[:1]
    left = weights * ((points - points[0]) ** 2).ravel()
    scale = 3 / left.sum()
    found = np.zeros(8)
    for seed in range(2000):
        drawn = kmeans_start._oversample_block(block, centroids, frame, scale, seed, 1)
        found += (drawn == points.ravel()).any(axis=0) / 2000
    assert np.abs(found - np.minimum(left * scale, 1)).max() < 4 * np.sqrt(0.25 / 2000)
    assert found[2] == found[0] == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["k-means++", "k-means||"])
def test_start__finds_clusters_that_are_far_apart(method, weighted, rng):
    sites = rng.normal(size=(25, 3)) * 100
    points = np.repeat(sites, 200, axis=0) + rng.normal(size=(5000, 3))
    weights = rng.random(5000) if weighted else None
    blocks = clouds.blocks_of(points[rng.permutation(5000)], weights)
    for seed in range(5):
        centroids = start(method, blocks, 25, seed)
        found = naive.kmeans_labels(centroids, sites)
        assert len(np.unique(found)) >= 24

"""The central promise: labels and sums are functions of points and centroids only, never of what
a block remembers of the calls before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import kmeans
from tests import naive
from tests.kernels import clouds
from tests.strategies import steady


def stay(centroids, points, rng):
    return centroids


def drift(centroids, points, rng):
    """By a little, each by another power of ten of the spread."""
    size = 10.0 ** rng.integers(-9, 0, (len(centroids), 1)) * points.std(dtype=np.float64)
    return centroids + rng.normal(size=centroids.shape) * size


def last_bits(centroids, points, rng):
    return np.nextafter(centroids, rng.choice([-np.inf, np.inf], centroids.shape))


def one_jumps(centroids, points, rng):
    moved = centroids.copy()
    moved[rng.integers(len(moved))] = points[rng.integers(len(points))]
    return moved


def all_jump(centroids, points, rng):
    return clouds.centroids_for(points, len(centroids), rng, rng.choice(clouds.PLACES))


def swap(centroids, points, rng):
    return centroids[rng.permutation(len(centroids))]


def copy_one(centroids, points, rng):
    """One centroid lies on another from now on: empty, or the winner of all ties."""
    moved = centroids.copy()
    moved[rng.integers(len(moved))] = centroids[rng.integers(len(moved))]
    return moved


def leave(centroids, points, rng):
    """One goes far away and leaves its points to others."""
    moved = centroids.copy()
    moved[rng.integers(len(moved))] *= 1e3
    return moved


def follow(centroids, points, rng):
    """To the means of their points, as an iteration does."""
    return naive.kmeans_step(points, centroids)


def fewer(centroids, points, rng):
    return centroids[: max(len(centroids) // 2, 1)].copy()


def more(centroids, points, rng):
    return np.concatenate([centroids, clouds.centroids_for(points, 3, rng)])[:60]


MOVES = [stay, drift, last_bits, one_jumps, all_jump, swap, copy_one, leave, follow, fewer, more]
GENTLE = [stay, drift, last_bits, one_jumps, copy_one, follow]


def assert_same(block, centroids, frame):
    """The block answers as one without a memory does, and by definition."""
    fresh = kmeans.Block(block.points, block.first_row, block.sample_weight)
    expected = kmeans.partial_sums(fresh, centroids, frame, bounds=False)
    got = kmeans.partial_sums(block, centroids, frame)
    assert clouds.bytes_of(*got) == clouds.bytes_of(*expected)
    labels, distances = kmeans.assign_block(block, centroids, frame)
    np.testing.assert_array_equal(labels, naive.kmeans_labels(block.points, centroids))
    true = naive.kmeans_distances(block.points, centroids).min(axis=1)
    np.testing.assert_array_equal(distances, true)


@given(problem=clouds.problems(), moves=st.lists(st.sampled_from(MOVES), max_size=12))
@steady(150)
def test_history__of_any_moves_leaves_no_trace(problem, moves):
    points, centroids, weights, rng = problem
    block, frame = clouds.one_block(points, weights and weights(rng, len(points)) + 1e-3)
    for move in [stay, *moves]:
        centroids = move(centroids, points, rng)
        assert_same(block, centroids, frame)


@given(problem=clouds.problems(), moves=st.lists(st.sampled_from(GENTLE), min_size=5, max_size=30))
@steady(60)
def test_history__of_gentle_moves_leaves_no_trace(problem, moves):
    """Bounds stay in force all the time."""
    points, centroids, _, rng = problem
    block, frame = clouds.one_block(points)
    for move in moves:
        centroids = move(centroids, points, rng)
        assert_same(block, centroids, frame)


@given(problem=clouds.problems(), calls=st.lists(st.integers(0, 4), max_size=15))
@steady(60)
def test_history__of_any_calls_leaves_no_trace(problem, calls):
    points, centroids, _, rng = problem
    block, frame = clouds.one_block(points)
    for call in calls:
        centroids = MOVES[rng.integers(len(MOVES))](centroids, points, rng)
        if call == 0:
            kmeans.assign_block(block, centroids, frame)
        elif call == 1:
            kmeans.farthest_block(block, centroids, frame, 3)
        elif call == 2:
            kmeans.partial_sums(block, centroids, frame, bounds=False)
        elif call == 3:
            block.memory.clear()
        assert_same(block, drift(centroids, points, rng), frame)


@pytest.mark.parametrize("name", sorted(clouds.KINDS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("d", "k"), [(2, 30), (40, 30), (3, 5)])
def test_bounds__on_and_off_are_the_same_run(name, dtype, d, k):
    points = clouds.cloud(name, 2500, d, dtype)
    start = clouds.centroids_for(points, k, np.random.default_rng(1))
    runs = []
    for bounds in (True, False):
        block, frame = clouds.one_block(points)
        state = kmeans.start_state(start)
        run = []
        for _ in range(25):
            state = clouds.iterate([block], state, frame, bounds)
            run.append(clouds.bytes_of(*state[:3]))
        runs.append(run)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_history__hundreds_of_small_moves_do_not_wear_the_bounds_out(dtype):
    """One centroid creeps towards another in steps below the precision of the bounds, and points
    change sides one after the other."""
    points = np.linspace(0, 1, 2000).astype(dtype)[:, None]
    block, frame = clouds.one_block(points)
    centroids = np.array([[0.3], [0.7]])
    before = kmeans.partial_sums(block, centroids, frame)[1]
    for _ in range(800):
        centroids = centroids + np.array([[1e-5], [-3e-8]])
        assert_same(block, centroids, frame)
    assert kmeans.partial_sums(block, centroids, frame)[1][0] > before[0] + 5


def test_history__there_and_back_is_where_it_was(rng):
    points = clouds.cloud("blobs", 3000, 8, "float32")
    block, frame = clouds.one_block(points)
    here = clouds.centroids_for(points, 20, rng, "near")
    there = here + rng.normal(size=here.shape) * 0.3
    first = kmeans.partial_sums(block, here, frame)
    for _ in range(20):
        kmeans.partial_sums(block, there, frame)
        assert clouds.bytes_of(*kmeans.partial_sums(block, here, frame)) == clouds.bytes_of(*first)


@pytest.mark.slow
@given(problem=clouds.problems(), moves=st.lists(st.sampled_from(MOVES), max_size=40))
@steady(3000)
def test_history__of_any_moves_leaves_no_trace_at_length(problem, moves):
    points, centroids, weights, rng = problem
    block, frame = clouds.one_block(points, weights and weights(rng, len(points)) + 1e-3)
    for move in [stay, *moves]:
        centroids = move(centroids, points, rng)
        assert_same(block, centroids, frame)

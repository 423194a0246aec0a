"""KMeans on open sets: the best known inertia is reached from a few starts."""

import numpy as np
import pytest

from kernels import kmeans, kmeans_start
from tests.kernels import clouds
from tests.kernels.truth import needs_data

RUNS = {"s1": 10, "unbalance": 10, "dim032": 10, "s3": 30, "a1": 30, "a3": 100}


def best_of(points, k, runs, method, most=300):
    """Least inertia of so many runs to convergence; each has a start of its own."""
    blocks = clouds.blocks_of(points)
    frame = clouds.frame_of(blocks)
    found = []
    for run in range(runs):
        seed = (0, run)
        centroids = kmeans_start.start(method, clouds.over(blocks), frame, k, seed, weighted=False)
        state = kmeans.start_state(centroids)
        for _ in range(most):
            state = clouds.iterate(blocks, state, frame)
            if state.shift <= 1e-4 * frame.variance:
                break
        found.append(clouds.inertia(blocks, state.centroids, frame))
    return np.array(found)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["k-means++", "k-means||"])
@pytest.mark.parametrize("name", RUNS)
def test_runs__reach_the_best_known_inertia(name, method, dtype):
    known = clouds.best_inertia()[name]
    points = clouds.open_points(name).astype(dtype)
    found = best_of(points, known["k"], RUNS[name], method)
    assert found.min() <= 1.001 * known["best_inertia"]
    assert found.min() >= (1 - 1e-6) * known["best_inertia"]

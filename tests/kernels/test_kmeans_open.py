"""KMeans on open sets: the best known inertia is reached from a few starts."""

import pytest

from kernels import kmeans
from tests.kernels import clouds
from tests.kernels.truth import needs_data

RUNS = {"s1": 10, "unbalance": 10, "dim032": 10, "s3": 30, "a1": 30, "a3": 100}


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["auto", "k-means||"])
@pytest.mark.parametrize("name", RUNS)
def test_runs__reach_the_best_known_inertia(name, init, dtype):
    known = clouds.best_inertia()[name]
    points = clouds.open_points(name).astype(dtype)
    found = kmeans.kmeans(points, known["k"], init=init, n_init=RUNS[name], random_state=0)
    assert found.inertia <= 1.001 * known["best_inertia"]
    assert found.inertia >= (1 - 1e-6) * known["best_inertia"]

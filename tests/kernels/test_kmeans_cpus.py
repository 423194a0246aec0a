"""KMeans has the same bytes on CPUs without the widest vectors and the newest instructions."""

import hashlib
import os

import numpy as np
import pytest
from llvmlite import binding

from kernels import kmeans, kmeans_start
from tests.kernels import clouds
from tests.kernels.test_jit import TARGETS, python, x86

CODE = "from tests.kernels.test_kmeans_cpus import digest; print(digest())"


def digest():
    """Hash of starts, and of iterations from other centroids, on points of every kind."""
    found = hashlib.sha256()
    for name in sorted(clouds.KINDS):
        for d, k in ((2, 40), (20, 33), (129, 7)):
            rng = np.random.default_rng(d)
            weights = clouds.any_weights(rng, 700) if d == 20 else None
            blocks = clouds.blocks_of(clouds.cloud(name, 700, d, "float32"), weights, [300])
            frame = clouds.frame_of(blocks)
            state = kmeans.start_state(clouds.centroids_for(blocks[0].points, k, rng))
            for _ in range(6):
                state = clouds.iterate(blocks, state, frame)
                found.update(clouds.bytes_of(*state[:3]))
            for method in kmeans_start.METHODS:
                centroids = kmeans_start.start(
                    method, clouds.over(blocks), frame, 9, 1, weighted=weights is not None
                )
                found.update(centroids.tobytes())
    return found.hexdigest()


@x86
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_other_cpus__compute_the_same(target):
    name, features = TARGETS[target]
    have = binding.get_host_cpu_features()
    lacking = [f for f in features.replace("+", "").split(",") if not have.get(f)]
    if lacking:
        pytest.skip(f"this machine has no {', '.join(lacking)}")
    kept = {k: v for k, v in os.environ.items() if k == "WHORL_CACHE_DIR"}
    printed = python(CODE, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, **kept)
    assert printed == [digest()]

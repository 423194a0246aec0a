"""Neighbours and interpolation have the same bytes without the widest vectors."""

import hashlib
import os

import numpy as np
import pytest
from llvmlite import binding

from kernels import interpolation, neighbours
from tests.kernels import clouds
from tests.kernels.test_jit import TARGETS, python, x86

CODE = "from tests.kernels.test_interpolation_cpus import digest; print(digest())"


def digest():
    """Hash of neighbours and of positions, of points of every kind."""
    found = hashlib.sha256()
    for name in sorted(clouds.KINDS):
        for q, d, k in ((3, 1, 3), (16, 3, 10)):
            rng = np.random.default_rng(q)
            values = clouds.cloud(name, 900, q, "float32", q)
            nearest = neighbours.nearest(values[:300], values[300:], k, n_threads=1)
            at = rng.normal(size=(600, d))
            at[::9] = at[0]
            placed = interpolation.place_block(*nearest, at)
            found.update(clouds.bytes_of(*nearest, placed))
    return found.hexdigest()


@x86
@pytest.mark.long
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

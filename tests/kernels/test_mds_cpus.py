"""Scaling has the same results on CPUs without the widest vectors and the newest instructions."""

import json
import os

import numpy as np
import pytest
from llvmlite import binding

from tests.kernels import matrices
from tests.kernels.test_jit import TARGETS, python, x86

CODE = "from tests.kernels.test_mds_cpus import results; print(results())"
NEAR = {"float64": 1e-11, "float32": 1e-6, "int16": 1e-6}


CASES = [
    *((dtype, "none", 83, 2, 0.0) for dtype in matrices.DTYPES),
    *((dtype, "sammon", 70, 3, 0.3) for dtype in ("float32", "int16")),
    ("float32", "given", 40, 2, 0.2),
    ("float32", "none", 40, 7, 0.0),
]


def results():
    """JSON: stress of every step for types, weightings and a few shapes."""
    found = {}
    for dtype, weights, n, d, missing in CASES:
        values = matrices.matrix("city_block", n, d, missing)
        given = matrices.weighting(weights, values)[1]
        start = np.random.default_rng(n).normal(size=(n, d)) * np.nanmean(values)
        run = matrices.run(
            values, n_components=d, init=start, dtype=dtype, max_iter=6, tol=0.0, relax=False,
            weights=weights if given is None else given, cg_tol=1e-5,
        )  # fmt: skip
        found[f"{dtype} {weights} {n} {d}"] = [*run.history, run.stress]
    ordinal = matrices.run(matrices.matrix("grades", 50), scaling="ordinal", max_iter=6, tol=0.0)
    found["float64 ordinal"] = [*ordinal.history, ordinal.stress]
    return json.dumps(found)


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
    (printed,) = python(CODE, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, **kept)
    there, here = json.loads(printed), json.loads(results())
    assert there.keys() == here.keys()
    for case, expected in here.items():
        near = NEAR[case.split()[0]]
        np.testing.assert_allclose(there[case], expected, rtol=near, err_msg=case)

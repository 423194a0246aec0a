"""Steps of SMACOF against scikit-learn's, from the same start."""

import inspect

import numpy as np
import pytest

from kernels import mds
from tests import naive_mds
from tests.kernels import matrices

module = pytest.importorskip("sklearn.manifold._mds")
# In 1.7 the test of convergence changed, and non-metric steps began to start as R's do.
pytestmark = pytest.mark.skipif(
    inspect.signature(module._smacof_single).parameters["eps"].default != 1e-6,
    reason="steps as since scikit-learn 1.7",
)
STEPS = 12
METRIC = ["euclidean", "city_block", "chance", "blobs", "heavy_tails"]


def after(values, start, steps, eps=-1.0, metric=True):
    """scikit-learn's (configuration, stress, transforms); eps < 0: it never stops before."""
    return module._smacof_single(
        values, metric=metric, init=start.copy(), max_iter=steps, eps=eps, normalized_stress=False
    )


def start_for(values, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(values), d)) * values.mean()


def ours(values, start, steps, **options):
    options = {"relax": False, "tol": 0.0} | options
    return matrices.run(values, n_components=start.shape[1], init=start, max_iter=steps, **options)


@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("name", METRIC)
@pytest.mark.parametrize(("n", "d"), [(50, 1), (83, 2), (64, 3), (40, 4), (33, 7)])
def test_stress_of_every_step__is_scikit_learns(name, n, d, dtype):
    values = matrices.matrix(name, n, seed=d)
    start = start_for(values, d)
    found = ours(values, start, STEPS, dtype=dtype)
    kept = matrices.stored(values, dtype)
    done = len(found.history) - 1
    assert done == STEPS or (d == 1 and found.converged)  # on a line, a few steps reach the end
    assert found.history[0] == pytest.approx(
        naive_mds.stress(kept, start), rel=matrices.NEAR[dtype]
    )
    for step in range(1, STEPS + 1):
        _, stress, _ = after(kept, start, step)
        assert found.history[min(step, done)] == pytest.approx(stress, rel=matrices.NEAR[dtype])
    near = {"float64": 1e-10, "float32": 1e-5, "int16": 1e-5}[dtype]
    expected = after(kept, start, STEPS)[0]
    np.testing.assert_allclose(found.embedding, expected, atol=near * np.abs(expected).max())


@pytest.mark.parametrize("name", METRIC)
def test_large_matrix__takes_the_same_steps(name):
    values = matrices.matrix(name, 700)
    start = start_for(values, 2)
    found = ours(values, start, 4)
    stress = [after(values, start, step)[1] for step in range(1, 5)]
    np.testing.assert_allclose(found.history[1:], stress, rtol=1e-12)


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("name", METRIC)
def test_run__ends_where_scikit_learns_does(name, tol):
    values = matrices.matrix(name, 60, seed=2)
    start = start_for(values, 2, seed=1)
    expected, stress, steps = after(values, start, 3000, eps=tol)
    found = ours(values, start, 3000, tol=tol)
    assert found.converged
    assert found.n_iter == steps
    assert found.stress == pytest.approx(stress, rel=1e-11)
    np.testing.assert_allclose(found.embedding, expected, atol=1e-7 * np.abs(expected).max())


def test_public_call__gives_embedding_and_stress():
    values = matrices.matrix("city_block", 45)
    start = start_for(values, 2)
    embedding, stress = mds.smacof(values, init=start, relax=False, max_iter=7, tol=0.0)
    expected, wanted, _ = after(values, start, 7)
    np.testing.assert_allclose(embedding, expected, atol=1e-11)
    assert stress == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", ["euclidean", "city_block", "chance", "heavy_tails"])
@pytest.mark.parametrize(("n", "d"), [(20, 1), (33, 2), (41, 3)])
def test_ordinal_steps__are_scikit_learns(name, n, d):
    values = matrices.matrix(name, n, seed=5)
    assert len(np.unique(values)) == n * (n - 1) // 2 + 1  # no ties: it treats these otherwise
    start = start_for(values, d) / values.mean()
    for steps in (1, 2, 3, 8):
        found = ours(values, start, steps, scaling="ordinal")
        expected, _, _ = after(values, start, steps, metric=False)
        near = 1e-9 * np.abs(expected).max()
        np.testing.assert_allclose(found.embedding, expected, rtol=0, atol=near)

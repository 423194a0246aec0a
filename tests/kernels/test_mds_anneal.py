"""Deterministic annealing: less depends on where it starts."""

import numpy as np
import pytest

from kernels import mds_steps
from tests import naive_mds
from tests.kernels import matrices

pytestmark = pytest.mark.slow  # every kind of weights is compiled for every type

STARTS = range(6)


def ends(values, **options):
    """Normalized stress from six random starts."""
    options = {"init": "random", "tol": 1e-8, "max_iter": 2000} | options
    runs = [matrices.run(values, random_state=seed, **options) for seed in STARTS]
    return np.array([run.normalized for run in runs])


def sets():
    """Dissimilarities that no plane holds."""
    rng = np.random.default_rng(5)
    centres = 2 * rng.normal(size=(10, 16))
    blobs = naive_mds.distances(centres[rng.integers(0, 10, 200)] + rng.normal(size=(200, 16)))
    return {
        "blobs": blobs,
        "city block": matrices.matrix("city_block", 150, 1),
        "noisy": blobs * matrices.symmetric(np.exp(0.3 * rng.normal(size=blobs.shape))),
    }


@pytest.mark.parametrize("name", ["blobs", "city block", "noisy"])
def test_annealed_runs__end_lower_and_nearer_to_one_another(name):
    values = sets()[name]
    plain, annealed = ends(values), ends(values, anneal=True)
    assert annealed.mean() <= plain.mean()
    assert np.ptp(annealed) <= np.ptp(plain)
    if name != "noisy":  # whose many ends lie close together
        assert np.ptp(annealed) < 1e-3 < np.ptp(plain)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_small_types__are_annealed_too(dtype):
    values = sets()["blobs"]
    exact, small = ends(values, anneal=True), ends(values, anneal=True, dtype=dtype)
    assert np.ptp(small) < 1e-3
    assert small.mean() == pytest.approx(exact.mean(), abs=1e-3)


def test_annealing__ends_no_higher_than_the_published_schedule():
    values = matrices.matrix("city_block", 40, 3)
    starts = [np.random.default_rng(seed).normal(size=(40, 2)) for seed in range(3)]
    expected = [naive_mds.annealed(values, start)[1] for start in starts]
    found = [matrices.run(values, init=start, anneal=True, tol=1e-8).stress for start in starts]
    assert np.mean(found) <= 1.001 * np.mean(expected)


def test_first_temperature__forgets_the_start():
    """At a high temperature nearly all dissimilarities are 0: one start is as good as another."""
    values = sets()["blobs"]
    assert np.ptp(ends(values, anneal=True, max_iter=1)) < 1e-3


@pytest.mark.parametrize("weights", ["sammon", "power:2"])
def test_weighted_runs__end_nearer_to_one_another_too(weights):
    values = matrices.matrix("city_block", 60, 2, missing=0.3)
    plain, annealed = ends(values, weights=weights), ends(values, weights=weights, anneal=True)
    assert annealed.mean() <= plain.mean() * 1.02
    assert np.ptp(annealed) < np.ptp(plain)


def test_temperatures__fall_by_the_factor_to_0():
    problem = matrices.problem(matrices.matrix("city_block", 30), cooling=0.9)
    taus = [mds_steps.first_tau(problem)]
    while taus[-1] > 0:
        taus.append(mds_steps.cooler(taus[-1], problem))
    assert 0.5 * problem.high < taus[0] < problem.high
    np.testing.assert_allclose(np.divide(taus[1:-1], taus[:-2]), 0.9)
    assert taus[-2] < 0.05 * problem.high
    assert mds_steps.first_tau(problem._replace(cooling=0.0)) == 0


def test_slow_cooling__takes_more_steps():
    values = matrices.matrix("city_block", 40)
    fast, slow = (matrices.run(values, anneal=True, cooling=c).n_iter for c in (0.5, 0.95))
    assert slow > 2 * fast

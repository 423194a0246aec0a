"""Weighted scaling, and missing pairs: the steps of the pseudo-inverse of V."""

import numpy as np
import pytest

from kernels import mds, mds_problem
from tests import naive_mds
from tests.kernels import matrices

EXACT = {"relax": False, "tol": 0.0, "cg_tol": 1e-13}
CASES = [
    (name, weights, missing)
    for name in ("city_block", "chance", "repeated", "heavy_tails")
    for weights in matrices.WEIGHTINGS
    for missing in (0.0, 0.3)
    if weights != "none" or missing
]


def started(name, n, d, missing):
    values = matrices.matrix(name, n, seed=d, missing=missing)
    return values, np.random.default_rng(n).normal(size=(n, d)) * np.nanmean(values)


@pytest.mark.parametrize(("name", "weights", "missing"), CASES)
def test_every_step__is_that_of_the_pseudo_inverse(name, weights, missing):
    values, start = started(name, 41, 2, missing)
    _, given, w = matrices.weighting(weights, values)
    weights = weights if given is None else given
    found = matrices.run(values, init=start, weights=weights, max_iter=6, **EXACT)
    expected, history = naive_mds.smacof(values, start, 6, w)
    np.testing.assert_allclose(found.history, history, rtol=1e-9)
    assert naive_mds.procrustes(expected, found.embedding) < 1e-7 * np.abs(expected).max()
    assert found.stress == pytest.approx(naive_mds.stress(values, found.embedding, w), rel=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("weights", ["sammon", "power:2", "given"])
def test_small_types__take_nearly_the_same_steps(weights, dtype):
    values, start = started("city_block", 60, 2, 0.2)
    values = matrices.stored(values, dtype)
    _, given, w = matrices.weighting(weights, values)
    weights = weights if given is None else given
    found = matrices.run(values, init=start, weights=weights, dtype=dtype,
                         max_iter=5, **EXACT)  # fmt: skip
    _, history = naive_mds.smacof(values, start, 5, w)
    np.testing.assert_allclose(found.history, history, rtol=2e-5)


@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("weights", ["none", "sammon", "power:2"])
def test_tolerance_out_of_reach__raises_no_stress(weights, dtype):
    """Products in float32 cannot make the residual as small as asked for."""
    for seed in range(4):
        values, start = started("city_block", 20 + 11 * seed, 2, 0.3)
        d = start.shape[1]
        found = matrices.run(values, init=start, n_components=d, weights=weights, dtype=dtype,
                             max_iter=30, relax=False, tol=1e-9, cg_tol=1e-15)  # fmt: skip
        assert (np.diff(found.history) <= 1e-5 * found.history[0]).all()
        assert found.history[-1] < found.history[0]


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize(("name", "weights", "missing"), CASES)
def test_stress__never_rises_whatever_the_gradients_leave(name, weights, missing, relax):
    values, start = started(name, 64, 2, missing)
    _, given, w = matrices.weighting(weights, values)
    weights = weights if given is None else given
    found = matrices.run(values, init=start, weights=weights, relax=relax, max_iter=200, tol=1e-9)
    scale = (w * naive_mds.filled(values) ** 2).sum() / 2
    assert (np.diff(found.history) <= 1e-12 * scale).all()
    assert found.history[-1] < found.history[0]
    assert found.stress == pytest.approx(naive_mds.stress(values, found.embedding, w), rel=1e-9)


@pytest.mark.parametrize("weights", ["sammon", "power:2", "given"])
def test_end__is_a_fixed_point(weights):
    values, start = started("city_block", 50, 2, 0.3)
    _, given, w = matrices.weighting(weights, values)
    weights = weights if given is None else given
    found = matrices.run(
        values, init=start, weights=weights, relax=False, max_iter=20000, tol=1e-13
    )
    assert found.converged
    again = naive_mds.guttman(values, found.embedding, w)
    assert naive_mds.procrustes(again, found.embedding) < 1e-3 * np.abs(again).max()
    share = naive_mds.stress(values, again, w) / found.stress
    assert share == pytest.approx(1, abs=1e-6)


def test_weights_of_1__change_nothing():
    values, start = started("city_block", 40, 2, 0.0)
    plain = matrices.run(values, init=start, max_iter=8, relax=False, tol=0.0)
    for weights in (np.ones((40, 40)), "power:0"):
        found = matrices.run(values, init=start, weights=weights, max_iter=8, **EXACT)
        np.testing.assert_allclose(found.history, plain.history, rtol=1e-9)


def test_weights_of_0__are_missing_pairs():
    values, start = started("chance", 40, 2, 0.3)
    there = naive_mds.known(values)
    everywhere = np.where(there, values, 7.0)
    np.fill_diagonal(everywhere, 0)
    options = {"init": start, "max_iter": 8} | EXACT
    one = matrices.run(values, **options)
    other = matrices.run(everywhere, weights=there.astype(float), **options)
    np.testing.assert_allclose(one.history, other.history, rtol=1e-9)
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-8)


def test_factor_of_all_weights__changes_the_stress_only():
    values, start = started("chance", 30, 2, 0.0)
    w = matrices.weighting("given", values)[1]
    options = {"init": start, "max_iter": 10} | EXACT
    one = matrices.run(values, weights=w, **options)
    other = matrices.run(values, weights=4 * w, **options)
    np.testing.assert_allclose(4 * np.array(one.history), other.history, rtol=1e-10)
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-9)
    assert one.normalized == pytest.approx(other.normalized)


def tree(n, rng):
    """(n, n) where only the pairs of a random tree are known."""
    values = np.full((n, n), np.nan)
    np.fill_diagonal(values, 0)
    for child in range(1, n):
        parent = int(rng.integers(0, child))
        values[child, parent] = values[parent, child] = rng.random() + 0.5
    return values


@pytest.mark.parametrize("n", [2, 3, 17, 60])
@pytest.mark.parametrize("init", ["classical", "random"])
def test_tree_of_known_pairs__is_mapped_exactly(n, init):
    values = tree(n, np.random.default_rng(n))
    found = matrices.run(values, init=init, tol=1e-12, max_iter=5000)
    assert found.normalized < 1e-6
    assert np.isfinite(found.embedding).all()


def test_few_known_pairs__are_counted():
    values = matrices.matrix("euclidean", 50, missing=0.8)
    bands = matrices.bands_of(values)
    summary = mds.summary_block(bands[0])
    for band in bands[1:]:
        summary = mds.join_summaries(summary, mds.summary_block(band))
    problem = mds_problem.problem_of(summary, 2, mds.Weighting())
    assert problem.weighted
    assert problem.known == naive_mds.known(values).sum() / 2 < 50 * 49 / 2


def test_weighting__is_named():
    assert mds.weighting_of("none", 5.0) == mds.Weighting()
    assert mds.weighting_of("sammon", 5.0) == mds.Weighting("power", -1.0, 0.005)
    assert mds.weighting_of("power:1.5", 5.0) == mds.Weighting("power", 1.5, 0.005)
    for wrong in ("power", "power:", "power:x", "power:0.3", "power:5", "samon", "power:nan"):
        with pytest.raises(ValueError, match="choose none, sammon, power:P"):
            mds.weighting_of(wrong, 1.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 4)), "shape"),
        (np.full((4, 4), np.nan), "finite"),
        (-np.ones((4, 4)), "not negative"),
        (np.triu(np.ones((4, 4))), "symmetric"),
    ],
)
def test_wrong_weights__are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        matrices.run(matrices.matrix("chance", 4), weights=weights)


@pytest.mark.parametrize("power", [-4, -1.5, -0.5, 0.5, 1, 3.5])
def test_every_power__weighs_by_its_definition(power):
    values, start = started("city_block", 35, 2, 0.2)
    w = naive_mds.weights(values, f"power:{power}")
    kind = mds.weighting_of(f"power:{power}", values[naive_mds.known(values)].mean())
    (band,) = matrices.bands_of(values, cuts=[])
    got = mds.guttman_block(band, start, 0.0, kind)
    expected = naive_mds.b_matrix(values, start, w) @ start
    np.testing.assert_allclose(got, expected, atol=1e-11 * np.abs(expected).max())
    stress = mds.stress_block(band, start, kind)[0]
    assert stress == pytest.approx(naive_mds.stress(values, start, w), rel=1e-11)

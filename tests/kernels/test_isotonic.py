"""Isotonic regression against its definition and scikit-learn; disparities of ordinal scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kernels import _ordinal, isotonic, mds
from tests import naive_mds
from tests.kernels import matrices

VALUES = arrays.arrays(
    np.float64,
    st.integers(0, 25),
    elements=st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6)),
)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.integers(0, 2**32 - 1), st.booleans())
def test_fit__is_the_definition(values, seed, weighted):
    weights = np.random.default_rng(seed).random(len(values)) * 3 + 0.01 if weighted else None
    got = isotonic.isotonic(values, weights)
    expected = naive_mds.isotonic(values, weights)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.integers(0, 2**32 - 1))
def test_fit__never_falls_and_keeps_the_sum(values, seed):
    weights = np.random.default_rng(seed).integers(1, 5, len(values)).astype(float)
    got = isotonic.isotonic(values, weights)
    assert (np.diff(got) >= -1e-9).all()
    size = np.abs(weights * values).sum()
    np.testing.assert_allclose((weights * got).sum(), (weights * values).sum(), atol=1e-12 * size)
    np.testing.assert_allclose(isotonic.isotonic(got, weights), got, atol=1e-12 * size)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 100_003])
def test_fit__is_scikit_learns(size, weighted):
    regression = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(size)
    values = rng.normal(size=size) + np.linspace(0, 3, size)
    weights = rng.random(size) + 0.1 if weighted else None
    expected = regression.isotonic_regression(values, sample_weight=weights)
    np.testing.assert_allclose(isotonic.isotonic(values, weights), expected, atol=1e-11)


def test_values_without_weight__take_what_is_beside_them():
    values = np.array([9.0, 3.0, 1.0, -5.0, 7.0, 0.0])
    got = isotonic.isotonic(values, np.array([0.0, 1.0, 1.0, 0.0, 2.0, 0.0]))
    assert got.tolist() == [2.0, 2.0, 2.0, 2.0, 7.0, 7.0]
    assert isotonic.isotonic(values[:2], np.zeros(2)).tolist() == [6.0, 6.0]


def test_rising_values__stay_as_they_are():
    values = np.array([-1.0, -1.0, 0.0, 2.0, 2.0])
    assert isotonic.isotonic(values).tolist() == values.tolist()
    assert isotonic.isotonic(values[::-1]).tolist() == [0.4] * 5
    assert isotonic.isotonic(np.zeros(0)).tolist() == []


def pairs_of(values, x):
    """(dissimilarities, distances) of the known pairs in the order of `order_pairs`."""
    order = isotonic.order_pairs(values)
    return (
        order,
        values[order.rows, order.columns],
        naive_mds.distances(x)[order.rows, order.columns],
    )


@settings(max_examples=80, deadline=None)
@given(matrices.problems(most=12), st.booleans())
def test_disparities__are_the_definition(problem, weighted):
    values, x, rng = problem
    order, delta, there = pairs_of(values, x)
    weights = rng.random(len(delta)) + 0.1 if weighted else None
    got = isotonic.disparities(order, x, weights)
    expected = naive_mds.disparities(delta, there, weights)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    whole = got**2 if weights is None else weights * got**2
    assert whole.sum() == pytest.approx(len(delta), rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(matrices.problems(most=40))
def test_order__has_every_known_pair_by_rising_dissimilarity(problem):
    values, _, _ = problem
    order = isotonic.order_pairs(values)
    found = set(zip(order.rows.tolist(), order.columns.tolist(), strict=True))
    known = np.argwhere(np.triu(naive_mds.known(values)))
    assert found == {tuple(pair) for pair in known.tolist()}
    delta = values[order.rows, order.columns]
    firsts = delta[order.starts[:-1]]
    assert delta.tolist() == np.repeat(firsts, np.diff(order.starts)).tolist()
    assert (np.diff(firsts) > 0).all()
    assert order.starts[-1] == len(delta)


def test_equally_dissimilar_pairs__follow_the_distances():
    values = np.ones((5, 5))
    x = np.random.default_rng(0).normal(size=(5, 2))
    order, _, there = pairs_of(values, x)
    got = isotonic.disparities(order, x)
    np.testing.assert_allclose(got, there * np.sqrt(10 / (there**2).sum()), rtol=1e-12)


def test_coincident_points__have_equal_disparities():
    order = isotonic.order_pairs(matrices.matrix("chance", 6))
    assert isotonic.disparities(order, np.zeros((6, 2))).tolist() == [1.0] * 15
    nothing = isotonic.order_pairs(np.full((3, 3), np.nan))
    assert isotonic.disparities(nothing, np.zeros((3, 2))).tolist() == []


@pytest.mark.parametrize("name", ["chance", "grades", "repeated", "euclidean"])
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_guttman_block__takes_disparities(name, missing):
    values = matrices.matrix(name, 23, missing=missing)
    x = np.random.default_rng(1).normal(size=(23, 2))
    x[4] = x[9]  # coincident
    (band,) = matrices.bands_of(values, cuts=[])
    memory = {}
    for first in (True, False):
        order, delta, there = pairs_of(values, x)
        wanted = delta * np.sqrt(len(delta) / (delta**2).sum())
        if not first:
            wanted = naive_mds.disparities(delta, there)
        filled = np.full(values.shape, np.nan)
        filled[order.rows, order.columns] = filled[order.columns, order.rows] = wanted
        expected = naive_mds.b_matrix(filled, x) @ x
        expected -= naive_mds.laplacian(naive_mds.weights(filled)) @ x
        got, eta = _ordinal.guttman_block(band, x, first, memory)
        assert eta[0] == pytest.approx((there**2).sum())
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_no_dissimilarity_above_0__is_equal_disparities_at_first():
    (band,) = matrices.bands_of(np.zeros((4, 4)), cuts=[])
    x = np.random.default_rng(1).normal(size=(4, 2))
    ones = 1 - np.eye(4)
    expected = naive_mds.b_matrix(ones, x) @ x - naive_mds.laplacian(ones) @ x
    got, _ = _ordinal.guttman_block(band, x, True, None)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_order__is_kept_with_the_band():
    (band,) = matrices.bands_of(matrices.matrix("chance", 20), cuts=[])
    memory = {}
    x = np.random.default_rng(1).normal(size=(20, 2))
    once, _ = _ordinal.guttman_block(band, x, False, memory)
    lost = band._replace(values=mds.new_band(20, 0, 20, "float64"))
    again, _ = _ordinal.guttman_block(lost, x, False, memory)
    assert once.tobytes() == again.tobytes()

"""What must not change a map: where the start lies, how records are numbered, units."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import naive_mds
from tests.kernels import matrices

pytestmark = pytest.mark.slow  # every kind of weights is compiled for every type

SOME = settings(max_examples=30, deadline=None)
STEPS = {"max_iter": 5, "tol": 0.0, "relax": False, "cg_tol": 1e-12}
WEIGHTS = st.sampled_from(["none", "sammon", "power:2"])


def run(values, start, weights="none", **options):
    return matrices.run(
        values, n_components=start.shape[1], init=start, weights=weights, **(STEPS | options)
    )


def assert_same(one, other, factor=1.0, near=1e-7):
    size = max(np.abs(one.history).max(), 1e-300)
    shared = min(len(one.history), len(other.history))
    np.testing.assert_allclose(
        np.array(one.history[:shared]) * factor**2,
        other.history[:shared],
        atol=1e-9 * size * factor**2,
    )
    apart = naive_mds.procrustes(factor * one.embedding, other.embedding)
    assert apart <= near * factor * max(np.abs(one.embedding).max(), 1e-300)


def well_posed(problem):
    """Enough known pairs, and no line, so that small changes stay small."""
    values, start, rng = problem
    n, d = start.shape
    known = naive_mds.known(values)
    assume(d > 1 and n > d + 2 and known.sum() > 0.6 * n * (n - 1) and values[known].min() > 0)
    assume(values[known].max() < 100 * values[known].mean())
    return values, start, rng


@SOME
@given(matrices.problems(most=40), WEIGHTS)
def test_moved_and_turned_start__gives_the_same_map(problem, weights):
    values, start, rng = well_posed(problem)
    turn, _ = np.linalg.qr(rng.normal(size=(start.shape[1], start.shape[1])))
    moved = start @ turn + rng.normal(size=start.shape[1]) * np.abs(start).max()
    assert_same(run(values, start, weights), run(values, moved, weights))


@SOME
@given(matrices.problems(most=40), WEIGHTS, st.booleans())
def test_renumbered_records__are_mapped_to_the_same_places(problem, weights, ordinal):
    values, start, rng = well_posed(problem)
    options = {"scaling": "ordinal"} if ordinal else {}
    weights = "none" if ordinal else weights
    order = rng.permutation(len(values))
    one = run(values, start, weights, **options)
    other = run(values[np.ix_(order, order)], start[order], weights, **options)
    assert_same(one._replace(embedding=one.embedding[order]), other)


@SOME
@given(matrices.problems(most=40), st.sampled_from([1e-5, 1e-3, 7.0, 1e9]))
@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_other_units__give_the_same_map_in_them(dtype, problem, unit):
    values, start, _ = well_posed(problem)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    one = run(values, start, dtype=dtype, cg_tol=tolerance)
    other = run(values * unit, start * unit, dtype=dtype, cg_tol=tolerance)
    size = max(np.abs(one.history).max(), 1e-300)
    near = {"float64": 1e-9, "float32": 1e-4, "int16": 1e-4}[dtype]
    shared = min(len(one.history), len(other.history))
    scaled = np.array(other.history[:shared]) / unit**2
    np.testing.assert_allclose(scaled, one.history[:shared], atol=near * size)
    assert other.stress1 == pytest.approx(one.stress1, abs=1e-3 if near > 1e-6 else 1e-6)


@pytest.mark.parametrize("unit", [1e-18, 1e-11, 1e17])
@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_unit_beyond_float32__is_refused(unit, dtype):
    values = matrices.matrix("city_block", 40)
    with pytest.raises(ValueError, match=r"largest dissimilarity is .*: give them in another unit"):
        matrices.run(values * unit / values.max(), dtype=dtype)


@pytest.mark.parametrize("unit", [1.001e-10, 0.999e15])
@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_unit_at_the_limits__gives_the_same_map(unit, dtype):
    values = matrices.matrix("city_block", 40)
    values = values / values.max()
    start = np.random.default_rng(0).normal(size=(40, 2))
    one = run(values, start, dtype=dtype)
    other = run(values * unit, start * unit, dtype=dtype)
    np.testing.assert_allclose(np.array(other.history) / unit**2, one.history, rtol=1e-4)


@SOME
@given(matrices.problems(most=60), st.booleans())
def test_size_of_the_start__does_not_matter(problem, relax):
    """B(X) X is the same for every multiple of X."""
    values, start, _ = well_posed(problem)
    one, other = (run(values, factor * start, relax=relax) for factor in (1.0, 1e-4))
    shared = min(len(one.history), len(other.history))
    size = (np.nan_to_num(values) ** 2).sum()
    np.testing.assert_allclose(one.history[1:shared], other.history[1:shared], atol=1e-8 * size)


@SOME
@given(matrices.problems(most=60), WEIGHTS, st.booleans())
def test_stress__never_rises_and_never_exceeds_that_of_one_place(problem, weights, relax):
    values, start, _ = problem
    found = matrices.run(
        values, n_components=start.shape[1], init=start, weights=weights, relax=relax, max_iter=60
    )
    w = naive_mds.weights(values, weights)
    whole = (w * naive_mds.filled(values) ** 2).sum() / 2
    assert (np.diff(found.history) <= 1e-12 * whole).all()
    assert found.stress <= whole * (1 + 1e-12)
    exact = naive_mds.stress(values, found.embedding, w)
    assert found.stress == pytest.approx(exact, rel=1e-9, abs=1e-12 * whole)


@SOME
@given(matrices.problems(least=3, most=60), st.sampled_from(["classical", "random"]))
def test_same_call__gives_the_same_bytes(problem, init):
    values, start, _ = problem
    options = {"n_components": start.shape[1], "init": init, "max_iter": 10, "n_threads": 2}
    one, other = (matrices.run(values, **options) for _ in range(2))
    assert one.embedding.tobytes() == other.embedding.tobytes()
    assert one.history == other.history


@SOME
@given(st.integers(4, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_points_in_few_dimensions__are_found_again(n, d, seed):
    points = np.random.default_rng(seed).normal(size=(n, d))
    found = matrices.run(naive_mds.distances(points), n_components=d, tol=1e-12)
    assert found.normalized < 1e-12
    assert naive_mds.procrustes(points, found.embedding) < 1e-4


@SOME
@given(matrices.problems(least=3, most=40), st.sampled_from(matrices.DTYPES))
def test_more_dimensions__fit_no_worse(problem, dtype):
    values, start, _ = problem
    d = start.shape[1]
    options = {"dtype": dtype, "max_iter": 50}
    low = matrices.run(values, n_components=d, init=start, **options)
    wide = np.concatenate([low.embedding, np.zeros((len(values), 1))], axis=1)
    high = matrices.run(values, n_components=d + 1, init=wide, **options)
    assert high.normalized <= low.normalized + 1e-6

"""Runs of scaling: few points, coincident points, refusals, options, falling stress."""

import numpy as np
import pytest

from kernels import mds
from tests import naive_mds
from tests.kernels import matrices


@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("init", ["classical", "random"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points__are_mapped_exactly(n, init, d, dtype):
    values = naive_mds.distances(np.array([0.0, 1.0, 3.0])[:n, None])
    embedding, stress = mds.smacof(
        values, n_components=d, init=init, dtype=dtype, tol=1e-12, max_iter=3000, n_init=3
    )
    assert embedding.shape == (n, d)
    assert embedding.dtype == np.float64
    assert stress < 1e-4
    np.testing.assert_allclose(naive_mds.distances(embedding), values, atol=2e-2)


def test_no_points__are_refused():
    with pytest.raises(ValueError, match="at least one record"):
        mds.smacof(np.zeros((0, 0)))


@pytest.mark.parametrize("scaling", ["absolute", "ratio", "ordinal"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_points__have_every_scaling(n, scaling):
    values = matrices.matrix("chance", n)
    found = matrices.run(values, scaling=scaling, anneal=scaling != "ordinal")
    assert found.embedding.shape == (n, 2)
    assert np.isfinite(found.embedding).all()
    assert 0 <= found.stress1 <= 1


@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("weights", ["none", "sammon", "power:2"])
def test_no_dissimilarity_above_0__is_one_place(weights, dtype):
    found = matrices.run(np.zeros((20, 20)), weights=weights, dtype=dtype)
    np.testing.assert_allclose(found.embedding, 0, atol=1e-9)
    assert found.stress == pytest.approx(0, abs=1e-12)
    assert found.stress1 == found.normalized == 0


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", sorted(matrices.KINDS))
def test_stress__never_rises(name, d, relax):
    values = matrices.matrix(name, 67, seed=d)
    start = np.random.default_rng(d).normal(size=(67, d)) * values.mean()
    found = matrices.run(
        values, n_components=d, init=start, relax=relax, max_iter=120, tol=0.0, dtype="float64"
    )
    constant = (values**2).sum() / 2
    assert (np.diff(found.history) <= 1e-12 * constant).all()
    assert found.stress == pytest.approx(found.history[-1], abs=1e-12 * constant)
    assert found.stress == pytest.approx(naive_mds.stress(values, found.embedding), rel=1e-11)
    assert found.normalized == pytest.approx(
        naive_mds.normalized(values, found.embedding), rel=1e-11
    )
    assert found.stress1 == pytest.approx(naive_mds.stress1(values, found.embedding), abs=2e-8)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("name", sorted(matrices.KINDS))
def test_stress_of_small_types__rises_by_rounding_only(name, dtype):
    values = matrices.matrix(name, 67)
    found = matrices.run(values, init="random", max_iter=120, tol=0.0, dtype=dtype)
    kept = matrices.stored(values, dtype)
    constant = (kept**2).sum() / 2
    assert (np.diff(found.history) <= 1e-6 * constant).all()
    assert found.stress == pytest.approx(naive_mds.stress(kept, found.embedding), rel=1e-11)


@pytest.mark.parametrize("relax", [False, True])
def test_end__has_the_best_scale(relax):
    """Where the stress cannot fall by a factor, the sum of w delta dist is that of w dist^2."""
    for seed in range(4):
        values = matrices.matrix("city_block", 40, seed)
        found = matrices.run(
            values, init="random", random_state=seed, relax=relax, tol=1e-11, max_iter=5000
        )
        there = naive_mds.distances(found.embedding)
        assert (values * there).sum() == pytest.approx((there**2).sum(), rel=1e-4)


def test_relaxed_steps__reach_the_end_sooner():
    values = matrices.matrix("blobs", 150)
    options = {"init": "classical", "tol": 1e-8, "max_iter": 5000}
    plain = matrices.run(values, relax=False, **options)
    relaxed = matrices.run(values, relax=True, **options)
    assert relaxed.n_iter < 0.8 * plain.n_iter
    assert relaxed.stress1 < 1.001 * plain.stress1


@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_coincident_points_of_a_start__are_no_obstacle(dtype, relax):
    values = matrices.matrix("chance", 30)
    rng = np.random.default_rng(0)
    start = rng.normal(size=(30, 2))
    start[5:20] = start[4]
    found = matrices.run(values, init=start, dtype=dtype, relax=relax, max_iter=50, tol=0.0)
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.history).all()
    assert found.history[-1] < found.history[0]


def test_coincident_points__pull_no_others():
    """A pair at distance 0 gives nothing to B(X)."""
    values = matrices.matrix("chance", 20)
    start = np.random.default_rng(0).normal(size=(20, 3))
    start[7] = start[3] = start[11]
    step = sum(mds.guttman_block(band, start) for band in matrices.bands_of(values)) / 20
    np.testing.assert_allclose(step, naive_mds.guttman(values, start), atol=1e-12)


def test_repeated_points__share_their_place():
    values = matrices.matrix("repeated", 60)
    found = matrices.run(values, n_components=3, init="random", tol=1e-12, max_iter=3000)
    assert found.normalized < 1e-4
    places = found.embedding.reshape(20, 3, 3)
    assert np.abs(places - places.mean(axis=1, keepdims=True)).max() < 0.05 * values.max()


def test_unconnected_points__are_refused_by_number():
    values = matrices.matrix("euclidean", 8)
    values[:5, 5:] = values[5:, :5] = np.nan
    with pytest.raises(ValueError, match=r"connect point 5 with point 0 \(3 of 8"):
        mds.smacof(values)
    values[3] = values[:, 3] = np.nan
    with pytest.raises(ValueError, match="point 3 has no known dissimilarity"):
        mds.smacof(values)
    with pytest.raises(ValueError, match="point 0 has no known dissimilarity"):
        mds.smacof(np.full((2, 2), np.nan))


def test_weights_of_0__leave_points_unconnected():
    values, weights = matrices.matrix("euclidean", 8), np.ones((8, 8))
    weights[2:4, :2] = weights[:2, 2:4] = weights[2:4, 4:] = weights[4:, 2:4] = 0
    with pytest.raises(ValueError, match=r"connect point 2 with point 0 \(2 of 8"):
        mds.smacof(values, weights=weights)


WRONG = {
    "shape": np.zeros((3, 4)),
    "infinite": np.array([[0, np.inf], [np.inf, 0]]),
    "negative": np.array([[0, -1.0], [-1.0, 0]]),
    r"\[1, 1\] is 2.0, not 0": np.array([[0, 1.0], [1.0, 2.0]]),
    r"not symmetric: \[0, 1\] is 1.0": np.array([[0, 1.0], [1.1, 0]]),
    r"not symmetric: \[0, 1\] is nan": np.array([[0, np.nan], [1.1, 0]]),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_matrix__is_refused(message):
    with pytest.raises(ValueError, match=message):
        mds.smacof(WRONG[message])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"init": "pca"}, "choose classical, random"),
        ({"init": np.zeros((5, 3))}, r"shape \(5, 2\)"),
        ({"init": np.full((5, 2), np.nan)}, "finite"),
        ({"weights": "heavy"}, "choose none, sammon"),
        ({"scaling": "interval"}, "choose one of absolute, ratio, ordinal"),
        ({"dtype": "float16"}, "choose one of auto, float32, float64, int16"),
    ],
)
def test_wrong_option__is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mds.smacof(matrices.matrix("chance", 5), **options)


def test_ordinal_scaling_of_many_points__is_refused_with_the_reason():
    values = np.broadcast_to(np.float32(0), (5001, 5001))
    with pytest.raises(ValueError, match=r"sorts all pairs .* at most 5,000 records, not 5,001"):
        mds.smacof(values, scaling="ordinal")


def test_best_of_several_starts__is_kept():
    values = matrices.matrix("chance", 30)
    options = {"init": "random", "max_iter": 400, "random_state": 3}
    each = [matrices.run(values, n_init=k, **options).stress for k in range(1, 7)]
    assert each == sorted(each, reverse=True)
    assert each[-1] < each[0]
    start = matrices.run(values, init="classical", max_iter=400).stress
    several = matrices.run(values, init="classical", n_init=6, max_iter=400).stress
    assert several <= start


@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_threads__change_no_byte(dtype):
    values = matrices.matrix("city_block", 333)
    options = {"dtype": dtype, "max_iter": 20, "weights": "sammon"}
    found = [matrices.run(values, n_threads=threads, **options) for threads in (1, 2, 5)]
    assert len({one.embedding.tobytes() for one in found}) == 1
    assert len({one.stress for one in found}) == 1


def test_ratio_scaling__has_disparities_of_mean_square_1():
    values = matrices.matrix("city_block", 40)
    absolute = matrices.run(values, max_iter=50, tol=0.0)
    ratio = matrices.run(values, max_iter=50, tol=0.0, scaling="ratio")
    factor = np.sqrt(40 * 39 / (values**2).sum())
    np.testing.assert_allclose(ratio.embedding, absolute.embedding * factor, rtol=1e-9)
    assert ratio.stress == pytest.approx(naive_mds.stress(values * factor, ratio.embedding))
    assert ratio.stress1 == pytest.approx(absolute.stress1, rel=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("name", ["chance", "grades", "city_block", "repeated"])
def test_ordinal_stress__is_that_of_the_disparities(name, missing):
    values = matrices.matrix(name, 35, missing=missing)
    found = matrices.run(values, scaling="ordinal", max_iter=60, tol=1e-9)
    there = np.triu(naive_mds.known(values))
    distances = naive_mds.distances(found.embedding)[there]
    wanted = naive_mds.disparities(values[there], distances)
    assert found.stress == pytest.approx(((wanted - distances) ** 2).sum(), rel=1e-6)
    metric = matrices.run(values, max_iter=500, tol=1e-9)
    assert found.stress1 < metric.stress1


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("name", ["chance", "grades", "city_block", "repeated"])
def test_ordinal_stress1__is_of_the_best_factor(name, missing):
    values = matrices.matrix(name, 35, missing=missing)
    found = matrices.run(values, scaling="ordinal", max_iter=60, tol=1e-9)
    there = np.triu(naive_mds.known(values))
    distances = naive_mds.distances(found.embedding)[there]
    wanted = naive_mds.disparities(values[there], distances)
    lowest = 1 - (wanted @ distances) ** 2 / (wanted @ wanted * (distances @ distances))
    assert found.stress1 == pytest.approx(np.sqrt(max(lowest, 0)), abs=1e-6)


def test_rising_function_of_dissimilarities__changes_no_ordinal_map():
    values = matrices.matrix("city_block", 40)
    start = np.random.default_rng(0).normal(size=(40, 2))
    options = {"scaling": "ordinal", "init": start, "max_iter": 30}
    one = matrices.run(values, **options)
    other = matrices.run(values**3 / (1 + values**3), **options)
    first = [run.history[1] for run in (one, other)]  # of steps from other dissimilarities
    assert first[0] != first[1]
    assert one.stress1 == pytest.approx(other.stress1, rel=0.1)


def test_warm_up__compiles_what_a_run_needs():
    for dtype in matrices.DTYPES:
        mds.warm_up(dtype, 2)

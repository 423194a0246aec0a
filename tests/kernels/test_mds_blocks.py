"""BC-calc, X-calc and Stress-calc of bands: the definitions, for any cut, type and weighting."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import mds
from tests import naive_mds
from tests.kernels import matrices

SIZES = (1, 2, 3, 15, 16, 17, 40, 64, 83)
NEAR = {"float64": 1e-12, "float32": 1e-5, "int16": 1e-5}  # of a sum of float32 terms


def summed(function, bands, *args):
    return sum(function(band, *args) for band in bands)


def assert_near(got, expected, dtype, size):
    """size: of the terms that were added, so that what cancels does not count."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=NEAR[dtype] * max(size, 1e-300))


def case(name, n, dtype, weights, d=2, missing=0.3):
    """(stored matrix, bands, Weighting, w by definition, configuration)."""
    values = matrices.matrix(name, n, n, missing)
    kind, given_weights, w = matrices.weighting(weights, values)
    bands = matrices.bands_of(values, dtype, weights=given_weights)
    x = np.random.default_rng(n).normal(size=(n, d)) * np.nanmean(values)
    kept = matrices.stored(values, dtype)
    if kind.kind == "power":  # of what is stored, with the floor of what was given
        lowest = np.maximum(np.nan_to_num(kept), kind.floor)
        w = np.where(w > 0, np.power(lowest, kind.power, where=w > 0, out=w.copy()), 0.0)
    return kept, bands, kind, w, x


CASES = [
    pytest.param(*one, id="-".join(map(str, one)))
    for one in itertools.chain(
        itertools.product(["blobs"], SIZES[1:], matrices.DTYPES, ["none"]),
        itertools.product(["repeated"], [50], matrices.DTYPES, matrices.WEIGHTINGS),
        itertools.product(sorted(matrices.KINDS), [37], matrices.DTYPES, ["none", "sammon"]),
    )
]


@pytest.mark.parametrize(("name", "n", "dtype", "weights"), CASES)
def test_guttman_block__is_b_of_x_times_x(name, n, dtype, weights):
    kept, bands, kind, w, x = case(name, n, dtype, weights)
    for tau in (0.0, 0.4 * np.nanmax(kept)):
        got = summed(mds.guttman_block, bands, x, tau, kind)
        largest = (w * naive_mds.filled(kept, tau)).sum(axis=1).max()
        assert_near(got, naive_mds.b_matrix(kept, x, w, tau) @ x, dtype, largest)


@pytest.mark.parametrize(("name", "n", "dtype", "weights"), CASES)
def test_laplacian_block__is_v_times_p(name, n, dtype, weights):
    _, bands, kind, w, p = case(name, n, dtype, weights)
    got = summed(mds.laplacian_block, bands, p, kind)
    assert_near(got, naive_mds.laplacian(w) @ p, dtype, w.sum(axis=1).max() * np.abs(p).max())


@pytest.mark.parametrize(("name", "n", "dtype", "weights"), CASES)
def test_residual_block__is_their_difference(name, n, dtype, weights):
    kept, bands, kind, w, x = case(name, n, dtype, weights)
    tau = 0.1 * np.nanmax(kept)
    parts = [mds.residual_block(band, x, tau, kind) for band in bands]
    expected = naive_mds.b_matrix(kept, x, w, tau) @ x - naive_mds.laplacian(w) @ x
    terms = (w * (naive_mds.filled(kept) + naive_mds.distances(x))).sum(axis=1).max()
    assert_near(sum(part[0] for part in parts), expected, dtype, terms)
    eta = (w * naive_mds.distances(x) ** 2).sum() / 2
    assert_near(sum(part[1][0] for part in parts), eta, dtype, eta)


@pytest.mark.parametrize(("name", "n", "dtype", "weights"), CASES)
def test_stress_block__is_the_stress_and_its_parts(name, n, dtype, weights):
    kept, bands, kind, w, x = case(name, n, dtype, weights)
    for tau in (0.0, 0.4 * np.nanmax(kept)):
        wanted, there = naive_mds.filled(kept, tau), naive_mds.distances(x)
        terms = [(wanted - there) ** 2, wanted**2, wanted * there, there**2]
        expected = [(w * term).sum() / 2 for term in terms]
        got = summed(mds.stress_block, bands, x, kind, tau)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(expected))
        heated = summed(mds.heated_block, bands, tau, kind)
        np.testing.assert_allclose(heated, expected[1:2], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "n", "dtype", "weights"), CASES)
def test_summary_block__counts_and_adds(name, n, dtype, weights):
    kept, bands, kind, w, _ = case(name, n, dtype, weights)
    parts = [mds.summary_block(band, kind) for band in bands]
    got = parts[0]
    for part in parts[1:]:
        got = mds.join_summaries(got, part)
    there, wanted = naive_mds.known(kept), naive_mds.filled(kept)
    assert np.array_equal(got.counts, there.sum(axis=1))
    np.testing.assert_allclose(got.degrees, w.sum(axis=1), rtol=1e-6)
    assert got.known == there.sum() // 2
    np.testing.assert_allclose(got.squares, (w * wanted**2).sum() / 2, rtol=1e-6)
    np.testing.assert_allclose(got.total, wanted.sum() / 2, rtol=1e-12)
    np.testing.assert_allclose(got.low, wanted[wanted > 0].min(initial=np.inf), rtol=1e-12)
    np.testing.assert_allclose(got.high, wanted.max(), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(matrices.problems(most=120), st.sampled_from(matrices.DTYPES))
def test_any_cut__sums_to_the_same(problem, dtype):
    values, x, rng = problem
    whole = matrices.bands_of(values, dtype, cuts=[])
    parts = matrices.bands_of(values, dtype, cuts=matrices.cuts_of(rng, len(values)))
    size = np.nansum(values, axis=1).max()
    assert_near(summed(mds.guttman_block, parts, x), mds.guttman_block(whole[0], x), dtype, size)
    stress, once = summed(mds.stress_block, parts, x), mds.stress_block(whole[0], x)
    np.testing.assert_allclose(stress, once, rtol=0, atol=1e-12 * once.max())


@settings(max_examples=60, deadline=None)
@given(matrices.problems(least=1, most=90), st.sampled_from(matrices.DTYPES))
def test_bands__give_back_what_was_filled_in(problem, dtype):
    values, _, rng = problem
    n = len(values)
    kept = matrices.stored(values, dtype)
    for band in matrices.bands_of(values, dtype, cuts=matrices.cuts_of(rng, n)):
        start, stop, _ = band.place
        assert band.values.size == mds.packed_size(n, start, stop)
        expected = np.where(np.triu(np.ones((n, n)), 1) > 0, kept, np.nan)[start:stop, start:]
        np.testing.assert_allclose(mds.unpack_band(band), expected, rtol=1e-12, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(0, 2**32 - 1), st.sampled_from(matrices.DTYPES))
def test_pieces_of_any_form__fill_a_band(n, seed, dtype):
    rng = np.random.default_rng(seed)
    values = matrices.matrix("chance", n, seed, 0.2)
    (whole,) = matrices.bands_of(values, dtype, cuts=[])
    packed, place = mds.new_band(n, 0, n, dtype), (0, n, n)
    rows = np.unique([0, n, *rng.integers(0, n + 1, 3)])
    for top, bottom in itertools.pairwise(rows):
        columns = np.unique([0, n, *rng.integers(0, n + 1, 3)])
        for left, right in itertools.pairwise(columns):
            block = values[top:bottom, left:right]
            mds.fill_band(packed, place, top, left, block, whole.scale)
    assert packed.tobytes() == whole.values.tobytes()


def test_int16_blocks__are_copied_as_they_are():
    grades = matrices.symmetric(np.arange(400).reshape(20, 20) % 7).astype(np.int16)
    grades[3, 5] = grades[5, 3] = -3
    packed = mds.new_band(20, 0, 20, "int16")
    mds.fill_band(packed, (0, 20, 20), 0, 0, grades, 0.25)
    rows = mds.unpack_band(mds.Band(packed, (0, 20, 20), 0.25))
    assert np.isnan(rows[3, 5])
    assert rows[3, 6] == grades[3, 6] * 0.25


def test_band_ranges__cover_all_rows_in_equal_areas():
    for n in (0, 1, 15, 16, 17, 1000, 4001, 100_000):
        ranges = mds.band_ranges(n)
        assert [row for start, stop in ranges for row in (start, stop)][1:-1] == [
            row for _, stop in ranges[:-1] for row in (stop, stop)
        ]
        assert [start % mds.STRIP for start, _ in ranges] == [0] * len(ranges)
        assert sum(stop - start for start, stop in ranges) == n
        assert len(ranges) <= 64
    areas = [mds.packed_size(n, *place) for place in ranges]
    assert max(areas) < 1.05 * min(areas)


def test_wrong_dtype_or_scale__is_refused():
    with pytest.raises(ValueError, match="float16"):
        mds.new_band(4, 0, 4, "float16")
    with pytest.raises(ValueError, match="32767 times the scale"):
        mds.fill_band(mds.new_band(2, 0, 2, "int16"), (0, 2, 2), 0, 0, np.full((2, 2), 9.0), 1e-4)

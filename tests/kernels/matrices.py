"""What the tests of multidimensional scaling share: matrices, bands of them, runs, open data."""

import itertools
import json

import numpy as np
from hypothesis import strategies as st

from kernels import _mds_runs, mds, mds_problem
from kernels.mds import Weighting
from tests import naive_mds
from tests.kernels import truth

DTYPES = ("float64", "float32", "int16")
NEAR = {"float64": 1e-12, "float32": 1e-6, "int16": 1e-6}  # relative error of a sum over pairs
KINDS = {}
run = _mds_runs.run


def kind(function):
    KINDS[function.__name__] = function
    return function


@kind
def euclidean(rng, n):
    return naive_mds.distances(rng.normal(size=(n, 5)))


@kind
def city_block(rng, n):
    points = rng.normal(size=(n, 4))
    return np.abs(points[:, None] - points).sum(axis=2)


@kind
def chance(rng, n):
    """Breaks the triangle inequality everywhere."""
    return symmetric(rng.random((n, n)))


@kind
def grades(rng, n):
    """Few different values, 0 among them."""
    return symmetric(rng.integers(0, 5, (n, n)).astype(float))


@kind
def repeated(rng, n):
    """Every point there three times."""
    return naive_mds.distances(rng.normal(size=(n, 3))[np.arange(n) // 3])


@kind
def blobs(rng, n):
    centres = 5 * rng.normal(size=(4, 8))
    return naive_mds.distances(centres[rng.integers(0, 4, n)] + rng.normal(size=(n, 8)))


@kind
def far_out(rng, n):
    """One point is a thousand times as far away."""
    points = rng.normal(size=(n, 3))
    points[n // 2] = 1000
    return naive_mds.distances(points)


@kind
def heavy_tails(rng, n):
    return symmetric(np.abs(rng.standard_cauchy((n, n))))


def symmetric(values):
    """The upper triangle in both, 0 on the diagonal."""
    above = np.triu(values, 1)
    return above + above.T


def matrix(name, n, seed=0, missing=0.0):
    """(n, n) of a kind; a share of the pairs is NaN, but the points stay joined in a chain."""
    rng = np.random.default_rng(seed)
    values = KINDS[name](rng, n)
    lost = symmetric(rng.random((n, n)) < missing).astype(bool)
    chain = np.arange(n - 1)
    lost[chain, chain + 1] = lost[chain + 1, chain] = False
    return np.where(lost, np.nan, values)


def scale_of(values, dtype):
    largest = np.nanmax(values, initial=0.0)
    return float(largest / 32767) if dtype == "int16" and largest > 0 else 1.0


def stored(values, dtype):
    """The matrix as it is kept: rounded to the type."""
    if dtype == "int16":
        scale = scale_of(values, dtype)
        return np.rint(values / scale) * scale
    return values.astype(dtype).astype(np.float64)


def bands_of(values, dtype="float64", cuts=None, weights=None):
    """Packed bands, as they are cut or at these rows; each block of the matrix is handed in as it
    is, lower triangle included."""
    n, scale = len(values), scale_of(values, dtype)
    ranges = mds.band_ranges(n) if cuts is None else itertools.pairwise([0, *cuts, n])
    bands = []
    for start, stop in ranges:
        packed = mds.new_band(n, start, stop, dtype)
        mds.fill_band(packed, (start, stop, n), start, 0, values[start:stop], scale)
        given = None
        if weights is not None:
            given = mds.new_band(n, start, stop, np.float32)
            mds.fill_band(given, (start, stop, n), start, 0, weights[start:stop])
            given = np.nan_to_num(given)
        bands.append(mds.Band(packed, (start, stop, n), scale, given))
    return bands


def over(bands):
    """What a start asks of bands."""
    return lambda function, *args: [function(band, *args) for band in bands]


def problem(values, n_components=2, weights="none", **options):
    """The problem of a matrix."""
    over_bands = over(bands_of(values))
    return mds_problem.problem_over(over_bands, weights, n_components, "float64", **options)


WEIGHTINGS = ("none", "given", "sammon", "power:2")


def weighting(name, values):
    """(Weighting, weights (n, n) or None, the same by definition) of a matrix."""
    if name == "given":
        rng = np.random.default_rng(len(values))
        given = symmetric(rng.integers(1, 512, values.shape) / 256)
        return Weighting("given"), given, naive_mds.weights(values, given=given)
    there = naive_mds.known(values)
    mean = values[there].mean() if there.any() else 0.0
    return mds.weighting_of(name, mean), None, naive_mds.weights(values, name)


@st.composite
def problems(draw, least=2, most=70):
    """(matrix, start (n, d), rng) of every kind, with and without missing pairs."""
    seed = draw(st.integers(0, 2**32 - 1))
    n, d = draw(st.integers(least, most)), draw(st.integers(1, 3))
    missing = draw(st.sampled_from([0.0, 0.0, 0.3, 0.9]))
    values = matrix(draw(st.sampled_from(sorted(KINDS))), n, seed, missing)
    rng = np.random.default_rng(seed)
    return values, rng.normal(size=(n, d)) * (np.nanmean(values) or 1.0), rng


def cuts_of(rng, n):
    """Some multiples of 16 below n."""
    possible = np.arange(mds.STRIP, n, mds.STRIP)
    return sorted(int(c) for c in possible[rng.random(len(possible)) < 0.4])


def open_matrix(name):
    """(n, n) of an open set: 'wish' as 7 - similarity, 'sgb128' miles between cities."""
    folder = truth.DATA / "mds"
    if name == "wish":
        file = folder / "wish_dissimilarity9_12.csv"
        values = np.genfromtxt(file, delimiter=",", skip_header=1)[:, 1:] - 2
        np.fill_diagonal(values, 0)
        return values
    return np.genfromtxt(folder / "sgb128_dist_fixed.csv", delimiter=",", skip_header=1)[:, 1:]


def published(name):
    """Numbers of an open set."""
    best = json.loads((truth.DATA / "mds" / "best_stress.json").read_text())
    return best[{"wish": "wish (7-s)", "sgb128": "sgb128_fixed"}[name]]


def borg_groenen():
    return json.loads((truth.DATA / "mds" / "borg_groenen_p154.json").read_text())

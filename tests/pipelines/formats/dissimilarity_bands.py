"""What a matrix of dissimilarities is once all its bands were loaded, for tests of formats."""

import pickle

import numpy as np

from kernels import mds
from pipelines.formats.dissimilarities import load_band


def loaded(given, dtype="float64", ranges=None):
    """(n, n) float64 of all bands, each source as a worker gets it; NaN: missing, and below."""
    found = np.full((given.n, given.n), np.nan)
    for start, stop in ranges or mds.band_ranges(given.n):
        source = pickle.loads(pickle.dumps(given.source(start, stop, dtype)))
        band = mds.band_of(load_band(source))
        assert band.values.dtype == np.dtype(dtype)
        assert band.place == (start, stop, given.n)
        found[start:stop, start:] = mds.unpack_band(band)
    return found


def upper(matrix):
    """The pairs of a matrix as `loaded` gives them."""
    return np.where(np.triu(np.ones(matrix.shape, bool), 1), matrix, np.nan)


def assert_holds(given, values):
    """Bands, rows and parts of what was opened are those of the matrix, (n, n)."""
    n = len(values)
    assert given.n == n
    np.testing.assert_array_equal(loaded(given).astype(given.kept), upper(values))
    numbers = np.random.default_rng(3).integers(0, n, 9)
    np.testing.assert_array_equal(given.rows(numbers), values[numbers])
    np.testing.assert_array_equal(given.submatrix(numbers), values[numbers][:, numbers])
    assert given.rows(numbers).dtype == given.submatrix(numbers).dtype == given.kept

"""Dissimilarities of any format: each band is that of the matrix, and what is wrong is named."""

import hashlib
import pickle

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from kernels import mds
from pipelines.formats import dissimilarities_source
from pipelines.formats.dissimilarities import load_band, open_dissimilarities
from pipelines.formats.distances import open_distances
from tests.pipelines.result_folders import make_result, symmetric


def loaded(given, dtype="float64"):
    """The upper triangle of all bands, each source as a worker gets it; NaN elsewhere."""
    found = np.full((given.n, given.n), np.nan)
    for start, stop in mds.band_ranges(given.n):
        source = pickle.loads(pickle.dumps(given.source(start, stop, dtype)))
        band = mds.band_of(load_band(source))
        assert band.values.dtype == np.dtype(dtype)
        found[start:stop, start:] = mds.unpack_band(band)
    return found


def upper(matrix):
    """The strict upper triangle, NaN elsewhere."""
    return np.where(np.triu(np.ones(matrix.shape, bool), 1), matrix, np.nan)


def save_npy(path, values):
    np.save(path / "d.npy", values)


def save_fortran(path, values):
    np.save(path / "d.npy", np.asfortranarray(values))


def save_condensed(path, values):
    np.save(path / "d.npy", squareform(values, checks=False))


def save_npz(path, values):
    np.savez(path / "d.npy", distances=values)
    (path / "d.npy.npz").rename(path / "d.npy")


FILES = [save_npy, save_fortran, save_condensed, save_npz]


@pytest.mark.parametrize("save", FILES)
@pytest.mark.parametrize("n", [2, 3, 16, 17, 150])
@pytest.mark.parametrize("tile_bytes", [3000, 2**22])
def test_files__give_their_bands_rows_and_parts(tmp_path, save, n, tile_bytes, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities_flat.TILE_BYTES", tile_bytes)
    values = symmetric(n, missing=[(0, n - 1)])
    save(tmp_path, values)
    given = open_dissimilarities(str(tmp_path / "d.npy"))
    assert (given.n, given.dtype, given.scale, given.checked) == (n, np.float32, 1.0, True)
    assert given.missing == 1
    np.testing.assert_array_equal(loaded(given), upper(values))
    numbers = np.random.default_rng(3).integers(0, n, 9)
    np.testing.assert_array_equal(given.rows(numbers), values[numbers])
    np.testing.assert_array_equal(given.submatrix(numbers), values[numbers][:, numbers])


@pytest.mark.parametrize("triangle", ["full", "upper"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("block_size", [16, 64, 200])
def test_result__gives_what_it_holds(tmp_path, triangle, dtype, block_size):
    values = symmetric(150, missing=[(0, 149), (3, 4)])
    make_result(tmp_path / "r", values, block_size=block_size, triangle=triangle, dtype=dtype)
    given = open_dissimilarities(str(tmp_path / "r"))
    whole = open_distances(str(tmp_path / "r")).rows(0, 150)
    assert (given.format, given.ids[:2], given.missing) == ("result", ["s0", "s1"], 2)
    np.testing.assert_array_equal(loaded(given, "float32"), upper(whole))
    numbers = np.array([149, 0, 77, 77])
    np.testing.assert_array_equal(given.rows(numbers), whole[numbers])
    np.testing.assert_array_equal(given.submatrix(numbers), whole[numbers][:, numbers])
    digest = hashlib.sha256((tmp_path / "r" / "run.json").read_bytes()).hexdigest()
    assert given.identity["run_sha256"] == digest


def test_int16__is_copied_as_it_is(tmp_path):
    values = symmetric(40)
    make_result(tmp_path / "r", values, dtype="int16")
    given = open_dissimilarities(str(tmp_path / "r"))
    data = load_band(given.source(0, 40, "int16"))
    assert data["scale"] == given.scale == 1 / 32767
    found = mds.unpack_band(mds.band_of(data)) * 32767
    expected = upper(np.rint(values.astype(np.float64) * 32767))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_large_input__is_checked_while_it_is_loaded(tmp_path, monkeypatch):
    assert dissimilarities_source.CHECKED_BYTES > 0
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", 10)
    values = symmetric(50)
    save_npy(tmp_path, values)
    given = open_dissimilarities(str(tmp_path / "d.npy"))
    assert not given.checked
    np.testing.assert_array_equal(loaded(given), upper(values))

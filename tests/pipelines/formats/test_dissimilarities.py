"""Dissimilarities in arrays: each band is that of the matrix, whatever the format."""

import hashlib
import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from kernels import mds
from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.formats.dissimilarities import load_band, open_dissimilarities
from pipelines.formats.dissimilarities_source import groups, tiles
from pipelines.formats.distances import open_distances
from tests.pipelines.formats.dissimilarity_bands import assert_holds, loaded, upper
from tests.pipelines.result_folders import create, interrupted, make_result, symmetric


def save(path, values, how):
    """The matrix in a file."""
    if how == "npz":
        np.savez(path.with_suffix(".npz"), distances=values, other=values[:2])
        return str(path.with_suffix(".npz"))
    if how == "npz packed":
        np.savez_compressed(path.with_suffix(".npz"), values)
        return str(path.with_suffix(".npz"))
    if how == "condensed":
        values = squareform(values, checks=False)
    np.save(path, np.asfortranarray(values) if how == "fortran" else values)
    return str(path)


@pytest.mark.parametrize("how", ["npy", "fortran", "condensed", "npz", "npz packed"])
@pytest.mark.parametrize("n", [2, 3, 16, 17, 150])
@pytest.mark.parametrize("tile_bytes", [3000, 2**22])
def test_files__give_bands_rows_and_parts(tmp_path, how, n, tile_bytes, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities_flat.TILE_BYTES", tile_bytes)
    values = symmetric(n, missing=[(0, n - 1)])
    opened = open_dissimilarities(save(tmp_path / "d.npy", values, how))
    assert opened.format == how.split()[0].replace("fortran", "npy")
    assert (opened.dtype, opened.scale, opened.checked) == (np.float32, 1.0, True)
    assert (opened.missing, opened.ids) == (1, None)
    assert opened.high == pytest.approx(np.nanmax([*upper(values).ravel(), 0]))
    assert_holds(opened, values)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_records__are_read(tmp_path, n):
    values = symmetric(n, seed=4)
    opened = open_dissimilarities(save(tmp_path / "d.npy", values, "npy"))
    assert_holds(opened, values)
    assert (opened.breaks is None) == (n < 3)


@pytest.mark.parametrize("stored", ["<f2", ">f4", ">f8", "u1", "i4", "<u8", ">i2", "?"])
def test_dtypes__mean_their_numbers(tmp_path, stored):
    values = np.rint(symmetric(20) * 90)
    values = (values > 50 if stored == "?" else values).astype(stored)
    opened = open_dissimilarities(save(tmp_path / "d.npy", values, "npy"))
    assert opened.kept == (np.float64 if values.itemsize > 2 and stored != ">f4" else np.float32)
    assert_holds(opened, values.astype(np.float64))
    np.testing.assert_allclose(loaded(opened, "int16"), upper(values), atol=90 / 32767)


def test_identity__is_path_bytes_records_and_sha256(tmp_path):
    path = save(tmp_path / "d.npy", symmetric(9), "npy")
    data = (tmp_path / "d.npy").read_bytes()
    assert open_dissimilarities(path).identity == {
        "path": path,
        "bytes": len(data),
        "records": 9,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


@pytest.mark.parametrize("triangle", ["full", "upper"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
@pytest.mark.parametrize(("block_size", "tile_bytes"), [(13, 900), (64, 2**22), (200, 2**22)])
def test_result__gives_what_it_holds(
    tmp_path, triangle, dtype, block_size, tile_bytes, monkeypatch
):
    monkeypatch.setattr("pipelines.formats.dissimilarities_zarr.TILE_BYTES", tile_bytes)
    values = symmetric(100, missing=[(0, 99), (3, 4)])
    url = str(tmp_path / "r")
    make_result(url, values, block_size=block_size, triangle=triangle, dtype=dtype)
    opened = open_dissimilarities(url)
    assert (opened.format, opened.ids[:2], opened.missing) == ("result", ["s0", "s1"], 2)
    assert opened.scale == (1 / 32767 if dtype == "int16" else 1.0)
    assert_holds(opened, open_distances(url).rows(0, 100))
    data = (tmp_path / "r" / "run.json").read_bytes()
    assert opened.identity["run_sha256"] == hashlib.sha256(data).hexdigest()
    assert len(opened.identity["sha256"]) == 64


def test_result__that_is_unfinished_or_holds_none_is_refused(tmp_path):
    interrupted(tmp_path / "half", symmetric(20), blocks=2)
    with pytest.raises(DamagedResult, match="half is unfinished"):
        open_dissimilarities(str(tmp_path / "half"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageProblem, match="is a folder without distances"):
        open_dissimilarities(str(tmp_path / "empty"))


def test_result_of_sequences__holds_the_one_of_swg(tmp_path):
    values = symmetric(30)
    with create(tmp_path / "all", app="sequences") as results:
        results.finish({}, {})
    make_result(tmp_path / "all" / "distances", values)
    opened = open_dissimilarities(str(tmp_path / "all"))
    assert opened.ids == [f"s{k}" for k in range(30)]
    data = (tmp_path / "all" / "distances" / "run.json").read_bytes()
    assert opened.identity["run_sha256"] == hashlib.sha256(data).hexdigest()
    assert_holds(opened, values)
    shutil.rmtree(tmp_path / "all" / "distances")
    with pytest.raises(UsageProblem):
        open_dissimilarities(str(tmp_path / "all"))


def test_result_of_scores__is_refused(tmp_path):
    make_result(tmp_path / "r", symmetric(9))
    zarr_json = tmp_path / "r" / "distances.zarr" / "zarr.json"
    zarr_json.write_text(zarr_json.read_text().replace('"distance"', '"score"'))
    with pytest.raises(InputProblem, match="r holds scores, which are larger the nearer"):
        open_dissimilarities(str(tmp_path / "r"))


def test_int16__is_copied_as_it_is(tmp_path):
    values = symmetric(40, missing=[(2, 9)])
    make_result(tmp_path / "r", values, dtype="int16")
    opened = open_dissimilarities(str(tmp_path / "r"))
    data = load_band(opened.source(0, 40, "int16"))
    assert data["scale"] == opened.scale == 1 / 32767
    found = mds.unpack_band(mds.band_of(data | {"scale": np.ones(1)}))
    np.testing.assert_array_equal(found, upper(np.rint(values * np.float64(32767))))


def test_bands__are_loaded_in_little_more_than_their_own_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", 10)
    monkeypatch.setattr("pipelines.formats.dissimilarities_zarr.TILE_BYTES", 2 * 256 * 256)
    values = symmetric(1500)
    make_result(tmp_path / "r", values, dtype="int16", triangle="upper", block_size=256)
    opened = open_dissimilarities(str(tmp_path / "r"))
    source = opened.source(0, 1488, "int16")
    monkeypatch.setattr("pipelines.formats.dissimilarities_source.floats", None)  # not called
    load_band(opened.source(0, 16, "int16"))  # what is imported and compiled is not counted
    tracemalloc.start()
    try:
        band = load_band(source)["values"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    chunk = 2 * 256 * 256
    assert band.nbytes > 15 * chunk
    assert peak < band.nbytes + 5 * chunk


def test_int16_of_unknown_range__is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", 10)
    path = save(tmp_path / "d.npy", symmetric(20), "npy")
    with pytest.raises(UsageProblem, match=r"the largest distance in .* is not known"):
        open_dissimilarities(path).source(0, 20, "int16")


@pytest.mark.parametrize("how", ["npy", "condensed"])
def test_large_input__is_looked_at_while_it_is_loaded(tmp_path, how, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", 10)
    values = symmetric(150)
    opened = open_dissimilarities(save(tmp_path / "d.npy", values, how))
    assert (opened.checked, opened.high) == (False, None)
    assert_holds(opened, values)
    values[120, 7] = values[7, 120] = -0.25
    opened = open_dissimilarities(save(tmp_path / "d.npy", values, how))
    with pytest.raises(InputProblem, match=r"d\[7,120\] \(counted from 0\) is -0.25;"):
        loaded(opened)


@settings(max_examples=60, deadline=None)
@drawn(st.integers(1, 70), st.integers(1, 40), st.integers(1, 40), st.data())
def test_tiles__cover_each_pair_once(n, height, width, data):
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))

    class Some:
        tile = (height, width)

    Some.n = n
    seen = np.zeros((n, n), int)
    for top, bottom, left, right in tiles(Some, start, stop):
        seen[top:bottom, left:right] += 1
    inside = np.triu(np.ones((n, n), bool))
    inside[:start] = inside[stop:] = False
    assert (seen[inside] == 1).all()
    assert not seen[:start].any()
    assert not seen[stop:].any()


@settings(max_examples=60, deadline=None)
@drawn(st.sets(st.integers(0, 200)), st.integers(1, 60))
def test_groups__are_of_the_same_stretch(numbers, step):
    wanted = np.array(sorted(numbers), np.int64)
    parts = [wanted[part] for part in groups(wanted, step)]
    assert [each for part in parts for each in part] == sorted(numbers)
    assert [set(part // step) for part in parts] == [
        {k} for k in sorted({k // step for k in numbers})
    ]

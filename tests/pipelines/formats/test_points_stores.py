"""Points in zarr, Parquet, folders and object stores: ranges equal NumPy, damage is told."""

import gzip
import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr

from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.points import load_rows, open_points, staged
from storage.errors import StorageError
from storage.folder import open_folder
from tests.pipelines.formats.test_points import RANGES, loaded
from tests.pipelines.formats.test_points_text import table

DATA = Path(__file__).parents[4] / "shared" / "data" / "points"


@pytest.fixture
def values(rng):
    return rng.normal(size=(1003, 7)).astype(np.float32)


def make_zarr(url, values, *, chunks=(100, 3), zarr_format=3):
    array = zarr.create_array(
        url, shape=values.shape, chunks=chunks, dtype=values.dtype, zarr_format=zarr_format
    )
    array[:] = values
    return url


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [(97, 7), (200, 3), (1003, 7)])
@pytest.mark.parametrize("checked", [0, 2**28])
@pytest.mark.parametrize("block_bytes", [1, 2**22])
def test_zarr__ranges_equal_numpy(
    tmp_path, values, chunks, zarr_format, checked, block_bytes, monkeypatch
):
    monkeypatch.setattr("pipelines.formats.points_zarr.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(points_source, "CHECKED_BYTES", checked)
    url = make_zarr(str(tmp_path / "p.zarr"), values, chunks=chunks, zarr_format=zarr_format)
    points = open_points(url)
    assert (points.n, points.d, points.dtype, points.format) == (1003, 7, np.float32, "zarr")
    assert points.identity["bytes"] == sum(
        f.stat().st_size for f in Path(url).rglob("*") if f.is_file()
    )
    np.testing.assert_array_equal(loaded(points), values)


def test_zarr__identity_is_of_the_values_not_of_the_chunks(tmp_path, values):
    hashes = set()
    for k, chunks in enumerate([(10, 7), (100, 3)]):
        url = make_zarr(str(tmp_path / f"{k}.zarr"), values, chunks=chunks)
        hashes.add(open_points(url).identity["sha256"])
    assert len(hashes) == 1
    other = open_points(make_zarr(str(tmp_path / "3.zarr"), values + 1)).identity["sha256"]
    assert other not in hashes


def test_zarr_group__has_one_array_or_one_that_is_named(tmp_path, values):
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    for name, rows in (("X", values), ("y", values[:, 0])):
        array = group.create_array(name, shape=rows.shape, dtype=rows.dtype)
        array[:] = rows
    np.testing.assert_array_equal(loaded(open_points(str(tmp_path / "g.zarr"))), values)
    del group["X"]
    with pytest.raises(InputProblem, match="holds an array of 1 dimension,"):
        open_points(str(tmp_path / "g.zarr"))


@pytest.mark.parametrize("checked", [0, 2**28])
def test_zarr__value_that_is_not_finite_is_named(tmp_path, values, checked, monkeypatch):
    monkeypatch.setattr(points_source, "CHECKED_BYTES", checked)
    values[702, 5] = np.nan
    url = make_zarr(str(tmp_path / "p.zarr"), values)
    with pytest.raises(InputProblem) as caught:
        loaded(open_points(url))
    assert str(caught.value) == f"{url}: row 702, column 5 (counted from 0) is nan."


def test_damaged_zarr__is_told(tmp_path, values):
    url = make_zarr(str(tmp_path / "p.zarr"), values)
    points = open_points(url)
    (tmp_path / "p.zarr/c/3/0").write_bytes(b"junk")
    with pytest.raises(InputProblem, match=r"rows 300 to \d+ cannot be read"):
        load_rows(points.source(300, 310))
    (tmp_path / "p.zarr/zarr.json").write_text("{")
    with pytest.raises(InputProblem, match="is no readable zarr array"):
        open_points(url)


def test_folder_of_a_result__gives_coordinates_and_ids(tmp_path, values, monkeypatch):
    np.save(tmp_path / "coordinates.npy", values)
    ids = [f"s{k}" for k in range(len(values))]
    lines = ["index\tid", *(f"{k}\t{name}" for k, name in enumerate(ids))]
    (tmp_path / "ids.tsv").write_text("\n".join(lines) + "\n")
    points = open_points(str(tmp_path))
    assert points.ids == ids
    np.testing.assert_array_equal(loaded(points), values)
    (tmp_path / "ids.tsv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DamagedResult, match=r"has 1,003 rows, ids.tsv 1,002 records"):
        open_points(str(tmp_path))


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("swg", "holds distances of run swg, no points."),
        ("kmeans", "holds labels and centroids of run kmeans, no points."),
    ],
)
def test_folder_of_another_result__is_named(tmp_path, app, message, monkeypatch):
    (tmp_path / "run.json").write_text(json.dumps({"app": app}))
    monkeypatch.setattr("pipelines.results.read_run", lambda url: {"app": app})
    with pytest.raises(UsageProblem) as caught:
        open_points(str(tmp_path))
    assert str(caught.value) == f"{tmp_path} {message}"


def test_folder_without_points__names_a_file_in_it(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(UsageProblem, match="is a folder without points") as caught:
        open_points(str(tmp_path))
    assert caught.value.remedy == f"Give one file, for example {tmp_path / 'a.csv'}."


@pytest.mark.parametrize("name", ["p.csv.gz", "p.npz"])
@pytest.mark.parametrize("place", ["", "memory://staged/"])
def test_staged__rows_are_read_alone(tmp_path, values, name, place):
    values = values.astype(np.float64)
    path, folder = tmp_path / name, open_folder(place or str(tmp_path / "work"))
    if name == "p.npz":
        np.savez_compressed(path, values)
    else:
        path.write_bytes(gzip.compress(table(values).encode()))
    ranges = [(0, 500), (500, 501), (501, 1003)]
    points = staged(open_points(str(path)), folder, f"points/{name}", ranges)
    path.unlink()
    np.testing.assert_array_equal(loaded(points, ranges), values)
    np.testing.assert_array_equal(loaded(points), values)
    assert staged(points, folder, "other", ranges) is points


def test_staged__keeps_what_was_staged_before(tmp_path, values):
    path, folder = tmp_path / "p.npz", open_folder(str(tmp_path / "work"))
    np.savez_compressed(path, values)
    points, ranges = open_points(str(path)), [(0, 500), (500, 1003)]
    staged(points, folder, "points", ranges)
    before = (tmp_path / "work/points/00000").stat().st_mtime_ns
    staged(points, folder, "points", ranges)
    assert (tmp_path / "work/points/00000").stat().st_mtime_ns == before
    (tmp_path / "work/points/00001").write_bytes(b"half")
    np.testing.assert_array_equal(loaded(staged(points, folder, "points", ranges), RANGES), values)


@pytest.mark.parametrize("name", ["p.npy", "p.csv", "p.csv.gz", "p.zarr"])
def test_s3__ranges_equal_numpy(s3, tmp_path, values, name):
    values, url = values.astype(np.float64), f"{s3}/in/{name}"
    if name == "p.zarr":
        make_zarr(str(tmp_path / "p"), values)
        fsspec.filesystem("s3").put(f"{tmp_path}/p", url, recursive=True)
    else:
        path = tmp_path / "p"
        np.save(path, values)
        text = table(values).encode()
        data = {"npy": path.with_suffix(".npy").read_bytes(), "csv": text}.get(name[2:])
        fsspec.filesystem("s3").pipe_file(url, data or gzip.compress(text))
    points = open_points(url)
    np.testing.assert_array_equal(loaded(points, [(0, 500), (500, 1003)]), values)
    with pytest.raises((UsageProblem, StorageError), match="does not exist"):
        open_points(f"{s3}/in/none.npy")


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")
@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt.gz")), ids=lambda path: path.name)
def test_real_points__equal_loadtxt(path):
    points = open_points(str(path))
    expected = np.loadtxt(path, ndmin=2)
    assert (points.ids, points.names, points.warnings) == (None, None, [])
    ranges = [(0, 17), (17, 1000), (1000, points.n)]
    np.testing.assert_array_equal(loaded(points, ranges), expected)

"""Generated points: the same for the same arguments, block by block, in every format."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from pipelines import generate_points
from pipelines.errors import UsageProblem
from pipelines.formats.labels import read_labels
from pipelines.formats.points import load_rows, open_points
from pipelines.formats.points_writer import ENDINGS
from pipelines.generate_points import Clouds, write_points
from storage.folder import open_folder


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(generate_points, "_BLOCK", 160)


def values_of(clouds):
    return np.concatenate(list(clouds.blocks()))


def read(path):
    points = open_points(str(path))
    return load_rows(points.source(0, points.n))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 333])
def test_blocks__are_the_rows_in_order_and_independent(small_blocks, n, dtype):
    clouds = Clouds(n, 10, min(n, 4), dtype=dtype, random_state=3)
    assert clouds.block_rows == 16
    values = values_of(clouds)
    assert (values.shape, values.dtype) == ((n, 10), dtype)
    for index in reversed(range(clouds.n_blocks)):
        block = Clouds(n, 10, min(n, 4), dtype=dtype, random_state=3).block(index)
        np.testing.assert_array_equal(block, values[16 * index : 16 * index + 16])
    assert len(np.unique(values)) > 0.99 * values.size


def test_clusters__have_equal_sizes_and_their_centres(small_blocks):
    clouds = Clouds(5003, 10, 7, cluster_std=0.5)
    values = values_of(clouds)
    labels = np.concatenate([clouds.labels(k) for k in range(clouds.n_blocks)])
    sizes = np.bincount(labels, minlength=7)
    assert set(sizes.tolist()) <= {5003 // 7, 5003 // 7 + 1}
    for k in range(7):
        members = values[labels == k] - clouds.centres[k]
        assert abs(members.mean()) < 0.03
        assert abs(members.std() - 0.5) < 0.03
    assert (np.diff(labels) != 1).mean() > 0.5  # in mixed order


def test_uniform_points__fill_the_cube():
    values = values_of(Clouds(100_000, 3, 0))
    assert (values.min(), values.max()) == (
        pytest.approx(-10, abs=0.01),
        pytest.approx(10, abs=0.01),
    )
    assert np.histogram(values, 10, (-10, 10))[0] == pytest.approx(30_000, rel=0.05)


@pytest.mark.parametrize("change", [{"random_state": 1}, {"n_clusters": 3}, {"cluster_std": 2.0}])
def test_other_arguments__make_other_points(change):
    base = {"n": 50, "n_features": 2, "n_clusters": 4}
    assert not np.array_equal(values_of(Clouds(**base)), values_of(Clouds(**base | change)))
    np.testing.assert_array_equal(values_of(Clouds(**base)), values_of(Clouds(**base)))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 333])
def test_written_points__are_read_back(small_blocks, tmp_path, ending, dtype, n):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    clouds = Clouds(n, 10, 1, dtype=dtype)
    write_points(str(tmp_path / f"p{ending}"), clouds)
    values = read(tmp_path / f"p{ending}")
    assert values.dtype == (np.float64 if ending[:4] in (".csv", ".tsv") else dtype)
    np.testing.assert_array_equal(values.astype(dtype), values_of(clouds))
    assert [path.name for path in tmp_path.iterdir()] == [f"p{ending}"]


@pytest.mark.parametrize("ending", [".npy", ".csv.gz", ".parquet"])
def test_written_points__are_equal_bytes(small_blocks, tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    for name in "ab":
        write_points(str(tmp_path / f"{name}{ending}"), Clouds(333, 10))
    hashes = {hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.iterdir()}
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["p.npy", "p.zarr", "p.csv"])
def test_points__are_written_to_urls(small_blocks, s3, name):
    write_points(f"{s3}/a/{name}", Clouds(333, 10))
    np.testing.assert_array_equal(read(f"{s3}/a/{name}").astype("f4"), values_of(Clouds(333, 10)))


@pytest.mark.parametrize("place", ["{tmp}/p.npy", "{s3}/p.npy", "{tmp}/p.zarr"])
def test_failure__leaves_nothing(small_blocks, tmp_path, s3, monkeypatch, place):
    path = place.format(tmp=tmp_path, s3=s3)

    def break_off(self, index):
        if index == 3:
            raise RuntimeError("stop")
        return np.zeros((16, 10), np.float32)

    monkeypatch.setattr(Clouds, "block", break_off)
    with pytest.raises(RuntimeError, match="stop"):
        write_points(path, Clouds(333, 10))
    assert list(tmp_path.iterdir()) == open_folder(s3).names() == []


def test_zarr__replaces_an_array_and_nothing_else(tmp_path):
    for seed in range(2):
        write_points(str(tmp_path / "p.zarr"), Clouds(50, random_state=seed))
    np.testing.assert_array_equal(read(tmp_path / "p.zarr"), values_of(Clouds(50, random_state=1)))
    (tmp_path / "q.zarr").mkdir()
    with pytest.raises(UsageProblem, match="exists and is no zarr array"):
        write_points(str(tmp_path / "q.zarr"), Clouds(50))


@pytest.mark.parametrize("name", ["true.tsv", "true.tsv.gz"])
def test_labels__name_the_cluster_of_each_row(small_blocks, tmp_path, name):
    clouds = Clouds(333, 10, 12)
    write_points(str(tmp_path / "p.npy"), clouds, str(tmp_path / name))
    labels = read_labels(str(tmp_path / name), [str(row) for row in range(333)])
    expected = np.concatenate([clouds.labels(k) for k in range(clouds.n_blocks)])
    assert labels == [f"cluster-{k + 1:02d}" for k in expected]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 3, "n_clusters": 4}, "n_clusters is 4; 1 to n = 3 are possible"),
        ({"n": 9, "n_features": 0}, "n_features is 0"),
        ({"n": 9, "cluster_std": -1}, "cluster_std is -1"),
        ({"n": 9, "cluster_std": float("nan")}, "cluster_std is nan"),
        ({"n": 9, "dtype": "int8"}, "dtype is 'int8'; choose one of float32, float64"),
    ],
)
def test_numbers_that_make_no_points__are_refused(options, text):
    with pytest.raises(UsageProblem, match=text):
        Clouds(**options)


def test_name_without_a_known_ending__is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="does not say how to write points"):
        write_points(str(tmp_path / "points.dat"), Clouds(9))
    with pytest.raises(UsageProblem, match="uniform points have no labels"):
        write_points(str(tmp_path / "p.npy"), Clouds(9, 2, 0), str(tmp_path / "l.tsv"))
    assert list(tmp_path.iterdir()) == []


def test_memory__is_that_of_a_few_blocks(tmp_path):
    clouds = Clouds(3_000_000, 10)
    tracemalloc.start()
    write_points(str(tmp_path / "p.npy"), clouds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clouds.nbytes == 120_000_000
    assert peak < 60_000_000

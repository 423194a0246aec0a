"""Generated distances: those of the generated points, the same for the same arguments."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from pipelines import generate_distances
from pipelines.errors import UsageProblem
from pipelines.formats.distances import INT16_SCALE, MatrixLayout, open_distances
from pipelines.formats.labels import read_labels
from pipelines.generate_distances import Distances, write_distances
from pipelines.generate_points import Clouds
from storage.folder import open_folder


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(generate_distances, "_BLOCK", 16)
    monkeypatch.setattr(generate_distances, "_STRIPE_BYTES", 8 * 33 * 5)


def cloud(n, **changes):
    return Clouds(n, **{"n_features": 5, "n_clusters": min(n, 3), "dtype": "float64"} | changes)


def naive(clouds):
    """Distance by distance, from the points."""
    points = np.concatenate(list(clouds.blocks()))
    return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in points] for a in points])


def stored(path):
    matrix = open_distances(str(path))
    return matrix, matrix.rows(0, matrix.n)


@pytest.mark.parametrize("triangle", ["upper", "full"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 3, 16, 33])
def test_zarr__holds_the_distances_of_the_points(small_blocks, tmp_path, n, dtype, triangle):
    write_distances(str(tmp_path / "d.zarr"), Distances(cloud(n), dtype, triangle))
    matrix, values = stored(tmp_path / "d.zarr")
    assert (matrix.n, matrix.dtype, matrix.triangle) == (n, dtype, triangle)
    precision = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(values, naive(cloud(n)), rtol=precision)
    np.testing.assert_array_equal(values, values.T)


@pytest.mark.parametrize("n", [1, 2, 33])
def test_int16__holds_them_divided_by_a_bound(small_blocks, tmp_path, n):
    write_distances(str(tmp_path / "d.zarr"), Distances(cloud(n), "int16", "upper"))
    matrix, values = stored(tmp_path / "d.zarr")
    bound = matrix.attributes["divided_by"]
    np.testing.assert_allclose(values * bound, naive(cloud(n)), atol=0.51 * bound / INT16_SCALE)
    assert matrix.attributes["distance_range"] == [0, 1]
    assert n < 3 or values.max() > 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 33])
def test_npy__holds_the_square(small_blocks, tmp_path, n, dtype):
    write_distances(str(tmp_path / "d.npy"), Distances(cloud(n), dtype, "full"))
    values = np.load(tmp_path / "d.npy")
    assert (values.shape, values.dtype) == ((n, n), dtype)
    np.testing.assert_allclose(values, naive(cloud(n)), rtol=1e-6)


def test_equal_arguments__make_equal_bytes(small_blocks, tmp_path):
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_distances(str(tmp_path / f"{name}.zarr"), Distances(cloud(33, random_state=seed)))
        digest = hashlib.sha256()
        for path in sorted((tmp_path / f"{name}.zarr").rglob("*")):
            digest.update(path.read_bytes() if path.is_file() else path.name.encode())
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_labels__name_the_cluster_of_each_row(tmp_path):
    clouds = cloud(50, cluster_std=0.01)
    write_distances(str(tmp_path / "d.npy"), Distances(clouds, triangle="full"),
                    str(tmp_path / "true.tsv"))  # fmt: skip
    labels = np.array(read_labels(str(tmp_path / "true.tsv"), [str(row) for row in range(50)]))
    near = np.load(tmp_path / "d.npy") < 1
    np.testing.assert_array_equal(near, labels[:, None] == labels)


@pytest.mark.parametrize("name", ["d.zarr", "d.npy"])
def test_distances__are_written_to_urls(small_blocks, tmp_path, s3, name):
    distances = Distances(cloud(33), triangle="full")
    for place in (str(tmp_path), s3):
        write_distances(f"{place}/{name}", distances)
    local, remote = open_folder(str(tmp_path)), open_folder(s3)
    assert local.list() == remote.list()
    assert all(local.get(key) == remote.get(key) for key in local.list())


@pytest.mark.parametrize("name", ["d.zarr", "d.npy"])
def test_failure__leaves_nothing(small_blocks, tmp_path, monkeypatch, name):
    def break_off(*arguments):
        raise RuntimeError("stop")

    monkeypatch.setattr(MatrixLayout, "write_block", break_off)
    monkeypatch.setattr(Distances, "block", break_off)
    with pytest.raises(RuntimeError, match="stop"):
        write_distances(str(tmp_path / name), Distances(cloud(333), triangle="full"))
    assert list(tmp_path.iterdir()) == []


def test_zarr__replaces_an_array_and_nothing_else(tmp_path):
    for n in (7, 9):
        write_distances(str(tmp_path / "d.zarr"), Distances(cloud(n)))
    assert stored(tmp_path / "d.zarr")[0].n == 9
    (tmp_path / "e.zarr").mkdir()
    with pytest.raises(UsageProblem, match="exists and is no zarr array"):
        write_distances(str(tmp_path / "e.zarr"), Distances(cloud(7)))


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("d.npy", {"dtype": "int16", "triangle": "full"}, "no place for the scale"),
        ("d.npy", {"triangle": "upper"}, "holds the whole square"),
        ("d.dat", {}, "does not say how to write distances"),
        ("d.zarr", {"dtype": "int8"}, "dtype is 'int8'; choose one of int16"),
        ("d.zarr", {"triangle": "lower"}, "triangle is 'lower'"),
    ],
)
def test_what_cannot_be_written__is_refused(tmp_path, name, options, text):
    with pytest.raises(UsageProblem, match=text):
        write_distances(str(tmp_path / name), Distances(cloud(5), **options))
    assert list(tmp_path.iterdir()) == []


def test_memory__is_that_of_a_few_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_distances, "_BLOCK", 256)
    tracemalloc.start()
    write_distances(str(tmp_path / "d.zarr"), Distances(cloud(4000), "float64"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.rglob("[0-9]*")) > 64_000_000
    assert peak < 20_000_000

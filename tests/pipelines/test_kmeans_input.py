"""Points from any kind of file give the result that NumPy's own file gives."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import InputProblem
from pipelines.formats import points_staged
from tests.pipelines.formats.test_points_text import table
from tests.pipelines.kmeans_runs import blobs, run, save


def write(path, values):
    """Points or weights at a path, as its name says."""
    text = table(values if values.ndim == 2 else values[:, None])
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez_compressed(path, values)
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".npz"])
@pytest.mark.parametrize("weighted", [True, False])
def test_result__does_not_depend_on_the_format(tmp_path, ending, weighted):
    points, _ = blobs(330, dtype="float64")
    weights = np.linspace(0.5, 2, 330)
    found = []
    for suffix in (".npy", ending):
        options = {}
        if weighted:
            options = {"sample_weight": write(tmp_path / f"w{suffix}", weights)}
        out = tmp_path / f"out{suffix}"
        run(write(tmp_path / f"p{suffix}", points), out, n_clusters=4, **options)
        found.append((out / "centroids.npy").read_bytes() + (out / "labels.tsv").read_bytes())
        assert not (out / ".work").exists()
    assert found[0] == found[1]


def test_compressed_points__are_decompressed_once(tmp_path, monkeypatch):
    """Opened once to be checked and once to be parted, however many blocks there are."""
    points, _ = blobs(900, dtype="float64")
    path = write(tmp_path / "p.csv.gz", points)
    opened = []

    def count(url, close):
        opened.append(Path(url).name)
        return really(url, close)

    really = points_staged.open_stored
    monkeypatch.setattr("pipelines.formats.bytestream.open_stored", count)
    run(path, tmp_path / "out", n_clusters=4)
    assert opened == ["p.csv.gz"] * 2
    plain = save(tmp_path / "p.npy", points)
    run(plain, tmp_path / "plain", n_clusters=4)
    for name in ("labels.tsv", "centroids.npy"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_points_too_far_apart__are_refused(tmp_path):
    np.save(tmp_path / "far.npy", np.array([[1e160, 0], [-1e160, 1], [2, 3]]))
    with pytest.raises(InputProblem, match=r"far\.npy: points lie more than 1e\+150 apart"):
        run(tmp_path / "far.npy", tmp_path / "out", n_clusters=2)

"""The same bytes from every executor, and from the kernel's own function."""

import numpy as np
import pytest

from kernels import kmeans as kernel
from pipelines import kmeans_results
from pipelines.engine import connect
from tests.pipelines.kmeans_runs import blobs, labels_of, result_bytes, run, save

OPTIONS = {"n_clusters": 12, "tol": 0, "n_init": 2}


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")


@pytest.fixture
def points(tmp_path):
    """Path of points that take some iterations, in more blocks than workers, and no multiple."""
    return save(tmp_path / "points.npy", blobs(1234, d=5, spread=3.0)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("n", "k", "init"), [(1, 1, "auto"), (5000, 7, "auto"), (9001, 30, "k-means||"),
                         (4500, 9, "random")],
)  # fmt: skip
def test_serial__gives_the_bytes_of_the_kernel(tmp_path, n, k, init, dtype):
    values, _ = blobs(n, spread=3.0, dtype=dtype)
    path = save(tmp_path / "p.npy", values)
    options = {"n_clusters": k, "init": init, "n_init": 2, "random_state": 5}
    told = run(path, tmp_path / "out", block_size="auto", **options)
    whole = kernel.kmeans(values, **options)
    np.testing.assert_array_equal(np.load(tmp_path / "out/centroids.npy"), whole.centroids)
    np.testing.assert_array_equal(labels_of(tmp_path / "out"), whole.labels)
    assert told["inertia"] == whole.inertia


def test_serial__gives_the_bytes_of_the_kernel_with_weights_and_a_limit(tmp_path):
    values, _ = blobs(5000, spread=3.0)
    weights = np.random.default_rng(2).random(5000) * (np.arange(5000) % 3 > 0)
    start = values[:8].astype(np.float64)
    start[3] = 1e4  # nearest to nobody
    for name, array in (("p", values), ("w", weights), ("c", start)):
        save(tmp_path / f"{name}.npy", array)
    told = run(
        tmp_path / "p.npy", tmp_path / "out", block_size="auto", init=str(tmp_path / "c.npy"),
        sample_weight=str(tmp_path / "w.npy"), max_iter=6, n_clusters=8,
    )  # fmt: skip
    whole = kernel.kmeans(values, 8, init=start, sample_weight=weights, max_iter=6)
    assert told["inertia"] == whole.inertia
    np.testing.assert_array_equal(np.load(tmp_path / "out/centroids.npy"), whole.centroids)
    np.testing.assert_array_equal(labels_of(tmp_path / "out"), whole.labels)


def test_tasks__give_the_bytes_of_serial(points, tmp_path, cluster):
    told = run(points, tmp_path / "serial", **OPTIONS)
    on_tasks = run(points, tmp_path / "tasks", cluster, **OPTIONS)
    assert result_bytes(tmp_path / "tasks") == result_bytes(tmp_path / "serial")
    assert (on_tasks["executor"]["name"], len(on_tasks["workers"])) == ("tasks", 2)
    assert on_tasks["n_iter"] == told["n_iter"]
    assert on_tasks["partitions"]["source_reads"] == 13


@pytest.mark.slow
@pytest.mark.parametrize(("nworkers", "nthreads"), [(1, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("executor", ["tasks", "gang"])
def test_workers__do_not_change_a_byte(points, tmp_path, executor, nworkers, nthreads):
    run(points, tmp_path / "serial", **OPTIONS)
    shape = {"nworkers": nworkers, "nthreads": nthreads, "dashboard_address": None}
    with connect(executor, iterative=True, **shape) as engine:
        told = run(points, tmp_path / "out", engine, **OPTIONS)
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "serial")
    assert told["executor"]["name"] == executor
    assert (tmp_path / "out/performance.html").exists()


@pytest.mark.slow
def test_little_memory__spills_and_reads_each_block_once(points, tmp_path):
    run(points, tmp_path / "serial", **OPTIONS)
    with connect("serial", cache_memory="6KiB") as engine:  # a quarter of the points
        told = run(points, tmp_path / "out", engine, **OPTIONS)
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "serial")
    assert told["partitions"]["source_reads"] == 13
    assert told["partitions"]["disk_hits"] > 13
    with connect("serial", cache_memory="6KiB", cache_disk=False) as engine:
        told = run(points, tmp_path / "without", engine, **OPTIONS)
    assert result_bytes(tmp_path / "without") == result_bytes(tmp_path / "serial")
    assert told["partitions"]["source_reads"] > 13

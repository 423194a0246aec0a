"""The result of `run kmeans` has the same bytes whoever computes it, and however it is done."""

import contextlib
from typing import NamedTuple

import numpy as np
import pytest

from kernels import kmeans as kernel
from pipelines import kmeans, kmeans_results
from pipelines.engine import connect
from tests.pipelines.kmeans_runs import labels_of, lasting_bytes, run, save

LAYOUTS = [(1, 1), (2, 1), (3, 1), (5, 1), (1, 2)]  # workers, threads of each
DTYPES = ["float32", "float64"]
N, D, K = 30_000, 5, 24
COMMON = {"tol": 0, "random_state": 3}
CHUNKS = {"block_size": "auto", "chunk_seconds": 0.05}


class Way(NamedTuple):
    """Points, and how they are clustered."""

    points: str
    options: dict


@pytest.fixture(autouse=True, scope="module")
def no_reports():
    """They take longer than the runs, and what they show is compared here as files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")
        patch.setattr(kmeans, "performance_page", lambda engine: contextlib.nullcontext([]))
        yield


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    """Name -> Way: points that take long to settle, each start, weights, empty clusters."""
    folder = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(11)
    values = rng.random((N, D)) * [1, 1, 3, 1, 0.1] + 100
    paths = {name: save(folder / f"{name}.npy", values.astype(name)) for name in DTYPES}
    weights = save(folder / "w.npy", rng.integers(0, 5, N).astype(np.float64))
    start = values[:K].copy()
    start[[3, 17]] += 1e4
    given = {"init": save(folder / "c.npy", start), "sample_weight": weights, "max_iter": 12}
    return {
        "float32": Way(paths["float32"], {"n_clusters": K, "init": "random", "max_iter": 15}),
        "float64": Way(paths["float64"], {"n_clusters": K, "init": "random", "max_iter": 15}),
        "k-means||": Way(paths["float32"], {"n_clusters": 9, "init": "k-means||", "max_iter": 4}),
        "k-means++": Way(paths["float64"], {"n_clusters": 9, "init": "k-means++", "max_iter": 4}),
        "empty": Way(paths["float32"], {"n_clusters": K, **given}),
    }


@pytest.fixture(scope="module")
def expected(ways, tmp_path_factory):
    """Name -> what serial gives."""
    found = {}
    for name, way in ways.items():
        out = tmp_path_factory.mktemp("serial") / "out"
        run(way.points, out, **COMMON, **CHUNKS, **way.options)
        found[name] = lasting_bytes(out)
    return found


@pytest.fixture(scope="module", params=LAYOUTS, ids="{0[0]}x{0[1]}".format)
def engines(request):
    """Executor -> engine, on the same workers."""
    nworkers, nthreads = request.param
    options = {"nworkers": nworkers, "nthreads": nthreads, "dashboard_address": None}
    with (
        connect("tasks", **options) as tasks,
        connect("gang", scheduler=tasks.client.scheduler.address) as gang,
    ):
        yield {"tasks": tasks, "gang": gang}


@pytest.mark.parametrize("name", ["float32", "float64", "k-means||", "empty"])
@pytest.mark.parametrize("bounds", ["on", "off"])
def test_serial__has_the_bytes_of_the_kernel(ways, expected, tmp_path, name, bounds):
    way = ways[name]
    told = run(way.points, tmp_path / "out", bounds=bounds, **COMMON, **CHUNKS, **way.options)
    assert lasting_bytes(tmp_path / "out") == expected[name]
    options = dict(way.options)
    if name == "empty":
        options = {**options, "init": np.load(options["init"]),
                   "sample_weight": np.load(options["sample_weight"])}  # fmt: skip
    alone = kernel.kmeans(np.load(way.points), **COMMON, **options)
    assert np.load(tmp_path / "out/centroids.npy").tobytes() == alone.centroids.tobytes()
    assert labels_of(tmp_path / "out").tobytes() == alone.labels.tobytes()
    assert told["inertia"] == alone.inertia


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["tasks", "gang"])
@pytest.mark.parametrize(
    ("dtype", "bounds", "replicas"),
    [("float32", "on", 1), ("float32", "off", 2), ("float64", "on", 2), ("float64", "off", 1)],
)
def test_workers_bounds_and_replicas__change_no_byte(
    engines, executor, dtype, bounds, replicas, ways, expected, tmp_path
):
    way, engine = ways[dtype], engines[executor]
    options = {"bounds": bounds, "replicas": replicas, **COMMON, **CHUNKS, **way.options}
    told = run(way.points, tmp_path / "out", engine, **options)
    assert lasting_bytes(tmp_path / "out") == expected[dtype]
    assert told["executor"]["name"] == executor
    copies = min(replicas, len(engine.workers))
    assert told["partitions"]["source_reads"] >= copies * told["partitions"]["partitions"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["tasks", "gang"])
@pytest.mark.parametrize("name", ["k-means||", "k-means++", "empty"])
def test_workers__change_no_byte_of_starts_and_empty_clusters(
    engines, executor, name, ways, expected, tmp_path
):
    way = ways[name]
    run(way.points, tmp_path / "out", engines[executor], **COMMON, **CHUNKS, **way.options)
    assert lasting_bytes(tmp_path / "out") == expected[name]
    assert ("reseed" in expected[name]["inertia.tsv job"]) == (name == "empty")

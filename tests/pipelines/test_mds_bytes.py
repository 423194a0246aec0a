"""The result of `run mds` has the same bytes whoever computes it."""

import contextlib

import numpy as np
import pytest

from pipelines import mds, mds_results
from pipelines.engine import connect
from tests.pipelines.mds_runs import distances, kernels_map, lasting_bytes, map_of, run, save

pytestmark = pytest.mark.slow
LAYOUTS = [(1, 1), (2, 1), (3, 1), (1, 2)]  # workers, threads of each
N = 600  # more than a classical start takes, so that there are landmarks
WAYS = {
    "float32": ("whole", {"dtype": "float32", "max_iter": 12}),
    "int16": ("whole", {"dtype": "int16", "init": "random", "max_iter": 12, "n_components": 2}),
    "sammon": ("holes", {"weights": "sammon", "dtype": "float32", "max_iter": 5}),
    "annealed": ("whole", {"anneal": True, "cooling": 0.4, "max_iter": 5, "n_init": 2}),
    "ordinal": ("few", {"scaling": "ordinal", "max_iter": 6}),
}
COMMON = {"random_state": 3, "chunk_seconds": 0.05}


@pytest.fixture(autouse=True, scope="module")
def no_reports():
    """They take longer than the runs, and what they show is compared here as files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mds_results, "mds_report", lambda *args, **kwargs: b"<html>")
        patch.setattr(mds, "performance_page", lambda engine: contextlib.nullcontext([]))
        yield


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Name -> (path, matrix)."""
    folder = tmp_path_factory.mktemp("given")
    made = {"whole": distances(N)[0], "holes": distances(N, holes=0.3)[0]}
    made["few"] = distances(150)[0]
    return {name: (save(folder / f"{name}.npy", one), one) for name, one in made.items()}


@pytest.fixture(scope="module")
def expected(given, tmp_path_factory):
    """Name -> what serial gives, which is what the kernel gives."""
    found = {}
    for name, (which, options) in WAYS.items():
        out = tmp_path_factory.mktemp("serial") / "out"
        path, matrix = given[which]
        run(path, out, **COMMON, **options)
        found[name] = lasting_bytes(out)
        x, _ = kernels_map(matrix, random_state=3, **options)
        assert np.array_equal(map_of(out), x), name
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


@pytest.mark.parametrize("executor", ["tasks", "gang"])
@pytest.mark.parametrize("name", WAYS)
def test_workers__change_no_byte(engines, executor, name, given, expected, tmp_path):
    which, options = WAYS[name]
    replicas = 2 if name in ("float32", "sammon") else 1
    engine = engines[executor]
    told = run(given[which][0], tmp_path / "out", engine, replicas=replicas, **COMMON, **options)
    assert lasting_bytes(tmp_path / "out") == expected[name]
    assert told["executor"]["name"] == executor
    copies = min(replicas, len(engine.workers))
    assert told["partitions"]["source_reads"] >= copies * told["partitions"]["partitions"]
    jobs = set(expected[name]["stress.tsv job"])
    assert jobs == {"heat", "guttman", *(["solve"] if name == "sammon" else [])}

"""`run mds` while workers die, join and leave, and with little memory: the same bytes."""

import contextlib
import os

import pytest

from pipelines import mds, mds_results
from pipelines.engine import ChunkEnded, RolledBack, WorkerLost, connect
from pipelines.verify import verify
from tests import faults
from tests.cli.drill import wait_until
from tests.faults import PassFault
from tests.pipelines.mds_runs import distances, lasting_bytes, run, save
from tests.timeline import Timeline

pytestmark = pytest.mark.slow
MAP = "pipelines.mds_blocks.map_job"
OPTIONS = {"init": "random", "tol": 0.0, "random_state": 4, "chunk_seconds": 0.2}
WAYS = {
    "plain": {"max_iter": 120, "dtype": "int16"},
    "sammon": {"max_iter": 40, "weights": "sammon"},
}


@pytest.fixture(autouse=True, scope="module")
def no_reports():
    """They take longer than the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mds_results, "mds_report", lambda *args, **kwargs: b"<html>")
        patch.setattr(mds, "performance_page", lambda engine: contextlib.nullcontext([]))
        yield


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return save(tmp_path_factory.mktemp("given") / "d.npy", distances(1500)[0])


@pytest.fixture(scope="module")
def expected(given, tmp_path_factory):
    """Name -> bytes of an undisturbed run."""
    found = {}
    for name, options in WAYS.items():
        out = tmp_path_factory.mktemp("whole") / "out"
        run(given, out, **OPTIONS, **options)
        found[name] = lasting_bytes(out)
    return found


@pytest.fixture
def timeline():
    return Timeline()


@pytest.fixture(params=["tasks", "gang"])
def own(request, timeline, nothing_left):
    """An engine of three workers that the test may harm."""
    options = {"nworkers": 3, "dashboard_address": None, "listeners": [timeline]}
    with connect(request.param, **options) as engine:
        yield engine


@pytest.mark.parametrize(("name", "replicas"), [("plain", 1), ("sammon", 2)])
def test_worker_killed_between_jobs__costs_no_byte(
    own, timeline, given, expected, tmp_path, name, replicas
):
    own.run_everywhere(faults.install_pass, PassFault(2, 50, "die"), tmp_path, MAP)
    told = run(given, tmp_path / "out", own, replicas=replicas, **OPTIONS, **WAYS[name])
    assert (tmp_path / "die").exists()
    assert lasting_bytes(tmp_path / "out") == expected[name]
    assert verify(str(tmp_path / "out")).problems == []
    assert told["workers_lost"] == len(timeline.of(WorkerLost)) == 1
    assert bool(timeline.of(RolledBack)) == (own.name == "gang")


def test_worker_that_joins_and_one_that_retires__change_no_byte(
    own, timeline, given, expected, tmp_path
):
    cluster, first = own.end.__self__._cluster, own.workers[0].address

    def change(event):
        """Each time wait until the scheduler knows: the next chunk has the other workers."""
        if isinstance(event, ChunkEnded) and event.first == 0:
            cluster.scale(4)
            assert wait_until(lambda: len(own.refresh()) == 4, 60)
        elif isinstance(event, ChunkEnded) and len(event.ranks) == 4 and first in own.live:
            own.client.retire_workers([first])
            assert wait_until(lambda: len(own.refresh()) == 3)

    own.listen(change)
    options = {**OPTIONS, **WAYS["sammon"], "chunk_seconds": 0.02}
    told = run(given, tmp_path / "out", own, **options)
    assert lasting_bytes(tmp_path / "out") == expected["sammon"]
    assert timeline.ranks == [3, 4, 3]
    parts = told["partitions"]
    assert parts["moved"] + parts["reloaded"] == parts["source_reads"] - parts["partitions"] > 0


@pytest.mark.parametrize("executor", ["tasks", "gang"])
def test_memory_share_of_a_quarter__gives_the_bytes(
    executor, given, expected, tmp_path, nothing_left
):
    share = 1500 * 1500 // 4  # int16, one half: a quarter of it
    shape = {"nworkers": 1, "dashboard_address": None, "cache_memory": share}
    with connect(executor, **shape) as engine:
        assert engine.run_everywhere(os.getpid)
        options = {**OPTIONS, **WAYS["plain"], "cache_memory": str(share)}
        told = run(given, tmp_path / "out", engine, **options)
    assert lasting_bytes(tmp_path / "out") == expected["plain"]
    parts = told["partitions"]
    assert parts["source_reads"] == parts["partitions"]
    assert parts["spilled_bytes"] >= parts["bytes"] - share > 0
    assert any("read from disk in every iteration" in text for text in told["warnings"])

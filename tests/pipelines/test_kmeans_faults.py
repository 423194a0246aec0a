"""`run kmeans` while workers die, stop, join and leave, and with little memory: the same bytes."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipelines import kmeans, kmeans_results
from pipelines.engine import ChunkEnded, PartitionsMoved, RankSlow, connect
from pipelines.kmeans_blocks import warm_up
from pipelines.verify import verify
from tests import faults
from tests.cli.drill import wait_until
from tests.faults import PassFault
from tests.pipelines.kmeans_runs import lasting_bytes, run, save
from tests.timeline import Timeline, lost_time

pytestmark = pytest.mark.slow
N, D = 60_000, 8
OPTIONS = {
    "n_clusters": 48, "init": "random", "tol": 0, "max_iter": 100, "random_state": 4,
    "block_size": "auto", "chunk_seconds": 0.2,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def no_reports():
    """They take longer than the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")
        patch.setattr(kmeans, "performance_page", lambda engine: contextlib.nullcontext([]))
        yield


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Points without clusters: they take hundreds of iterations to settle."""
    values = np.random.default_rng(8).random((N, D), np.float32)
    return save(tmp_path_factory.mktemp("points") / "points.npy", values)


@pytest.fixture(scope="module")
def expected(points, tmp_path_factory):
    """Bytes of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run(points, out, **OPTIONS)
    return lasting_bytes(out)


@pytest.fixture
def timeline():
    return Timeline()


@pytest.fixture(params=["tasks", "gang"])
def own(request, timeline, nothing_left):
    """An engine of three workers that the test may harm."""
    options = {"nworkers": 3, "dashboard_address": None, "listeners": [timeline]}
    with connect(request.param, **options) as engine:
        yield engine


def told_by(path):
    """(process, time) that a fault wrote before it happened."""
    pid, at = path.read_text().split()
    return int(pid), float(at)


@pytest.mark.parametrize(("replicas", "bounds"), [(1, "on"), (2, "off")])
def test_worker_killed_in_mid_chunk__costs_no_byte_and_less_than_a_second(
    own, timeline, points, expected, tmp_path, replicas, bounds
):
    own.run_everywhere(faults.install_pass, PassFault(13, 60, "die"), tmp_path)
    told = run(points, tmp_path / "out", own, replicas=replicas, bounds=bounds, **OPTIONS)
    lost = lost_time(timeline, told_by(tmp_path / "die")[1], own.name)
    print(f"\nworker killed, {replicas} holders: {json.dumps(lost.rounded())}")
    assert lasting_bytes(tmp_path / "out") == expected
    assert verify(str(tmp_path / "out")).problems == []
    assert told["workers_lost"] == 1
    assert lost.repeated_s < 1
    assert lost.rest_s < 1


class Waker(threading.Thread):
    """Lets a process that stopped itself go on after `seconds`. pid: 0 until it has stopped.
    woken_at: seconds since the epoch."""

    def __init__(self, path, seconds):
        super().__init__(daemon=True)
        self.path, self.seconds, self.pid, self.woken_at = path, seconds, 0, 0.0
        self.is_awake = threading.Event()

    def run(self):
        if wait_until(self.path.exists, 60):
            self.pid = told_by(self.path)[0]
            time.sleep(self.seconds)
            self.woken_at = time.time()
            os.kill(self.pid, signal.SIGCONT)
        self.is_awake.set()


def test_worker_stopped_for_10_seconds__is_left_out_and_comes_back(
    own, timeline, points, expected, tmp_path
):
    pids = own.run_everywhere(os.getpid)
    own.run_everywhere(faults.install_pass, PassFault(13, 30, "stop"), tmp_path)
    waker = Waker(tmp_path / "stop", 10.0)
    waker.start()

    def wait_for_it(event):
        """Once the run has gone on without the worker: until the scheduler hears of it again."""
        if isinstance(event, ChunkEnded) and timeline.of(RankSlow) and not waker.is_awake.is_set():
            waker.is_awake.wait(30)
            now = max(own.refresh().values())
            assert wait_until(lambda: min(own.refresh().values()) > now)

    own.listen(wait_for_it)
    replicas = {"tasks": 2, "gang": 1}[own.name]  # tasks: another one holds what it owes
    run(points, tmp_path / "out", own, replicas=replicas, **OPTIONS)
    assert lasting_bytes(tmp_path / "out") == expected
    (name,) = [name for name, pid in pids.items() if pid == waker.pid]
    slow_at = next(m.at for m in timeline.of(RankSlow) if m.event.worker == name)
    assert any(slow_at < row.stopped < waker.woken_at for row in timeline.rows)
    later = [m.event.ranks for m in timeline.of(ChunkEnded) if m.at > waker.woken_at]
    assert any(name in ranks for ranks in later)


def test_stopped_worker__is_waited_for_where_nobody_else_holds_its_points(
    points, expected, tmp_path, timeline, nothing_left
):
    waker = Waker(tmp_path / "stop", 3.0)
    with connect("tasks", nworkers=2, dashboard_address=None, listeners=[timeline]) as engine:
        engine.run_everywhere(faults.install_pass, PassFault(13, 30, "stop"), tmp_path)
        waker.start()
        told = run(points, tmp_path / "out", engine, **OPTIONS)
    assert lasting_bytes(tmp_path / "out") == expected
    assert waker.is_awake.is_set()
    assert told["partitions"]["source_reads"] == told["partitions"]["partitions"]


def test_worker_that_joins_and_one_that_retires__change_no_byte(
    own, timeline, points, expected, tmp_path
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
    told = run(points, tmp_path / "out", own, **{**OPTIONS, "chunk_seconds": 0.05})
    assert lasting_bytes(tmp_path / "out") == expected
    assert timeline.ranks == [3, 4, 3]
    assert {moment.event.reason for moment in timeline.of(PartitionsMoved)} >= {"balance"}
    parts = told["partitions"]
    assert parts["moved"] + parts["reloaded"] == parts["source_reads"] - parts["partitions"] > 0


MIB = 1 << 20
WIDE = (500_000, 64)  # float32: 122 MiB in 64 partitions
GROWTH = 32 * MIB  # of Python, Dask, Numba and the allocator, over a run


def forget_peak():
    """Bytes of this process now; its peak counts from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return psutil.Process().memory_info().rss


def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("executor", ["tasks", "gang"])
def test_memory_share_of_a_quarter__gives_the_bytes_and_is_kept(executor, tmp_path, nothing_left):
    values = np.random.default_rng(2).random(WIDE, np.float32)
    path, share = save(tmp_path / "points.npy", values), values.nbytes // 4
    options = {"n_clusters": 10, "init": "random", "max_iter": 4, "block_size": "auto"}
    run(path, tmp_path / "whole", **options)
    shape = {"nworkers": 1, "dashboard_address": None, "cache_memory": share}
    with connect(executor, **shape) as engine:
        engine.run_everywhere(warm_up, "float32")
        (base,) = engine.run_everywhere(forget_peak).values()
        told = run(path, tmp_path / "out", engine, **options)
        (peak,) = engine.run_everywhere(peak_bytes).values()
    assert lasting_bytes(tmp_path / "out") == lasting_bytes(tmp_path / "whole")
    parts = told["partitions"]
    assert parts["source_reads"] == parts["partitions"] == 64
    assert parts["spilled_bytes"] >= values.nbytes - share
    above = [round(size / MIB, 1) for size in (base, peak - base, share)]
    print("\n{}: base {} MiB, peak {} MiB above it, share {} MiB".format(executor, *above))
    assert peak - base <= share + values.nbytes // 64 + GROWTH

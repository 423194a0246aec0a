"""What only the Dask executor has: workers that die, join, and where everything listens."""

import os
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import psutil
import pytest

from pipelines.engine import (
    TaskEnded,
    TaskFailed,
    TaskRetried,
    WorkerJoined,
    WorkerLost,
    cluster,
    connect,
)
from pipelines.engine.errors import EngineError
from tests.conftest import leftovers
from tests.pipelines.engine import jobs


@pytest.fixture
def events():
    return []


@pytest.fixture
def own(events, nothing_left):
    """An engine of two workers that the test may harm."""
    listeners = [events.append]
    with connect("tasks", nworkers=2, dashboard_address=None, listeners=listeners) as engine:
        yield engine


def test_worker_death__repeats_its_task_elsewhere_and_is_told(own, events):
    pids = own.run_everywhere(os.getpid)
    results = own.map(jobs.pid_after, [(i, 0) for i in range(30)], 0.1, key=jobs.key)
    next(results)
    os.kill(pids["worker-0"], signal.SIGKILL)
    assert len(list(results)) == 29
    assert "worker-0" in [event.worker for event in events if isinstance(event, WorkerLost)]
    assert [event for event in events if isinstance(event, TaskRetried)]
    assert max(event.attempt for event in events if isinstance(event, TaskEnded)) == 2


def test_worker_that_joins__has_broadcasts_and_warm_up_before_its_first_task(own, events):
    table = own.broadcast(np.arange(4))
    pids = own.run_everywhere(jobs.mark_warm)
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    found = list(own.map(jobs.warm_value, [(i, 0) for i in range(4)], table, key=jobs.key))
    assert sorted(found) == [((i, 0), (True, i)) for i in range(4)]
    assert [event for event in events if isinstance(event, WorkerJoined)]
    assert set(own.run_everywhere(os.getpid).values()).isdisjoint(pids.values())


def test_task_that_kills_its_workers__fails_by_name(own):
    with pytest.raises(TaskFailed, match=r"test-job-6-6 failed 4 times.*died") as failed:
        list(own.map(jobs.die, [(6, 6)], key=jobs.key))
    assert "memory" in failed.value.remedy


def test_no_worker_left__ends_the_run(own, monkeypatch):
    monkeypatch.setattr("pipelines.engine.window.is_stalled", lambda empty_s, _: empty_s > 0)
    own.client.retire_workers(list(own.client.scheduler_info(n_workers=-1)["workers"]))
    with pytest.raises(EngineError, match="all workers are gone") as gone:
        list(own.map(jobs.total, [(1, 1)], 0, key=jobs.key))
    assert gone.value.exit_code == 6


def test_lost_scheduler__ends_the_run(own):
    results = own.map(jobs.pid_after, [(i, 0) for i in range(50)], 0.2, key=jobs.key)
    next(results)
    own.client.loop.add_callback(jobs.close_scheduler, own)
    with pytest.raises(EngineError) as gone:
        list(results)
    assert gone.value.exit_code == 6


def test_workers_with_two_threads__run_tasks_in_a_pool(nothing_left):
    with connect("tasks", nworkers=1, nthreads=2, dashboard_address=None) as engine:
        assert engine.slots == 2
        items = [(i, 0) for i in range(8)]
        found = dict(engine.map(jobs.thread_after, items, 0.05, key=jobs.key))
    assert len(set(found.values())) == 2


def test_dashboard__is_served_on_localhost_only(events, nothing_left):
    before = leftovers()
    with connect("tasks", nworkers=1, dashboard_address="127.0.0.1:0") as engine:
        status = urllib.request.urlopen(engine.dashboard, timeout=20).read()
        metrics = engine.dashboard.replace("/status", "/metrics")
        assert b"dask_scheduler_workers" in urllib.request.urlopen(metrics, timeout=20).read()
        assert b"bokeh" in status.lower()
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1", (process, connection)
        assert [name for name in leftovers() - before if "listens" in name]


def test_dashboard_port__taken_gives_the_next_free_one(unused_port):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", unused_port))
        taken.listen()
        address = cluster.free_dashboard_address(f"127.0.0.1:{unused_port}")
    assert int(address.split(":")[1]) > unused_port
    assert cluster.free_dashboard_address(str(unused_port)) == f"127.0.0.1:{unused_port}"


def test_dashboard_address__must_be_host_and_port():
    with pytest.raises(ValueError, match="HOST:PORT"):
        cluster.free_dashboard_address("localhost")


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_memory_limit__takes_text_numbers_and_none():
    assert cluster.memory_limit_bytes("2GiB", 3) == 2 * 2**30
    assert cluster.memory_limit_bytes("0", 1) is None
    assert cluster.memory_limit_bytes(None, 1) is None
    assert 0 < cluster.memory_limit_bytes("auto", 2) <= cluster.usable_memory() / 2


def test_performance_report__is_one_offline_file(cluster, tmp_path):
    path = tmp_path / "performance.html"
    with cluster.performance_report(str(path)):
        list(cluster.map(jobs.total, [(1, 1)], 0, key=jobs.key))
    page = path.read_text()
    assert "test-job" in page
    assert '<script src="http' not in page


def test_performance_report__is_left_out_after_an_error(cluster, tmp_path):
    path = tmp_path / "performance.html"
    with pytest.raises(KeyboardInterrupt), cluster.performance_report(str(path)):
        raise KeyboardInterrupt
    assert not path.exists()


def test_caller_that_fails_in_the_middle__ends_quietly(nothing_left):
    def caller():
        with connect("tasks", nworkers=1, dashboard_address=None) as engine:
            for item, _ in engine.map(jobs.total, [(i, 0) for i in range(20)], 0, key=jobs.key):
                1 / (item[0] - 3)

    with pytest.raises(ZeroDivisionError):
        caller()


def test_import_of_the_engine__leaves_dask_for_later():
    code = "import sys, pipelines.engine; sys.exit('dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_broadcast__of_150_megabytes_arrives(own):
    codes = np.zeros(150_000_000, np.uint8)
    codes[-1] = 7
    handle = own.broadcast(codes)
    assert dict(own.map(jobs.look_up, [(-1, 0)], handle, key=jobs.key)) == {(-1, 0): 7}

"""Iterations on plain tasks while workers die, stop, join and leave: the same bytes."""

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

from pipelines.engine import (
    BackupStarted,
    EngineError,
    IterationEnded,
    PartitionLoaded,
    PartitionsMoved,
    RankSlow,
    TaskFailed,
    WorkerLost,
    connect,
    iterate,
)
from tests.pipelines.engine import iterative
from tests.pipelines.engine.iterative import START


@pytest.fixture
def events():
    return []


@pytest.fixture
def own(events, nothing_left):
    """An engine of two workers that the test may harm."""
    with connect("tasks", nworkers=2, dashboard_address=None, listeners=[events.append]) as engine:
        yield engine


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def after(engine, n_iterations, act):
    """Call act() when so many iterations are done, once."""
    seen = []

    def hear(event):
        if isinstance(event, IterationEnded):
            seen.append(event)
            if len(seen) == n_iterations:
                act()

    engine.listen(hear)


def run(engine, parts, map=iterative.sums, **options):
    options = {"update": iterative.add, "state": START, "chunk_s": 0.0, **options}
    return iterate(engine, parts, map=map, **options)


def test_worker_killed_in_an_iteration__costs_no_bit_and_only_its_partitions(own, events, tmp_path):
    sources = [(str(tmp_path), *source) for source in iterative.sources()]
    parts = own.partitions(iterative.count_reads, sources)
    options = {"update": iterative.one_more, "state": np.zeros(2), "args": (str(tmp_path),)}
    found = run(own, parts, iterative.die_once, max_iter=6, chunk_s=5.0, **options)
    assert found.n_iter == 6
    total = sum(iterative.load(source).sum() for source in iterative.sources())
    assert found.state[0] == 6.0
    np.testing.assert_allclose(found.state[1], total * 5, rtol=1e-6)
    assert (tmp_path / "died").exists()
    assert len(of(WorkerLost, events)) == 1
    reads = sorted(len((tmp_path / str(index)).read_text()) for index in range(13))
    facts = own.partition_facts(parts)
    assert 0 < facts["reloaded"] < 13
    assert sum(reads) == facts["source_reads"] == 13 + facts["reloaded"] + facts["moved"]


@pytest.mark.slow
def test_worker_killed_between_iterations__costs_no_bit(own):
    parts = own.partitions(iterative.load, iterative.sources())
    pids = own.run_everywhere(os.getpid)
    after(own, 3, lambda: os.kill(pids["worker-0"], signal.SIGKILL))
    found = run(own, parts, max_iter=12)
    assert found.state.tobytes() == iterative.expected(13, 12).tobytes()


@pytest.mark.slow
def test_partition_that_kills_its_workers__ends_the_run(own):
    parts = own.partitions(iterative.load, iterative.sources())
    with pytest.raises(TaskFailed, match=r"iterate-partition-\d+ failed 4 times.*died") as failed:
        run(own, parts, iterative.die_always)
    assert failed.value.exit_code == 6


@pytest.mark.slow
def test_stopped_worker__is_backed_up_and_left_out_until_it_is_back(own, events):
    parts = own.partitions(iterative.load, iterative.sources(), replicas=2)
    stopped = psutil.Process(own.run_everywhere(os.getpid)["worker-1"])
    timer = threading.Timer(4.0, stopped.resume)
    after(own, 5, stopped.suspend)
    after(own, 6, timer.start)
    try:
        begun = time.monotonic()
        found = run(own, parts, iterative.slow_map, max_iter=8, args=(0.01,))
        assert time.monotonic() - begun < 4.0
        assert of(BackupStarted, events)[0].worker == "worker-0"
        assert of(RankSlow, events)[0].worker == "worker-1"
        timer.join()
        again = run(own, parts, iterative.slow_map, max_iter=100, args=(0.01,))
    finally:
        timer.join()
    assert found.state.tobytes() == iterative.expected(13, 8).tobytes()
    assert again.state.tobytes() == iterative.expected(13, 100).tobytes()
    assert len(again.rows[-1].seconds) == 2


@pytest.mark.slow
def test_stopped_worker__does_not_hold_up_loading(own, monkeypatch):
    monkeypatch.setattr("pipelines.engine.posts.SILENT_S", 2.0)
    stopped = psutil.Process(own.run_everywhere(os.getpid)["worker-1"])
    own.partitions(iterative.load, iterative.sources(2))
    stopped.suspend()
    try:
        parts = own.partitions(iterative.load, iterative.sources())
        found = run(own, parts, max_iter=3)
    finally:
        stopped.resume()
    assert found.state.tobytes() == iterative.expected(13, 3).tobytes()


@pytest.mark.slow
def test_worker_that_joins__takes_its_share_at_the_next_chunk(own, events):
    parts = own.partitions(iterative.load, iterative.sources())
    cluster = own.end.__self__._cluster
    joined = threading.Event()
    own.listen(lambda event: joined.set() if isinstance(event, PartitionLoaded) else None)
    after(own, 3, lambda: cluster.scale(3))
    found = run(own, parts, iterative.slow_map, max_iter=150, args=(0.005,))
    assert found.state.tobytes() == iterative.expected(13, 150).tobytes()
    assert len(found.rows[0].seconds) == 2
    assert len(found.rows[-1].seconds) == 3
    moved = of(PartitionsMoved, events)
    assert [event.reason for event in moved] == ["balance"]
    assert moved[0].moves == own.partition_facts(parts)["moved"] < 8


@pytest.mark.slow
def test_worker_that_retires__hands_its_partitions_over(own, events):
    parts = own.partitions(iterative.load, iterative.sources())
    first = own.workers[0].address
    after(own, 3, lambda: own.client.retire_workers([first]))
    found = run(own, parts, max_iter=20)
    assert found.state.tobytes() == iterative.expected(13, 20).tobytes()
    assert len(found.rows[-1].seconds) == 1
    assert own.partition_facts(parts)["moved"] + own.partition_facts(parts)["reloaded"] >= 6


@pytest.mark.slow
def test_last_worker_gone__ends_the_run(own, monkeypatch):
    monkeypatch.setattr("pipelines.engine.window.is_stalled", lambda empty_s, _: empty_s > 0)
    parts = own.partitions(iterative.load, iterative.sources())
    cluster = own.end.__self__._cluster
    after(own, 3, lambda: cluster.scale(0))
    with pytest.raises(EngineError, match="all workers are gone") as gone:
        run(own, parts)
    assert gone.value.exit_code == 6


@pytest.mark.slow
def test_slow_worker__is_backed_up_in_a_map_too(own, events):
    parts = own.partitions(iterative.load, iterative.sources(2), replicas=2)
    slow = own.workers[0].name
    found = own.map_partitions(slow_on, parts, slow, 6.0)
    assert found == [0, 1]
    assert of(BackupStarted, events)
    assert own.partition_facts(parts)["source_reads"] == 4


@pytest.mark.slow
def test_slow_worker__is_backed_up_by_several_who_hold_its_partitions_together(
    events, nothing_left
):
    options = {"nworkers": 3, "dashboard_address": None, "listeners": [events.append]}
    with connect("tasks", **options) as engine:
        parts = engine.partitions(iterative.load, iterative.sources(12), replicas=2)
        slow = engine.workers[1].name
        begun = time.monotonic()
        found = engine.map_partitions(slow_on, parts, slow, 5.0, 0.1)
        assert time.monotonic() - begun < 20
        facts = engine.partition_facts(parts)
    assert found == list(range(12))
    backups = of(BackupStarted, events)
    # mostly both others; where loading took another time, one may hold all four
    assert {event.worker for event in backups} <= {f"worker-{k}" for k in range(3)} - {slow}
    assert len({one for event in backups for one in event.partitions}) == 4
    assert sum(len(event.partitions) for event in backups) == 4
    assert [event.worker for event in of(RankSlow, events)] == [slow]
    assert facts["source_reads"] == 24


def slow_on(partition, name, seconds, others=1.0):
    from distributed import get_worker

    from pipelines.engine.contract import shown_name

    time.sleep(seconds if shown_name(get_worker().name) == name else others)
    return partition.index


@pytest.mark.slow
@pytest.mark.parametrize(("nworkers", "nthreads"), [(1, 2), (3, 1)])
def test_workers_and_threads__do_not_change_a_bit(nworkers, nthreads, nothing_left):
    with connect("tasks", nworkers=nworkers, nthreads=nthreads, dashboard_address=None) as engine:
        parts = engine.partitions(iterative.load, iterative.sources())
        found = run(engine, parts, max_iter=9, chunk_s=0.2)
    assert found.state.tobytes() == iterative.expected(13, 9).tobytes()
    assert len(found.rows[0].seconds) == nworkers


@pytest.mark.slow
def test_random_kills__end_with_the_right_bytes(own, rng):
    """A worker is killed every half second, in whatever it does."""
    others = {child.pid for child in psutil.Process().children()}  # also the session's workers
    others -= set(own.run_everywhere(os.getpid).values())
    parts = own.partitions(iterative.load, iterative.sources(), replicas=2)
    over = threading.Event()

    def kill():
        while not over.wait(0.5):
            workers = [child for child in psutil.Process().children() if child.pid not in others]
            pids = [child.pid for child in workers if "spawn_main" in " ".join(child.cmdline())]
            if len(pids) > 1:
                os.kill(int(rng.choice(pids)), signal.SIGKILL)
                over.wait(4.0)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = run(own, parts, iterative.slow_map, max_iter=120, args=(0.01,), chunk_s=0.5)
    finally:
        over.set()
        killer.join()
    assert found.state.tobytes() == iterative.expected(13, 120).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("disk", [True, False])
def test_partitions_beyond_the_memory_share__are_spilled_or_read_again(disk, nothing_left):
    """Also on a worker that came later."""
    options = {"nworkers": 1, "dashboard_address": None, "cache_memory": 1000, "cache_disk": disk}
    with connect("tasks", **options) as engine:
        parts = engine.partitions(iterative.load, iterative.sources())
        os.kill(engine.run_everywhere(os.getpid)["worker-0"], signal.SIGKILL)
        found = run(engine, parts, max_iter=4)
        facts = engine.partition_facts(parts)
    assert found.state.tobytes() == iterative.expected(13, 4).tobytes()
    assert facts["reloaded"] == 13
    assert 0 < facts["memory_hits"] < 4 * 13
    assert facts["memory_hits"] + facts["disk_hits"] == (4 * 13 if disk else facts["memory_hits"])
    assert (facts["source_reads"] == 26) == disk
    assert (facts["spilled_bytes"] > 0) == disk

"""Partitions stay with their workers: read once, used by many steps, named when they fail."""

import os
from collections import Counter

import numpy as np
import pytest

from pipelines.engine import (
    EngineError,
    MapEnded,
    MapStarted,
    PartitionLoaded,
    TaskEnded,
    TaskFailed,
    TaskRetried,
    connect,
    iterate,
)
from tests.pipelines.engine import iterative
from tests.pipelines.engine.jobs import DiskFull


@pytest.fixture(params=["serial", "tasks"])
def engine(request):
    if request.param == "tasks":
        engine = request.getfixturevalue("cluster")
        engine._listeners = ()
        yield engine
    else:
        with connect("serial") as engine:
            yield engine


@pytest.fixture
def events(engine):
    told = []
    engine.listen(told.append)
    return told


@pytest.fixture
def parts(engine, events):
    made = engine.partitions(iterative.load, iterative.sources(), key="rows")
    yield made
    engine.release(made)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_map_partitions__gives_results_in_order(engine, parts):
    found = engine.map_partitions(iterative.describe, parts, "x")
    sums = [float(iterative.load(source).sum()) for source in iterative.sources()]
    assert found == [(index, total, "x") for index, total in enumerate(sums)]


def test_partitions__tell_who_loaded_them(engine, parts, events):
    loaded = of(PartitionLoaded, events)
    assert sorted(event.index for event in loaded) == list(range(13))
    assert {event.key for event in loaded} == {"rows"}
    assert {event.worker for event in loaded} == {worker.name for worker in engine.workers}
    assert all(event.nbytes == 32 * (5 + event.index % 4) for event in loaded)


def test_source__is_read_once_for_all_steps(engine, tmp_path):
    sources = [(str(tmp_path), *source) for source in iterative.sources(5)]
    parts = engine.partitions(iterative.count_reads, sources)
    for _ in range(2):
        engine.map_partitions(iterative.describe, parts, 0)
    start = {"state": iterative.START, "max_iter": 3}
    iterate(engine, parts, map=iterative.sums, update=iterative.add, **start)
    facts = engine.partition_facts(parts)
    engine.release(parts)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["x"] * 5
    assert facts["partitions"] == facts["source_reads"] == 5
    assert facts["bytes"] == 32 * (5 + 6 + 7 + 8 + 5)
    assert facts["memory_hits"] == 25
    assert facts["moved"] == facts["reloaded"] == facts["disk_hits"] == 0


def test_memory_of_a_partition__stays_from_step_to_step(engine, parts):
    assert engine.map_partitions(iterative.remembers, parts) == [1] * 13
    assert engine.map_partitions(iterative.remembers, parts) == [2] * 13


def test_workers__hold_runs_balanced_by_cost(cluster):
    parts = cluster.partitions(iterative.load, iterative.sources(5), costs=[4, 1, 1, 1, 1])
    pids = cluster.map_partitions(iterative.pid, parts)
    cluster.release(parts)
    assert len(set(pids)) == 2
    assert pids[1:] == [pids[4]] * 4


def test_more_workers_than_partitions__is_no_trouble(engine):
    parts = engine.partitions(iterative.load, iterative.sources(1))
    assert len(engine.map_partitions(iterative.describe, parts, 0)) == 1
    engine.release(parts)


def test_replicas__lie_on_two_workers(cluster):
    parts = cluster.partitions(iterative.load, iterative.sources(5), replicas=2)
    holders = cluster.pins.holders(parts)
    facts = cluster.partition_facts(parts)
    cluster.release(parts)
    assert all(len(set(addresses)) == 2 for addresses in holders.values())
    assert facts["source_reads"] == 10
    assert facts["moved"] == facts["reloaded"] == 0


def test_broadcast_handle__is_read_by_the_function(engine, parts):
    table = engine.broadcast(list("abcdefghijklm"))
    assert "".join(engine.map_partitions(iterative.looked_up, parts, table)) == "abcdefghijklm"


def test_map_partitions__tells_start_each_partition_and_end(engine, parts, events):
    events.clear()
    engine.map_partitions(iterative.describe, parts, 0, key="look-at")
    assert events[0] == MapStarted("look-at", 13)
    assert events[-1] == MapEnded("look-at")
    assert {event.key for event in of(TaskEnded, events)} == {
        f"look-at-rows-{index}" for index in range(13)
    }


def test_function_that_always_raises__names_the_partition(engine, parts, events):
    error = RuntimeError("no luck")
    with pytest.raises(TaskFailed, match=r"map-rows-7 failed 3 times.*no luck") as failed:
        engine.map_partitions(iterative.fail_partition, parts, 7, error)
    assert failed.value.exit_code == 6
    assert len(of(TaskRetried, events)) == 2
    assert engine.map_partitions(iterative.fail_partition, parts, -1, error) == list(range(13))


def test_error_the_user_can_mend__surfaces_as_itself(engine, parts):
    with pytest.raises(DiskFull, match="12 KiB"):
        engine.map_partitions(iterative.fail_partition, parts, 7, DiskFull("12 KiB free"))


def test_source_that_cannot_be_read__names_its_partition(engine, tmp_path):
    sources = [(str(tmp_path), 1, 5), (str(tmp_path / "missing"), 2, 5)]
    with pytest.raises(TaskFailed, match=r"load-rows-1 failed 3 times.*missing"):
        engine.partitions(iterative.count_reads, sources, key="rows")


@pytest.mark.parametrize(
    ("sources", "options", "text"),
    [
        ([], {}, "no sources"),
        ([(1, 2)], {"costs": [1, 2]}, "1 sources, but 2 costs"),
        ([(1, 2)], {"replicas": 3}, "1 or 2, not 3"),
    ],
)
def test_partitions_that_make_no_sense__are_refused(engine, sources, options, text):
    with pytest.raises(ValueError, match=text):
        engine.partitions(iterative.load, sources, **options)


def test_released_partitions__are_gone(cluster):
    parts = cluster.partitions(iterative.load, iterative.sources(3))
    assert sum(cluster.client.run(held, parts.key).values()) == 3
    cluster.release(parts)
    assert sum(cluster.client.run(held, parts.key).values()) == 0
    with pytest.raises(EngineError, match="was released"):
        cluster.map_partitions(iterative.describe, parts, 0)


def held(key):
    from pipelines.engine import pinned

    return len(pinned.cache().held(key))


def test_serial_engine__leaves_nothing_behind(nothing_left):
    from pipelines.engine import pinned

    with connect("serial", cache_memory=100) as engine:
        parts = engine.partitions(iterative.load, iterative.sources(4))
        assert engine.partition_facts(parts)["spilled_bytes"] > 0
        assert engine.map_partitions(iterative.describe, parts, 0)[3][0] == 3
    assert pinned.cache().held(parts.key) == {}


def test_spmd__on_one_rank_has_all_partitions():
    def step(comm, mine, factor):
        total = comm.allreduce({part.index: part.data.sum(axis=0) for part in mine})
        return comm.rank, comm.size, [part.index for part in mine], total * factor

    with connect("serial") as engine:
        parts = engine.partitions(iterative.load, iterative.sources())
        ((rank, size, indices, total),) = engine.spmd(step, parts, 2.0)
        expected = iterate(
            engine, parts, map=iterative.sums, update=lambda state, total: total,
            state=np.ones(4), max_iter=1,
        )  # fmt: skip
    assert (rank, size, indices) == (0, 1, list(range(13)))
    np.testing.assert_array_equal(total, expected.state * 2.0)


def test_spmd__needs_more_than_plain_tasks(cluster):
    parts = cluster.partitions(iterative.load, iterative.sources(2))
    with pytest.raises(EngineError, match="cannot talk") as refused:
        cluster.spmd(iterative.describe, parts)
    cluster.release(parts)
    assert "--executor gang" in refused.value.remedy


def test_order_of_work__is_one_task_per_worker(cluster):
    """Dask sees as many tasks as there are workers, not one per partition."""
    parts = cluster.partitions(iterative.load, iterative.sources())
    before = Counter(cluster.client.run_on_scheduler(finished, "once-partition"))
    cluster.map_partitions(iterative.describe, parts, 0, key="once")
    after = Counter(cluster.client.run_on_scheduler(finished, "once-partition"))
    cluster.release(parts)
    assert sum((after - before).values()) == 2


def finished(prefix, dask_scheduler):
    found = dask_scheduler.task_prefixes.get(prefix)
    return {prefix: found.state_counts["memory"]} if found else {}


def test_driver__is_not_a_worker(cluster):
    parts = cluster.partitions(iterative.load, iterative.sources(2))
    assert os.getpid() not in cluster.map_partitions(iterative.pid, parts)
    cluster.release(parts)

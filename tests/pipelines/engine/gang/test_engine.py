"""Gangs on real workers: the same bytes as serial, two gangs at once, TLS, threads, the end."""

import os
import threading
import time

import dask
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster, Security

from pipelines.engine import ChunkEnded, EngineError, Job, TaskFailed, connect, iterate
from tests.pipelines.engine.gang import steps
from tests.pipelines.engine.iterative import START, expected, load, sources, sums
from tests.pipelines.engine.iterative import add as add_up


@pytest.fixture
def parts(gang):
    gang._listeners = ()
    made = gang.partitions(steps.load, range(7))
    yield made
    gang.release(made)


def result(engine, **options):
    """Some iterations over fresh partitions."""
    parts = engine.partitions(steps.load, range(7))
    options = {"map": steps.means, "update": steps.update, "state": START, **options}
    try:
        return iterate(engine, parts, **options)
    finally:
        engine.release(parts)


@pytest.mark.parametrize(("nworkers", "nthreads"), [(1, 1), (1, 2), (3, 1), (5, 1)])
def test_any_workers__give_the_bytes_of_the_definition(nworkers, nthreads, nothing_left):
    limits = {"nworkers": nworkers, "nthreads": nthreads, "dashboard_address": None}
    with connect("gang", **limits) as engine:
        parts = engine.partitions(load, sources(13))
        found = iterate(engine, parts, map=sums, update=add_up, state=START, max_iter=40)
        assert len({len(row.seconds) for row in found.rows}) == 1
        assert len(found.rows[0].seconds) == nworkers
    assert found.state.tobytes() == expected(13, 40).tobytes()


def test_large_state__has_the_bytes_of_serial_by_either_algorithm(gang):
    state = np.random.default_rng(1).normal(size=60_000)
    job = {"map": _spread, "update": _halved, "state": state, "max_iter": 12}
    with connect("serial") as serial:
        plain = result(serial, **job).state
    found = result(gang, **job)
    assert found.state.tobytes() == plain.tobytes()


def _spread(partition, state):
    return state * partition.data[0, 0] + partition.index


def _halved(state, total):
    return 0.5 * total / np.abs(total).max()


def test_chunks__go_on_from_the_state_that_the_ranks_kept(gang, parts, monkeypatch):
    given = []
    plain = gang._token_of

    def watched(state, gang):
        given.append(plain(state, gang)[1])
        return plain(state, gang)

    monkeypatch.setattr(gang, "_token_of", watched)
    found = iterate(
        gang, parts, map=steps.means, update=steps.update, state=START, max_iter=4, chunk_s=0.0
    )
    assert [len(state) for state in given] == [1, 0, 0, 0]
    assert found.state.tobytes() == result(gang, max_iter=4).state.tobytes()


def test_state_that_nobody_kept__is_sent_again(gang, parts, monkeypatch):
    began = []
    plain_gather, plain_token = gang._gather, gang._token_of

    def gather(*args, **options):
        began.append(True)
        return plain_gather(*args, **options)

    def token(state, run):
        return ("never heard", ()) if len(began) == 1 else plain_token(state, run)

    monkeypatch.setattr(gang, "_gather", gather)
    monkeypatch.setattr(gang, "_token_of", token)
    found = iterate(gang, parts, map=steps.means, update=steps.update, state=START, max_iter=2)
    assert (found.n_iter, len(began)) == (2, 2)


def test_step_of_a_user__runs_once_on_every_rank(gang, parts):
    found = gang.spmd(steps.describe, parts, 2.0)
    total = sum_of_tree([block.sum(axis=0) * 2.0 for block in map(steps.load, range(7))])
    assert [answer[:2] for answer in found] == [(0, 2), (1, 2)]
    pids = set(gang.map_partitions(steps.pid_of, parts))
    assert set(found[0][2]) == pids
    assert found[1][2] is None
    assert all(answer[3].tobytes() == total.tobytes() for answer in found)


def sum_of_tree(level):
    while len(level) > 1:
        level = [sum(level[k + 1 : k + 2], level[k]) for k in range(0, len(level), 2)]
    return level[0]


def test_step__means_the_same_alone_and_plain_tasks_refuse_it(gang, parts, cluster):
    total = gang.spmd(steps.describe, parts, 3.0)[0][3]
    with connect("serial") as serial:
        alone = serial.spmd(steps.describe, serial.partitions(steps.load, range(7)), 3.0)
    assert [(answer[:2], answer[3].tobytes()) for answer in alone] == [((0, 1), total.tobytes())]
    with pytest.raises(EngineError, match="cannot talk to each other") as refused:
        cluster.spmd(steps.describe, parts, 3.0)
    assert "gang" in refused.value.remedy


def test_step_that_raises__is_told_and_frees_the_others(gang, parts):
    with pytest.raises(TaskFailed, match=r"spmd.*the last rank"):
        gang.spmd(steps.raise_on_last, parts)
    assert [answer[0] for answer in gang.spmd(steps.describe, parts, 1.0)] == [0, 1]


def test_step_that_breaks_again_and_again__gives_up(gang, parts):
    with pytest.raises(EngineError, match="a step broke 3 times"):
        gang.spmd(steps.broken, parts)


def test_update_that_looks_at_the_clock__is_found_out(gang, parts):
    with pytest.raises(EngineError, match="different states from the same totals") as odd:
        iterate(gang, parts, map=steps.means, update=steps.clock, state=START, max_iter=3)
    assert "must depend on nothing but their arguments" in odd.value.remedy


def test_partials_of_other_shapes__are_told_in_one_line(gang, parts):
    with pytest.raises(
        TaskFailed, match=r"could not be broadcast|where the partitions before|differ"
    ):
        iterate(gang, parts, map=steps.other_shape, update=steps.update, state=START)


def test_partitions_that_a_worker_lost__are_loaded_again(gang, parts):
    before = gang.partition_facts(parts)["source_reads"]
    gang.client.run(_drop_two, parts.key)
    found = iterate(gang, parts, map=steps.means, update=steps.update, state=START, max_iter=3)
    assert found.state.tobytes() == result(gang, max_iter=3).state.tobytes()
    assert gang.partition_facts(parts)["source_reads"] == before + 2


def _drop_two(key):
    from pipelines.engine import pinned

    pinned.cache().drop(key, [0, 6])


def test_ports_that_are_nonsense__end_the_run_with_a_remedy(cluster):
    with (
        dask.config.set({"whorl.gang.ports": "9000-9100"}),
        connect("gang", scheduler=cluster.client.scheduler.address) as engine,
        pytest.raises(EngineError, match=r"worker-\d cannot take part.*FIRST:LAST") as refused,
    ):
        result(engine)
    assert "whorl.gang.ports" in refused.value.remedy


def test_two_gangs_at_once__both_come_to_the_end(gang, parts):
    plain = result(gang, max_iter=30).state.tobytes()
    found, errors = [], []

    def other():
        try:
            with connect("gang", scheduler=gang.client.scheduler.address) as engine:
                for _ in range(3):
                    found.append(result(engine, max_iter=30, chunk_s=0.01).state.tobytes())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=other) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not errors
    assert found == [plain] * 6


def test_long_task_of_another_user__delays_and_does_not_break(gang, parts, monkeypatch):
    began = []
    plain = gang._gather
    monkeypatch.setattr(gang, "_gather", lambda *args, **o: began.append(1) or plain(*args, **o))
    monkeypatch.setattr("pipelines.engine.gang.engine.ASSEMBLY_S", 0.4)
    monkeypatch.setattr("pipelines.engine.gang.engine.FIRST_ASSEMBLY_S", 0.4)
    worker = gang.workers[1].address
    with Client(gang.client.scheduler.address, set_as_default=False) as user:
        theirs = [user.submit(steps.hold, 0.7, workers=[worker], pure=False) for _ in range(2)]
        while not any(user.processing()[worker]):
            time.sleep(0.01)
        found = iterate(gang, parts, map=steps.means, update=steps.update, state=START, max_iter=3)
        assert len(user.gather(theirs)) == 2
    assert len(began) > 1  # it gave its slots back meanwhile
    assert found.state.tobytes() == result(gang, max_iter=3).state.tobytes()


def test_slow_worker__gives_leaves_to_the_other_that_holds_them(gang):
    pids = gang.run_everywhere(os.getpid)
    slow = pids[gang.workers[0].name]
    parts = gang.partitions(steps.load, range(8), replicas=2)
    job = {"map": steps.uneven_means, "update": steps.update, "state": START}
    found = iterate(gang, parts, **job, args=(slow, 0.02), max_iter=15, chunk_s=10.0)
    gang.release(parts)
    usual = [max(row.seconds) for row in found.rows]
    assert np.median(usual[-5:]) < 0.7 * np.median(usual[:3])
    with connect("serial") as serial:
        again = serial.partitions(steps.load, range(8))
        plain = iterate(
            serial, again, map=steps.means, update=steps.update, state=START, max_iter=15
        )
    assert found.state.tobytes() == plain.state.tobytes()


def test_tls__works_the_same(nothing_left):
    security = Security.temporary()
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        LocalCluster(protocol="tls://", security=security, **options) as cluster,
        Client(cluster, security=security, set_as_default=False) as client,
        connect("gang", scheduler=client) as engine,
    ):
        found = result(engine, max_iter=30)
        ranks = [worker.address for worker in engine.workers]
        assert engine.name == "gang"
    assert all(address.startswith("tls://") for address in ranks)
    assert len(found.rows[0].seconds) == 2
    with connect("serial") as serial:
        assert found.state.tobytes() == result(serial, max_iter=30).state.tobytes()


def test_end__leaves_nothing_on_the_workers_of_others(cluster):
    before = cluster.client.run(steps.doors_and_threads)
    fds = {pid: psutil.Process(pid).num_fds() for pid in cluster.client.run(os.getpid).values()}
    with connect("gang", scheduler=cluster.client.scheduler.address) as engine:
        result(engine, max_iter=5, chunk_s=0.0)
        assert min(n for n, _ in cluster.client.run(steps.doors_and_threads).values()) >= 1
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (
        cluster.client.run(steps.doors_and_threads) == before
        and all(psutil.Process(pid).num_fds() <= n for pid, n in fds.items())
    ):
        time.sleep(0.05)
    assert cluster.client.run(steps.doors_and_threads) == before


def test_chunk__tells_its_workers(gang, parts):
    told = []
    gang.listen(told.append)
    jobs = [Job(steps.means, steps.update, name="mean")]
    iterate(gang, parts, jobs=jobs, state=START, max_iter=3)
    ends = [event for event in told if isinstance(event, ChunkEnded)]
    assert ends[0].ranks == tuple(worker.name for worker in gang.workers)
    assert (ends[0].key, ends[0].n_iter) == ("mean", 3)

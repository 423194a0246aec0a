"""What the dashboard and /metrics show, fetched from a real cluster."""

import itertools
import re
import time
import urllib.request

import numpy as np
import pytest
from distributed import get_task_stream

from pipelines.engine import pinned, visible
from pipelines.engine.visible import GAUGES, MOST_STRIPES, imbalance

KEY = "test-visible"


def load_and_iterate(number):
    """What a rank does, as far as it is visible."""
    from pipelines.engine import pinned, visible

    cache = pinned.cache()
    cache.load(KEY, number, np.zeros, 10)
    for turn in (1, 2, 3):
        with cache.use(KEY, number):
            visible.iteration(turn, (0.1, 0.3), {"inertia": 7.5 + number, "moved": 3})
    visible.sent(1000)


def with_stripes(exchanges):
    from pipelines.engine import visible

    visible.stripes(exchanges)
    return True


def end():
    from pipelines.engine import pinned

    pinned.cache().drop(KEY)


def fetch(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = re.findall(r'^(whorl_\w+)\{worker="([^"]*)"\} (\S+)$', text, re.MULTILINE)
    return {(name, worker): float(value) for name, worker, value in lines}


@pytest.fixture
def shown(cluster):
    """A client whose workers show their figures, and the /metrics addresses."""
    client = cluster.client
    visible.register(client)
    yield client
    client.run(end)
    for name in plugin_names(client):
        client.unregister_worker_plugin(name)


def plugin_names(client):
    def ask(dask_worker):
        return [name for name in dask_worker.plugins if name.startswith("whorl-visible")]

    return set(itertools.chain(*client.run(ask).values()))


def http_of_workers(client):
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [f"{info['host']}:{info['services']['dashboard']}" for info in workers.values()]


def iterate_everywhere(client):
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    tasks = [
        client.submit(load_and_iterate, number, workers=[address], pure=False)
        for number, address in enumerate(workers)
    ]
    client.gather(tasks)


def test_metrics__of_each_worker(shown):
    iterate_everywhere(shown)
    objectives = set()
    for address in http_of_workers(shown):
        told = fetch(address)
        assert {name for name, _ in told} == set(GAUGES)
        assert len({worker for _, worker in told}) == 1
        values = {name: value for (name, _), value in told.items()}
        assert values["whorl_iteration"] == 3
        assert values["whorl_imbalance"] == pytest.approx(1.5)
        assert values["whorl_partition_source_reads"] >= 1
        assert values["whorl_partition_memory_hits"] >= 3
        assert values["whorl_bytes_sent"] >= 1000
        objectives.add(values["whorl_objective"])
    assert objectives == {7.5, 8.5}


def test_metrics__of_the_scheduler_tell_of_all_workers(shown):
    iterate_everywhere(shown)
    info = shown.scheduler_info()
    host = info["address"].split("//")[1].split(":")[0]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # the next heartbeats carry it
        told = fetch(f"{host}:{info['services']['dashboard']}")
        found = {worker: value for (name, worker), value in told.items() if "objective" in name}
        if len(found) == 2:
            break
        time.sleep(0.1)
    assert set(found.values()) == {7.5, 8.5}
    assert {name for name, _ in told} == set(GAUGES)


def test_metrics__end_with_the_plugin(shown):
    iterate_everywhere(shown)
    second = visible.register(shown)
    shown.unregister_worker_plugin(second)
    assert all(fetch(address) for address in http_of_workers(shown))
    (name,) = plugin_names(shown)
    shown.unregister_worker_plugin(name)
    assert [fetch(address) for address in http_of_workers(shown)] == [{}, {}]


def test_stripes__lie_on_the_bar_of_their_task(shown):
    now = time.time()
    exchanges = [(now + k, now + k + 0.1) for k in range(5)]
    with get_task_stream(client=shown) as stream:
        assert shown.submit(with_stripes, exchanges, pure=False).result()
    (task,) = stream.data
    first, *others = task["startstops"]
    assert first["action"] == "compute"
    assert [bar["action"] for bar in others] == ["transfer"] * 5
    found = [(bar["start"], bar["stop"]) for bar in others]
    assert np.allclose(found, exchanges, rtol=0, atol=1e-3)


def test_stripes__leave_the_time_of_tasks_as_it_is(shown):
    """Dask plans with the average time of a task: a bar must not count twice."""
    with get_task_stream(client=shown) as stream:
        shown.submit(with_stripes, [(0.0, 5.0)] * 10, pure=False).result()
    (task,) = stream.data
    computing = [bar for bar in task["startstops"] if bar["action"] == "compute"]
    assert len(computing) == 1
    assert computing[0]["stop"] - computing[0]["start"] < 4


@pytest.mark.parametrize("n", [0, 1, MOST_STRIPES, MOST_STRIPES + 1, 10_000])
def test_joined__keeps_the_time_and_bounds_the_number(n):
    exchanges = [(k + 0.75, k + 1.0) for k in range(n)]
    found = list(visible._joined(exchanges))
    assert len(found) == n if n <= MOST_STRIPES else 0 < len(found) <= MOST_STRIPES
    assert sum(length for _, length in found) == pytest.approx(0.25 * n)
    if n:
        assert found[-1][0] == n


def test_stripes__do_nothing_outside_of_a_task():
    visible.stripes([(0.0, 1.0)])


def test_imbalance__is_one_when_all_take_the_same():
    assert imbalance((2.0, 2.0, 2.0)) == 1
    assert imbalance((3.0, 0.0, 0.0)) == 3
    assert imbalance((0.0,)) == imbalance(()) == 1


def test_figures__without_iterations_and_without_values(monkeypatch):
    monkeypatch.setattr(visible, "_latest", None)
    assert set(GAUGES) - set(visible.figures()) == {
        "whorl_iteration",
        "whorl_objective",
        "whorl_imbalance",
    }
    visible.iteration(4, (1.0,), {})
    assert visible.figures()["whorl_iteration"] == 4
    assert "whorl_objective" not in visible.figures()


def test_figures__count_what_was_dropped_too():
    before = visible.figures()["whorl_partition_source_reads"]
    pinned.cache().load(KEY, 0, np.zeros, 10)
    pinned.cache().drop(KEY)
    assert visible.figures()["whorl_partition_source_reads"] == before + 1


def test_iteration__costs_next_to_nothing(monkeypatch):
    monkeypatch.setattr(visible, "_latest", None)
    values = {"inertia": 1.0}
    started = time.thread_time()
    for turn in range(10_000):
        visible.iteration(turn, (0.1, 0.2), values)
    assert (time.thread_time() - started) / 10_000 < 3e-6

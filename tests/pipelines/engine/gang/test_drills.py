"""Ranks that are killed or stopped in the middle of a chunk: the same bytes, little time lost."""

import os
import signal
import threading
import time

import pytest

from pipelines.engine import (
    ChunkEnded,
    EngineError,
    IterationEnded,
    RankSlow,
    RolledBack,
    connect,
    iterate,
)
from tests.pipelines.engine.gang import steps
from tests.pipelines.engine.iterative import START, die_always

N = 9
pytestmark = pytest.mark.slow


@pytest.fixture
def events():
    return []


@pytest.fixture
def own(events, nothing_left):
    """Three workers that the test may harm."""
    listeners = [lambda event: events.append((time.monotonic(), event))]
    with connect("gang", nworkers=3, dashboard_address=None, listeners=listeners) as engine:
        yield engine


def of(kind, events):
    return [event for _, event in events if isinstance(event, kind)]


def slow(engine, max_iter, seconds=0.003, **options):
    parts = engine.partitions(steps.load, range(N))
    job = {"map": steps.slow_means, "update": steps.update, "state": START}
    return iterate(engine, parts, **job, args=(seconds,), max_iter=max_iter, **options)


def after(events, condition, action):
    """A thread that does something as soon as the events say so."""

    def wait():
        deadline = time.monotonic() + 60
        while not condition(events) and time.monotonic() < deadline:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def pid_of(engine, number):
    return engine.run_everywhere(os.getpid)[engine.workers[number].name]


@pytest.mark.parametrize("victim", [0, 2])
def test_killed_rank__costs_less_than_a_second_beside_its_chunk(own, events, victim):
    pid, killed = pid_of(own, victim), []

    def kill():
        time.sleep(0.5)  # into the second chunk
        killed.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)

    thread = after(events, lambda told: of(ChunkEnded, told), kill)
    found = slow(own, 300)
    thread.join()
    assert found.state.tobytes() == steps.expected(N, 300).tobytes()
    broke = [at for at, event in events if isinstance(event, RolledBack)]
    next_ends = [at for at, e in events if isinstance(e, ChunkEnded) and at > killed[0]]
    assert broke[0] - killed[0] < 1
    assert next_ends[0] - killed[0] < 1 + 1.5  # the chunk after the break is half as long
    assert [row.iteration for row in found.rows] == list(range(1, 301))


def test_ranks_that_are_killed_one_after_another__do_not_stop_it(own, events):
    stop = threading.Event()

    def kill():
        for number in range(3):
            time.sleep(0.8)
            if not stop.is_set():
                live = [pid for pid in own.client.run(os.getpid).values()]
                os.kill(live[number % len(live)], signal.SIGKILL)

    thread = after(events, lambda told: of(ChunkEnded, told), kill)
    found = slow(own, 400)
    stop.set()
    thread.join()
    assert found.state.tobytes() == steps.expected(N, 400).tobytes()


def watch_for(engine, events, name):
    """Set when a worker that was left out takes part again."""
    came_back = threading.Event()

    def watch(event):
        if isinstance(event, ChunkEnded) and of(RankSlow, events) and name in event.ranks:
            came_back.set()

    engine.listen(watch)
    return came_back


@pytest.mark.parametrize("into_s", [0.0, 0.4])
def test_stopped_rank__is_left_out_and_comes_back(own, events, into_s):
    """Stopped between two chunks, or in the middle of one."""
    pid, name = pid_of(own, 1), own.workers[1].name
    timer = threading.Timer(10, os.kill, (pid, signal.SIGCONT))

    def stop():
        time.sleep(into_s)
        os.kill(pid, signal.SIGSTOP)
        timer.start()

    thread = after(events, lambda told: of(ChunkEnded, told), stop)
    came_back = watch_for(own, events, name)
    state, done, n = START, 0, 60
    parts = own.partitions(steps.load, range(N))
    job = {"map": steps.slow_means, "update": steps.update, "args": (0.005,)}
    began = time.monotonic()
    while not came_back.is_set() and time.monotonic() - began < 60:
        state = iterate(own, parts, **job, state=state, max_iter=n).state
        done += n
    thread.join()
    timer.join()
    assert came_back.is_set()
    assert state.tobytes() == steps.expected(N, done).tobytes()
    without = [event for event in of(ChunkEnded, events) if name not in event.ranks]
    assert without
    assert of(RankSlow, events)[0].worker == name
    assert len(of(IterationEnded, events)) == done


def test_partition_that_kills_every_worker__ends_the_run(own):
    parts = own.partitions(steps.load, range(N))
    job = {"map": die_always, "update": steps.update, "state": START}
    began = time.monotonic()
    with pytest.raises(
        EngineError, match=r"chunks broke in a row|workers are gone|no worker"
    ) as end:
        iterate(own, parts, **job, max_iter=5)
    assert end.value.exit_code == 6
    assert time.monotonic() - began < 120


def test_rank_that_dies_while_the_gang_assembles__does_not_hold_the_others(own, events):
    slow(own, 3)
    pid = pid_of(own, 1)
    os.kill(pid, signal.SIGSTOP)  # its slot looks free, and it does not come
    killer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
    killer.start()
    began = time.monotonic()
    found = slow(own, 20)
    killer.join()
    assert found.state.tobytes() == steps.expected(N, 20).tobytes()
    assert time.monotonic() - began < 15

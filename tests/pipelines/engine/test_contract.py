"""One table of claims, checked for every executor."""

import pickle

import numpy as np
import pytest

from pipelines.engine import (
    MapEnded,
    MapStarted,
    TaskEnded,
    TaskFailed,
    TaskRetried,
    connect,
)
from pipelines.engine.errors import EngineError
from tests.pipelines.engine import jobs


class Engines:
    """Gives the engine under test, with what it tells collected in `events`."""

    def __init__(self, engine):
        self.engine, self.events = engine, []
        engine._listeners = (self.events.append,)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(params=["serial", "tasks"])
def told(request):
    if request.param == "tasks":
        yield Engines(request.getfixturevalue("cluster"))
    else:
        with connect("serial") as engine:
            yield Engines(engine)


@pytest.fixture
def engine(told):
    return told.engine


def run(engine, function, items, *args, **options):
    return dict(engine.map(function, items, *args, key=jobs.key, **options))


def test_map__gives_each_item_with_its_result(engine):
    items = [(i, i + 1) for i in range(25)]
    assert run(engine, jobs.total, items, 100) == {item: sum(item) + 100 for item in items}


def test_map__of_nothing_is_nothing(engine):
    assert run(engine, jobs.total, [], 1) == {}


def test_map__may_be_run_twice_with_the_same_keys(engine):
    first = run(engine, jobs.total, [(0, 1)], 1)
    assert run(engine, jobs.total, [(0, 1)], 2) != first


def test_map__stops_early_without_harm(engine):
    results = engine.map(jobs.total, [(i, 0) for i in range(50)], 0, key=jobs.key)
    next(results)
    results.close()
    assert run(engine, jobs.total, [(1, 1)], 0) == {(1, 1): 2}


def test_map__with_a_window_of_one_still_finishes(engine):
    assert len(run(engine, jobs.total, [(i, 0) for i in range(5)], 0, window=1)) == 5


def test_broadcast__is_read_by_tasks(engine):
    table = engine.broadcast(np.arange(10) ** 2)
    assert run(engine, jobs.look_up, [(3, 0), (9, 0)], table) == {(3, 0): 9, (9, 0): 81}


def test_broadcast__handle_is_small(engine):
    assert len(pickle.dumps(engine.broadcast(np.zeros(100_000)))) < 300


def test_run_everywhere__answers_for_every_worker(engine):
    names = {worker.name for worker in engine.workers}
    assert engine.run_everywhere(len, "four") == dict.fromkeys(names, 4)


def test_run_everywhere__raises_what_the_function_raises(engine):
    with pytest.raises(ZeroDivisionError):
        engine.run_everywhere(divmod, 1, 0)


def test_reduce__has_the_same_bits_for_all_executors(engine, rng):
    parts = list(rng.random((37, 5)) * 10.0 ** rng.integers(-9, 9, (37, 5)))
    with connect("serial") as serial:
        expected = serial.reduce(np.add, parts)
    assert engine.reduce(np.add, parts).tobytes() == expected.tobytes()


def test_failing_task__is_tried_again_and_told(told, tmp_path):
    items = [(0, 0), (0, 1)]
    assert run(told.engine, jobs.fail_until, items, str(tmp_path), 3) == dict.fromkeys(items, 3)
    assert len(told.of(TaskRetried)) == 4
    assert {event.attempt for event in told.of(TaskEnded)} == {3}
    assert "RuntimeError: attempt 1" in {event.error for event in told.of(TaskRetried)}


def test_task_that_always_fails__ends_the_run_naming_key_worker_and_error(engine):
    names = {worker.name for worker in engine.workers}
    with pytest.raises(TaskFailed, match=r"test-job-4-2 failed 3 times.*no luck") as failed:
        run(engine, jobs.fail, [(4, 2)], RuntimeError("no luck"))
    assert failed.value.key == "test-job-4-2"
    assert failed.value.worker in names
    assert failed.value.exit_code == 6
    assert "in fail" in failed.value.traceback_text


def test_error_the_user_can_mend__surfaces_as_itself_at_once(told):
    with pytest.raises(jobs.DiskFull, match="12 KiB free") as full:
        run(told.engine, jobs.fail, [(4, 2)], jobs.DiskFull("12 KiB free"))
    assert full.value.exit_code == 4
    assert not told.of(TaskRetried)


def test_memory_error__has_the_exit_code_of_memory(engine):
    with pytest.raises(TaskFailed) as failed:
        run(engine, jobs.fail, [(0, 0)], MemoryError("4 GiB"), retries=2)
    assert failed.value.exit_code == 4
    assert "--block-size" in failed.value.remedy


def test_exception_that_does_not_pickle__is_told_in_words(engine):
    with pytest.raises(TaskFailed, match="Unpicklable"):
        run(engine, jobs.fail_unpicklable, [(0, 0)], retries=1)


def test_engine_works_on_after_a_failure(engine):
    with pytest.raises(EngineError):
        run(engine, jobs.fail, [(0, 0)], RuntimeError(), retries=1)
    assert run(engine, jobs.total, [(1, 2)], 0) == {(1, 2): 3}


def test_events__tell_start_every_task_and_end(told):
    run(told.engine, jobs.total, [(0, 1), (1, 2), (2, 3)], 0)
    assert told.events[0] == MapStarted("test-job", 3)
    assert told.events[-1] == MapEnded("test-job")
    ended = told.of(TaskEnded)
    assert {event.key for event in ended} == {"test-job-0-1", "test-job-1-2", "test-job-2-3"}
    assert all(0 <= event.stopped - event.started < 60 for event in ended)
    assert {event.worker for event in ended} <= {worker.name for worker in told.engine.workers}


def test_workers__tell_versions_cpu_and_slots(engine):
    for worker in engine.workers:
        assert worker.versions["python"].startswith("3.")
        assert worker.cpu
    assert engine.slots == sum(worker.nthreads for worker in engine.workers)

"""Checkpoints: any state there and back, damage found, and a resumed run with the same bytes."""

import threading
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.engine import (
    Checkpointed,
    Checkpoints,
    EngineError,
    Job,
    TaskFailed,
    connect,
    iterate,
)
from pipelines.engine.checkpoint import flatten, unflatten
from storage.errors import NoSpace
from storage.folder import open_folder
from tests.pipelines.engine import iterative
from tests.pipelines.engine.iterative import START, Counted


class Pair(NamedTuple):
    left: object
    right: object


@pytest.fixture
def folder(tmp_path):
    return open_folder(str(tmp_path))


@pytest.fixture
def checkpoints(folder):
    with Checkpoints(folder, "run/checkpoints", every=1) as made:
        yield made


@pytest.fixture
def serial():
    with connect("serial") as engine:
        yield engine


def saved(folder, *iterations, state=START):
    with Checkpoints(folder, "run/checkpoints", every=1) as made:
        for iteration in iterations:
            made.save(iteration, "job", state * iteration)


def latest(folder, like=START):
    with Checkpoints(folder, "run/checkpoints") as made:
        return made.latest(like=like)


dtypes = hnp.floating_dtypes() | hnp.integer_dtypes() | st.just(np.dtype(bool))
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
numbers = st.integers() | st.floats() | st.booleans() | st.text(max_size=3) | st.none()
states = st.recursive(
    arrays | numbers | arrays.map(lambda array: array.ravel()[:1].sum()),
    lambda parts: (
        st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), parts, max_size=3)
        | st.builds(Pair, parts, parts)
    ),
    max_leaves=6,
)


def assert_same(found, state):
    assert type(found) is type(state)
    if isinstance(state, np.ndarray | np.generic):
        assert (found.dtype, found.shape) == (state.dtype, state.shape)
        assert found.tobytes() == state.tobytes()
    elif isinstance(state, tuple):
        assert len(found) == len(state)
        for mine, other in zip(found, state, strict=True):
            assert_same(mine, other)
    elif isinstance(state, dict):
        assert list(found) == list(state)
        assert_same(tuple(found.values()), tuple(state.values()))
    else:
        assert repr(found) == repr(state)


@settings(deadline=None)
@given(states)
def test_state__comes_back_with_its_types_and_bits(state):
    import json

    held = []
    structure = json.loads(json.dumps(flatten(state, held)))
    assert_same(unflatten(structure, held, state), state)


def test_latest__is_the_newest_of_two_kept(folder):
    saved(folder, 9, 10, 100)
    assert folder.list("run") == [f"run/checkpoints/{n:010d}.state" for n in (10, 100)]
    iteration, job, state = latest(folder)
    assert (iteration, job) == (100, "job")
    assert_same(state, START * 100)


def test_latest__of_nothing_is_none(folder):
    assert latest(folder) is None


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 1.0])
def test_cut_checkpoint__gives_way_to_the_one_before(folder, part):
    saved(folder, 1, 2)
    data = folder.get("run/checkpoints/0000000002.state")
    folder.put("run/checkpoints/0000000002.state", data[: int(part * (len(data) - 1))])
    assert latest(folder)[0] == 1


def test_any_changed_byte__is_found(folder):
    saved(folder, 1, 2)
    key = "run/checkpoints/0000000002.state"
    data = folder.get(key)
    for place in range(len(data)):
        folder.put(key, data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert latest(folder)[0] == 1


def test_checkpoint_of_another_kind_of_state__is_refused(folder):
    with Checkpoints(folder, "run/checkpoints") as made:
        made.save(1, "job", Counted(1, START))
    with pytest.raises(EngineError, match=r"0000000001.state is a checkpoint of another kind"):
        latest(folder, like=START)


@pytest.mark.parametrize("state", [object(), [1.0], np.array([None]), {1: 2.0}, b"bytes"])
def test_state_of_other_parts__is_refused(checkpoints, state):
    with pytest.raises(TypeError, match="a state"):
        checkpoints.save(1, "job", state)


def test_due__after_so_many_iterations_or_seconds(folder):
    with Checkpoints(folder, "run", every=10, seconds=3600) as made:
        assert [made.due(iteration) for iteration in (0, 9, 10)] == [False, False, True]
        made.save(10, "job", START)
    with Checkpoints(folder, "run", every=10, seconds=0) as made:
        assert [made.due(iteration) for iteration in (0, 1)] == [False, True]


class Slow:
    """A folder whose put waits, and then raises what it is told to."""

    def __init__(self, folder, error=None):
        self.folder, self.url, self.error = folder, folder.url, error
        self.goes_on = threading.Event()

    def put(self, key, data):
        self.goes_on.wait(20)
        if self.error:
            raise self.error
        self.folder.put(key, data)

    def __getattr__(self, name):
        return getattr(self.folder, name)


def test_save__returns_at_once_and_keeps_the_state_of_then(folder):
    slow, state = Slow(folder), START.copy()
    with Checkpoints(slow, "run/checkpoints", every=1) as made:
        made.save(1, "job", state)
        state[:] = -1
        assert not made.due(2)
        assert made.take_saved() == []
        slow.goes_on.set()
    assert_same(latest(folder)[2], START)
    assert [done.iteration for done in made.take_saved()] == [1]


def test_full_disk__is_told_at_the_next_look_and_at_the_end(folder):
    slow = Slow(folder, NoSpace("the disk is full"))
    slow.goes_on.set()
    made = Checkpoints(slow, "run/checkpoints", every=1)
    made.save(1, "job", START)
    with pytest.raises(NoSpace):
        made.close()
    assert folder.list() == []


def run(engine, folder, jobs, *, every=2, **options):
    parts = engine.partitions(iterative.load, iterative.sources())
    with Checkpoints(folder, "run/checkpoints", every=every) as made:
        return iterate(engine, parts, jobs=jobs, checkpoints=made, chunk_s=0.0, **options)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 4, 5, 6])
def test_resumed_run__gives_the_same_bytes(serial, folder, at):
    """The command ends in iteration `at`, in the midst of two jobs; it goes on where it was."""
    first = Job(iterative.count_map, iterative.count_update, name="first")
    other = Job(iterative.count_map, iterative.other_update, combine="max", name="other")
    start = Counted(0, np.zeros(4))
    parts = serial.partitions(iterative.load, iterative.sources())
    whole = iterate(serial, parts, jobs=[first, other], state=start)

    def kill(event):
        if getattr(event, "row", None) is not None and event.row.iteration == at:
            raise Killed

    with connect("serial", listeners=[kill]) as engine, pytest.raises(Killed):
        run(engine, folder, [first, other], state=start)
    begun = latest(folder, like=start)
    again = run(serial, folder, [first, other], state=start)
    assert_same(again.state, whole.state)
    assert (again.n_iter, again.reason) == (whole.n_iter, whole.reason)
    assert len(again.rows) == whole.n_iter - (begun[0] if begun else 0)
    assert begun or at < 4


def test_run_that_failed__goes_on_from_its_checkpoint(serial, folder):
    good = Job(iterative.sums, iterative.add)
    bad = Job(iterative.poison, iterative.add)
    run(serial, folder, [good], state=START, max_iter=5)
    begun = latest(folder)[0]
    with pytest.raises(TaskFailed):
        run(serial, folder, [bad], state=START, max_iter=9, args=(4,))
    found = run(serial, folder, [good], state=START, max_iter=9)
    assert found.state.tobytes() == iterative.expected(13, 9).tobytes()
    assert len(found.rows) == 9 - begun


def test_checkpoints__are_told(folder):
    told = []
    with connect("serial", listeners=[told.append]) as engine:
        parts = engine.partitions(iterative.load, iterative.sources())
        with Checkpoints(folder, "run/checkpoints", every=1) as made:
            options = {"checkpoints": made, "chunk_s": 0.0, "max_iter": 50}
            iterate(engine, parts, map=slowly, update=iterative.add, state=START, **options)
    events = [event for event in told if isinstance(event, Checkpointed)]
    assert [event.iteration for event in events] == sorted({event.iteration for event in events})
    assert {event.key for event in events} == {"iterate"}
    assert all(event.nbytes > START.nbytes for event in events)
    assert latest(folder)[0] in (49, events[-1].iteration + 1, events[-1].iteration)


def slowly(partition, state):
    return iterative.slow_map(partition, state, 0.001)

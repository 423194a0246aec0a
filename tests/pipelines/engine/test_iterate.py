"""iterate() means the same on every executor, down to the last bit."""

import numpy as np
import pytest

from pipelines.engine import (
    ChunkEnded,
    EngineError,
    IterationEnded,
    Job,
    RolledBack,
    TaskFailed,
    connect,
    iterate,
)
from tests.pipelines.engine import iterative
from tests.pipelines.engine.iterative import START, Counted
from tests.pipelines.engine.jobs import DiskFull


@pytest.fixture(params=["serial", "tasks", "gang"])
def engine(request):
    if request.param in ("tasks", "gang"):
        engine = request.getfixturevalue("cluster" if request.param == "tasks" else "gang")
        engine._listeners = ()
        yield engine
    else:
        with connect("serial") as engine:
            yield engine


@pytest.fixture
def parts(engine):
    made = engine.partitions(iterative.load, iterative.sources())
    yield made
    engine.release(made)


@pytest.fixture
def events(engine):
    told = []
    engine.listen(told.append)
    return told


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def run(engine, parts, map=iterative.sums, update=iterative.add, **options):
    return iterate(engine, parts, map=map, update=update, **{"state": START, **options})


@pytest.mark.parametrize("n", [1, 2, 13])
def test_state__has_the_bits_of_the_definition(engine, n):
    parts = engine.partitions(iterative.load, iterative.sources(n))
    found = run(engine, parts, max_iter=7)
    engine.release(parts)
    assert found.state.tobytes() == iterative.expected(n, 7).tobytes()
    assert (found.n_iter, found.reason) == (7, "max_iter")


def test_chunks__do_not_change_a_bit(engine, parts, events):
    found = run(engine, parts, max_iter=5, chunk_s=0.0)
    assert found.state.tobytes() == iterative.expected(13, 5).tobytes()
    assert [event.first for event in of(ChunkEnded, events)] == [0, 1, 2, 3, 4]


def test_until__ends_it_and_rows_tell_of_every_iteration(engine, parts, events):
    found = run(engine, parts, until=iterative.settled, record=iterative.largest)
    assert found.reason == "until"
    assert 1 < found.n_iter == len(found.rows) < 100
    assert [row.iteration for row in found.rows] == list(range(1, found.n_iter + 1))
    assert [event.row for event in of(IterationEnded, events)] == found.rows
    assert found.rows[-1].values == {"largest": np.abs(found.state).max()}
    assert all(row.started <= row.mapped <= row.stopped for row in found.rows)
    names = {worker.name for worker in engine.workers}
    assert set(of(ChunkEnded, events)[0].ranks) == names
    assert len(found.rows[0].seconds) == len(names)


def test_no_iteration__gives_the_state_back(engine, parts):
    found = run(engine, parts, max_iter=0)
    assert (found.state is START, found.n_iter, found.reason) == (True, 0, "max_iter")


@pytest.mark.parametrize(("chunk_s", "chunks"), [(60.0, 1), (0.0, 8)])
def test_update__may_go_to_another_job_and_stop(engine, parts, events, chunk_s, chunks):
    jobs = [
        Job(iterative.count_map, iterative.count_update, name="first"),
        Job(iterative.count_map, iterative.other_update, combine="max", name="other"),
    ]
    found = iterate(engine, parts, jobs=jobs, state=Counted(0, np.zeros(4)), chunk_s=chunk_s)
    assert [row.job for row in found.rows] == ["first"] * 4 + ["other"] + ["first"] * 3
    assert [one.key for one in of(IterationEnded, events)] == [row.job for row in found.rows]
    assert len(of(ChunkEnded, events)) == chunks
    assert (found.state.n, found.state.said, found.reason) == (6, "thenback", "stop")


@pytest.mark.parametrize("combine", ["min", "max", np.maximum])
def test_combine__may_be_another_operation(engine, parts, combine):
    found = run(engine, parts, combine=combine, max_iter=1, update=lambda state, total: total)
    data = [(iterative.load(source) * START).sum(axis=0) for source in iterative.sources()]
    operation = np.min if combine == "min" else np.max
    np.testing.assert_array_equal(found.state, operation(data, axis=0))


def test_map_that_always_raises__names_the_partition_after_three_attempts(engine, parts, events):
    with pytest.raises(TaskFailed, match=r"iterate-partition-4 failed 3 times.*poisoned") as failed:
        run(engine, parts, iterative.poison, args=(4,))
    assert failed.value.exit_code == 6
    assert "in poison" in failed.value.traceback_text
    assert [event.iteration for event in of(RolledBack, events)] == [0, 0]


def test_map_that_raises_twice__is_tried_again(engine, parts, events, tmp_path):
    options = {"args": (str(tmp_path), 3), "update": lambda state, total, *_: total}
    found = run(engine, parts, iterative.raise_until, max_iter=3, **options)
    assert found.n_iter == 3
    assert len(of(RolledBack, events)) == 2


def test_error_the_user_can_mend__surfaces_as_itself(engine, parts):
    def full(partition, state):
        raise DiskFull("12 KiB free")

    with pytest.raises(DiskFull, match="12 KiB"):
        run(engine, parts, full)


def test_update_that_raises__fails_at_once(engine, parts):
    with pytest.raises(TaskFailed, match=r"iterate-update failed once.*no merge") as failed:
        run(engine, parts, update=iterative.raising_update)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_update_that_writes_into_its_state__can_be_rolled_back(engine, parts, tmp_path):
    start = START.copy()
    options = {"update": iterative.writes_into_state, "max_iter": 2, "state": start}
    plain = run(engine, parts, iterative.poison, args=(-1,), **options).state
    found = run(engine, parts, iterative.raise_until, args=(str(tmp_path), 2), **options).state
    np.testing.assert_array_equal(start, START)
    np.testing.assert_array_equal(found, plain)


def test_broadcast_values__are_read_by_map_and_update(engine, parts):
    table = engine.broadcast(np.arange(4.0))
    found = run(
        engine,
        parts,
        lambda partition, state, table: table.value * partition.index,
        lambda state, total, table: total + table.value,
        args=(table,),
        max_iter=1,
    )
    np.testing.assert_array_equal(found.state, np.arange(4.0) * (sum(range(13)) + 1))


def test_job_that_is_not_there__is_named(engine, parts):
    job = Job(iterative.count_map, iterative.count_update, name="first")
    with pytest.raises(ValueError, match="no job 'other', only first"):
        iterate(engine, parts, jobs=[job], state=Counted(0, np.zeros(4)))


def test_iterate__needs_functions_or_jobs(engine, parts):
    job = Job(iterative.sums, iterative.add)
    for wrong in ({}, {"map": iterative.sums}, {"jobs": []}, {"jobs": [job, job]}):
        with pytest.raises(ValueError, match=r"needs|takes|different"):
            iterate(engine, parts, state=START, **wrong)


def test_chunks_that_break_again_and_again__end_the_run(engine, parts, monkeypatch):
    from pipelines.engine import ChunkBroken

    budgets = []

    def broken(partitions, chunk):
        budgets.append(chunk.budget_s)
        raise ChunkBroken("a rank went away")

    monkeypatch.setattr(engine, "run_chunk", broken)
    with pytest.raises(EngineError, match=r"no further than iteration 0: 10 .* went away") as gone:
        run(engine, parts)
    assert gone.value.exit_code == 6
    assert budgets[:3] == [1.0, 0.5, 0.25]
    assert min(budgets) == 0.05

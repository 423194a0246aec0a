"""What a listener keeps of iterations, and what run.json and the report are told of them."""

import pytest

from pipelines import iterations
from pipelines.engine.events import (
    Checkpointed,
    ChunkEnded,
    IterationEnded,
    PartitionsMoved,
    RolledBack,
    TaskEnded,
    WorkerLost,
)
from pipelines.engine.job import Row
from pipelines.iterations import IterationLog, iteration_facts, log_lines, told_again


def row(iteration, started, seconds, took=1.0):
    return Row(iteration, "lloyd", started, started + 0.5, started + took, seconds, {"inertia": 2})


@pytest.fixture
def log():
    log = IterationLog()
    log.begin(0, n_clusters=3)
    for iteration in (1, 2):
        log(IterationEnded("lloyd", row(iteration, 10.0 * iteration, (0.6, 0.2))))
    log(ChunkEnded("lloyd", ("w0", "w1"), 0, 2, 0.25))
    log(Checkpointed("lloyd", 2, 0.1, 400))
    log.begin(1, n_clusters=4)
    log(IterationEnded("lloyd", row(1, 40.0, (0.5,), took=3.0)))
    log(ChunkEnded("lloyd", ("w0",), 0, 1, 0.5))
    log(RolledBack("lloyd", 1, "a rank died"))
    log(WorkerLost("w1", 39.0))
    log(PartitionsMoved("points", 4, "worker lost"))
    log(TaskEnded("load-points-3", "w0", 1.0, 2.0, 1))
    return log


def test_rows__belong_to_the_run_that_was_begun(log):
    assert [(one["run"], one["n_clusters"], one["iteration"]) for one in log.rows] == [
        (0, 3, 1), (0, 3, 2), (1, 4, 1),
    ]  # fmt: skip
    assert log.of_run() == log.rows[2:]
    assert set(iterations.FACTS) <= set(log.rows[0])
    assert (log.rows[0]["inertia"], log.rows[0]["seconds"]) == (2, [0.6, 0.2])


def test_facts__tell_times_and_mishaps(log):
    facts = iteration_facts(log)
    assert (facts["iterations"], facts["chunks"], facts["ranks"]) == (3, 2, 2)
    assert facts["seconds_median"] == 1.0
    assert (facts["first_seconds_median"], facts["later_seconds_median"]) == (2.0, 1.0)
    assert facts["overhead_seconds_median"] == pytest.approx(0.4)  # 1 - 0.6
    assert facts["between_chunks_seconds"] == 0.75
    assert facts["imbalance_median"] == pytest.approx(1.5)
    assert (facts["checkpoints"], facts["rollbacks"], facts["backups"]) == (1, 1, 0)


def test_facts__of_nothing_are_none():
    facts = iteration_facts(IterationLog())
    assert facts["iterations"] == facts["ranks"] == 0
    assert facts["seconds_median"] is None


def test_log__is_read_again_as_it_was(log):
    told = told_again(log_lines(log))
    plain = [{k: v for k, v in line.items() if k != "event"} for line in told["rows"]]
    assert plain == log.rows
    assert [line["kind"] for line in told["timeline"]] == ["load"]
    assert [line["workers"] for line in told["chunks"]] == [["w0", "w1"], ["w0"]]
    assert [line["error"] for line in told["rollbacks"]] == ["a rank died"]
    assert [line["moves"] for line in told["moves"]] == [4]
    assert [line["worker"] for line in told["workers_lost"]] == ["w1"]
    assert [line["iteration"] for line in told["checkpoints"]] == [2]
    assert told["backups"] == []


def test_timeline__leaves_out_short_tasks_and_is_cut_after_many(monkeypatch):
    monkeypatch.setattr(iterations, "MOST_TASKS", 3)
    log = IterationLog()
    log(TaskEnded("start-points-9", "w0", 1.0, 1.0005, 1))
    assert log.timeline == []
    for number in range(5):
        log(TaskEnded(f"start-points-{number}", "w0", 1.0, 2.0, 1))
    assert len(log.timeline) == 3
    assert len(log.worker_of) == 6


def test_imbalance__is_1_where_one_does_all():
    assert iterations.imbalance({"seconds": [0.3]}) == 1.0
    assert iterations.imbalance({"seconds": []}) == 1.0
    assert iterations.imbalance({"seconds": [0.0, 0.0]}) == 1.0

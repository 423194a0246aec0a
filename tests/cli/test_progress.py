"""The progress listener counts what the engine tells; it draws only for somebody who looks."""

import io
import types

import pytest

from cli import progress as bar
from cli.screen import Screen
from pipelines.engine import MapEnded, MapStarted, TaskEnded, TaskRetried, WorkerLost

JOB = types.SimpleNamespace(cells=4e9, cells_of=lambda key: 1e9)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock.now, in seconds."""
    now = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(bar.time, "monotonic", lambda: now.now)
    return now


def ended(number):
    return TaskEnded(f"swg-distance-0-{number}", "w0", 0.0, 1.0, 1)


def test_rate__is_cells_over_time_since_the_first_block(clock):
    progress = bar.Progress(Screen(), JOB)
    progress(MapStarted("swg-distance", 4))
    clock.now += 2.0
    progress(ended(0))
    progress(ended(1))
    assert (progress.done, progress.total) == (2, 4)
    assert progress.notes() == "1.0 GCUPS"


def test_rate__stands_still_after_the_last_block(clock):
    progress = bar.Progress(Screen(), JOB)
    progress(MapStarted("swg-distance", 1))
    clock.now += 1.0
    progress(ended(0))
    progress(MapEnded("swg-distance"))
    clock.now += 9.0
    assert progress.rate == 1e9


def test_resumed_run__counts_the_cells_that_are_left():
    job = types.SimpleNamespace(
        cells=4e9, cells_of=JOB.cells_of, block_cells=lambda i, j: 1e9 * (1 + i + j)
    )
    assert bar.Progress(Screen(), job, done=[(0, 0), (0, 1)]).total_cells == 1e9


def test_mishaps__are_counted():
    progress = bar.Progress(Screen(), types.SimpleNamespace())
    progress(MapStarted("swg-distance", 4))
    progress(WorkerLost("w0", 0.0))
    for key in ("a", "b", "c"):
        progress(TaskRetried(key, "w0", "KilledWorker"))
    assert progress.notes() == "1 worker lost, 3 blocks repeated"


def test_unknown_event__is_no_error():
    bar.Progress(Screen(), JOB)(object())


def test_bar__is_drawn_for_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        with bar.Progress(Screen(), JOB) as progress:
            progress(MapStarted("swg-distance", 4))
            progress(ended(0))
        assert ("1/4 blocks" in stream.getvalue()) == drawn
    monkeypatch.setattr("sys.stderr", Terminal())
    assert not Screen(quiet=True).live

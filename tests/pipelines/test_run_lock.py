"""One run per output: a live owner is named, a dead one is taken over."""

import json
import os
import time

import pytest

from pipelines import run_lock
from pipelines.errors import UsageProblem
from tests.pipelines.result_folders import create, write_lock


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_lock__of_a_live_run_is_named(out, options):
    with create(out):
        expected = rf"in use by a run on \S+, process {os.getpid()}, since 20"
        with pytest.raises(UsageProblem, match=expected) as refused:
            create(out, **options)
        assert refused.value.exit_code == 2
    assert not (out / ".lock").exists()


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({}, True),
        ({"started": 1.0}, False),
        ({"pid": 2**22 + 1}, False),
        ({"host": "elsewhere"}, True),
        ({"host": "elsewhere", "pid": 2**22 + 1}, True),
        ({"host": "elsewhere", "heartbeat": time.time() - 301}, False),
    ],
)
def test_lock__owner_is_alive_by_process_here_and_by_heartbeat_elsewhere(out, changes, alive):
    out.mkdir()
    write_lock(out, **changes)
    if alive:
        with pytest.raises(UsageProblem, match="in use by a run"):
            create(out)
    else:
        create(out).abandon()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "x"}'])
def test_lock__that_is_damaged_counts_as_dead(out, text):
    out.mkdir()
    (out / ".lock").write_text(text)
    create(out).abandon()


def test_lock__renews_its_heartbeat(out, monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.01)
    with create(out) as results:
        first = run_lock.read_owner(results.folder)["heartbeat"]
        deadline = time.time() + 10
        while run_lock.read_owner(results.folder)["heartbeat"] == first:
            assert time.time() < deadline
    assert not out.exists()


def test_lock__that_was_taken_over_stops_the_first_run(out):
    results = create(out)
    write_lock(out)
    with pytest.raises(UsageProblem, match="taken over by another run"):
        results.update_status({"blocks": 1})
    results.abandon()
    assert json.loads((out / ".lock").read_text())["token"] == "other"

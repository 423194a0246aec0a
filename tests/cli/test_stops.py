"""Runs that end by a signal leave nothing behind and name the command that goes on."""

import os
import signal
import time
from urllib.request import urlopen

import psutil
import pytest

from tests.cli import drill
from tests.cli.fake_application import read

pytestmark = pytest.mark.slow
CLUSTER = ("--executor", "tasks", "--nworkers", "2", "--dashboard-address", "127.0.0.1:0")


@pytest.fixture
def scene(tmp_path):
    """A run with two workers in the middle of its tasks: (process, link of its dashboard)."""
    process = drill.start(*CLUSTER, "--naptime", "0.2", cwd=tmp_path)
    link = drill.line_of(process, "dashboard")
    time.sleep(1.0)  # tasks are under way
    yield process, link
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_signal__closes_all_and_names_the_command(scene, tmp_path, number, code, name):
    process, _ = scene
    segments = drill.shared_memory()
    started = time.monotonic()
    os.killpg(process.pid, number)  # a terminal sends Ctrl-C to the whole group
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert time.monotonic() - started < 8
    assert out == ""
    assert err.splitlines()[-2:] == [
        f"Stopped by {name}.",
        "Finished blocks are kept. Go on with: whorl run fake numbers.txt -o out "
        + " ".join([*CLUSTER, "--naptime", "0.2", "--resume"]),
    ]
    assert drill.wait_until(lambda: drill.members(process.pid) == [])
    assert drill.leftovers(tmp_path) == set()
    assert drill.wait_until(lambda: drill.shared_memory() <= segments)
    assert not (tmp_path / "out" / ".lock").exists()


def test_second_signal__ends_at_once(scene):
    process, _ = scene
    process.send_signal(signal.SIGSTOP)  # both arrive before the first is handled
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=10)
    assert process.returncode in (130, 143)
    assert drill.wait_until(lambda: drill.members(process.pid) == [])


def test_kill__leaves_nothing_after_the_next_command(scene, tmp_path):
    process, _ = scene
    process.kill()
    process.communicate(timeout=10)
    assert drill.wait_until(lambda: drill.members(process.pid) == [])
    again = drill.start(*CLUSTER, "--resume", cwd=tmp_path)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert read(tmp_path / "out")["status"] == "complete"
    assert drill.leftovers(tmp_path) == set()


def test_success__leaves_only_the_result(tmp_path):
    segments = drill.shared_memory()
    process = drill.start(*CLUSTER, cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert drill.wait_until(lambda: drill.members(process.pid) == [])
    assert drill.leftovers(tmp_path) == set()
    assert drill.wait_until(lambda: drill.shared_memory() <= segments)
    assert not any(p.name.startswith(".") for p in (tmp_path / "out").iterdir())


def test_run__listens_on_the_loopback_only_and_serves_the_dashboard(scene):
    process, link = scene
    listening = [
        connection.laddr
        for member in drill.members(process.pid)
        for connection in member.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3  # scheduler, dashboard, workers
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert link.startswith("http://127.0.0.1:")
    pages = {}
    for page in ("status", "metrics"):
        with urlopen(link.replace("status", page), timeout=20) as answer:
            pages[page] = answer.read()
    assert b"Bokeh" in pages["status"]
    assert b"dask_scheduler_workers" in pages["metrics"]

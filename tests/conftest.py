"""Fixtures for all tests: seeds, one local cluster per session, and a look for leftovers."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

SESSION_FILTERS = [
    # a cluster whose close was cut short on purpose, collected in the midst of some later test;
    # what it may have left behind (processes, sockets, scratch) is what `nothing_left` looks for
    "ignore:unclosed cluster:ResourceWarning",
    # distributed's own timers and sockets, collected after a worker was killed on purpose
    "ignore:unclosed.*socket:ResourceWarning:distributed",
    "ignore:Port .* is already in use:UserWarning:distributed",
]


def pytest_configure(config):
    for line in SESSION_FILTERS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(autouse=True)
def seeds():
    """Legacy global state of libraries that draw from it; our own code takes generators."""
    np.random.seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def cluster():
    """An engine of two local workers with one thread each, shared by the session. Do not kill
    its workers and do not close it."""
    from pipelines.engine import connect

    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        yield engine


@pytest.fixture(scope="session")
def gang(cluster):
    """A gang engine on the same workers. Do not kill them and do not close it."""
    from pipelines.engine import connect

    with connect("gang", scheduler=cluster.client.scheduler.address) as engine:
        yield engine


@pytest.fixture
def nothing_left():
    """Fails when the test leaves a process, a listening socket, scratch or a semaphore of ours."""
    before = leftovers()
    yield
    deadline = time.monotonic() + 5
    while (left := leftovers() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def leftovers():
    """Names of what this process holds outside itself."""
    me = psutil.Process()
    found = set()
    for child in me.children(recursive=True):
        try:
            command = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "resource_tracker" not in command:  # of Python itself, ends with us
            found.add(f"process {child.pid} {command[:80]}")
    for connection in me.net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN:
            found.add(f"listens on {connection.laddr}")
    mark = f"-{os.getpid()}-"
    found |= {f"scratch {path}" for path in _ours_by_name() if mark in path.name}
    return found


def _ours_by_name():
    return [*Path(tempfile.gettempdir()).glob("whorl-*"), *Path("/dev/shm").glob("sem.whorl-*")]

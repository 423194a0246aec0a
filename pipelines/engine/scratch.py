"""Temporary folders and semaphores whose name carries their owner, so leftovers can be removed.

A command that was killed with SIGKILL cannot clean up. The next one on this host removes the
things of owners that are gone. A process number alone is not enough (numbers are used again):
the start time of the process is in the name too.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

import psutil

_NAME = re.compile(r"whorl-(?P<host>.+)-(?P<pid>\d+)-(?P<start>\d+)-[^-]*")
SEMAPHORES = Path("/dev/shm")  # on Linux; elsewhere they have no path, and none is found
_CLOCK_SLACK_S = 2  # the boot time that start times are counted from may be corrected by NTP


def make() -> Path:
    """A new folder (mode 700) under the system's temporary folder, named after this process."""
    return Path(tempfile.mkdtemp(prefix=owner_name() + "-"))


def owner_name() -> str:
    """whorl-HOST-PID-START of this process."""
    pid = os.getpid()
    return f"whorl-{_host()}-{pid}-{int(psutil.Process(pid).create_time())}"


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers() -> list[Path]:
    """Remove what this user's dead processes on this host left; returns the paths."""
    folders = [path for path in Path(tempfile.gettempdir()).glob("whorl-*") if path.is_dir()]
    removed = []
    for path in folders + list(SEMAPHORES.glob("sem.whorl-*")):
        match = _NAME.fullmatch(path.name.removeprefix("sem."))
        if match is None or match["host"] != _host() or not _is_mine(path):
            continue
        if not is_alive(int(match["pid"]), float(match["start"])):
            remove(path)
            removed.append(path)
    return removed


def is_alive(pid: int, started: float) -> bool:
    """Whether the process `pid` that started then (seconds since the epoch) still runs."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - started) <= _CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _is_mine(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not path.is_symlink()


def _host() -> str:
    return re.sub(r"[^\w.]", "_", socket.gethostname())

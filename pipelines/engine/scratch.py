"""Private temporary folders whose name carries their owner, so that leftovers can be removed.

A command that was killed with SIGKILL cannot clean up. The next one on this host removes the
folders of owners that are gone. A process number alone is not enough (numbers are used again):
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
_CLOCK_SLACK_S = 2  # the boot time that start times are counted from may be corrected by NTP


def make() -> Path:
    """A new folder (mode 700) under the system's temporary folder, named after this process."""
    pid = os.getpid()
    prefix = f"whorl-{_host()}-{pid}-{int(psutil.Process(pid).create_time())}-"
    return Path(tempfile.mkdtemp(prefix=prefix))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers() -> list[Path]:
    """Remove the folders of this user whose owner on this host is dead; returns them."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob("whorl-*"):
        match = _NAME.fullmatch(folder.name)
        if match is None or match["host"] != _host() or not _is_mine(folder):
            continue
        if not is_alive(int(match["pid"]), float(match["start"])):
            remove(folder)
            removed.append(folder)
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


def _is_mine(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink()


def _host() -> str:
    return re.sub(r"[^\w.]", "_", socket.gethostname())

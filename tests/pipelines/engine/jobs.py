"""Functions that the tests send to workers; they live in a module so that workers import them."""

import os
import time
from pathlib import Path


def key(item):
    return f"test-job-{item[0]}-{item[1]}"


def total(item, extra):
    return sum(item) + extra


def look_up(item, table):
    return table.value[item[0]]


def fail(item, error):
    raise error


def fail_until(item, folder, attempt):
    """Fails in all attempts before number `attempt`; attempts are counted in files."""
    path = Path(folder, key(item))
    with path.open("a") as file:
        file.write("x")
    done = len(path.read_text())
    if done < attempt:
        raise RuntimeError(f"attempt {done}")
    return done


class DiskFull(Exception):
    exit_code = 4


def fail_unpicklable(item):
    class Unpicklable(Exception):
        pass

    raise Unpicklable("a local class")


def pid_after(item, seconds):
    time.sleep(seconds)
    return os.getpid()

"""Functions that the tests send to workers; they live in a module so that workers import them."""

import os
import signal
import threading
import time
from pathlib import Path

from pipelines.engine import given


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


def thread_after(item, seconds):
    time.sleep(seconds)
    return threading.get_ident()


def die(item):
    os.kill(os.getpid(), signal.SIGKILL)


_warm = []


def mark_warm():
    """Slow on purpose: a worker that took tasks before it ended would be found out."""
    time.sleep(0.5)
    _warm.append(True)
    return os.getpid()


def warm_value(item, table):
    return bool(_warm), int(table.value[item[0]])


async def close_scheduler(engine):
    await engine.end.__self__._cluster.scheduler.close()


def plugin_names(dask_scheduler):
    return list(dask_scheduler.worker_plugins)


def no_patience():
    given.TOKEN_S = 0

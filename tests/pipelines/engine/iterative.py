"""Functions of small iterations that the tests send to workers."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.engine import Partition, Stop, Then


def load(source):
    """Numbers of very different size, so that every other order of summing gives other bits."""
    seed, rows = source
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 4)) * 10.0 ** rng.integers(-8, 9, (rows, 4))


def sources(n=13):
    return [(seed, 5 + seed % 4) for seed in range(n)]


def count_reads(source):
    """load(), and a letter in a file for each time that it was called."""
    folder, *rest = source
    with Path(folder, str(rest[0])).open("a") as file:
        file.write("x")
    return load(rest)


def sums(partition, state, *args):
    return (partition.data * state).sum(axis=0)


def add(state, total, *args):
    return state * 0.5 + total / (1.0 + np.abs(total).max())


def settled(before, after):
    return bool(np.abs(after - before).max() < 1e-3)


def largest(state):
    return {"largest": np.abs(state).max()}


START = np.array([1.0, 2.0, 3.0, 4.0])


def expected(n, n_iter, state=START):
    """The same by definition: pairwise sums over neighbours, level by level."""
    data = [load(source) for source in sources(n)]
    for _ in range(n_iter):
        level = [(block * state).sum(axis=0) for block in data]
        while len(level) > 1:
            level = [sum(level[k + 1 : k + 2], level[k]) for k in range(0, len(level), 2)]
        state = add(state, level[0])
    return state


class Counted(NamedTuple):
    """A state with a counter, an array and a text."""

    n: int
    values: np.ndarray
    said: str = ""


def count_map(partition, state, *args):
    return partition.data.sum(axis=0), np.array([state.n])


def count_update(state, total, *args):
    """Goes to the other job at 3, ends at 6."""
    values = state.values + total[0]
    if state.n == 3 and not state.said:
        return Then("other", Counted(state.n, values, "then"))
    after = Counted(state.n + 1, values, state.said)
    return Stop(after) if after.n == 6 else after


def other_update(state, total, *args):
    return Then("first", Counted(state.n, -state.values + total[0], state.said + "back"))


def poison(partition, state, index):
    if partition.index == index:
        raise ArithmeticError("poisoned")
    return partition.data.sum(axis=0)


def raise_until(partition, state, folder, attempt):
    """Partition 2 raises until it was tried `attempt` times."""
    if partition.index == 2:
        path = Path(folder, "tries")
        with path.open("a") as file:
            file.write("x")
        if path.stat().st_size < attempt:
            raise OSError("not yet")
    return partition.data.sum(axis=0)


def raising_update(state, total):
    raise ZeroDivisionError("no merge")


def writes_into_state(state, total, *args):
    state += total
    return state


def die_once(partition, state, folder):
    """The process that maps partition 2 in the third iteration is killed, the first time only."""
    path = Path(folder, "died")
    if partition.index == 2 and state[0] == 2.0 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return np.array([1.0, partition.data.sum() * state[0]])


def one_more(state, total, *args):
    return np.array([state[0] + 1.0, total[1]])


def die_always(partition, state, *args):
    if partition.index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros(1)


def slow_map(partition, state, seconds):
    time.sleep(seconds)
    return sums(partition, state)


def describe(partition, extra):
    assert isinstance(partition, Partition)
    return partition.index, float(partition.data.sum()), extra


def remembers(partition):
    """How often this was called on the same partition in memory."""
    partition.memory["calls"] = partition.memory.get("calls", 0) + 1
    return partition.memory["calls"]


def looked_up(partition, table):
    return table.value[partition.index]


def pid(partition):
    return os.getpid()


def fail_partition(partition, index, error):
    if partition.index == index:
        raise error
    return partition.index

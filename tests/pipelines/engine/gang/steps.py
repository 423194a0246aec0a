"""Functions that the tests of gangs send to workers."""

import os
import time

import numpy as np

from pipelines.engine.gang.links import GangBroken


def load(source):
    return np.random.default_rng(source).normal(size=(50, 4)) * 10.0 ** (source % 9 - 4)


def means(partition, state, *args):
    return (partition.data * state).sum(axis=0), np.array([float(len(partition.data))])


def update(state, total, *args):
    return state * 0.5 + total[0] / (1.0 + np.abs(total[0]).max())


def expected(n, n_iter):
    from tests.pipelines.engine.iterative import START

    data, state = [load(source) for source in range(n)], START
    for _ in range(n_iter):
        level = [(block * state).sum(axis=0) for block in data]
        while len(level) > 1:
            level = [sum(level[k + 1 : k + 2], level[k]) for k in range(0, len(level), 2)]
        state = update(state, (level[0],))
    return state


def slow_means(partition, state, seconds):
    time.sleep(seconds)
    return means(partition, state)


def uneven_means(partition, state, slow_pid, seconds):
    """One process needs longer than the others."""
    time.sleep(seconds if os.getpid() == slow_pid else seconds / 20)
    return means(partition, state)


def clock(state, total):
    """What an update must not do."""
    return np.full_like(state, time.time_ns() % 2**40 + os.getpid())


def other_shape(partition, state):
    return np.zeros(3 + (partition.index > 0))


def describe(comm, partitions, factor):
    """A step of a user: who is here, and a sum over all partitions."""
    assert [partition.index for partition in partitions] == comm.mine
    total = comm.allreduce({p.index: p.data.sum(axis=0) * factor for p in partitions})
    return comm.rank, comm.size, comm.gather(os.getpid()), total


def raise_on_last(comm, partitions):
    if comm.rank == comm.size - 1:
        raise ArithmeticError("the last rank")
    comm.barrier()


def pid_of(partition):
    return os.getpid()


def hold(seconds):
    time.sleep(seconds)
    return os.getpid()


def doors_and_threads(dask_worker):
    """Of a worker: seats, and threads of gangs."""
    import threading

    seats = [name for name in dask_worker.extensions if name.startswith("gang-")]
    names = [thread.name for thread in threading.enumerate()]
    return len(seats), sum(name.startswith(("gang", "leaves")) for name in names)


def broken(comm, partitions):
    raise GangBroken((0,), "for the test")

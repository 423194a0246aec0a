"""Ranks in threads of this process, linked by socket pairs: what the tests of collectives use."""

import socket
import threading
import time

from pipelines.engine.gang.comm import Comm
from pipelines.engine.gang.links import Links

TAG = b"test-run"


def linked(size, timeout=10.0, tags=None):
    """Links of each rank, all to all."""
    sockets = [{} for _ in range(size)]
    for high in range(size):
        for low in range(high):
            sockets[high][low], sockets[low][high] = socket.socketpair()
    return [
        Links(rank, size, sockets[rank], tags[rank] if tags else TAG, timeout)
        for rank in range(size)
    ]


def together(links, function):
    """[function(links of rank, rank) for each rank] at the same time, in threads. What a rank
    raises is its result; its links are closed then, as every rank's are in the end."""
    results = [None] * len(links)

    def one(rank):
        with links[rank]:
            try:
                results[rank] = function(links[rank], rank)
            except Exception as error:
                results[rank] = error

    threads = [
        threading.Thread(target=one, args=(rank,), name=f"rank-{rank}")
        for rank in range(len(links))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a rank hangs"
    return results


def run(owners, size, function):
    """[function(comm) for each rank]; raises what the first rank raised."""
    results = together(linked(size), lambda links, rank: function(Comm(links, owners)))
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def is_clean(before):
    """Whether nothing is open and nothing runs beside what was before, within five seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        now = open_now()
        if now[0] <= before[0] and now[1] == before[1]:
            return True
        time.sleep(0.01)
    return False


def open_now():
    """Number of open files, and names of the threads of ours."""
    import psutil

    names = sorted(t.name for t in threading.enumerate() if t.name.startswith(("gang", "rank")))
    return psutil.Process().num_fds(), names

"""Messages: what is refused, who is suspected, and that a failure runs through the gang."""

import os
import threading
import time

import numpy as np
import pytest

from pipelines.engine.gang import letters
from pipelines.engine.gang.comm import Comm
from pipelines.engine.gang.links import GangBroken, Head, Inbox, Scattered, Unknown
from tests.pipelines.engine.gang import mesh


@pytest.fixture(autouse=True)
def nothing_open():
    """Fails when a test leaves a socket or a thread."""
    before = mesh.open_now()
    yield
    assert mesh.is_clean(before)


def swap(links, rank, pieces, box, head=Head()):  # noqa: B008
    return links.exchange({1 - rank: pieces}, {1 - rank: box}, head)


@pytest.mark.parametrize("nbytes", [0, 1, 1000, 5_000_000])
def test_both_ways_at_once__any_size_arrives_whole(nbytes):
    def one(links, rank):
        out = np.full(nbytes, rank + 1, np.uint8)
        box = Inbox(nbytes)
        heads = swap(links, rank, [out] if nbytes else [], box, Head(rank, 0.5 * rank, 2.0))
        assert heads == {0: Head(0, 0.0, 2.0), 1: Head(1, 0.5, 2.0)}
        return bool((box.body == 2 - rank).all())

    assert mesh.together(mesh.linked(2), one) == [True, True]


def test_pieces__are_put_together_and_taken_apart():
    pieces = [np.arange(k, dtype=np.float32) for k in range(1, 400)]

    def one(links, rank):
        found = [np.zeros_like(piece) for piece in pieces]
        swap(links, rank, pieces, Scattered(found))
        return all(np.array_equal(a, b) for a, b in zip(found, pieces, strict=True))

    assert mesh.together(mesh.linked(2), one) == [True, True]


def test_unknown_sizes__are_told_by_the_head():
    def one(links, rank):
        box = Unknown()
        swap(links, rank, letters.pack({"x": np.arange(10 * rank)}), box)
        return letters.unpack(box.body)["x"].tolist()

    assert mesh.together(mesh.linked(2), one) == [list(range(10)), []]


def test_letters__keep_arrays_writable_and_aligned():
    value = {"a": np.arange(3, dtype=np.int8), "b": (np.ones((2, 3), order="F"), "text")}
    body = np.frombuffer(bytearray(b"".join(map(bytes, letters.pack(value)))), np.uint8)
    found = letters.unpack(body)
    found["b"][0][:] += 1
    assert found["b"][0].flags.aligned
    assert found["b"][0].tolist() == [[2.0] * 3] * 2
    assert found["a"].tolist() == [0, 1, 2]


def test_message_of_another_run__is_refused():
    links = mesh.linked(2, tags=[b"old run!", b"new run!"])
    found = mesh.together(links, lambda links, rank: swap(links, rank, [], Inbox(0)))
    assert "another run" in str(found[0]) or "another run" in str(found[1])
    assert all(isinstance(error, GangBroken) for error in found)


def test_rank_that_is_ahead__is_refused():
    def one(links, rank):
        if rank == 1:
            links.exchange({}, {}, Head())
        return swap(links, rank, [], Inbox(0))

    found = mesh.together(mesh.linked(2), one)
    assert "at exchange 1, we are at 0" in str(found[0]) or "closed" in str(found[0])
    assert any("at exchange" in str(error) for error in found)


def test_message_of_another_size__is_refused():
    found = mesh.together(
        mesh.linked(2), lambda links, rank: swap(links, rank, [b"xx"], Inbox(2 + rank))
    )
    assert "sent 2 bytes where 3 were expected" in str(found[1])


@pytest.mark.parametrize("size", [2, 3, 5])
def test_rank_that_ends__breaks_all_others_within_a_second(size):
    began = time.monotonic()

    def one(links, rank):
        comm = Comm(links, [0])
        comm.barrier()
        if rank == size - 1:
            return "gone"
        for _ in range(10):
            comm.barrier()
        return "never"

    found = mesh.together(mesh.linked(size), one)
    assert found[-1] == "gone"
    assert all(isinstance(error, GangBroken) and error.closed for error in found[:-1])
    assert time.monotonic() - began < 1


def test_half_a_message__breaks_the_receiver():
    def one(links, rank):
        if rank == 1:
            links._sockets[0].send(b"test-run" + bytes(20))
            return None
        return links.exchange({}, {1: Inbox(100)}, Head())

    found = mesh.together(mesh.linked(2), one)
    assert isinstance(found[0], GangBroken)
    assert found[0].suspects == (1,)


def test_silent_rank__is_the_suspect_and_not_those_that_wait_too():
    done = threading.Event()

    def one(links, rank):
        if rank == 2:
            done.wait(10)
            return None
        try:
            Comm(links, [0]).barrier()
        finally:
            done.set() if rank == 0 else None
        return "never"

    links = mesh.linked(3, timeout=0.3)
    links[1].timeout = 0.6
    found = mesh.together(links, one)
    assert (found[0].suspects, found[0].closed) == ((2,), False)
    assert "nothing heard for 0 s" in found[0].reason
    assert found[1].suspects in ((0,), (2,))  # whichever closed first


def test_slow_but_steady__is_not_silent():
    def one(links, rank):
        if rank == 1:
            letter = mesh.TAG + bytes(4 + 4 + 8 + 8) + (300).to_bytes(8, "little")
            for octet in letter.ljust(64, b"\0") + bytes(range(100)) * 3:
                links._sockets[0].send(bytes([octet]))
                time.sleep(0.002)
            return None
        box = Inbox(300)
        links.exchange({}, {1: box}, Head())
        return box.body.tolist()

    found = mesh.together(mesh.linked(2, timeout=0.25), one)
    assert found[0] == list(range(100)) * 3


def test_abort__wakes_a_rank_that_waits():
    waits = threading.Event()

    def one(links, rank):
        if rank == 1:
            waits.wait(10)
            time.sleep(0.05)
            links.abort()
            return None
        waits.set()
        return links.exchange({}, {1: Inbox(8)}, Head())

    began = time.monotonic()
    found = mesh.together(mesh.linked(2), one)
    assert isinstance(found[0], GangBroken)
    assert time.monotonic() - began < 2


def test_more_ranks_than_cores__do_not_starve():
    size = 4 * (os.cpu_count() or 1)

    def one(links, rank):
        comm = Comm(links, [0])
        return [sum(comm.allgather(rank)) for _ in range(20)]

    found = mesh.together(mesh.linked(size), one)
    assert found == [[size * (size - 1) // 2] * 20] * size

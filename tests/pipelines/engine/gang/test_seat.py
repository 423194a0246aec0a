"""Who is let in: ranks that prove the run's secret, in time, and nobody who stands in the way."""

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import dask
import pytest
from distributed import Security

from pipelines.engine.gang import door as door_module
from pipelines.engine.gang import hello
from pipelines.engine.gang.comm import Comm
from pipelines.engine.gang.hello import HELLO, MARK, Ticket
from pipelines.engine.gang.links import Links
from pipelines.engine.gang.seat import PORTS, NotAssembled, Seat, meet, port_range, seat_address
from tests.pipelines.engine.gang import mesh

TLS = Security.temporary()


@contextlib.contextmanager
def seats(count, protocol="tcp", ports=None, local=True):
    """Seats as workers have them, on this machine's own interface."""
    before = mesh.open_now()
    workers = [
        SimpleNamespace(address=f"{protocol}://127.0.0.1:1", security=TLS, extensions={})
        for _ in range(count)
    ]
    made = [Seat("gang-test", ports, local) for _ in workers]
    for seat, worker in zip(made, workers, strict=True):
        seat.setup(worker)
    try:
        yield made
    finally:
        for seat, worker in zip(made, workers, strict=True):
            seat.teardown(worker)
        assert not any(worker.extensions for worker in workers)
    assert mesh.is_clean(before)


def come(made, tickets, seconds=5.0, step=lambda comm: comm.allgather(comm.rank)):
    """What each rank gets to know: the result of step, or NotAssembled."""
    addresses = [seat.address() for seat in made]
    found = [None] * len(made)

    def one(rank):
        try:
            until = time.monotonic() + seconds
            sockets = meet(made[rank], tickets[rank], rank, addresses, until)
        except NotAssembled as missed:
            found[rank] = missed
            return
        with Links(rank, len(made), sockets, tickets[rank].run[:8], 5.0) as links:
            found[rank] = step(Comm(links, [0]))

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(made))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return found


WAYS = [("tcp", False), ("tcp", True), ("tls", True)]


@pytest.mark.parametrize(("protocol", "local"), WAYS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_ranks_with_one_ticket__meet(size, protocol, local):
    with seats(size, protocol, local=local) as made:
        assert come(made, [Ticket()] * size) == [list(range(size))] * size


@pytest.mark.parametrize(("protocol", "local"), WAYS)
def test_way__is_of_unix_sockets_on_one_host_without_tls_only(protocol, local):
    def families(comm):
        return [sock.family for sock in comm.links._sockets.values()]

    family = socket.AF_UNIX if (protocol, local) == ("tcp", True) else socket.AF_INET
    with seats(3, protocol, local=local) as made:
        assert come(made, [Ticket()] * 3, step=families) == [[family] * 2] * 3


def test_other_network_namespace__is_reached_over_tcp():
    with seats(2) as made:
        host, port, _ = made[0].door.address
        made[0].door.address = (host, port, "whorl-gang-of-somewhere-else")
        assert come(made, [Ticket()] * 2) == [[0, 1]] * 2


@pytest.mark.parametrize(("protocol", "local"), WAYS)
def test_any_way__carries_large_messages_both_ways(protocol, local):
    with seats(2, protocol, local=local) as made:
        step = lambda comm: len(comm.allgather(bytes(3_000_000))[1 - comm.rank])  # noqa: E731
        assert come(made, [Ticket()] * 2, step=step) == [3_000_000] * 2


def test_several_runs__meet_at_the_same_doors():
    found = {}
    with seats(3) as made:

        def one(number):
            found[number] = come(made, [Ticket()] * 3, step=lambda c: c.allgather(number))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert found == {number: [[number] * 3] * 3 for number in range(4)}


def test_wrong_secret__is_not_let_in():
    ticket = Ticket()
    with seats(2) as made:
        found = come(made, [ticket, Ticket(run=ticket.run)], 0.5)
    assert [missed.missing for missed in found] == [(1,), (0,)]


def test_wrong_run__is_not_let_in():
    ticket = Ticket()
    with seats(2) as made:
        found = come(made, [ticket, Ticket(secret=ticket.secret)], 0.4)
    assert [missed.missing for missed in found] == [(1,), (0,)]


def test_tls_door__lets_nobody_in_without_tls():
    with seats(2, "tls") as made:
        made[1].calling = None
        found = come(made, [Ticket()] * 2, 0.5)
    assert all(isinstance(missed, NotAssembled) for missed in found)


def answer_to(address, data, seconds=5.0):
    """What a stranger that says `data` hears until it is closed."""
    with socket.create_connection(address[:2], timeout=seconds) as stranger:
        with contextlib.suppress(OSError):
            stranger.sendall(data)
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while got := stranger.recv(1000):
                heard += got
        return heard


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: whoever\r\n\r\n" * 10,
        b"\0" * 1000,
        HELLO.pack(b"xxxx", bytes(16), 1, 0, bytes(32)),
    ],
)
def test_strangers__are_closed_without_a_word(data):
    with seats(1) as made:
        began = time.monotonic()
        assert answer_to(made[0].address(), data) == b""
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("called", [1, 3])
def test_rank_that_has_no_reason_to_call__is_closed(called, monkeypatch):
    monkeypatch.setattr(door_module, "HELLO_S", 0.2)
    ticket = Ticket()
    with seats(1) as made, made[0].door.expect(ticket, 2):
        data = HELLO.pack(MARK, ticket.run, called, 2, bytes(32))
        heard = answer_to(made[0].address(), data)
        assert bool(heard) == (called == 3)  # its proof is awaited, and never comes


def test_silent_callers__go_after_a_while_and_block_nobody(monkeypatch):
    monkeypatch.setattr(door_module, "HELLO_S", 0.3)
    monkeypatch.setattr(door_module, "HELD_S", 0.3)
    monkeypatch.setattr(door_module, "MOST_CALLERS", 20)
    unknown = HELLO.pack(MARK, bytes(16), 1, 0, bytes(32))
    with seats(2) as made, contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection(made[0].address()[:2], timeout=5))
            for _ in range(60)
        ]
        for stranger in strangers[::2]:
            stranger.sendall(unknown[: 20 if stranger is strangers[0] else None])
        assert come(made, [Ticket()] * 2) == [[0, 1]] * 2
        assert [stranger.recv(10) for stranger in strangers] == [b""] * 60


def test_rank_that_comes_twice__is_let_in_once():
    ticket = Ticket()
    with seats(1) as made, made[0].door.expect(ticket, 0) as arrivals:
        callers = []
        for _ in range(2):
            caller = socket.create_connection(made[0].address()[:2], timeout=5)
            until = time.monotonic() + 5
            hello.drive(hello.call(caller, ticket, 1, 0), caller, until, lambda: False)
            callers.append(caller)
        assert callers[1].recv(1) == b""
        taken = arrivals.take({1}, time.monotonic() + 5)
        assert set(taken) == {1}
        for sock in (*callers, *taken.values()):
            sock.close()


def test_rank_that_never_comes__is_named_and_the_others_are_free_again():
    ticket = Ticket()
    with seats(3) as made:
        addresses = [seat.address() for seat in made]
        began = time.monotonic()
        with pytest.raises(NotAssembled, match="ranks \\[1, 2\\]") as missed:
            meet(made[0], ticket, 0, addresses, began + 0.3)
        assert missed.value.missing == (1, 2)
        with pytest.raises(NotAssembled):  # too late
            meet(made[1], ticket, 1, addresses, time.monotonic() + 0.3)
        assert time.monotonic() - began < 2


def test_abort__ends_the_wait_at_once_and_for_later_ranks_too():
    ticket = Ticket()
    with seats(2) as made:
        addresses = [seat.address() for seat in made]
        timer = threading.Timer(0.1, made[0].abort, (ticket.run,))
        timer.start()
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(NotAssembled):
                meet(made[0], ticket, 0, addresses, began + 10)
        assert time.monotonic() - began < 3
        timer.join()


def test_dead_worker__is_missing_at_once():
    with seats(2) as made:
        addresses = [seat.address() for seat in made]
        made[0].door.close()
        began = time.monotonic()
        with pytest.raises(NotAssembled) as missed:
            meet(made[1], Ticket(), 1, addresses, began + 10)
        assert missed.value.missing == (0,)
        assert time.monotonic() - began < 2


def test_door__closes_when_no_run_comes_and_opens_on_demand(monkeypatch):
    monkeypatch.setattr(door_module, "IDLE_S", 0.1)
    with seats(1) as made:
        first = made[0].door
        first._ring()
        first._thread.join(timeout=5)
        assert first.closed
        monkeypatch.setattr(door_module, "IDLE_S", 100)
        assert come(made, [Ticket()]) == [[0]]
        assert not made[0].door.closed


def test_ports__are_taken_from_the_range():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with dask.config.set({PORTS: f"{port}:{port + 20}"}), seats(2) as made:
            ports = [seat.address()[1] for seat in made]
            assert len(set(ports)) == 2
            assert all(port < one <= port + 20 for one in ports)
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port} to {port}"):
            door_module.Door("127.0.0.1", range(port, port + 1))


def test_worker_without_a_free_port__says_so_when_asked():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = SimpleNamespace(address="tcp://127.0.0.1:1", security=TLS, extensions={})
        for ports, says in ((port, f"cannot listen on 127.0.0.1 port {port}"), ("x", "FIRST:LAST")):
            seat = Seat("gang-test", ports)
            seat.setup(worker)
            assert says in seat_address("gang-test", worker)
            seat.teardown(worker)
    assert seat_address("gang-test", worker) is None


@pytest.mark.parametrize("ports", ["x", "9:1", "0", "1:70000", ""])
def test_port_range__refuses_nonsense(ports):
    with pytest.raises(ValueError, match="must be a port or FIRST:LAST"):
        port_range(ports)


def test_port_range__takes_one_or_both_ends():
    assert port_range(None) is None
    assert port_range(9000) == range(9000, 9001)
    assert port_range("9000:9002") == range(9000, 9003)


def test_state_of_the_last_chunk__is_given_back_once_and_for_its_token_only():
    seat = Seat("gang-test")
    seat.keep("one", [1])
    assert seat.take("one") == ([1],)
    assert seat.take("one") == ()
    seat.keep("two", [2])
    assert seat.take("one") == ()

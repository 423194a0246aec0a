"""What a worker needs to take part in gangs: a door that other ranks knock at.

A seat belongs to one engine and rides on every worker as a plugin of Dask. It also keeps the state
that the last chunk ended with, so that the next one need not be sent it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

import dask
from distributed import Worker, WorkerPlugin, get_worker
from distributed.comm import get_address_host

from pipelines.engine.gang.door import Arrivals, Door
from pipelines.engine.gang.hello import Refused, Ticket, call, drive

PORTS = "whorl.gang.ports"  # in Dask's configuration: 9000, or "9000:9100" with both ends
Address = tuple[str, int]


class NotAssembled(Exception):
    """Ranks that did not come in time: their workers are busy, stopped or dead."""

    def __init__(self, missing: Sequence[int]):
        super().__init__(f"ranks {sorted(missing)} did not come")
        self.missing = tuple(sorted(missing))


class Seat(WorkerPlugin):
    """name: of the plugin, one per engine. ports: as in the driver's configuration."""

    def __init__(self, name: str, ports: str | int | None = None):
        self.name, self.ports = name, ports
        self.kept: tuple[str, Any] | None = None  # token and state of the last chunk

    def setup(self, worker: Worker) -> None:
        ports = port_range(dask.config.get(PORTS, None) or self.ports)
        where = (str(get_address_host(worker.address)), ports)
        accepting: ssl.SSLContext | None = None
        self.calling: ssl.SSLContext | None = None
        if worker.address.startswith("tls://"):
            self.calling = worker.security.get_connection_args("worker")["ssl_context"]
            accepting = worker.security.get_listen_args("worker")["ssl_context"]
            # a caller that only ever sends would leave the ticket unread, and its end would then
            # reset the connection and lose what was sent last
            accepting.num_tickets = 0
        self._open_door = lambda: Door(*where, accepting)
        self.door = self._open_door()
        worker.extensions[self.name] = self

    def teardown(self, worker: Worker) -> None:
        worker.extensions.pop(self.name, None)
        self.kept = None
        self.door.close()

    def address(self) -> Address:
        """Where the door is; one that closed for want of runs is opened again."""
        if self.door.closed:
            self.door = self._open_door()
        return self.door.address

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "ports": self.ports, "kept": None}


def seat_here(name: str) -> Seat | None:
    """The seat of this worker, None while there is none."""
    found: Seat | None = get_worker().extensions.get(name)
    return found


def seat_address(name: str) -> Address | None:
    """For client.run: where the other ranks reach this worker."""
    seat = seat_here(name)
    return seat.address() if seat is not None else None


def port_range(ports: str | int | None) -> range | None:
    """9000 -> 9000; '9000:9100' -> both ends and all between; None -> any port."""
    if ports is None:
        return None
    first, _, last = str(ports).partition(":")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found or not (found.start > 0 and found.stop <= 65536):
        raise ValueError(f"{PORTS} must be a port or FIRST:LAST, not {ports!r}")
    return found


def meet(
    door: Door,
    context: ssl.SSLContext | None,
    ticket: Ticket,
    rank: int,
    addresses: Sequence[Address],
    deadline: float,
) -> dict[int, socket.socket]:
    """A socket to each other rank of the run: this one calls those below, the others call it.

    Raises NotAssembled at the deadline (time.monotonic()); everything is closed then.
    """
    with contextlib.ExitStack() as stack, door.expect(ticket, rank) as arrivals:
        sockets: dict[int, socket.socket] = {}
        missing: set[int] = set()
        for other in range(rank):
            try:
                sockets[other] = _call(addresses[other], context, arrivals, other, deadline)
                stack.callback(sockets[other].close)
            except (OSError, Refused):
                missing.add(other)
                break
        _take_the_rest(arrivals, sockets, missing, len(addresses), deadline, stack)
        for sock in sockets.values():
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stack.pop_all()
    return sockets


def _take_the_rest(
    arrivals: Arrivals,
    sockets: dict[int, socket.socket],
    missing: set[int],
    size: int,
    deadline: float,
    stack: contextlib.ExitStack,
) -> None:
    above = set(range(arrivals.rank + 1, size))
    came = arrivals.take(above, time.monotonic() if missing else deadline)
    for sock in came.values():
        stack.callback(sock.close)
    sockets |= came
    missing |= above - came.keys() if not missing else set()
    if missing:
        raise NotAssembled(tuple(missing))


def _call(
    address: Address,
    context: ssl.SSLContext | None,
    arrivals: Arrivals,
    other: int,
    deadline: float,
) -> socket.socket:
    """Raises OSError (TimeoutError, too) or Refused."""
    left = max(0.001, deadline - time.monotonic())
    sock = socket.create_connection(address, timeout=left)
    try:
        sock.setblocking(False)
        if context is not None:
            sock = context.wrap_socket(sock, do_handshake_on_connect=False)
        talk = call(sock, arrivals.ticket, arrivals.rank, other)
        drive(talk, sock, deadline, lambda: arrivals.given_up)
    except BaseException:
        sock.close()
        raise
    return sock

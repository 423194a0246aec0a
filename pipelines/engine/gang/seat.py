"""What a worker needs to take part in gangs: a door that other ranks knock at.

A seat belongs to one engine and rides on every worker as a plugin of Dask. It also keeps the state
that the last chunk ended with, so that the next one need not be sent it.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed import Worker, WorkerPlugin, get_worker
from distributed.comm import get_address_host

from pipelines.engine.gang.door import Address, Arrivals, Door
from pipelines.engine.gang.hello import Refused, Ticket, call, drive
from pipelines.engine.gang.links import Links

PORTS = "whorl.gang.ports"  # in Dask's configuration: 9000, or "9000:9100" with both ends
BUFFER = 4 << 20
REMEMBERED = 64  # aborted runs, for tasks that start after that
TRIES, PAUSE_S = 3, 0.05  # of calling a rank whose door closes on the caller


class NotAssembled(Exception):
    """Ranks that did not come in time: their workers are busy, stopped or dead."""

    def __init__(self, missing: Sequence[int]):
        super().__init__(f"ranks {sorted(missing)} did not come")
        self.missing = tuple(sorted(missing))


class Seat(WorkerPlugin):
    """name: of the plugin, one per engine. ports: as in the driver's configuration. local: whether
    ranks of one host may talk over Unix sockets."""

    def __init__(self, name: str, ports: str | int | None = None, local: bool = True):
        self.name, self.ports, self.local = name, ports, local
        self._door: Door | None = None
        self._kept: tuple[str, Any] | None = None  # token and state of the last chunk
        self._links: dict[bytes, Links] = {}
        self._aborted: deque[bytes] = deque(maxlen=REMEMBERED)

    def setup(self, worker: Worker) -> None:
        """Never raises: a worker that cannot have a seat is told of when it is asked for it, and
        works for others."""
        self._worker, self._door = worker, None
        self.calling: ssl.SSLContext | None = None
        worker.extensions[self.name] = self
        with contextlib.suppress(OSError, ValueError):
            self.address()

    def teardown(self, worker: Worker) -> None:
        worker.extensions.pop(self.name, None)
        self._kept = None
        for run in list(self._links):
            self.abort(run)
        if self._door is not None:
            self._door.close()

    @property
    def door(self) -> Door:
        """One that closed for want of runs is opened again. OSError, ValueError: see address()."""
        if self._door is None or self._door.closed:
            self._door = self._open_door()
        return self._door

    def address(self) -> Address:
        """Where the door is. OSError when no port is free, ValueError when `ports` is nonsense."""
        return self.door.address

    def _open_door(self) -> Door:
        worker = self._worker
        ports = port_range(dask.config.get(PORTS, None) or self.ports)
        accepting: ssl.SSLContext | None = None
        if worker.address.startswith("tls://"):
            self.calling = worker.security.get_connection_args("worker")["ssl_context"]
            accepting = worker.security.get_listen_args("worker")["ssl_context"]
            # a caller that only ever sends would leave the ticket unread, and its end would then
            # reset the connection and lose what was sent last
            accepting.num_tickets = 0
        return Door(str(get_address_host(worker.address)), ports, accepting, self.local)

    def keep(self, token: str, state: Any) -> None:
        self._kept = (token, state)

    def take(self, token: str) -> tuple[Any, ...]:
        """(state,) when it is the one kept under that token; it is not kept any more then."""
        kept, self._kept = self._kept, None
        return kept[1:] if kept is not None and kept[0] == token else ()

    @contextlib.contextmanager
    def running(self, run: bytes, links: Links) -> Iterator[None]:
        """While inside, abort() reaches these links."""
        self._links[run] = links
        try:
            if run in self._aborted:
                links.abort()
            yield
        finally:
            del self._links[run]

    def is_aborted(self, run: bytes) -> bool:
        return run in self._aborted

    def abort(self, run: bytes) -> None:
        """End a run here: its rank stops assembling, or breaks off at its next exchange."""
        self._aborted.append(run)
        self.door.give_up(run)
        links = self._links.get(run)
        if links is not None:
            links.abort()


def seat_here(name: str, dask_worker: Worker | None = None) -> Seat | None:
    """The seat of this worker, None while there is none. Tasks need not name their worker."""
    worker = dask_worker or get_worker()
    found: Seat | None = worker.extensions.get(name)
    return found


def seat_address(name: str, dask_worker: Worker | None = None) -> Address | str | None:
    """For client.run: where the other ranks reach this worker, or why they do not."""
    seat = seat_here(name, dask_worker)
    try:
        return seat.address() if seat is not None else None
    except (OSError, ValueError) as error:
        return str(error)


def abort(name: str, run: bytes, dask_worker: Worker | None = None) -> None:
    """For client.run."""
    seat = seat_here(name, dask_worker)
    if seat is not None:
        seat.abort(run)


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
    seat: Seat, ticket: Ticket, rank: int, addresses: Sequence[Address], deadline: float
) -> dict[int, socket.socket]:
    """A socket to each other rank of the run: this one calls those below, the others call it.

    Raises NotAssembled at the deadline (time.monotonic()); everything is closed then.
    """
    with contextlib.ExitStack() as stack, seat.door.expect(ticket, rank) as arrivals:
        if seat.is_aborted(ticket.run):
            raise NotAssembled(())
        sockets: dict[int, socket.socket] = {}
        missing: set[int] = set()
        for other in range(rank):
            try:
                sockets[other] = _call(addresses[other], seat, arrivals, other, deadline)
                stack.callback(sockets[other].close)
            except (OSError, Refused):
                missing.add(other)
                break
        _take_the_rest(arrivals, sockets, missing, len(addresses), deadline, stack)
        for sock in sockets.values():
            _tune(sock)
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
    address: Address, seat: Seat, arrivals: Arrivals, other: int, deadline: float
) -> socket.socket:
    """Raises OSError (TimeoutError, too) or Refused. A door that too many strangers call at a time
    closes on its oldest caller, whoever that is: hence more than one try."""
    for _ in range(TRIES - 1):
        try:
            return _call_once(address, seat, arrivals, other, deadline)
        except (Refused, ConnectionResetError, BrokenPipeError):
            if arrivals.given_up or time.monotonic() + PAUSE_S > deadline:
                raise
            time.sleep(PAUSE_S)
    return _call_once(address, seat, arrivals, other, deadline)


def _call_once(
    address: Address, seat: Seat, arrivals: Arrivals, other: int, deadline: float
) -> socket.socket:
    sock = _connect(address, seat, max(0.001, deadline - time.monotonic()))
    try:
        sock.setblocking(False)
        if seat.calling is not None:
            sock = seat.calling.wrap_socket(sock, do_handshake_on_connect=False)
        talk = call(sock, arrivals.ticket, arrivals.rank, other)
        drive(talk, sock, deadline, lambda: arrivals.given_up)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(address: Address, seat: Seat, timeout: float) -> socket.socket:
    host, port, name = address
    mine, _, have = seat.address()
    if name and have and host == mine:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(f"\0{name}")
            return sock
        except OSError:  # another network namespace, in which the address is the same
            sock.close()
    return socket.create_connection((host, port), timeout=timeout)


def _tune(sock: socket.socket) -> None:
    """Send at once, and let the kernel hold more of a large message than it does by itself."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if _most_buffer() >= BUFFER:  # less would be worse than what TCP finds out by itself
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)


@functools.cache
def _most_buffer() -> int:
    """Bytes that the kernel allows a socket to ask for; 0 where it does not say."""
    try:
        return int(Path("/proc/sys/net/core/wmem_max").read_text())
    except (OSError, ValueError):
        return 0

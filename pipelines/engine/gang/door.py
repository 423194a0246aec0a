"""The listening sockets of a worker: one thread lets in who proves to belong to a run.

One socket is for all, and without TLS a second one for ranks of the same host: a Unix socket in
Linux' abstract namespace, over which a message of 80 KB costs half.

Any number of runs may be expected at the same time. Whoever says nothing, says the wrong thing or
takes too long is closed without a word, and cannot hold up anybody else: the thread never waits
for a single connection, and when too many are undecided the oldest one goes.
"""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from pipelines.engine.gang.hello import UNTIL_EXPECTED, Refused, Talk, Ticket, receive

HELLO_S = 3.0  # for the hello and, once the run is expected, for the rest
HELD_S = 15.0  # a caller may come so long before the rank it calls
MOST_CALLERS = 256  # undecided at a time
IDLE_S = 900.0  # no run for so long: its driver is gone

Address = tuple[str, int, str]


class Arrivals:
    """The connections of one run that other ranks opened to this one. Closes what is not taken."""

    def __init__(self, door: Door, ticket: Ticket, rank: int):
        self.ticket, self.rank = ticket, rank
        self._door = door
        self._changed = threading.Condition()
        self._sockets: dict[int, socket.socket] = {}
        self._open = True
        self.given_up = False

    def give_up(self) -> None:
        """Some rank will never come: take() returns at once."""
        with self._changed:
            self.given_up = True
            self._changed.notify()

    def put(self, rank: int, sock: socket.socket) -> bool:
        """Whether it was wanted: not a second one of the same rank, and not too late."""
        with self._changed:
            if not self._open or rank in self._sockets:
                return False
            self._sockets[rank] = sock
            self._changed.notify()
            return True

    def take(self, ranks: set[int], deadline: float) -> dict[int, socket.socket]:
        """What has arrived at the deadline (time.monotonic()), or as soon as all `ranks` have."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.given_up or ranks <= self._sockets.keys(),
                max(0.0, deadline - time.monotonic()),
            )
            taken, self._sockets = self._sockets, {}
            self._open = False
            return taken

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._door.forget(self)
        with self._changed:
            self._open = False
            for sock in self._sockets.values():
                sock.close()
            self._sockets.clear()


@dataclass
class Caller:
    sock: socket.socket
    talk: Talk[tuple[bytes, int]]
    deadline: float
    wish: int = select.POLLIN


class Door:
    """host, ports: where to listen, any port by default. context: of TLS, server side. local:
    whether to listen for ranks of the same host, too.

    address   host, port, and the name of the Unix socket or ''
    Raises OSError when no port of the range is free on this host.
    """

    def __init__(
        self,
        host: str,
        ports: range | None = None,
        context: ssl.SSLContext | None = None,
        local: bool = True,
    ):
        self._listeners = [_listen(host, ports)]
        name = ""
        if local and context is None and sys.platform == "linux":
            name = f"whorl-gang-{secrets.token_hex(12)}"
            self._listeners.append(_listen_here(name))
        self.address: Address = (*self._listeners[0].getsockname()[:2], name)
        self._context = context
        self._expected: dict[bytes, Arrivals] = {}
        self._callers: list[Caller] = []
        self._lock = threading.Lock()
        self._bell, self._heard = socket.socketpair()
        self._heard.setblocking(False)
        self._idle_since = time.monotonic()
        self.closed = False
        self._thread = threading.Thread(target=self._run, name="gang-door", daemon=True)
        self._thread.start()

    def expect(self, ticket: Ticket, rank: int) -> Arrivals:
        """Let in the ranks above `rank` of that run, until the context ends."""
        arrivals = Arrivals(self, ticket, rank)
        with self._lock:
            if self.closed:
                raise OSError("the worker's gang socket is closed")
            self._expected[ticket.run] = arrivals
        self._ring()
        return arrivals

    def give_up(self, run: bytes) -> None:
        """For the driver: a run that cannot assemble gives its slots back at once."""
        with self._lock:
            arrivals = self._expected.get(run)
        if arrivals is not None:
            arrivals.give_up()

    def forget(self, arrivals: Arrivals) -> None:
        with self._lock:
            self._expected.pop(arrivals.ticket.run, None)
            self._idle_since = time.monotonic()

    def close(self) -> None:
        """Stop listening; the connections that were let in are not touched."""
        with self._lock:
            self.closed = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    # The thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._turn()
        finally:
            for caller in self._callers:
                caller.sock.close()
            for sock in (*self._listeners, self._bell, self._heard):
                sock.close()

    def _is_over(self) -> bool:
        with self._lock:
            idle = not self._expected and time.monotonic() - self._idle_since > IDLE_S
            self.closed = self.closed or idle
            return self.closed

    def _turn(self) -> None:
        poll = select.poll()
        for sock in (*self._listeners, self._heard):
            poll.register(sock, select.POLLIN)
        for caller in self._callers:
            poll.register(caller.sock, caller.wish)
        next_end = min((caller.deadline for caller in self._callers), default=None)
        wait = IDLE_S if next_end is None else max(0.0, next_end - time.monotonic())
        ready = dict(poll.poll(wait * 1000 + 1))
        with contextlib.suppress(OSError):
            while self._heard.recv(4096):
                pass
        for caller in list(self._callers):
            hung_up = ready.get(caller.sock.fileno(), 0) & ~(select.POLLIN | select.POLLOUT)
            if caller.deadline < time.monotonic() or (caller.wish == UNTIL_EXPECTED and hung_up):
                self._drop(caller)
            elif caller.sock.fileno() in ready or caller.wish == UNTIL_EXPECTED:
                self._step(caller)
        for listener in self._listeners:
            if listener.fileno() in ready:
                self._accept(listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:  # gone again, or no file descriptor is left
            if self._callers:
                self._drop(self._callers[0])
            else:
                time.sleep(0.05)
            return
        sock.setblocking(False)
        if self._context is not None:
            try:
                sock = self._context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                sock.close()
                return
        if len(self._callers) >= MOST_CALLERS:
            self._drop(self._callers[0])
        caller = Caller(sock, receive(sock, self._known), time.monotonic() + HELLO_S)
        self._callers.append(caller)
        self._step(caller)

    def _known(self, run: bytes) -> tuple[Ticket, int] | None:
        with self._lock:
            arrivals = self._expected.get(run)
        return None if arrivals is None else (arrivals.ticket, arrivals.rank)

    def _step(self, caller: Caller) -> None:
        was = caller.wish
        try:
            caller.wish = next(caller.talk)
        except StopIteration as end:
            run, rank = end.value
            with self._lock:
                arrivals = self._expected.get(run)
            self._callers.remove(caller)
            if arrivals is None or not arrivals.put(rank, caller.sock):
                caller.sock.close()
        except (Refused, OSError, ValueError):
            self._drop(caller)
        else:
            if (caller.wish == UNTIL_EXPECTED) != (was == UNTIL_EXPECTED):
                held = caller.wish == UNTIL_EXPECTED
                caller.deadline = time.monotonic() + (HELD_S if held else HELLO_S)

    def _drop(self, caller: Caller) -> None:
        caller.talk.close()
        caller.sock.close()
        self._callers.remove(caller)


def _listen_here(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{name}")
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _listen(host: str, ports: range | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    refused: OSError | None = None
    for port in ports if ports is not None else (0,):
        try:
            listener = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            refused = error
        else:
            listener.setblocking(False)
            return listener
    shown = "" if ports is None else f" port {ports.start} to {ports.stop - 1}"
    raise OSError(f"cannot listen on {host}{shown}: {refused or 'the range is empty'}")

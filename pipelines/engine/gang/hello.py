"""How two ranks of a run meet: a hello of fixed size, and proof on both sides of the run's secret.

    the higher rank                                  the lower rank's seat
    mark, run, from, to, its nonce        ------>    unknown run: waits until it is expected
    verifies                              <------    own nonce, HMAC(secret, 'seat' + all of it)
    HMAC(secret, 'caller' + all of it)    ------>    verifies; the socket belongs to the run

Written as generators over non-blocking sockets: they yield what they wait for, and whoever drives
them keeps the time. One thread can drive many, and none of them can hold up the others.
"""

from __future__ import annotations

import hmac
import secrets
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

MARK = b"whg1"
HELLO = struct.Struct("<4s16sHH32s")  # mark, run, from rank, to rank, nonce
NONCE, PROOF = 32, 32
LOOK_S = 0.1
UNTIL_EXPECTED = 0  # a wish beside POLLIN and POLLOUT: the run is not known here, yet

T = TypeVar("T")
Talk = Generator[int, None, T]


class Refused(Exception):
    """The other side is not who it should be. It is not told why: the socket is closed."""


@dataclass(frozen=True)
class Ticket:
    """What a rank must know to meet the others. It travels to the workers inside their tasks."""

    run: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


def call(sock: socket.socket, ticket: Ticket, me: int, other: int) -> Talk[None]:
    """The side of the rank `me` that calls the seat of rank `other`."""
    yield from _secure(sock)
    hello = HELLO.pack(MARK, ticket.run, me, other, secrets.token_bytes(NONCE))
    yield from _write(sock, hello)
    answer = yield from _read(sock, NONCE + PROOF)
    said = hello + answer[:NONCE]
    if not hmac.compare_digest(answer[NONCE:], _proof(ticket.secret, b"seat", said)):
        raise Refused("the seat does not know the secret")
    yield from _write(sock, _proof(ticket.secret, b"caller", said))


def receive(
    sock: socket.socket, expected: Callable[[bytes], tuple[Ticket, int] | None]
) -> Talk[tuple[bytes, int]]:
    """The seat's side: (run, rank of the caller). expected(run) -> its ticket and our rank."""
    yield from _secure(sock)
    hello = yield from _read(sock, HELLO.size)
    mark, run, caller, called, _ = HELLO.unpack(hello)
    if mark != MARK:
        raise Refused("not a hello of ours")
    while (known := expected(run)) is None:
        yield UNTIL_EXPECTED
    ticket, me = known
    if called != me or caller <= me:
        raise Refused(f"rank {caller} has no reason to call {called} here")
    nonce = secrets.token_bytes(NONCE)
    said = hello + nonce
    yield from _write(sock, nonce + _proof(ticket.secret, b"seat", said))
    proof = yield from _read(sock, PROOF)
    if not hmac.compare_digest(proof, _proof(ticket.secret, b"caller", said)):
        raise Refused("the caller does not know the secret")
    return run, caller


def drive(talk: Talk[T], sock: socket.socket, deadline: float, given_up: Callable[[], bool]) -> T:
    """Run one talk to its end. TimeoutError at the deadline (time.monotonic()), or when given_up()
    says so, which is asked every LOOK_S seconds."""
    poll = select.poll()
    try:
        while True:
            poll.register(sock, next(talk))
            while not poll.poll(LOOK_S * 1000):
                if time.monotonic() > deadline or given_up():
                    raise TimeoutError("the other rank did not answer in time")
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        talk.close()


def _proof(secret: bytes, who: bytes, said: bytes) -> bytes:
    return hmac.digest(secret, who + said, "sha256")


def _secure(sock: socket.socket) -> Talk[None]:
    """TLS where the socket is wrapped in it; wants_do_handshake_on_connect was False."""
    while isinstance(sock, ssl.SSLSocket):
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            yield select.POLLIN
        except ssl.SSLWantWriteError:
            yield select.POLLOUT


def _read(sock: socket.socket, size: int) -> Talk[bytes]:
    data, got = bytearray(size), 0
    while got < size:
        try:
            count = sock.recv_into(memoryview(data)[got:])
        except (BlockingIOError, ssl.SSLWantReadError):
            yield select.POLLIN
        except ssl.SSLWantWriteError:
            yield select.POLLOUT
        else:
            if not count:
                raise Refused("closed in the middle of the hello")
            got += count
    return bytes(data)


def _write(sock: socket.socket, data: bytes) -> Talk[None]:
    sent = 0
    while sent < len(data):
        try:
            sent += sock.send(data[sent:])
        except (BlockingIOError, ssl.SSLWantWriteError):
            yield select.POLLOUT
        except ssl.SSLWantReadError:
            yield select.POLLIN

"""The sockets between the ranks of one run, and how messages go over them.

All ranks make the same exchanges in the same order. In one exchange a rank sends to some peers and
receives from some, everything at once, so that no order of sends can lock. Each message carries
the run, the number of the exchange and a few figures; nothing that does not fit is let through.

A rank that ends for whatever reason closes its links: its peers find out in their next exchange,
close theirs, and so the failure runs through the gang as a wave.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

HEAD = 64  # bytes before the body of a message; the rest of them is zero
LAYOUT = struct.Struct("<8sIIddQ")  # run, exchange, flags, seconds, cost, bytes of the body
PIECES = 256  # buffers given to the kernel at a time
TLS_PIECE = 1 << 20
SPINS = 10  # looks at the sockets before sleeping on them, after letting others run

Buffer = Any  # an array (C-contiguous), bytes, or a memoryview


class GangBroken(Exception):
    """The run cannot go on.

    suspects   ranks that closed, or (closed is False) that were not heard of in time
    """

    def __init__(self, suspects: Iterable[int], reason: str, closed: bool = True):
        self.suspects, self.reason, self.closed = tuple(sorted(suspects)), reason, closed
        super().__init__(f"rank {', '.join(map(str, self.suspects))}: {reason}")


class Head(NamedTuple):
    """What rides on each message. flags: see rank.py; seconds: of the sender's maps; cost: seconds
    of its last exchange."""

    flags: int = 0
    seconds: float = 0.0
    cost: float = 0.0


class Inbox:
    """Where the message of one peer goes: head and body in one piece of memory, used again."""

    def __init__(self, nbytes: int):
        self.raw = np.zeros(HEAD + nbytes, np.uint8)
        self.body = self.raw[HEAD:]
        self.pieces: list[Buffer] = [self.raw]
        self.nbytes = nbytes


class Scattered:
    """As Inbox, with the body in the caller's own arrays (C-contiguous)."""

    def __init__(self, arrays: Sequence[np.ndarray]):
        self.raw = np.zeros(HEAD, np.uint8)
        self.pieces: list[Buffer] = [self.raw, *(flat_bytes(a) for a in arrays if a.size)]
        self.nbytes = sum(array.nbytes for array in arrays)


class Unknown:
    """As Inbox, for a message whose size its head will tell."""

    def __init__(self) -> None:
        self.raw = np.zeros(HEAD, np.uint8)
        self.body = np.zeros(0, np.uint8)
        self.pieces: list[Buffer] = [self.raw]
        self.nbytes = -1


Box = Inbox | Scattered | Unknown


class Links:
    """sockets: of the other ranks, connected, nodelay; non-blocking from here on. tag: 8 bytes of
    the run. timeout: seconds without a byte from anybody, may be set anew at any time."""

    def __init__(
        self, rank: int, size: int, sockets: dict[int, socket.socket], tag: bytes, timeout: float
    ):
        self.rank, self.size, self.timeout = rank, size, timeout
        self.peers = tuple(sorted(sockets))
        self._sockets, self._tag = sockets, tag
        self._number = 0
        self.heads: dict[int, Head] = {}
        self.sent_bytes = 0
        for sock in sockets.values():
            sock.setblocking(False)

    def exchange(
        self, out: dict[int, Sequence[Buffer]], into: dict[int, Box], head: Head
    ) -> dict[int, Head]:
        """Send out[peer], fill into[peer]. Returns the heads by rank, with our own. Raises
        GangBroken; an array that is sent must not be written to meanwhile."""
        sending: list[Letter] = []
        receiving: list[Letter] = []
        for peer, pieces in out.items():
            nbytes = sum(map(_size, pieces))
            start = LAYOUT.pack(self._tag, self._number, *head, nbytes).ljust(HEAD, b"\0")
            self.sent_bytes += HEAD + nbytes
            letter = Sending(peer, self._sockets[peer], [start, *pieces], HEAD + nbytes)
            if not letter.go_on():
                sending.append(letter)
        heads = {self.rank: head}
        for peer, box in into.items():
            letter_in = Receiving(peer, self._sockets[peer], box, self._check, heads)
            if not letter_in.go_on():
                receiving.append(letter_in)
        if sending or receiving:
            self._wait(sending, receiving)
        self._number += 1
        return heads

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()

    def abort(self) -> None:
        """From another thread: whoever waits in exchange(), here or there, finds them closed."""
        for sock in self._sockets.values():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS's own would drop its state

    def __enter__(self) -> Links:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self, peer: int, box: Box) -> Head:
        tag, number, flags, seconds, cost, nbytes = LAYOUT.unpack_from(box.raw.data)
        if tag != self._tag:
            raise GangBroken((peer,), "sent a message of another run")
        if number != self._number:
            raise GangBroken((peer,), f"is at exchange {number}, we are at {self._number}")
        if box.nbytes < 0:
            assert isinstance(box, Unknown)
            box.nbytes, box.body = nbytes, np.empty(nbytes, np.uint8)
            box.pieces = [box.raw, box.body]
        if nbytes != box.nbytes:
            raise GangBroken((peer,), f"sent {nbytes} bytes where {box.nbytes} were expected")
        return Head(flags, seconds, cost)

    def _wait(self, sending: list[Letter], receiving: list[Letter]) -> None:
        for _ in range(SPINS):
            os.sched_yield()
            sending = [letter for letter in sending if not letter.go_on()]
            receiving = [letter for letter in receiving if not letter.go_on()]
            if not sending and not receiving:
                return
        deadline = time.monotonic() + self.timeout
        while sending or receiving:
            wishes: dict[int, int] = {}
            for letter in (*sending, *receiving):
                descriptor = letter.sock.fileno()
                wishes[descriptor] = wishes.get(descriptor, 0) | letter.wish
            poll = select.poll()
            for descriptor, wish in wishes.items():
                poll.register(descriptor, wish)
            ready = {pair[0] for pair in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)}
            if ready:
                deadline = time.monotonic() + self.timeout
            elif time.monotonic() >= deadline:
                raise _nothing_heard(sending, receiving, self.timeout)
            sending = [s for s in sending if s.sock.fileno() not in ready or not s.go_on()]
            receiving = [r for r in receiving if r.sock.fileno() not in ready or not r.go_on()]


class Sending:
    """A message on its way out."""

    silent = False
    __slots__ = ("_at", "_left", "_pieces", "peer", "sock", "wish")

    def __init__(self, peer: int, sock: socket.socket, pieces: list[Buffer], nbytes: int):
        self.peer, self.sock, self._pieces, self._left = peer, sock, pieces, nbytes
        self._at = 0
        self.wish = select.POLLOUT
        if isinstance(sock, ssl.SSLSocket) and nbytes < TLS_PIECE:
            self._pieces = [b"".join(pieces)]  # one record, not one per piece

    def go_on(self) -> bool:
        """Whether all of it is in the kernel's hands."""
        try:
            while self._left:
                if isinstance(self.sock, ssl.SSLSocket):
                    count = self.sock.send(self._pieces[self._at][:TLS_PIECE])
                else:
                    count = self.sock.sendmsg(self._pieces[self._at : self._at + PIECES])
                self._left -= count
                if self._left:
                    self._at = _advance(self._pieces, self._at, count)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.wish = select.POLLOUT
            return False
        except ssl.SSLWantReadError:
            self.wish = select.POLLIN
            return False
        except OSError as error:
            raise GangBroken((self.peer,), f"closed ({error.strerror or error})") from error
        return True


class Receiving:
    """A message on its way in."""

    __slots__ = ("_at", "_box", "_check", "_got", "_heads", "_pieces", "peer", "sock", "wish")

    def __init__(
        self,
        peer: int,
        sock: socket.socket,
        box: Box,
        check: Callable[[int, Box], Head],
        heads: dict[int, Head],
    ):
        self.peer, self.sock, self._box, self._heads = peer, sock, box, heads
        self._check, self._pieces = check, list(box.pieces)
        self._at = self._got = 0
        self.wish = select.POLLIN

    @property
    def silent(self) -> bool:
        return self._got == 0

    def go_on(self) -> bool:
        """Whether all of it is here."""
        try:
            while self.peer not in self._heads or self._got < HEAD + self._box.nbytes:
                self._take()
        except (BlockingIOError, ssl.SSLWantReadError):
            self.wish = select.POLLIN
            return False
        except ssl.SSLWantWriteError:
            self.wish = select.POLLOUT
            return False
        except OSError as error:
            raise GangBroken((self.peer,), f"closed ({error.strerror or error})") from error
        return True

    def _take(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket) or len(self._pieces) - self._at == 1:
            count = self.sock.recv_into(self._pieces[self._at])
        else:
            count = self.sock.recvmsg_into(self._pieces[self._at : self._at + PIECES])[0]
        if not count:
            raise GangBroken((self.peer,), "closed")
        self._got += count
        if self.peer not in self._heads and self._got >= HEAD:
            was_unknown = self._box.nbytes < 0
            self._heads[self.peer] = self._check(self.peer, self._box)
            if was_unknown:
                self._pieces, self._at = [self._box.pieces[1]], 0
                return
        if self._got < HEAD + max(self._box.nbytes, 0):
            self._at = _advance(self._pieces, self._at, count)


Letter = Sending | Receiving


def flat_bytes(array: np.ndarray) -> np.ndarray:
    """The array's memory as (nbytes,) uint8; it must be C-contiguous."""
    return array.reshape(-1).view(np.uint8)


def _size(piece: Buffer) -> int:
    return int(piece.nbytes) if isinstance(piece, (np.ndarray, memoryview)) else len(piece)


def _advance(pieces: list[Buffer], at: int, count: int) -> int:
    """Pass over `count` bytes: the number of the first piece that is not done, itself cut."""
    while count:
        size = _size(pieces[at])
        if count < size:
            rest = pieces[at]
            whole = flat_bytes(rest) if isinstance(rest, np.ndarray) else memoryview(rest)
            pieces[at] = whole[count:]
            return at
        count -= size
        at += 1
    return at


def _nothing_heard(
    sending: Sequence[Letter], receiving: Sequence[Letter], timeout: float
) -> GangBroken:
    silent = {letter.peer for letter in receiving if letter.silent}
    others = {letter.peer for letter in (*sending, *receiving)}
    return GangBroken(silent or others, f"nothing heard for {timeout:.0f} s", closed=False)

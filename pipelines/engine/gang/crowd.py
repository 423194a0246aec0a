"""Gangs that met, each on some of the workers that both need, go one after another for a while.

A gang that cannot assemble gives its slots back, so two of them can never wait for each other for
ever; but they may meet again and again. A lock of the scheduler ends that. Only those take it that
have met others lately; the lease of a driver that was killed ends by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from distributed import Client, Semaphore

NAME = "whorl-gang"
TURNS = 5  # runs for which a driver takes turns after it met another one
LONGEST_WAIT_S = 30.0


class Crowd:
    """The other gangs on a cluster, as far as this driver has met them."""

    def __init__(self, client: Client):
        self._client = client
        self._turns = 0
        self._lock: Semaphore | None = None

    def met(self) -> None:
        """A run did not assemble: others may be in its way."""
        self._turns = TURNS

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Inside is one of those at a time that have met; not longer than LONGEST_WAIT_S is waited
        for it: others' tasks may be what is in the way."""
        if not self._turns:
            yield
            return
        self._turns -= 1
        if self._lock is None:
            client = self._client
            self._lock = Semaphore(1, NAME, scheduler_rpc=client.scheduler, loop=client.loop)
        mine = self._lock.acquire(timeout=LONGEST_WAIT_S)
        try:
            yield
        finally:
            if mine:
                self._lock.release()

    def close(self) -> None:
        """Stop renewing leases."""
        if self._lock is not None:
            callback = getattr(self._lock, "refresh_callback", None)
            if callback is not None and self._client.loop is not None:
                self._client.loop.add_callback(callback.stop)
            self._lock = None

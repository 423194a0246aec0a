"""Ctrl-C and SIGTERM: stop in order, within seconds, and at once when asked twice.

The first signal raises Stopped in the main thread, so that every `with` on the way out closes what
it opened. A thread is told of each signal through a socket as well, because a main thread inside
compiled code does not come to run its handler: it ends the process when the main thread has not
come through in time, or at a second signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

GRACE_S = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
CODES = {128 + number for number in SIGNALS}


class Stopped(BaseException):
    """The user or the machine asked us to stop. Not an Exception: nobody may swallow it."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + number

    @property
    def name(self) -> str:
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


@contextlib.contextmanager
def stoppable(
    last_words: Callable[[int], str] | None = None, grace_s: float = GRACE_S
) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM raise Stopped once; afterwards the old handlers are back.

    last_words(signal number) -> what to print when the process is ended without unwinding.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopping = threading.Event()

    def handler(number: int, frame: object) -> None:
        if not stopping.is_set():
            stopping.set()
            raise Stopped(number)

    # A shell starts background jobs with SIGINT ignored: that wish is kept.
    heard = [s for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        before_fd = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
        before = {s: signal.signal(s, handler) for s in heard}
        watcher = threading.Thread(
            target=watch,
            args=(theirs, grace_s, heard, last_words),
            name="whorl-signals",
            daemon=True,
        )
        watcher.start()
        try:
            yield
        finally:
            if stopping.is_set():
                end_children()
            signal.set_wakeup_fd(before_fd)
            for number, old in before.items():
                signal.signal(number, old)
            ours.shutdown(socket.SHUT_WR)
            watcher.join()


def watch(
    channel: socket.socket,
    grace_s: float,
    heard: list[signal.Signals],
    last_words: Callable[[int], str] | None,
) -> None:
    """Waits for signal numbers; the end of the channel means that the main thread came through."""
    first = 0
    while True:
        channel.settimeout(grace_s if first else None)
        try:
            byte = channel.recv(1)
        except TimeoutError:
            return end_now(first, last_words)
        if not byte:
            return None
        if byte[0] in heard and first:
            return end_now(byte[0], last_words)
        if byte[0] in heard:
            first = byte[0]


def end_now(number: int, last_words: Callable[[int], str] | None) -> None:
    """Ends our child processes and this process without unwinding."""
    with contextlib.suppress(Exception):
        end_children()
    if last_words:
        with contextlib.suppress(Exception):
            os.write(2, (last_words(number) + "\n").encode())
    os._exit(128 + number)


def end_soon(code: int, seconds: float = 1.0) -> None:
    """Python waits at its end for every thread, also one that waits for a worker just killed."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


def end_children() -> None:
    """Kills what is left of our child processes (Python's own resource tracker ends by itself)."""
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            if not any("resource_tracker" in word for word in child.cmdline()):
                child.kill()
    psutil.wait_procs(children, timeout=0.5)

"""Ctrl-C and SIGTERM end a command in order, and at once when it does not answer."""

import signal
import subprocess
import sys
import threading

import pytest

from cli import signals

ORDERLY = """
import signal, sys, time
from cli.signals import Stopped, stoppable
try:
    with stoppable(lambda number: "last words"):
        try:
            print("ready", flush=True)
            time.sleep(30)
        finally:
            print("closed", flush=True)
except Stopped as stopped:
    sys.exit(stopped.exit_code)
"""
BUSY = """
import hashlib, threading
from cli.signals import stoppable
with stoppable(lambda number: f"last words of {number}", grace_s=GRACE):
    threading.Timer(0.3, print, ["ready"], {"flush": True}).start()
    hashlib.pbkdf2_hmac("sha512", b"", b"", 2**31 - 1)  # minutes of C code that hears no signal
"""
CHILD = """
import subprocess, sys, time
from cli.signals import stoppable
with stoppable():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("ready", child.pid, flush=True)
    time.sleep(30)
"""

LINGERING = """
import threading, time
from cli.signals import end_soon
threading.Thread(target=time.sleep, args=(60,)).start()
end_soon(143, seconds=0.2)
print("ready", flush=True)
"""


def start(script):
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().split()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal__unwinds_and_gives_the_code(number, code):
    process, _ = start(ORDERLY)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (code, "closed\n", "")


def test_grace_time__ends_a_main_thread_that_does_not_answer():
    process, _ = start(BUSY.replace("GRACE", "0.2"))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, "last words of 15\n")


def test_second_signal__ends_at_once():
    process, _ = start(BUSY.replace("GRACE", "600"))
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (130, 143)  # whichever the system delivers last
    assert err.startswith("last words of ")


def test_signal__leaves_no_child_process():
    import psutil

    process, (_, pid) = start(CHILD)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert not psutil.pid_exists(int(pid))


def test_end_soon__does_not_wait_for_threads():
    process, _ = start(LINGERING)
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_stoppable__gives_back_handlers_and_thread():
    before = [signal.getsignal(s) for s in signals.SIGNALS]
    with signals.stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(s) for s in signals.SIGNALS] == before
    assert not [t for t in threading.enumerate() if t.name == "whorl-signals"]


def test_stoppable__keeps_the_wish_of_a_background_job():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.stoppable():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

"""A peer in a process of its own: own environment variables, own threads, own interpreter.

BLAS libraries choose their kernels when they are loaded, from OPENBLAS_CORETYPE or from the
processor if they know it; Spark and Ray bring daemons; a peer may need another Dask than ours. So
each peer runs elsewhere, is told what to do through a pipe, and reads its own clock.

    with Away("benchmarks.points_peers:Faiss", "faiss", {"OMP_NUM_THREADS": "2"}) as peer:
        timed = peer.call("iteration", path, centroids)

Absent says that it cannot be had here. Where a package is not in this environment, the interpreter
that WHORL_BENCH_PYTHON names is asked for it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OTHER_PYTHON = "WHORL_BENCH_PYTHON"
ANSWER_S = 900.0
END_S = 20.0


class Absent(Exception):
    """The peer is not installed, or something that it needs is missing."""


class PeerFailed(Exception):
    """The peer raised; the text is its traceback."""


class Away:
    """The class `target` ("module:Class") made in another process; call() calls its methods.

    package: what it imports first. environment: variables set there; None unsets one.
    """

    def __init__(self, target: str, package: str, environment: dict[str, str | None]):
        self.name = target
        ours, theirs = multiprocessing.Pipe()
        variables = dict(os.environ) | {"PYTHONWARNINGS": "ignore"} | environment
        with contextlib.ExitStack() as stack:  # what libraries tell is shown when one dies
            self._words = stack.enter_context(tempfile.TemporaryFile())
            self._stack = stack.pop_all()
        self._process = subprocess.Popen(
            [_python(package), "-m", "benchmarks.away", target, str(theirs.fileno())],
            cwd=ROOT,
            env={name: value for name, value in variables.items() if value is not None},
            pass_fds=[theirs.fileno()],
            stdout=self._words,
            stderr=self._words,
        )
        theirs.close()
        self._pipe = ours
        try:
            self.facts: dict[str, Any] = self._answer()
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *args: Any) -> Any:
        """What the method returns there. PeerFailed when it raises or takes ANSWER_S."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: its last words are the answer
            self._pipe.send((method, args))
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(ANSWER_S):
                raise PeerFailed(f"{self.name}: no answer within {ANSWER_S:.0f} s")
            kind, value = self._pipe.recv()
        except EOFError:
            code = self._process.wait()
            self._words.seek(0)
            words = self._words.read().decode(errors="replace")[-2000:]
            raise PeerFailed(f"{self.name}: exit code {code}\n{words}") from None
        if kind == "absent":
            raise Absent(value)
        if kind == "raised":
            raise PeerFailed(f"{self.name}: {value}")
        return value

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stack.close()

    def __enter__(self) -> Away:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _python(package: str) -> str:
    if importlib.util.find_spec(package) is None and OTHER_PYTHON in os.environ:
        return os.environ[OTHER_PYTHON]
    return sys.executable


def _serve(target: str, pipe: Connection) -> None:
    """Make the peer, then do what is asked until None comes or the other side is gone."""
    module, _, name = target.partition(":")
    try:
        peer = getattr(importlib.import_module(module), name)()
        facts = peer.facts()
    except (ImportError, Absent) as error:
        pipe.send(("absent", str(error)))
        return
    pipe.send(("fine", facts))
    with contextlib.suppress(EOFError), contextlib.closing(peer):
        while (order := pipe.recv()) is not None:
            method, args = order
            try:
                pipe.send(("fine", getattr(peer, method)(*args)))
            except Exception:
                pipe.send(("raised", traceback.format_exc()))


if __name__ == "__main__":
    # The module that peers import is another one than __main__, and so would be its Absent.
    from benchmarks import away

    away._serve(sys.argv[1], Connection(int(sys.argv[2])))

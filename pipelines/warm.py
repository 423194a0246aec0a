"""Compiled once: of the processes that need the same kernels, one compiles and the others load."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def compiled_once(what: str) -> Iterator[None]:
    """Enter alone until somebody came through, then all at once.

    what    name of the kernels that are compiled, or loaded, inside
    Twenty workers that start together would else compile the same code twenty times, and Numba's
    cache does not expect two writers of one function. Where files cannot be locked or the cache
    cannot be written, everybody enters.
    """
    from kernels import _jit

    try:
        folder = _jit.cache_dir()
    except RuntimeError:  # no home folder, so no cache
        yield
        return
    mark = folder / f".warm-{what}"
    with contextlib.ExitStack() as alone:
        if not mark.exists():
            alone.enter_context(_locked(folder / f".lock-{what}"))
            if mark.exists():  # somebody came through while we waited
                alone.close()
        yield
        with contextlib.suppress(OSError):
            mark.touch()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, which ends with the process that holds it."""
    import fcntl

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

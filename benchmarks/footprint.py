"""How much memory work takes: of this process above what it had, or of a command's processes.

The high-water mark is the kernel's own (VmHWM), set back before the work begins.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")
PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY_S = 0.1


def above_own(work: Callable[[], object]) -> int:
    """Bytes that the peak of `work` lies above what this process holds before it.

    What it returns is held until the end. Linux only: OSError elsewhere.
    """
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is what is held now
    kept = work()
    peak = _status("VmHWM")
    del kept
    return max(peak - before, 0)


def _status(name: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{STATUS} does not tell {name}")


class Processes:
    """The largest sums over a process and all below it, looked at ten times a second.

    resident counts pages that several share as often as they are shared; private leaves out all
    that can be shared: files, and the memory that ranks exchange through.
    """

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)
        self.resident = self.private = self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        resident = private = count = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [self.root, *self.root.children(recursive=True)]:
                with contextlib.suppress(OSError):  # ended in between
                    words = Path(f"/proc/{one.pid}/statm").read_text().split()
                    resident += int(words[1]) * PAGE
                    private += (int(words[1]) - int(words[2])) * PAGE
                    count += 1
        self.resident, self.private = max(self.resident, resident), max(self.private, private)
        self.most = max(self.most, count)

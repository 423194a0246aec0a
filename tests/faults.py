"""Faults by table: which block, in how many attempts, what happens; and in which pass."""

import errno
import importlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine import Partition


@dataclass(frozen=True)
class Fault:
    """What happens to a block, such as (i, j), in its first `times` attempts."""

    block: tuple[int, ...]
    what: str
    times: int = 1


class Poison(Exception):
    pass


def raise_poison():
    raise Poison("a block that cannot be computed")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out")


ACTIONS = {
    "poison": raise_poison,
    "die": die,
    "full": fill_disk,
    "slow": lambda: time.sleep(0.3),
}


class Faulty:
    """A function of a block with a table of faults; attempts are counted in files of a folder, so
    that every process sees them. place_of(block) is what the table knows it by."""

    def __init__(self, function, table, folder, place_of=tuple):
        self.function, self.folder, self.place_of = function, Path(folder), place_of
        self.table = {fault.block: fault for fault in table}

    def __call__(self, block, *args):
        fault = self.table.get(self.place_of(block))
        if fault is not None and self.attempt(fault.block) <= fault.times:
            ACTIONS[fault.what]()
        return self.function(block, *args)

    def attempt(self, place):
        path = self.folder / "-".join(map(str, ("attempts", *place)))
        with path.open("a") as file:
            file.write("x")
        return path.stat().st_size


def install(table, folder):
    """Make this process, a worker, meet the faults. The driver sends compute_block by its name."""
    from pipelines import swg_blocks

    swg_blocks.compute_block = Faulty(swg_blocks.compute_block, table, folder)


def install_place(table, folder):
    """As install(), for the blocks of run interpolate."""
    from pipelines import interpolate_blocks

    interpolate_blocks.place = Faulty(interpolate_blocks.place, table, folder, lambda b: (b.index,))


@dataclass(frozen=True)
class PassFault:
    """What happens where partition `index` is summed for the `call`-th time, whoever does it."""

    index: int
    call: int
    what: str


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


class FaultyPass:
    """A map over partitions that meets one fault, once. What happened is written to a file of the
    folder, its name that of the fault: process and time."""

    def __init__(self, function, fault, folder):
        self.function, self.fault, self.folder = function, fault, Path(folder)

    def __call__(self, *args):
        partition = next(one for one in args if isinstance(one, Partition))
        if partition.index == self.fault.index and self.is_due():
            told = self.folder / f"{self.fault.what}.part"
            told.write_text(f"{os.getpid()} {time.time()}")
            told.rename(told.with_suffix(""))
            {**ACTIONS, "stop": stop}[self.fault.what]()
        return self.function(*args)

    def is_due(self):
        with (self.folder / "calls").open("a") as file:
            file.write("x")
            return file.tell() == self.fault.call


def install_pass(fault, folder, name="pipelines.kmeans_blocks.sum_block"):
    """Make this process, a worker, meet the fault. The driver sends the map by its name."""
    module = importlib.import_module(name.rpartition(".")[0])
    function = name.rpartition(".")[2]
    setattr(module, function, FaultyPass(getattr(module, function), fault, folder))

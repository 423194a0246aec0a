"""Where the partitions of a run will lie, told before the first one is read."""

from __future__ import annotations

import tempfile
from shutil import disk_usage

from pipelines.app import IterativeOptions, RunOptions
from pipelines.engine import Engine, MemoryRefused
from pipelines.engine.cluster import usable_memory
from pipelines.engine.memory import CacheSize, in_words


def room_warnings(
    engine: Engine, nbytes: int, config: IterativeOptions, options: RunOptions
) -> list[str]:
    """What the user should know of partitions of so many bytes that memory does not hold.

    Raises MemoryRefused with the arithmetic where the disk of local workers does not, either.
    """
    copies = min(config.replicas, len(engine.workers))
    memory = _memory_bytes(engine, config)
    if memory is None or nbytes * copies <= memory:
        return []
    beyond = nbytes * copies - memory
    held = f"{in_words(memory)} of {in_words(nbytes * copies)}"
    if config.cache_disk == "off":
        return [f"the workers' memory holds {held}; the rest is read anew in every iteration"]
    if options.scheduler is None:
        folder = tempfile.gettempdir()
        free = disk_usage(folder).free
        if beyond > free:
            raise MemoryRefused(
                f"the workers' memory holds {held}, the rest takes {in_words(beyond)} of disk; "
                f"{folder} has {in_words(free)} free.",
                remedy="Use a larger --cache-memory, set TMPDIR to a larger disk, or store pairs "
                "in fewer bytes (--dtype int16).",
            )
    return [f"the workers' memory holds {held}; the rest is read from disk in every iteration"]


def _memory_bytes(engine: Engine, config: IterativeOptions) -> int | None:
    """Of all workers for partitions; None where one has no limit."""
    limits = [worker.memory_limit_bytes for worker in engine.workers]
    if engine.name == "serial":
        limits = [usable_memory()]
    rooms = [CacheSize(config.cache_memory).memory_bytes(limit) for limit in limits]
    known = [room for room in rooms if room is not None]
    return sum(known) if len(known) == len(rooms) else None

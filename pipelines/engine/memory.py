"""Memory of a worker: predicted before the run, and refused when it cannot fit."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.engine.errors import MemoryRefused

GIB = 2**30


def worker_need(
    block_bytes: int, copies: int, slots_per_worker: int, base_bytes: int, broadcast_bytes: int
) -> int:
    """Bytes one worker needs: its own, what is broadcast, and per slot `copies` of a block."""
    return base_bytes + broadcast_bytes + block_bytes * copies * slots_per_worker


def refuse_if_too_big(
    block_bytes: int,
    copies: int,
    slots_per_worker: int,
    base_bytes: int,
    broadcast_bytes: int,
    limit_bytes: int | None,
) -> int:
    """Bytes a worker needs; MemoryRefused with the arithmetic when they exceed limit_bytes.

    limit_bytes None or 0 means no limit.
    """
    need = worker_need(block_bytes, copies, slots_per_worker, base_bytes, broadcast_bytes)
    if not limit_bytes or need <= limit_bytes:
        return need
    raise MemoryRefused(
        f"a worker needs {in_words(need)} ({in_words(base_bytes)} base + "
        f"{in_words(broadcast_bytes)} broadcast + {copies} x {slots_per_worker} threads x "
        f"{in_words(block_bytes)} block), its limit is {in_words(limit_bytes)}.",
        remedy="Use a smaller --block-size, fewer --nthreads, or a larger --memory-limit.",
    )


def worker_limit(machine_bytes: int, n_workers: int, driver_bytes: int = GIB // 2) -> int:
    """Limit of one of n_workers on a machine that the driver shares.

    The driver's part is at most a quarter: small machines give most to the workers.
    """
    return (machine_bytes - min(driver_bytes, machine_bytes // 4)) // max(n_workers, 1)


def in_words(n_bytes: int) -> str:
    """1.2 GiB, 340 MiB, 12 KiB."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


@dataclass(frozen=True)
class CacheSize:
    """Room of a worker for partitions.

    memory   'auto' (half of the worker's limit), bytes, '64MiB', or None for no limit
    disk     whether what does not fit lies on the worker's disk; else its source is read again
    """

    memory: str | float | None = "auto"
    disk: bool = True

    def memory_bytes(self, limit_bytes: int | None) -> int | None:
        """For a worker of that limit (0 and None: it has none). Raises ValueError."""
        if self.memory is None:
            return None
        if self.memory == "auto":
            return limit_bytes // 2 if limit_bytes else None
        from dask.utils import parse_bytes

        return int(parse_bytes(self.memory))

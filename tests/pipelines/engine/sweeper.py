"""A process that sweeps over partitions of a file with little memory, and tells what it took.

    python -m tests.pipelines.engine.sweeper FILE PARTITIONS MEMORY_BYTES FOLDER THREADS KEPT

FOLDER '' is no disk cache; KEPT is how many bytes a map keeps in each Partition.memory.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipelines.engine.pinned import PartitionCache

SWEEPS = 3


def load(source):
    path, start, rows = source
    return np.fromfile(path, np.float64, rows, offset=start * 8)


def peak_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")


def main(path, n, memory_bytes, folder, n_threads, kept):
    rows = Path(path).stat().st_size // 8 // n
    cache = PartitionCache(memory_bytes, folder or None)
    load((path, 0, 10)).sum()  # what NumPy itself takes is of the base
    base = peak_bytes()

    def hold(index):
        cache.load("points", index, load, (path, index * rows, rows))

    def total(index):
        with cache.use("points", index) as partition:
            if kept:
                partition.memory.setdefault("bounds", np.ones(kept // 8))
            return float(partition.data.sum())

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(hold, range(n)))
        totals = [list(pool.map(total, range(n))) for _ in range(SWEEPS)]
    counts = cache.counts("points")
    peak = peak_bytes() - base
    cache.close()
    told = {"peak": peak, "totals": totals, "reads": counts.source_reads, "disk": counts.disk_hits}
    print(json.dumps({**told, "memory": counts.memory_hits, "spilled": counts.spilled_bytes}))


if __name__ == "__main__":
    file, n, memory_bytes, folder, n_threads, kept = sys.argv[1:]
    main(file, int(n), int(memory_bytes), folder, int(n_threads), int(kept))

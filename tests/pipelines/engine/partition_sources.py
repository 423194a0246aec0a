"""Partitions that a cache is filled with, and looks at what it holds."""

import os

import numpy as np

from pipelines.engine.pinned import PartitionCache

ROWS = 1000
NBYTES = ROWS * 8
KEY = "points"


class Source:
    """Loads partitions and counts how often."""

    def __init__(self):
        self.reads = []

    def __call__(self, index):
        self.reads.append(index)
        return truth(index)


def truth(index):
    return np.random.default_rng(index).random(ROWS)


def filled(source, n, memory_bytes, folder, **more):
    cache = PartitionCache(memory_bytes, str(folder) if folder else None)
    for index in range(n):
        cache.load(KEY, index, source, index, **more)
    return cache


def sweep(cache, n, times=1):
    for _ in range(times):
        for index in range(n):
            with cache.use(KEY, index) as partition:
                assert partition.index == index
                assert np.array_equal(partition.data, truth(index))


def files(folder):
    return sorted(name for _, _, names in os.walk(folder) for name in names)

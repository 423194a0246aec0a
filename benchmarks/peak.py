"""What the machine can do at this minute: a core's clock and rate of vector operations, and how
fast memory is read.

Virtual machines hide the clock and share their cores, and processors of one instruction set
differ twofold in what they do with it (Zen 4 splits a 64-byte operation in two, Zen 5 does not). A
speed in cells per second says little without these two numbers from the same run.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from kernels._simd import register_bytes, vload, vmax, vstore, vsub

CLOCK_STEPS = 20_000_000
VECTOR_STEPS = 5_000_000
CHAINS = 12
READ_BYTES, READ_PASSES = 2**29, 4


def clock_ghz() -> float:
    """The clock while one core is busy: a chain of multiply and xor, 4 cycles each.

    The 4 cycles hold for x86-64 since 2011 (multiply 3, xor 1); elsewhere the figure is relative.
    """

    @numba.njit
    def chain(steps: int) -> int:
        value = 1
        for step in range(steps):  # the step keeps the compiler from folding the chain
            value = (value * 6364136223846793005) ^ step
        return value

    return 4 * CLOCK_STEPS / _best_s(chain, CLOCK_STEPS) / 1e9


def vector_gops() -> float:
    """Giga 16-bit operations per second of one core: subtract and max in 12 chains, no memory.

    A dynamic program of k operations per cell cannot be faster than this over k (int16 lanes), half
    of it over k with int32, a quarter with int64.
    """
    lanes = register_bytes() // 2

    @numba.njit
    def chains(steps: int, values: np.ndarray) -> None:
        # Twelve different starts: equal chains could be computed once.
        a, b, c = vload(values, 0, lanes), vload(values, 1, lanes), vload(values, 2, lanes)
        d, e, f = vload(values, 3, lanes), vload(values, 4, lanes), vload(values, 5, lanes)
        g, h, i = vload(values, 6, lanes), vload(values, 7, lanes), vload(values, 8, lanes)
        j, k, m = vload(values, 9, lanes), vload(values, 10, lanes), vload(values, 11, lanes)
        one, low = vload(values, 12, lanes), vload(values, 13, lanes)
        for _ in range(steps):
            a, b, c = vmax(vsub(a, one), low), vmax(vsub(b, one), low), vmax(vsub(c, one), low)
            d, e, f = vmax(vsub(d, one), low), vmax(vsub(e, one), low), vmax(vsub(f, one), low)
            g, h, i = vmax(vsub(g, one), low), vmax(vsub(h, one), low), vmax(vsub(i, one), low)
            j, k, m = vmax(vsub(j, one), low), vmax(vsub(k, one), low), vmax(vsub(m, one), low)
        for vector in (a, b, c, d, e, f, g, h, i, j, k, m):
            vstore(values, 0, vmax(vector, vload(values, 0, lanes)))

    values = np.random.default_rng(0).integers(-99, 99, lanes + 13).astype(np.int16)
    return 2 * CHAINS * lanes * VECTOR_STEPS / _best_s(chains, VECTOR_STEPS, values) / 1e9


class Reading:
    """Reading an array from memory, as fast as so many threads can; far larger than any cache."""

    def __init__(self, threads: int, nbytes: int = READ_BYTES) -> None:
        self.parts = np.array_split(np.ones(nbytes // 8, np.int64), threads)
        self.pool = ThreadPoolExecutor(threads)
        self.nbytes = sum(part.nbytes for part in self.parts)

    def seconds(self) -> float:
        """The fastest of a few passes over all of it."""
        best = float("inf")
        for _ in range(READ_PASSES):
            started = time.perf_counter()
            sums = list(self.pool.map(_sum, self.parts))
            best = min(best, time.perf_counter() - started)
            assert sum(sums) * 8 == self.nbytes
        return best

    def close(self) -> None:
        self.pool.shutdown()


@numba.njit(nogil=True)
def _sum(values: np.ndarray) -> int:
    total = 0
    for value in values:  # whole numbers: the compiler may add them in any order
        total += value
    return total


def _best_s(function: Callable[..., object], steps: int, *arguments: object) -> float:
    """The fastest of three: a core that is taken away for a moment looks slower than it is."""
    function(10, *arguments)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        function(steps, *arguments)
        best = min(best, time.perf_counter() - started)
    return best

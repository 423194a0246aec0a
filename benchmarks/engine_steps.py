"""What the workers do in the engine's benchmark."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from benchmarks.engine_peers import first_state, weights_of
from pipelines.engine.gang.comm import Comm
from pipelines.engine.gang.links import Head, Scattered
from pipelines.engine.gang.reduction import Reduction
from pipelines.engine.job import Partition
from pipelines.engine.tree import Folding


def weigh(partition: Partition, state: np.ndarray) -> np.ndarray:
    """map that does nothing: a partial as large as the state."""
    return state * partition.data[0]


def take(state: np.ndarray, total: np.ndarray, *args: Any) -> np.ndarray:
    """update that does nothing."""
    return total


class Alone:
    """Maps and sums of n partitions in this process, in the order of the tree, without engine."""

    def __init__(self, n: int, nbytes: int) -> None:
        self.state, self.weights = first_state(nbytes), weights_of(n)
        self.calls = max(3, 100_000_000 // (self.state.nbytes * n + 100_000))

    def run(self) -> Any:
        from benchmarks.harness import Timed

        started = time.perf_counter()
        for _ in range(self.calls):
            folding = Folding(len(self.weights), add)
            for leaf, weight in enumerate(self.weights):
                folding.add((0, leaf), self.state * weight)
            total = folding.total
        each = (time.perf_counter() - started) / self.calls
        return Timed(bool(np.array_equal(total, self.state)), each)


def add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.add(left, right, out=left)


# The fixed tree and a ring over the same sockets


def tree_and_ring(
    comm: Comm, partitions: Sequence[Partition], nbytes: int, rounds: int
) -> dict[str, Any]:
    """Step of every rank: both sums in turn, from the same barrier; seconds of each round.

    exact: whether both give the first state, which has whole numbers. digests: of the sums of
    numbers that must be rounded.
    """
    state = first_state(nbytes)
    tree, ring = Tree(comm), Ring(comm, state.size)
    found: dict[str, Any] = {"tree": [], "ring": [], "exact": True, "digests": {}}
    while len(found["tree"]) <= rounds:
        ready = bool(tree.reduction.algorithm)  # before, it tries out two ways to exchange
        for name, total_of in (("tree", tree), ("ring", ring)):
            comm.barrier()
            started = time.perf_counter()
            total = total_of(partitions, state)
            if ready:
                found[name].append(time.perf_counter() - started)
            found["exact"] &= bool(np.array_equal(total, state))
    found["algorithm"] = tree.reduction.algorithm
    rough = np.random.default_rng(1).random(min(state.size, 10_000))
    for name, made in (("tree", Tree(comm)), ("ring", Ring(comm, rough.size))):
        total = made(partitions, rough, odd=True)
        found["digests"][name] = hashlib.sha256(total.tobytes()).hexdigest()
    return found


def partial(partition: Partition, state: np.ndarray, odd: bool) -> np.ndarray:
    """odd: with a factor that makes the sums depend on their order."""
    return np.power(state, 1 + partition.data[0]) if odd else weigh(partition, state)


class Tree:
    """As the engine sums: own partitions along the tree, then the nodes of all ranks."""

    def __init__(self, comm: Comm) -> None:
        self.comm, self.reduction = comm, Reduction(comm, np.add)

    def __call__(
        self, partitions: Sequence[Partition], state: np.ndarray, odd: bool = False
    ) -> np.ndarray:
        folding = Folding(self.comm.n, add)
        for partition in partitions:
            folding.add((0, partition.index), partial(partition, state, odd))
        return self.reduction(folding.nodes)


class Ring:
    """The sum that needs the least messages and knows no order: own partitions one after the
    other, then pieces of the vector go round, and the pieces of the total go round."""

    def __init__(self, comm: Comm, count: int) -> None:
        self.comm, self.size = comm, comm.size
        self.cuts = [count * k // comm.size for k in range(comm.size + 1)]
        self.inbox = np.empty(max(np.diff(self.cuts)))

    def __call__(
        self, partitions: Sequence[Partition], state: np.ndarray, odd: bool = False
    ) -> np.ndarray:
        total = partial(partitions[0], state, odd)
        for partition in partitions[1:]:
            np.add(total, partial(partition, state, odd), out=total)
        for step in range(self.size - 1):
            mine = self._piece(total, self.comm.rank - step - 1)
            came = self.inbox[: mine.size]
            self._pass_on(self._piece(total, self.comm.rank - step), came)
            np.add(mine, came, out=mine)
        for step in range(self.size - 1):
            mine = self._piece(total, self.comm.rank - step)
            self._pass_on(self._piece(total, self.comm.rank - step + 1), mine)
        return total

    def _piece(self, total: np.ndarray, number: int) -> np.ndarray:
        number %= self.size
        return total[self.cuts[number] : self.cuts[number + 1]]

    def _pass_on(self, piece: np.ndarray, into: np.ndarray) -> None:
        rank = self.comm.rank
        following, before = (rank + 1) % self.size, (rank - 1) % self.size
        self.comm.links.exchange({following: [piece]}, {before: Scattered([into])}, Head())


# A map that computes


@numba.njit(nogil=True, cache=True)
def spin(steps: int, value: int) -> int:
    """A chain of multiplications: every step waits for the one before."""
    for step in range(steps):
        value = (value * 6364136223846793005) ^ step
    return value


def spin_steps(seconds: float) -> int:
    """How many steps take that many CPU seconds here, the core not being shared."""
    spin(10, 1)
    best = float("inf")
    steps = 1_000_000
    for _ in range(9):
        started = time.thread_time()
        spin(steps, 1)
        best = min(best, time.thread_time() - started)
    return max(1, int(steps * seconds / best))


def weigh_slowly(partition: Partition, state: np.ndarray, steps: int) -> np.ndarray:
    """map: computes, then as weigh()."""
    spin(steps, partition.index)
    return weigh(partition, state)


def many_maps(partition: Partition, state: np.ndarray, steps: int, count: int) -> float:
    """The same maps without engine between them: mean wall seconds of one."""
    started = time.perf_counter()
    for _ in range(count):
        weigh_slowly(partition, state, steps)
    return (time.perf_counter() - started) / count

"""The engine: what an iteration costs beside its map.

    empty       state on every rank -> no-op map -> partial as large -> sum -> next state on every
                rank, against PySpark and Ray
    partitions  the same with more partitions than ranks, against its maps and sums alone
    identity    the fixed tree over 64 partitions against a ring that adds in any order
    share       what is added to maps that compute for 10 ms

The state is whole numbers and the weights of the partitions are binary fractions that add up to
1, so that every state must equal the first one exactly. That is looked at off the clock.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import engine_costs, engine_steps, harness
from benchmarks.away import Absent, Away
from benchmarks.engine_peers import first_state, weights_of
from benchmarks.engine_tables import COMPARED_RANKS, Setting, record, size_words
from benchmarks.harness import Contender, Timed, tell
from pipelines.engine import connect, iterate
from pipelines.engine.job import Row

PARTS = ("empty", "partitions", "identity", "share")
PEERS = {"PySpark": ("Spark", "pyspark"), "Ray": ("Ray", "ray")}
FEWEST = 4
MOST_TASKS_BYTES = 10_000_000  # of the state: beyond, tasks take seconds
FASTER = ("ours is", "lowest", "highest")


class Empty:
    """Empty iterations over so many partitions; the last run's seconds, told in two ways."""

    def __init__(self, engine: Any, n: int, nbytes: int, seconds: float) -> None:
        self.engine, self.seconds = engine, seconds
        self.partitions = engine.partitions(np.array, [[weight] for weight in weights_of(n)])
        self.state = first_state(nbytes)
        self.count = 0
        self.all_in_s = self.right = 0.0

    def run(self) -> Timed:
        """Median seconds of one iteration inside its chunk."""
        if not self.count:
            self.count = self._count()
        started = time.perf_counter()
        rows = self._iterate(self.count)
        self.all_in_s = (time.perf_counter() - started) / self.count
        return Timed(self.is_right, statistics.median(inside(rows)))

    def _count(self) -> int:
        """How many iterations fit into the seconds, with the start and the end of iterate()."""
        self._iterate(FEWEST)  # what a first chunk costs beside
        started = time.perf_counter()
        rows = self._iterate(3 * FEWEST)
        each = statistics.median(inside(rows))
        beside = time.perf_counter() - started - each * len(rows)
        return max(FEWEST, int(max(self.seconds - beside, self.seconds / 2) / max(each, 1e-6)))

    def all_in(self) -> Timed:
        """Of the same run: the wall time of iterate() by the number of iterations."""
        return Timed(self.is_right, self.all_in_s)

    def _iterate(self, count: int) -> list[Row]:
        done = iterate(
            self.engine,
            self.partitions,
            map=engine_steps.weigh,
            update=engine_steps.take,
            state=self.state,
            max_iter=count,
        )
        self.is_right = bool(np.array_equal(done.state, self.state))
        return done.rows

    def close(self) -> None:
        self.engine.release(self.partitions)


def inside(rows: Sequence[Row]) -> list[float]:
    """Seconds from the end of one iteration to the end of the next; where a chunk ends between
    the two, the median does not show it."""
    return [after.stopped - before.stopped for before, after in itertools.pairwise(rows)]


def run(setting: Setting) -> Iterator[list[dict]]:
    """Measure, verify and show; one cluster of local workers after the other."""
    digests: dict[str, str] = {}
    for ranks in setting.ranks:
        compared = ranks == COMPARED_RANKS
        with _connect("gang", ranks) as engine:
            if "empty" in setting.parts:
                yield _empty(engine, ranks, setting)
            if "partitions" in setting.parts and compared:
                yield _partitions(engine, setting)
            if "identity" in setting.parts and ranks in (COMPARED_RANKS, 2 * COMPARED_RANKS):
                yield engine_costs.identity(engine, ranks, digests, setting)
            if "share" in setting.parts and compared:
                yield engine_costs.share(engine, setting)


def _connect(executor: str, ranks: int) -> Any:
    return connect(executor, nworkers=ranks, memory_limit=0, dashboard_address=None)


# An empty iteration


def _empty(engine: Any, ranks: int, setting: Setting) -> list[dict]:
    watch = harness.Watch()
    groups: list[list[Contender]] = []
    n = max(ranks, COMPARED_RANKS)
    with contextlib.ExitStack() as stack:
        aways: dict[str, Away] = {}
        tasks = None
        if ranks == COMPARED_RANKS:
            aways = {name: stack.enter_context(away) for name, away in _peers(setting)}
            tasks = stack.enter_context(_connect("tasks", ranks))
        for nbytes in setting.sizes:
            group = _ours(engine, f"gang, {ranks} ranks", n, nbytes, setting.trial_s)
            if tasks is not None and nbytes <= MOST_TASKS_BYTES:
                group += _ours(tasks, f"tasks, {ranks} workers", n, nbytes, setting.trial_s)
            group += [_peer(name, away, nbytes, setting) for name, away in aways.items()]
            compared = ranks == COMPARED_RANKS
            harness.alternate(group, setting.trials if compared else min(setting.trials, 3))
            groups.append(group)
    title = f"empty iteration, {ranks} ranks, {n} partitions"
    return [record("empty", title, groups, setting, watch, FASTER) | {"ranks": ranks}]


def _ours(engine: Any, name: str, n: int, nbytes: int, seconds: float) -> list[Contender]:
    empty = Empty(engine, n, nbytes, seconds)
    words = size_words(nbytes)
    return [
        Contender(name, words, 1, empty.run, elsewhere=True, unit=""),
        Contender(f"{name}, all in", words, 1, empty.all_in, elsewhere=True, unit=""),
    ]


def _peers(setting: Setting) -> Iterator[tuple[str, Away]]:
    for name, (target, package) in PEERS.items():
        if setting.peers is not None and name not in setting.peers:
            continue
        try:
            threads = {"OMP_NUM_THREADS": "1"}
            yield name, Away(f"benchmarks.engine_peers:{target}", package, threads)
        except Absent as reason:
            tell(f"{name}: left out ({reason})")


def _peer(name: str, away: Away, nbytes: int, setting: Setting) -> Contender:
    def run() -> Timed:
        return Timed(*away.call("run", nbytes, setting.trial_s))

    return Contender(name, size_words(nbytes), 1, run, elsewhere=True, unit="")


# Number of partitions


def _partitions(engine: Any, setting: Setting) -> list[dict]:
    """Against one rank's maps and sums in this process: what is left is the engine's."""
    watch = harness.Watch()
    groups = []
    for nbytes in (8, setting.sizes[0]):
        for n in setting.partitions:
            alone = engine_steps.Alone(n // COMPARED_RANKS, nbytes)
            name = f"{n} partitions"
            group = [
                Contender(f"maps and sums of {n // COMPARED_RANKS}", "", 1, alone.run, unit=""),
                *_ours(engine, name, n, nbytes, setting.trial_s / 3),
            ]
            for contender in group:
                contender.returns = size_words(nbytes)
            harness.alternate(group, setting.trials)
            groups.append(group)
    title = f"number of partitions, {COMPARED_RANKS} ranks"
    longer = ("to the maps", "lowest", "highest")
    return [record("partitions", title, groups, setting, watch, longer)]

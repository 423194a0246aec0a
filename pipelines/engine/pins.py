"""Which worker holds which partition: the driver's side of the workers' caches.

A worker is known by its address. One that is restarted has another address and holds nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.engine import pinned
from pipelines.engine.attempt import Attempt, AttemptFailed, Outcome, raise_unless_retried
from pipelines.engine.errors import EngineError
from pipelines.engine.events import PartitionLoaded, PartitionsMoved, RankSlow, TaskRetried
from pipelines.engine.partitions import Partitions, Tally
from pipelines.engine.placement import place
from pipelines.engine.posts import Post, Posts
from pipelines.engine.retry import NO_WORKERS_S, RETRIES, bench_seconds
from pipelines.engine.window import LOOK_S

if TYPE_CHECKING:
    from pipelines.engine.tasks import TasksEngine

WAIT_S = 0.25  # between looks for a worker while there is none
DROP_S = 2.0


@dataclass(frozen=True)
class Bench:
    """A worker that is left out. last_seen: the scheduler's time of its last sign of life then."""

    last_seen: float
    until: float
    strikes: int


class Pins:
    """Of one engine, for all its partitions. Used by the thread that runs the engine.

    version   changes when a worker is lost or benched: what ensure() said is no longer true
    """

    def __init__(self, engine: TasksEngine):
        self._engine = engine
        self.version = 0
        self._held: dict[str, dict[int, list[str]]] = {}  # key -> leaf -> addresses
        self._orphans: dict[str, set[int]] = {}  # key -> leaves whose last holder is gone
        self._tallies: dict[str, Tally] = {}
        self._drops: dict[tuple[str, str], set[int]] = {}  # key, address -> leaves that moved away
        self._benched: dict[str, Bench] = {}

    # Workers

    def is_here(self, address: str) -> bool:
        """Whether a worker lives and is not benched."""
        return address in self._engine.live and not self._is_out(address)

    def bench(self, address: str, reason: str) -> None:
        """Leave a suspect worker out until the scheduler has heard of it again; longer each time
        that it is benched."""
        seen = self._engine.refresh().get(address)
        if seen is None or self._is_out(address):
            return
        before = self._benched.get(address)
        strikes = before.strikes + 1 if before else 1
        self._benched[address] = Bench(seen, time.monotonic() + bench_seconds(strikes), strikes)
        self.version += 1
        self._engine.tell(RankSlow(self._engine.name_of(address), reason))

    def _is_out(self, address: str) -> bool:
        bench = self._benched.get(address)
        if bench is None:
            return False
        return (
            self._engine.seen.get(address, 0.0) <= bench.last_seen or time.monotonic() < bench.until
        )

    def forget(self, address: str) -> None:
        """Whatever this worker held is lost: its process ended."""
        self.version += 1
        self._benched.pop(address, None)
        for key, held in self._held.items():
            self._drops.pop((key, address), None)
            for leaf, holders in held.items():
                if address in holders:
                    holders.remove(address)
                    if not holders:
                        self._orphans[key].add(leaf)

    def available(self) -> dict[str, int]:
        """Threads by address of the workers that can be given work, in the order of their names.

        Those that are about to leave, or whose memory is full, are left out.
        """
        live = sorted(self._engine.live.items(), key=lambda pair: (pair[1].name, pair[0]))
        return {
            address: worker.nthreads
            for address, worker in live
            if self._engine.states.get(address) == "running" and not self._is_out(address)
        }

    def _wait_for_workers(self) -> dict[str, int]:
        deadline = time.monotonic() + NO_WORKERS_S + 2 * LOOK_S  # none at all is told by Posts
        with Posts(self._engine) as nothing:
            while True:
                self._engine.refresh()
                workers = self.available()
                if workers:
                    return workers
                if time.monotonic() >= deadline and set(self._engine.states.values()) != {"paused"}:
                    raise EngineError(
                        f"no worker could be given work within {NO_WORKERS_S:.0f} s: "
                        "those that are there are not heard of, or about to leave"
                    )
                nothing.wait(WAIT_S)

    # Partitions

    def add(self, partitions: Partitions) -> None:
        """Partitions that nobody holds yet."""
        self._held[partitions.key] = {leaf: [] for leaf in range(partitions.n)}
        self._orphans[partitions.key] = set()
        self._tallies[partitions.key] = Tally()

    def ensure(self, partitions: Partitions) -> dict[str, list[int]]:
        """Bring every partition in place: worker's address -> the leaves it is to run, ascending.

        Reads the list of workers anew, loads what is missing (on those that joined, and what was
        lost), marks what moved away. Workers that run nothing are left out. Waits while there is
        no worker; EngineError when none comes. Raises what loading raises, see engine.partitions.
        """
        held, failures = self._held_of(partitions), Counter[int]()
        while True:
            workers = self._wait_for_workers()
            plan = place(partitions.n, partitions.costs, workers, held, partitions.replicas)
            missing = [
                (leaf, address)
                for leaf in range(partitions.n)
                for address in plan[leaf]
                if address not in held[leaf]
            ]
            if not missing:
                break
            self._load(partitions, missing, failures)
        homes: dict[str, list[int]] = {}
        for leaf in range(partitions.n):
            homes.setdefault(plan[leaf][0], []).append(leaf)
            self._settle(partitions.key, leaf, plan[leaf])
        return homes

    def _settle(self, key: str, leaf: int, planned: list[str]) -> None:
        """Order the holders as planned; others let go, unless they are out for a while only."""
        before = self._held[key][leaf]
        for address in before:
            if address not in planned and not self._is_out(address):
                self._drops.setdefault((key, address), set()).add(leaf)
        kept = [address for address in before if address not in planned and self._is_out(address)]
        self._held[key][leaf] = [*planned, *kept]

    def _load(
        self, partitions: Partitions, missing: list[tuple[int, str]], failures: Counter[int]
    ) -> None:
        """Load leaves on workers. What is lost on the way is for the next look."""
        key, tally = partitions.key, self._tallies[partitions.key]
        moves: Counter[str] = Counter()
        open_posts: dict[Post, tuple[int, str]] = {}
        with Posts(self._engine) as posts:

            def post(leaf: int, address: str) -> None:
                task = Load(key, leaf, partitions.load, partitions.sources[leaf])
                open_posts[posts.post(address, partitions.task_key("load", leaf), task)] = (
                    leaf, address,
                )  # fmt: skip

            for leaf, address in missing:
                post(leaf, address)
            while open_posts:
                for reply in posts.wait():
                    leaf, address = open_posts.pop(reply.post)
                    if isinstance(reply.error, AttemptFailed):
                        failures[leaf] += 1
                        raise_unless_retried(reply.error, reply.post.key, failures[leaf], RETRIES)
                        self._engine.tell(
                            TaskRetried(reply.post.key, reply.error.worker, reply.error.error)
                        )
                        post(leaf, address)
                    elif not reply.lost:
                        moves[self._loaded(partitions, leaf, address, reply.result)] += 1
        tally.reloaded += moves["worker lost"]
        tally.moved += moves["balance"]
        for reason in ("worker lost", "balance"):
            if moves[reason]:
                self._engine.tell(PartitionsMoved(partitions.name, moves[reason], reason))

    def _loaded(self, partitions: Partitions, leaf: int, address: str, done: Outcome) -> str:
        """Book a leaf that a worker holds now; why it was loaded there."""
        key, tally, loaded = partitions.key, self._tallies[partitions.key], done.result
        why = "first"
        if leaf in self._orphans[key]:
            why = "worker lost"
            self._orphans[key].discard(leaf)
        elif self._held[key][leaf] and partitions.replicas == 1:
            why = "balance"
        tally.nbytes[leaf] = loaded.nbytes
        self.note(partitions, address, loaded.counts)
        self.holds(partitions, leaf, address)
        self._engine.tell(
            PartitionLoaded(partitions.name, leaf, done.worker, loaded.nbytes, loaded.seconds)
        )
        return why

    def holds(self, partitions: Partitions, leaf: int, address: str) -> None:
        """A worker holds a leaf, whoever had it loaded there."""
        holders = self._held_of(partitions)[leaf]
        if address in self._engine.live and address not in holders:
            holders.append(address)
        self._drops.get((partitions.key, address), set()).discard(leaf)

    def lacks(self, partitions: Partitions, leaf: int, address: str) -> None:
        """A worker was found without a leaf that it should hold."""
        holders = self._held_of(partitions)[leaf]
        if address in holders:
            holders.remove(address)
            self.version += 1

    def take_drops(self, partitions: Partitions, address: str) -> tuple[int, ...]:
        """Leaves that a worker need not hold any more: for the next task that goes there."""
        return tuple(sorted(self._drops.pop((partitions.key, address), ())))

    def holders(self, partitions: Partitions) -> dict[int, list[str]]:
        """Leaf -> addresses of the workers that hold it, the one that runs it first."""
        return {leaf: list(found) for leaf, found in self._held_of(partitions).items()}

    def _held_of(self, partitions: Partitions) -> dict[int, list[str]]:
        try:
            return self._held[partitions.key]
        except KeyError:
            raise EngineError(f"{partitions.key} was released, or is of another engine") from None

    def note(self, partitions: Partitions, address: str, counts: Any) -> None:
        """Keep pinned.cache().counts(key) of a worker, brought back by one of its tasks."""
        self._tallies[partitions.key].note(address, counts)

    def facts(self, partitions: Partitions) -> dict[str, int]:
        """See engine.partition_facts."""
        self._held_of(partitions)
        return self._tallies[partitions.key].facts()

    def release(self, partitions: Partitions) -> None:
        """Drop the partitions everywhere."""
        self._held_of(partitions)
        self._drop_everywhere([partitions.key])
        for table in (self._held, self._orphans, self._tallies):
            table.pop(partitions.key)
        for pair in [pair for pair in self._drops if pair[0] == partitions.key]:
            del self._drops[pair]

    def release_all(self) -> None:
        """Drop all partitions of this engine."""
        if self._held:
            self._drop_everywhere(list(self._held))
            self._held.clear()

    def _drop_everywhere(self, keys: list[str]) -> None:
        """Beside the tasks; a worker that does not answer must not hold us up."""
        client = self._engine.client

        def ask() -> None:
            with contextlib.suppress(Exception):
                client.run(drop, keys, on_error="ignore")

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(timeout=DROP_S)


@dataclass(frozen=True)
class Held:
    """What a load task brings back."""

    nbytes: int
    seconds: float
    counts: Any


@dataclass(frozen=True)
class Load:
    """The task that loads a leaf."""

    key: str
    leaf: int
    load: Callable[[Any], Any]
    source: Any

    def __call__(self, worker: str, n_threads: int) -> Outcome:
        return Attempt(self._load, self.leaf, ()).run(worker)

    def _load(self, leaf: int) -> Held:
        cache = pinned.cache()
        loaded = cache.load(self.key, leaf, self.load, self.source)
        return Held(loaded.nbytes, loaded.seconds, cache.counts(self.key))


def drop(keys: list[str]) -> None:
    for key in keys:
        pinned.cache().drop(key)

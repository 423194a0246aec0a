"""The executor that runs iterations in gangs; everything else is as with plain tasks.

A chunk is one task per worker. Its ranks need their slots at the same time, so there is a rule for
gangs that stand in each other's way, or in the way of other people's tasks: who cannot assemble
within a few seconds gives all slots back and tries again after a while that chance decides, and
from then on those who had to do so go one after another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import dask

from pipelines.engine import visible
from pipelines.engine.attempt import AttemptFailed, raise_unless_retried
from pipelines.engine.errors import ChunkBroken, EngineError
from pipelines.engine.gang import seat
from pipelines.engine.gang.crowd import Crowd
from pipelines.engine.gang.door import Address
from pipelines.engine.gang.hello import Ticket
from pipelines.engine.gang.rank import Broken, ChunkPart, Done, Orders, Part, StepPart
from pipelines.engine.gang.run import Gang, GangRun
from pipelines.engine.gang.seat import PORTS, Seat
from pipelines.engine.job import Chunk, ChunkDone, State
from pipelines.engine.partitions import Partitions
from pipelines.engine.retry import RETRIES
from pipelines.engine.stragglers import SLOW_ROWS, ranks_to_evict
from pipelines.engine.tasks import TasksEngine

ASSEMBLY_S = 5.0  # from the first rank that runs to the last one
FIRST_ASSEMBLY_S = 15.0  # of workers that have yet to import what the job needs
BACK_OFF_S = 0.2  # doubled with every time that a gang did not assemble
LONGEST_BACK_OFF_S = 5.0
MOST_MISSES = 3  # then a worker that never comes in time is left out for a while
SILENT_S = 3.0  # without a heartbeat, of one that did not come: they are sent twice a second
MOST_TRIES = 100
ASK_S = 5.0  # for a worker to tell where its door is
EVICT_GAIN_S = 0.05  # of an iteration: less is not worth reading partitions anew


@dataclass(frozen=True)
class Kept:
    """The state that a chunk ended with, and the workers that have it under that token."""

    token: str
    state: State
    holders: frozenset[str]


class GangEngine(TasksEngine):
    """Engine over a connected client of a tcp:// or tls:// cluster."""

    name = "gang"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self._scratch is not None:  # own workers: states need not pass through the scheduler
            self.client.direct_to_workers = True
        self._seat = f"gang-{uuid.uuid4().hex}"
        self._is_seated = False
        self._doors: dict[str, Address] = {}
        self._experienced: set[str] = set()  # workers that were in a chunk that ended
        self._kept: Kept | None = None
        self._usual_s: dict[tuple[str, str], float] = {}
        self._algorithms: dict[tuple[str, int], dict[str, str]] = {}
        self._owners: dict[str, tuple[dict[str, list[int]], tuple[int, ...]]] = {}
        self._crowd = Crowd(self.client)

    # What it does

    def run_chunk(self, partitions: Partitions, chunk: Chunk) -> ChunkDone:
        name = (partitions.key, chunk.job.name)
        bare = dataclasses.replace(chunk, state=None)

        def parts(gang: Gang) -> list[Part]:
            token, given = self._token_of(chunk.state, gang)
            holders = self._holding_ranks(partitions, gang)
            algorithms = self._algorithms.get((partitions.key, len(gang.workers)), {})
            return [
                ChunkPart(
                    gang.orders,
                    rank,
                    partitions.key,
                    self.pins.take_drops(partitions, worker),
                    chunk=bare,
                    token=token,
                    state=given if rank == 0 else (),
                    holders=holders,
                    costs=partitions.costs,
                    algorithms=algorithms,
                )
                for rank, worker in enumerate(gang.workers)
            ]

        gang = self._assembled(partitions, chunk.job.name, parts, self._usual_s.get(name))
        answers = self._done(gang, partitions, chunk.job.name)
        self._compare(answers, chunk)
        done: ChunkDone = answers[0].result
        self._learn(name, gang, partitions, answers, done)
        names = tuple(map(self.name_of, gang.workers))
        return ChunkDone(done.state, done.n_iter, done.outcome, done.next_job, done.rows, names)

    def spmd(self, function: Callable[..., Any], partitions: Partitions, *args: Any) -> list[Any]:
        def parts(gang: Gang) -> list[Part]:
            return [
                StepPart(
                    gang.orders,
                    rank,
                    partitions.key,
                    self.pins.take_drops(partitions, worker),
                    function=function,
                    args=args,
                )
                for rank, worker in enumerate(gang.workers)
            ]

        attempts = 0
        while True:
            attempts += 1
            gang = self._assembled(partitions, "spmd", parts, None)
            try:
                return [done.result for done in self._done(gang, partitions, "spmd")]
            except ChunkBroken as error:
                if attempts >= RETRIES:
                    raise EngineError(f"a step broke {attempts} times: {error}") from error

    def close(self) -> None:
        if not self._closed:
            self._crowd.close()
        super().close()

    # A run, from its assembly to its end

    def _assembled(
        self,
        partitions: Partitions,
        verb: str,
        parts: Callable[[Gang], Sequence[Part]],
        usual_s: float | None,
    ) -> Gang:
        """The first run that came together, with its answers; it may have broken since."""
        misses: Counter[str] = Counter()
        tries = 0
        while True:
            gang = self._gather(partitions, usual_s, first=not tries)
            with self._crowd.turn():
                GangRun(self, gang).to_the_end(verb, parts(gang))
            for rank, answer in gang.lacks.items():
                if not answer.leaves:
                    self._kept = None
                for leaf in answer.leaves:
                    self.pins.lacks(partitions, leaf, gang.workers[rank])
            if gang.error is not None or gang.lost or not (gang.missed or gang.lacks):
                return gang
            if not gang.lacks:
                tries += 1
                if tries >= MOST_TRIES:
                    raise EngineError(
                        f"the workers' slots were not free at the same time in {tries} attempts",
                        remedy="Wait until other work on the cluster is done, or use tasks.",
                    )
                self._crowd.met()
                self._doors.clear()  # one may have been closed and opened elsewhere
                self._leave_out(misses, {gang.workers[rank] for rank in gang.late})
                longest = min(BACK_OFF_S * 2**tries, LONGEST_BACK_OFF_S)
                time.sleep(random.uniform(0.5, 1.0) * longest)

    def _leave_out(self, misses: Counter[str], late: set[str]) -> None:
        """Go on without a worker that does not live, or has no slot for us again and again."""
        misses.update(late)
        seen = self.refresh()
        for address in late & seen.keys():
            silent_s = max(seen.values()) - seen[address]
            if silent_s >= SILENT_S:
                self.pins.bench(address, f"not heard of for {silent_s:.0f} s")
            elif misses[address] >= MOST_MISSES and len(self.pins.available()) > 1:
                self.pins.bench(address, "busy with other tasks")
                misses[address] = 0

    def _gather(self, partitions: Partitions, usual_s: float | None, first: bool) -> Gang:
        """Who takes part, in the order of their partitions, and where to meet."""
        self._sit_down()
        while True:
            homes = self.pins.ensure(partitions)
            workers = sorted(homes, key=lambda address: homes[address][0])
            if all([self._find_door(worker) for worker in workers]):
                break
        homes_before, owners = self._owners.get(partitions.key, ({}, ()))
        if homes_before != homes:
            ranks = {leaf: rank for rank, worker in enumerate(workers) for leaf in homes[worker]}
            owners = tuple(ranks[leaf] for leaf in range(partitions.n))
            self._owners[partitions.key] = (homes, owners)
        strange = usual_s is None or not self._experienced >= set(workers)
        assembly_s = FIRST_ASSEMBLY_S if first and strange else ASSEMBLY_S
        doors = tuple(self._doors[worker] for worker in workers)
        orders = Orders(self._seat, Ticket(), doors, owners, assembly_s, usual_s)
        return Gang(workers, owners, orders)

    def _sit_down(self) -> None:
        if not self._is_seated:
            self._register(Seat(self._seat, dask.config.get(PORTS, None)))
            with contextlib.suppress(OSError):  # a worker died just now: nothing but gauges
                self._plugins.append(visible.register(self.client))
            self._is_seated = True

    def _find_door(self, worker: str) -> bool:
        """Whether the worker has one; a worker that does not tell is left out."""
        if worker in self._doors:
            return True
        try:
            answers = self.client.sync(
                self.client._run,
                seat.seat_address,
                self._seat,
                workers=[worker],
                on_error="return",
                callback_timeout=ASK_S,
            )
        except (TimeoutError, OSError, ValueError):
            answers = {}
        found = answers.get(worker)
        if isinstance(found, tuple):
            self._doors[worker] = found
            return True
        if isinstance(found, str):
            raise EngineError(
                f"{self.name_of(worker)} cannot take part in a gang: {found}",
                remedy=f"Set {PORTS} in Dask's configuration to free ports, or use tasks.",
            )
        self.refresh()
        self.pins.bench(worker, "does not tell where its gang socket is")
        return False

    # What comes of it

    def _done(self, gang: Gang, partitions: Partitions, verb: str) -> list[Done]:
        """The answers by rank. Raises LeafFailed and what a step raised, or ChunkBroken."""
        if isinstance(gang.error, AttemptFailed):
            raise_unless_retried(gang.error, verb, 1, 1)
        if gang.error is not None:
            raise gang.error
        answers = [gang.answers.get(rank) for rank in range(len(gang.workers))]
        done = [answer for answer in answers if isinstance(answer, Done)]
        if len(done) == len(answers):
            for worker, answer in zip(gang.workers, done, strict=True):
                self.pins.note(partitions, worker, answer.counts)
            return done
        lost = sorted(gang.lost)
        for rank in lost:
            self._doors.pop(gang.workers[rank], None)
        if self._kept is not None and self._kept.holders & set(gang.workers):
            self._kept = None  # the ranks may have gone on from it
        names = ", ".join(self.name_of(gang.workers[rank]) for rank in lost)
        reasons = {answer.reason for answer in answers if isinstance(answer, Broken)}
        text = f"{names} lost" if lost else "; ".join(sorted(reasons))
        raise ChunkBroken(text, tuple(gang.workers[rank] for rank in lost))

    def _compare(self, answers: Sequence[Done], chunk: Chunk) -> None:
        odd = [rank for rank, a in enumerate(answers) if a.fingerprint != answers[0].fingerprint]
        if odd:
            raise EngineError(
                f"{chunk.job.name}: after iteration {chunk.first} and following, ranks came to "
                "different states from the same totals",
                remedy="update and until must depend on nothing but their arguments: no clock, no "
                "unseeded random numbers, no order of a set.",
            )

    def _token_of(self, state: State, gang: Gang) -> tuple[str, tuple[State, ...]]:
        """(token, ()) when a rank has the state already, else (token, (state,)) for rank 0."""
        kept = self._kept
        if kept is not None and kept.state is state and kept.holders & set(gang.workers):
            return kept.token, ()
        return uuid.uuid4().hex, (state,)

    def _holding_ranks(self, partitions: Partitions, gang: Gang) -> tuple[tuple[int, ...], ...]:
        ranks = {worker: rank for rank, worker in enumerate(gang.workers)}
        holders = self.pins.holders(partitions)
        return tuple(
            tuple(ranks[worker] for worker in holders[leaf] if worker in ranks)
            for leaf in range(partitions.n)
        )

    def _learn(
        self,
        name: tuple[str, str],
        gang: Gang,
        partitions: Partitions,
        answers: Sequence[Done],
        done: ChunkDone,
    ) -> None:
        """What the next chunk profits from; and who was slow."""
        first = answers[0]
        self._experienced |= set(gang.workers)
        self._kept = Kept(first.token, done.state, frozenset(gang.workers))
        spent: dict[str, list[float]] = {}
        for row in done.rows:
            spent.setdefault(row.job, []).append(row.stopped - row.started)
        self._usual_s[name] = max(map(median, spent.values()))
        known = self._algorithms.setdefault((partitions.key, len(gang.workers)), {})
        known.update(first.algorithms)
        homes, owners = self._owners[partitions.key]
        self._owners[partitions.key] = (homes, first.owners or owners)
        if first.owners != gang.owners or len(done.rows) < SLOW_ROWS:
            return
        history = [row.seconds for row in done.rows]
        usual = [median(row[rank] for row in history) for rank in range(len(gang.workers))]
        for rank in ranks_to_evict(history, gang.owners, partitions.costs):
            others = median(usual[:rank] + usual[rank + 1 :])
            if usual[rank] - others < EVICT_GAIN_S:
                continue
            times = usual[rank] / max(others, 1e-9)
            self.pins.bench(gang.workers[rank], f"{times:.0f} times as slow as the others")

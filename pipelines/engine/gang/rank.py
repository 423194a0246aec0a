"""What a gang's task does on its worker: many iterations, with no scheduler and no driver.

    map the own partitions, combine them as far as they go together
    exchange with the other ranks: now all have the total, and the seconds of each rank's maps
    update, until: all ranks compute the same next state from the same bytes

Whatever all ranks must agree on is computed by each of them from what all of them were told: the
algorithm, the owners of partitions with two holders. Only the end of the chunk is rank 0's word.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from pipelines.engine import pinned, visible
from pipelines.engine.attempt import packed
from pipelines.engine.errors import EngineError
from pipelines.engine.gang import letters
from pipelines.engine.gang.comm import Comm, Joining
from pipelines.engine.gang.door import Address
from pipelines.engine.gang.fingerprint import fingerprint
from pipelines.engine.gang.hello import Ticket
from pipelines.engine.gang.links import GangBroken, Head, Links, Unknown
from pipelines.engine.gang.reduction import Reduction
from pipelines.engine.gang.seat import NotAssembled, Seat, meet, seat_here
from pipelines.engine.job import ELEMENTWISE, Chunk, ChunkDone, Job, Row, State
from pipelines.engine.leaves import LeafFailed, Leaves, next_state, recorded
from pipelines.engine.stragglers import rebalance

STOP = 1  # flag of rank 0: this iteration is the chunk's last one
HOLDS = 2  # flag before the first iteration: this rank has the state
FIRST_S = 600.0  # for an iteration of which nothing is known: kernels compile, files are read
LEAST_S = 5.0  # after so long without a word a rank is given up
USUAL_TIMES = 20
LOOK_BACK = 16  # iterations


@dataclass(frozen=True)
class Orders:
    """What all ranks of one run are told. usual_s: an iteration of this job, as far as known."""

    seat: str
    ticket: Ticket
    addresses: tuple[Address, ...]
    owners: tuple[int, ...]
    assembly_s: float
    usual_s: float | None = None


@dataclass(frozen=True)
class Missed:
    """Some ranks did not come: the run has not begun."""

    missing: tuple[int, ...]


@dataclass(frozen=True)
class Broken:
    """The run broke off through others. suspects: ranks; closed: whether they closed, or else were
    not heard of in time."""

    suspects: tuple[int, ...]
    reason: str
    closed: bool


@dataclass(frozen=True)
class Done:
    """A rank came to the end.

    result        rank 0: the ChunkDone; a user's step: what it returned
    fingerprint   of the state: the same on all ranks
    token         under which the rank keeps the state
    owners        with which the chunk ended; algorithms: of each job, those that were chosen
    counts        of the partitions' cache
    """

    result: Any
    fingerprint: int = 0
    token: str = ""
    owners: tuple[int, ...] = ()
    algorithms: Mapping[str, str] = field(default_factory=dict)
    counts: Any = None


@dataclass(frozen=True)
class Lacks:
    """The rank has not what it should have: partitions, or (no leaves) the state."""

    leaves: tuple[int, ...] = ()


Answer = Done | Broken | Missed | Lacks


@dataclass(frozen=True)
class Part:
    """The task of one rank: what is told to it alone. drops: partitions that moved away."""

    orders: Orders
    rank: int
    key: str
    drops: tuple[int, ...] = ()

    def __call__(self, worker: str, n_threads: int) -> Answer:
        orders = self.orders
        seat = seat_here(orders.seat)
        if seat is None:  # it joined, and has not been told of us yet
            return Missed((self.rank,))
        if self.drops:
            pinned.cache().drop(self.key, self.drops)
        mine = [leaf for leaf, rank in enumerate(orders.owners) if rank == self.rank]
        held = pinned.cache().held(self.key)
        if lacking := tuple(leaf for leaf in mine if leaf not in held):
            return Lacks(lacking)
        deadline = time.monotonic() + orders.assembly_s
        try:
            sockets = meet(seat, orders.ticket, self.rank, orders.addresses, deadline)
        except NotAssembled as missed:
            return Missed(missed.missing)
        size, tag = len(orders.addresses), orders.ticket.run[:8]
        with Links(self.rank, size, sockets, tag, patience(orders.usual_s)) as links:
            try:
                with seat.running(orders.ticket.run, links):
                    return self.run(seat, Comm(links, orders.owners), worker, n_threads)
            except GangBroken as error:
                return Broken(error.suspects, error.reason, error.closed)

    def run(self, seat: Seat, comm: Comm, worker: str, n_threads: int) -> Answer:
        """What the rank does once it can talk to the others. Raises LeafFailed, GangBroken."""
        raise NotImplementedError


@dataclass(frozen=True)
class ChunkPart(Part):
    """A chunk of iterations. chunk: without its state, which goes by token; state: () or the one
    that it is. holders: leaf -> ranks that have it, costs: of the leaves, algorithms: by job,
    as far as they are chosen."""

    chunk: Chunk = field(kw_only=True)
    token: str = field(kw_only=True)
    state: tuple[State, ...] = field(kw_only=True, default=())
    holders: tuple[tuple[int, ...], ...] = field(kw_only=True, default=())
    costs: tuple[float, ...] = field(kw_only=True, default=())
    algorithms: Mapping[str, str] = field(kw_only=True, default_factory=dict)

    def run(self, seat: Seat, comm: Comm, worker: str, n_threads: int) -> Answer:
        held = self.state or seat.take(self.token)
        state = _same_state(comm, held)
        if not state:
            return Lacks()
        with Leaves(self.key, comm.n, worker, n_threads) as leaves:
            turns = Turns(self, comm, leaves)
            try:
                done = turns.to_the_end(state[0])
            except EngineError as error:
                if isinstance(error, LeafFailed):
                    raise
                raise LeafFailed(None, packed(error, worker)) from error
            finally:
                turns.show()
        token = uuid.uuid5(uuid.UUID(bytes=self.orders.ticket.run), "end").hex
        seat.keep(token, done.state)
        return Done(
            done if comm.rank == 0 else None,
            fingerprint(done.state),
            token,
            comm.owners,
            turns.algorithms,
            pinned.cache().counts(self.key),
        )


class Turns:
    """The iterations of one chunk on one rank."""

    def __init__(self, part: ChunkPart, comm: Comm, leaves: Leaves):
        self._part, self._comm, self._leaves = part, comm, leaves
        self._reductions: dict[str, Reduction | Joining] = {}
        self._moves = any(len(ranks) > 1 for ranks in part.holders)
        self._history: list[tuple[float, ...]] = []
        self._lasted: list[float] = []
        self._rows: list[Row] = []

    @property
    def algorithms(self) -> dict[str, str]:
        return {name: one.algorithm for name, one in self._reductions.items() if one.algorithm}

    def _reduction(self, job: Job) -> Reduction | Joining:
        name, combine = job.name, job.combine
        if name not in self._reductions:
            self._reductions[name] = (
                Joining(self._comm, combine)
                if callable(combine)
                else Reduction(
                    self._comm, ELEMENTWISE[combine], self._part.algorithms.get(name, "")
                )
            )
        return self._reductions[name]

    def show(self) -> None:
        """Tell the dashboard."""
        visible.sent(self._comm.links.sent_bytes)
        visible.stripes([(row.mapped, row.stopped) for row in self._rows])

    def to_the_end(self, state: State) -> ChunkDone:
        """Raises GangBroken, LeafFailed, EngineError."""
        chunk, comm = self._part.chunk, self._comm
        job = chunk.job
        deadline = time.monotonic() + chunk.budget_s
        done, outcome, following = chunk.first, "", ""
        while not outcome:
            started, begun = time.time(), perf_counter()
            nodes = self._leaves.fold(comm.mine, job, state, chunk.args)
            seconds = perf_counter() - begun
            mapped = started + seconds
            over = comm.rank == 0 and time.monotonic() >= deadline
            reduction = self._reduction(job)
            total = reduction(nodes, STOP if over else 0, seconds)
            heads = reduction.heads
            state, outcome, following = next_state(
                job, state, total, chunk.args, self._leaves.worker
            )
            done += 1
            of_all = tuple([heads[rank].seconds for rank in range(comm.size)])
            values = recorded(job, state, self._leaves.worker) if comm.rank == 0 else {}
            stopped = time.time()
            self._rows.append(Row(done, job.name, started, mapped, stopped, of_all, values))
            visible.iteration(done, of_all, values)
            if not outcome and done >= chunk.most:
                outcome = "max_iter"
            if not outcome and heads[0].flags & STOP:
                outcome = "budget"
            self._look_back(perf_counter() - begun, of_all)
            if following in chunk.jobs:
                job = chunk.jobs[following]
            else:
                outcome = "then"
        return ChunkDone(state, done - chunk.first, outcome, following, tuple(self._rows))

    def _look_back(self, lasted_s: float, of_all: tuple[float, ...]) -> None:
        """After an iteration: how long to wait for others, and who maps what from now on."""
        self._lasted.append(lasted_s)
        if len(self._lasted) > LOOK_BACK:
            del self._lasted[0]
        self._comm.links.timeout = max(LEAST_S, USUAL_TIMES * max(self._lasted))
        if not self._moves:
            return
        self._history.append(of_all)
        part, comm = self._part, self._comm
        owners = tuple(rebalance(self._history, comm.owners, part.holders, part.costs))
        if owners != comm.owners:
            comm.set_owners(owners)
            for reduction in self._reductions.values():
                reduction.set_owners(owners)
            self._history.clear()


@dataclass(frozen=True)
class StepPart(Part):
    """A user's own step: function(comm, partitions, *args)."""

    function: Any = field(kw_only=True)
    args: tuple[Any, ...] = field(kw_only=True, default=())

    def run(self, seat: Seat, comm: Comm, worker: str, n_threads: int) -> Answer:
        with ExitStack() as stack:
            cache = pinned.cache()
            held = [stack.enter_context(cache.use(self.key, leaf)) for leaf in comm.mine]
            try:
                result = self.function(comm, held, *self.args)
            except GangBroken:
                raise
            except Exception as error:
                raise packed(error, worker) from error
            comm.barrier()  # nobody leaves while another one may still be sending to it
        return Done(result, counts=pinned.cache().counts(self.key))


def patience(usual_s: float | None) -> float:
    """Seconds to wait for others in the first iteration of a run: fresh partitions are slower."""
    return FIRST_S if usual_s is None else max(3 * LEAST_S, 3 * USUAL_TIMES * usual_s)


def _same_state(comm: Comm, held: tuple[State, ...]) -> tuple[State, ...]:
    """Give the state to the ranks that do not have it. () when none has."""
    peers = comm.links.peers
    boxes = {peer: Unknown() for peer in peers}
    heads = comm.links.exchange(dict.fromkeys(peers, ()), {**boxes}, Head(HOLDS if held else 0))
    holding = [rank for rank in range(comm.size) if heads[rank].flags & HOLDS]
    lacking = [rank for rank in range(comm.size) if rank not in holding]
    if not holding or not lacking:
        return held
    source = holding[0]
    if comm.rank == source:
        letter = letters.pack(held[0])
        comm.links.exchange(dict.fromkeys(lacking, letter), {}, Head())
    elif comm.rank in lacking:
        box = Unknown()
        comm.links.exchange({}, {source: box}, Head())
        return (letters.unpack(box.body),)
    else:
        comm.links.exchange({}, {}, Head())
    return held

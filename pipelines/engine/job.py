"""What an iteration is: the functions that a user hands over, and what comes back.

    map      on each partition, with the state: a partial result
    combine  partial results over the fixed tree of `tree.py`: the total
    update   state and total make the next state (the merge step); it may stop or start another job
    until    whether to stop, from the state before and after

Everything but `map` runs on every rank with the same bytes, so all ranks know the next state
without being told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Partial = Any  # an array, or a tuple of arrays: shapes and dtypes the same from every partition
State = Any  # an array, a number, or a (named) tuple or dict of these


@dataclass(frozen=True)
class Partition:
    """A piece of the loop-invariant data, as `map` gets it.

    index    its number, 0 .. number of partitions - 1
    data     what load(source) returned: an array, or a dict of arrays; not to be written to
    memory   stays with the partition on its worker from call to call, and is empty after it was
             loaded anew. It may make a map faster and must never change its result.
    """

    index: int
    data: Any
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stop:
    """Returned by update: this is the last state."""

    state: State


@dataclass(frozen=True)
class Then:
    """Returned by update: go on with the job of that name from this state."""

    job: str
    state: State


@dataclass(frozen=True)
class Job:
    """The functions of an iteration. All are picklable: module level, or partial objects of such.

    map(partition, state, *args) -> partial. The engine owns what it returns and may write to it.
    update(state, total, *args) -> state | Stop | Then
    combine   'sum' | 'min' | 'max', array by array and element by element, or a function
              (left, right) -> partial, which may write into left
    until(before, after) -> bool
    record(state) -> {name: number}, told with every iteration
    """

    map: Callable[..., Partial]
    update: Callable[..., State | Stop | Then]
    combine: str | Callable[[Partial, Partial], Partial] = "sum"
    until: Callable[[State, State], bool] | None = None
    record: Callable[[State], Mapping[str, float]] | None = None
    name: str = "iterate"


@dataclass(frozen=True)
class Row:
    """One iteration as it ran. Times are seconds since the epoch on rank 0's clock.

    seconds   of the maps, by rank (gang), by worker's task (tasks), or one number (serial)
    mapped    when rank 0 had mapped its partitions: what follows until `stopped` is exchange,
              waiting for the slower ranks, and update
    """

    iteration: int
    job: str
    started: float
    mapped: float
    stopped: float
    seconds: tuple[float, ...]
    values: dict[str, float]


@dataclass(frozen=True)
class Chunk:
    """Iterations that an executor runs between two looks at the world.

    job      the one that it begins with
    first    iterations done before; most: not more than so many in all
    budget_s stop at the first iteration boundary after so many seconds
    args     of map and update, as they are called (broadcast values are already in place)
    jobs     all, by name: Then goes on with another one inside the chunk
    """

    job: Job
    state: State
    first: int
    most: int
    budget_s: float
    args: tuple[Any, ...] = ()
    jobs: Mapping[str, Job] = field(default_factory=dict)


@dataclass(frozen=True)
class ChunkDone:
    """outcome: 'budget' | 'until' | 'stop' | 'max_iter' | 'then' (to a job that there is not).

    next_job   name of the job that the next chunk begins with
    ranks      names of the workers that took part, rank 0 first
    """

    state: State
    n_iter: int
    outcome: str
    next_job: str
    rows: tuple[Row, ...] = ()
    ranks: tuple[str, ...] = ()


@dataclass
class Iterated:
    """What iterate() returns. reason: 'until' | 'stop' | 'max_iter'. n_iter counts those of this
    and, after a resume, of earlier runs; rows are those of this run."""

    state: State
    n_iter: int
    reason: str
    rows: list[Row]


def advance(job: Job, state: State, total: Partial, args: Sequence[Any]) -> tuple[State, str, str]:
    """(next state, '' | 'until' | 'stop', name of the next job)."""
    answer = job.update(state, total, *args)
    if isinstance(answer, Stop):
        return answer.state, "stop", job.name
    if isinstance(answer, Then):
        return answer.state, "", answer.job
    if job.until is not None and job.until(state, answer):
        return answer, "until", job.name
    return answer, "", job.name


ELEMENTWISE: dict[str, np.ufunc] = {"sum": np.add, "min": np.minimum, "max": np.maximum}


def combiner(job: Job) -> Callable[[Partial, Partial], Partial]:
    """combine(left, right) of a job; the result may be left, written over."""
    return combine_by(job.combine)


def combine_by(op: str | Callable[[Partial, Partial], Partial]) -> Callable[..., Partial]:
    """As combiner(), for Job.combine alone. ValueError for an unknown name."""
    if callable(op):
        return op
    if op not in ELEMENTWISE:
        raise ValueError(f"combine must be {', '.join(ELEMENTWISE)} or a function, not {op!r}")
    operation = ELEMENTWISE[op]

    def combine(left: Partial, right: Partial) -> Partial:
        if isinstance(left, tuple):
            for mine, other in zip(left, right, strict=True):
                operation(mine, other, out=mine)
            return left
        return operation(left, right, out=left)

    return combine

"""iterate(): map, combine and update over partitions, again and again, whatever breaks.

The executors run chunks of iterations, and here is what lies between two chunks: the state is
kept (in memory, and as a checkpoint when one is due), listeners hear of every iteration, and after
a broken chunk the state of before is where it goes on from.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.engine.attempt import raise_unless_retried
from pipelines.engine.checkpoint import Checkpoints
from pipelines.engine.contract import Engine
from pipelines.engine.errors import ChunkBroken, EngineError
from pipelines.engine.events import Checkpointed, ChunkEnded, IterationEnded, RolledBack
from pipelines.engine.job import Chunk, ChunkDone, Iterated, Job, Partial, Row, State
from pipelines.engine.leaves import LeafFailed
from pipelines.engine.partitions import Partitions
from pipelines.engine.retry import RETRIES, chunk_seconds, is_hopeless

CHUNK_S = 1.0


def iterate(
    engine: Engine,
    partitions: Partitions,
    *,
    state: State,
    map: Callable[..., Partial] | None = None,
    update: Callable[..., Any] | None = None,
    combine: str | Callable[[Partial, Partial], Partial] = "sum",
    until: Callable[[State, State], bool] | None = None,
    record: Callable[[State], Mapping[str, float]] | None = None,
    jobs: Sequence[Job] | None = None,
    args: tuple[Any, ...] = (),
    max_iter: int = 100,
    checkpoints: Checkpoints | None = None,
    chunk_s: float = CHUNK_S,
    retries: int = RETRIES,
) -> Iterated:
    """Iterate from `state` until update or until stop it, or max_iter iterations are done.

    map, update, combine, until, record   of the one job, see Job; or
    jobs          several, of which the first one begins; update goes to another one with Then
    args          further arguments of map and update; Broadcast handles for large ones
    checkpoints   where the state is saved; a whole one that is there is gone on from
    chunk_s       seconds between two looks at the world: workers that joined, checkpoints
    retries       attempts of a chunk in which a map of the same partition raises
    Raises TaskFailed that names the partition, what the user can mend as itself, EngineError when
    the workers are gone or one chunk broke ten times.
    """
    named = _named(jobs, map, update, combine, until, record)
    run = Run(engine, partitions, named, args, max_iter, checkpoints)
    return run.to_the_end(state, chunk_s, retries)


def _named(
    jobs: Sequence[Job] | None,
    map: Callable[..., Partial] | None,
    update: Callable[..., Any] | None,
    *rest: Any,
) -> dict[str, Job]:
    if jobs is None:
        if map is None or update is None:
            raise ValueError("iterate() needs map and update, or jobs")
        jobs = [Job(map, update, *rest)]
    elif map is not None or update is not None or not jobs:
        raise ValueError("iterate() takes either map and update, or at least one of jobs")
    named = {job.name: job for job in jobs}
    if len(named) < len(jobs):
        raise ValueError("jobs must have different names")
    return named


class Run:
    """One call of iterate()."""

    def __init__(
        self,
        engine: Engine,
        partitions: Partitions,
        jobs: dict[str, Job],
        args: tuple[Any, ...],
        max_iter: int,
        checkpoints: Checkpoints | None,
    ):
        self.engine, self.partitions, self.jobs = engine, partitions, jobs
        self.args, self.max_iter, self.checkpoints = args, max_iter, checkpoints
        self.rows: list[Row] = []
        self.broken = 0
        self.failures: Counter[int | None] = Counter()

    def to_the_end(self, state: State, chunk_s: float, retries: int) -> Iterated:
        n_iter, name = 0, next(iter(self.jobs))
        found = self.checkpoints.latest(like=state) if self.checkpoints else None
        if found is not None:
            n_iter, name, state = found
        while n_iter < self.max_iter:
            budget_s = chunk_seconds(chunk_s, self.broken)
            chunk = self._chunk(name, state, n_iter, budget_s)
            begun = time.time()
            try:
                done = self.engine.run_chunk(self.partitions, chunk)
            except ChunkBroken as error:
                self._roll_back(chunk, error, retries)
                continue
            state, n_iter = done.state, n_iter + done.n_iter
            self._book(chunk, done, time.time() - begun)
            if done.outcome in ("until", "stop"):
                return Iterated(state, n_iter, done.outcome, self.rows)
            name = done.next_job
            self._checkpoint(n_iter, name, state)
        return Iterated(state, n_iter, "max_iter", self.rows)

    def _chunk(self, name: str, state: State, first: int, budget_s: float) -> Chunk:
        if name not in self.jobs:
            raise ValueError(f"there is no job {name!r}, only {', '.join(self.jobs)}")
        rest = (state, first, self.max_iter, budget_s, self.args, self.jobs)
        return Chunk(self.jobs[name], *rest)

    def _book(self, chunk: Chunk, done: ChunkDone, took_s: float) -> None:
        self.broken = 0
        self.failures.clear()
        for row in done.rows:
            self.engine.tell(IterationEnded(row.job, row))
        self.rows.extend(done.rows)
        inside_s = sum(row.stopped - row.started for row in done.rows)
        overhead_s = max(0.0, took_s - inside_s)
        self.engine.tell(
            ChunkEnded(chunk.job.name, done.ranks, chunk.first, done.n_iter, overhead_s)
        )

    def _roll_back(self, chunk: Chunk, error: ChunkBroken, retries: int) -> None:
        """Return when the chunk is to be tried again."""
        name = chunk.job.name
        if isinstance(error, LeafFailed):
            self.failures[error.leaf] += 1
            times = self.failures[error.leaf]
            if error.leaf is None:  # on the same bytes it would raise again
                raise_unless_retried(error.failure, f"{name}-update", times, 1)
            else:
                key = self.partitions.task_key(name, error.leaf)
                raise_unless_retried(error.failure, key, times, retries)
        self.broken += 1
        if is_hopeless(self.broken):
            raise EngineError(
                f"{name} came no further than iteration {chunk.first}: {self.broken} chunks broke "
                f"in a row, the last one because {error}"
            ) from error
        self.engine.tell(RolledBack(name, chunk.first, str(error)))

    def _checkpoint(self, n_iter: int, name: str, state: State) -> None:
        """Save a state that is not the last one: a run that is resumed ends by its own rules."""
        if self.checkpoints is None:
            return
        if n_iter < self.max_iter and self.checkpoints.due(n_iter):
            self.checkpoints.save(n_iter, name, state)
        for saved in self.checkpoints.take_saved():
            self.engine.tell(Checkpointed(saved.job, saved.iteration, saved.seconds, saved.nbytes))

"""A chunk of iterations with the driver in the loop: what serial and tasks do, and what a gang
must give the same bytes as."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.engine.job import Chunk, ChunkDone, Job, Partial, Row, State
from pipelines.engine.leaves import next_state, recorded


@dataclass(frozen=True)
class Folded:
    """All partials of one iteration, combined. seconds: of the maps, as in Row; mapped: when."""

    total: Partial
    seconds: tuple[float, ...]
    mapped: float
    ranks: tuple[str, ...]


def run_iterations(
    chunk: Chunk,
    fold: Callable[[Job, State], Folded],
    worker: str,
    show: Callable[[int, Sequence[float], Mapping[str, float]], object] = lambda *_: None,
) -> ChunkDone:
    """fold(job, state), update, and so on until the chunk's end. Raises LeafFailed.

    show   hears of every iteration: its number, seconds and values as in Row
    """
    job, done = chunk.job, chunk.first
    rows: list[Row] = []
    deadline = time.monotonic() + chunk.budget_s
    state = copy.deepcopy(chunk.state)  # an update that writes into it can still be rolled back
    outcome = ""
    ranks: set[str] = set()
    while not outcome:
        started = time.time()
        folded = fold(job, state)
        state, outcome, following = next_state(job, state, folded.total, chunk.args, worker)
        done += 1
        values = recorded(job, state, worker)
        rows.append(
            Row(done, job.name, started, folded.mapped, time.time(), folded.seconds, values)
        )
        show(done, folded.seconds, values)
        ranks.update(folded.ranks)
        if not outcome and done >= chunk.most:
            outcome = "max_iter"
        if not outcome and time.monotonic() >= deadline:
            outcome = "budget"
        if following in chunk.jobs:
            job = chunk.jobs[following]
        else:
            outcome = "then"
    return ChunkDone(
        state, done - chunk.first, outcome, following, tuple(rows), tuple(sorted(ranks))
    )

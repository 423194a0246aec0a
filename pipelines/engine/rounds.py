"""One round over all partitions: a task per worker, until every leaf has an answer.

What a dead worker owed is done by the others, once its partitions are loaded there. What a slow
worker owes is done by an idle one too: the first result counts, the other is ignored.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.engine import pinned
from pipelines.engine.attempt import AttemptFailed, raise_unless_retried
from pipelines.engine.chunk import Folded
from pipelines.engine.errors import TaskFailed
from pipelines.engine.events import BackupStarted, TaskEnded, TaskRetried
from pipelines.engine.job import Chunk, Job, Partial, State, combiner
from pipelines.engine.leaves import Leaves
from pipelines.engine.partitions import Partitions
from pipelines.engine.posts import Post, Posts, Reply
from pipelines.engine.retry import RETRIES
from pipelines.engine.stragglers import should_back_up
from pipelines.engine.tree import Folding, Node

if TYPE_CHECKING:
    from pipelines.engine.tasks import TasksEngine

LOOK_LATE_S = 0.1  # between looks for slow tasks
PACES = 32  # answers that are remembered to tell what is late
DEATHS = 4  # workers that may die over a leaf, as many as Dask allows for a task of its own


@dataclass(frozen=True)
class Answer:
    """What a worker's task brings back.

    result    of the work; None when leaves were missing
    missing   leaves that the worker does not hold against all expectation
    seconds   of the work; stopped: when it was done, on the worker's clock
    counts    of the worker's cache
    """

    result: Any
    worker: str
    missing: tuple[int, ...]
    seconds: float
    stopped: float
    counts: Any


@dataclass(frozen=True)
class ShareTask:
    """Works on the leaves that a worker holds.

    work      (leaves here, which) -> result
    drops     leaves that the worker need not hold any more
    """

    key: str
    n: int
    leaves: tuple[int, ...]
    work: Callable[[Leaves, tuple[int, ...]], Any]
    drops: tuple[int, ...] = ()

    def __call__(self, worker: str, n_threads: int) -> Answer:
        cache = pinned.cache()
        if self.drops:
            cache.drop(self.key, self.drops)
        held = cache.held(self.key)
        missing = tuple(leaf for leaf in self.leaves if leaf not in held)
        started = time.time()
        result = None
        if not missing:
            with Leaves(self.key, self.n, worker, n_threads) as leaves:
                result = self.work(leaves, self.leaves)
        stopped = time.time()
        return Answer(result, worker, missing, stopped - started, stopped, cache.counts(self.key))


@dataclass(eq=False)
class Share:
    """Leaves that one worker works on.

    post     the task while nothing is known of its end
    parts    when it is late: the same leaves once more, each part on a worker that holds them; what
             is complete first counts, the task or all of its parts
    whole    what this is a part of
    """

    leaves: tuple[int, ...]
    post: Post | None = None
    parts: list[Share] = field(default_factory=list)
    whole: Share | None = None
    answer: Answer | None = None


class Round:
    """paces: seconds per unit of cost of earlier answers, told on from round to round."""

    def __init__(
        self,
        engine: TasksEngine,
        partitions: Partitions,
        verb: str,
        work: Callable[[Leaves, tuple[int, ...]], Any],
        paces: deque[float],
    ):
        self._engine, self._pins, self._partitions = engine, engine.pins, partitions
        self._verb, self._work, self._paces = verb, work, paces
        self._shares: dict[Post, Share] = {}
        self._deaths: Counter[int] = Counter()
        self._orphans: list[int] = []

    def answers(self, homes: dict[str, list[int]]) -> Iterator[tuple[Share, Answer]]:
        """The answers as they come, for every leaf exactly one; again() asks for some anew."""
        with Posts(self._engine) as self._posts:
            self._post(homes)
            while self._shares or self._orphans:
                if self._orphans:
                    self._rehouse()
                for reply in self._posts.wait(LOOK_LATE_S):
                    yield from self._settle(reply)
                self._back_up()

    def again(self, leaves: tuple[int, ...]) -> None:
        """Have these leaves done once more."""
        self._orphans.extend(leaves)

    def _post(self, homes: dict[str, list[int]]) -> None:
        for address, leaves in homes.items():
            self._give(Share(tuple(leaves)), address)

    def _rehouse(self) -> None:
        """Find workers for the orphans."""
        orphans, self._orphans = set(self._orphans), []
        homes = self._pins.ensure(self._partitions)
        found = {
            address: [leaf for leaf in leaves if leaf in orphans]
            for address, leaves in homes.items()
        }
        self._post({address: leaves for address, leaves in found.items() if leaves})

    def _give(self, share: Share, address: str) -> None:
        partitions = self._partitions
        drops = self._pins.take_drops(partitions, address)
        task = ShareTask(partitions.key, partitions.n, share.leaves, self._work, drops)
        key = partitions.task_key(self._verb, share.leaves[0])
        share.post = self._posts.post(address, key, task)
        self._shares[share.post] = share

    def _settle(self, reply: Reply) -> list[tuple[Share, Answer]]:
        """What is complete with this reply."""
        share = self._shares.pop(reply.post, None)
        if share is None:
            return []
        share.post = None
        if reply.lost:
            self._lost(share, reply.post)
            return []
        if reply.error is not None:
            raise reply.error
        answer: Answer = reply.result
        self._pins.note(self._partitions, reply.post.address, answer.counts)
        if answer.missing:
            for leaf in answer.missing:
                self._pins.lacks(self._partitions, leaf, reply.post.address)
            self._lost(share, reply.post)
            return []
        for leaf in share.leaves:
            self._pins.holds(self._partitions, leaf, reply.post.address)
        self._paces.append(answer.seconds / self._cost(share))
        share.answer = answer
        if share.whole is None:
            self._drop_parts(share)
            return [(share, answer)]
        return self._joined(share.whole)

    def _joined(self, late: Share) -> list[tuple[Share, Answer]]:
        """The answers of the parts, once there are all of them."""
        answers = [(part, part.answer) for part in late.parts if part.answer is not None]
        if len(answers) < len(late.parts):
            return []
        if late.post is not None:
            self._give_up(late.post)
            self._pins.bench(late.post.address, f"{late.post.key} was late")
        return answers

    def _drop_parts(self, share: Share) -> None:
        for part in share.parts:
            if part.post is not None:
                self._give_up(part.post)
        share.parts = []

    def _give_up(self, post: Post) -> None:
        self._shares.pop(post)
        self._posts.give_up(post)

    def _lost(self, share: Share, post: Post) -> None:
        self._deaths.update(share.leaves)
        worst = max(self._deaths[leaf] for leaf in share.leaves)
        name = self._engine.name_of(post.address)
        if worst >= DEATHS:
            failed = TaskFailed(post.key, name, "its worker process died every time", worst)
            failed.remedy = "Most often memory: use a larger --memory-limit or fewer workers."
            raise failed
        self._engine.tell(TaskRetried(post.key, name, "worker lost"))
        if share.whole is not None:
            share = share.whole
            self._drop_parts(share)
        if share.post is None and not share.parts:
            self._orphans.extend(share.leaves)

    def _cost(self, share: Share) -> float:
        """Work of a share in relation to others; never 0."""
        return sum(self._partitions.costs[leaf] for leaf in share.leaves) or 1.0

    def _back_up(self) -> None:
        """Give a late share to idle workers that hold its leaves too. Where none do, the late one
        is waited for: each source is read once."""
        busy = {post.address for post in self._shares}
        idle = [address for address in self._pins.available() if address not in busy]
        if not idle:
            return
        now, holders = time.monotonic(), self._pins.holders(self._partitions)
        for post, share in list(self._shares.items()):
            if share.parts or share.whole is not None:
                continue
            helpers = _helpers(share.leaves, idle, holders)
            others = [pace * self._cost(share) for pace in self._paces]
            if not should_back_up(now - post.posted_at, others, len(helpers)):
                continue
            for address, leaves in helpers.items():
                idle.remove(address)
                share.parts.append(Share(tuple(leaves), whole=share))
                self._give(share.parts[-1], address)
                name = self._engine.name_of(address)
                self._engine.tell(BackupStarted(self._verb, tuple(leaves), name))


def _helpers(
    leaves: tuple[int, ...], idle: list[str], holders: dict[int, list[str]]
) -> dict[str, list[int]]:
    """Which of the leaves each idle worker can do, about as many each; {} where one is left."""
    found: dict[str, list[int]] = {}
    for leaf in leaves:
        able = [address for address in idle if address in holders[leaf]]
        if not able:
            return {}
        found.setdefault(min(able, key=lambda a: len(found.get(a, ()))), []).append(leaf)
    return found


def map_round(
    engine: TasksEngine,
    partitions: Partitions,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    verb: str,
) -> list[Any]:
    """function(partition, *args) for each, in order, with three attempts of each."""
    results: list[Any] = [None] * partitions.n
    attempts: Counter[int] = Counter()
    homes = engine.pins.ensure(partitions)
    work = partial(map_leaves, function, args)
    round_ = Round(engine, partitions, verb, work, deque(maxlen=PACES))
    for _, answer in round_.answers(homes):
        for leaf, found in answer.result.items():
            key = partitions.task_key(verb, leaf)
            attempts[leaf] += 1
            if isinstance(found, AttemptFailed):
                raise_unless_retried(found, key, attempts[leaf], RETRIES)
                engine.tell(TaskRetried(key, found.worker, found.error))
                round_.again((leaf,))
            else:
                times = (found.started, found.stopped)
                engine.tell(TaskEnded(key, answer.worker, *times, attempts[leaf]))
                results[leaf] = found.result
    return results


class Folds:
    """The iterations of one chunk: the state goes out to every worker, canonical nodes come back
    and are combined here."""

    def __init__(self, engine: TasksEngine, partitions: Partitions, chunk: Chunk):
        self._engine, self._partitions, self._chunk = engine, partitions, chunk
        self._paces: dict[str, deque[float]] = {}
        self._homes: dict[str, list[int]] = {}
        self._version: int | None = None

    def fold(self, job: Job, state: State) -> Folded:
        """map over all partitions. Raises LeafFailed."""
        engine, partitions = self._engine, self._partitions
        if self._version != engine.pins.version:
            self._homes = engine.pins.ensure(partitions)
            self._version = engine.pins.version
        folding: Folding[Partial] = Folding(partitions.n, combiner(job))
        work = partial(fold_leaves, job, state, self._chunk.args)
        paces = self._paces.setdefault(job.name, deque(maxlen=PACES))
        answers: list[Answer] = []
        for _, answer in Round(engine, partitions, job.name, work, paces).answers(self._homes):
            answers.append(answer)
            for node, value in answer.result.items():
                folding.add(node, writable(value))
        answers.sort(key=lambda answer: answer.worker)
        seconds = tuple(answer.seconds for answer in answers)
        ranks = tuple(answer.worker for answer in answers)
        return Folded(folding.total, seconds, answers[0].stopped, ranks)


def map_leaves(
    function: Callable[..., Any], args: tuple[Any, ...], leaves: Leaves, which: tuple[int, ...]
) -> dict[int, Any]:
    return leaves.attempts(function, which, args)


def fold_leaves(
    job: Job, state: State, args: tuple[Any, ...], leaves: Leaves, which: tuple[int, ...]
) -> dict[Node, Partial]:
    return leaves.fold(which, job, state, args)


def writable(value: Partial) -> Partial:
    """A partial as it is, or copied where the transport gave memory that must not be written."""
    if isinstance(value, tuple):
        parts = [writable(part) for part in value]
        return type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        return value.copy()
    return value

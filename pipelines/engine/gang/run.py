"""One run of a gang as the driver sees it: tasks go out, and answers, or none, come back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.engine.gang import seat
from pipelines.engine.gang.rank import Answer, Broken, Done, Lacks, Missed, Orders, Part, patience
from pipelines.engine.leaves import LeafFailed
from pipelines.engine.posts import Post, Posts, Reply

if TYPE_CHECKING:
    from pipelines.engine.gang.engine import GangEngine

GRACE_S = 1.0  # for those that were not heard of to answer the driver after all


@dataclass
class Gang:
    """The ranks of one run by their workers' addresses, and what they were told."""

    workers: list[str]
    owners: tuple[int, ...]
    orders: Orders
    answers: dict[int, Answer] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    error: Exception | None = None

    @property
    def has_failed(self) -> bool:
        ended = all(isinstance(answer, Done) for answer in self.answers.values())
        return not ended or bool(self.lost) or self.error is not None

    @property
    def missed(self) -> bool:
        """Whether it did not assemble."""
        return any(isinstance(answer, Missed) for answer in self.answers.values())

    @property
    def lacks(self) -> dict[int, Lacks]:
        return {rank: a for rank, a in self.answers.items() if isinstance(a, Lacks)}

    @property
    def unheard(self) -> set[int]:
        """Ranks of which the driver has no answer, and no word that they are lost."""
        return set(range(len(self.workers))) - self.answers.keys() - self.lost

    @property
    def late(self) -> set[int]:
        """Ranks that the others waited for in vain when the gang was to assemble."""
        answers = self.answers.values()
        missing = {r for answer in answers if isinstance(answer, Missed) for r in answer.missing}
        return missing - self.answers.keys()

    @property
    def suspects(self) -> set[int]:
        """Ranks that others did not hear of in time, and that did not answer us either."""
        found: set[int] = set()
        for answer in self.answers.values():
            if isinstance(answer, Broken) and not answer.closed:
                found.update(answer.suspects)
        return found - self.answers.keys()


class GangRun:
    """Posts the parts of a gang and fills in its answers, lost and error."""

    def __init__(self, engine: GangEngine, gang: Gang):
        self._engine, self._gang = engine, gang
        self._failed_at: float | None = None

    def to_the_end(self, verb: str, parts: Sequence[Part]) -> None:
        """Returns when all ranks have answered, or nobody need be waited for any more."""
        gang = self._gang
        with Posts(self._engine) as posts:
            ranks: dict[Post, int] = {
                posts.post(worker, f"{verb}-{rank}", part): rank
                for rank, (worker, part) in enumerate(zip(gang.workers, parts, strict=True))
            }
            try:
                while gang.unheard and not self._is_over():
                    for reply in posts.wait(1.0 if self._failed_at is None else 0.1):
                        self._take(ranks[reply.post], reply)
                    if self._failed_at is None and gang.has_failed:
                        self._failed_at = time.monotonic()
                        self._abort()
            except BaseException:
                self._abort()
                raise
        if gang.unheard and not gang.missed:
            self._engine.refresh()
            for rank in gang.unheard:
                gang.lost.add(rank)
                self._engine.pins.bench(gang.workers[rank], "not heard of in time")

    def _is_over(self) -> bool:
        """After a failure: whether those that have not answered are not worth waiting for.

        One in the middle of a long map answers after it; its slot is taken until then anyway.
        """
        gang = self._gang
        if self._failed_at is None:
            return False
        waited_s = time.monotonic() - self._failed_at
        if gang.unheard <= gang.suspects | gang.late:
            return waited_s > GRACE_S
        return waited_s > patience(gang.orders.usual_s) + gang.orders.assembly_s

    def _take(self, rank: int, reply: Reply) -> None:
        gang = self._gang
        if reply.lost:
            gang.lost.add(rank)
        elif reply.error is not None:
            gang.answers[rank] = Broken((), str(reply.error), closed=True)
            if gang.error is None or _leaf(reply.error) < _leaf(gang.error):
                gang.error = reply.error
        else:
            gang.answers[rank] = reply.result

    def _abort(self) -> None:
        """Tell those that have not answered that the run is over; they may be waiting for it."""
        gang, client = self._gang, self._engine.client
        left = [gang.workers[r] for r in gang.unheard if gang.workers[r] in self._engine.live]
        name, run = gang.orders.seat, gang.orders.ticket.run

        def quietly() -> None:
            with contextlib.suppress(Exception):
                client.run(seat.abort, name, run, workers=left, on_error="ignore")

        if left:
            threading.Thread(target=quietly, name="gang-abort", daemon=True).start()


def _leaf(error: Exception) -> float:
    """Of several failures the one of the first partition is told, whoever was faster."""
    leaf = error.leaf if isinstance(error, LeafFailed) else None
    return float("inf") if leaf is None else float(leaf)

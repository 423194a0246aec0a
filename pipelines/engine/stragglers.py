"""What to do about the slow. Numbers in, decision out: every rank decides alike without a word.

A rank's pace is its seconds per unit of cost. All rows of a history are of one owner list: whoever
changes the owners begins a new history. That is also the hysteresis: no change before `ROWS`
iterations with the last one, none for a gain below `LEAST_GAIN`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

ROWS = 3  # iterations that a decision looks back on, at least
LOOK_BACK = 5  # and at most
LEAST_GAIN = 0.1  # of the slowest rank's seconds
LEAST_GAIN_S = 0.0005  # of an iteration; a leaf that moves has to warm its memory up again
SLOW = 3.0  # times the median of the others: slow enough to be sent away
SLOW_ROWS = 5  # iterations in a row
BACK_UP = 2.0  # times the median of the others: time for a second attempt
BACK_UP_LEAST_S = 0.5  # a second attempt of a shorter task would hardly start before the first ends

History = Sequence[Sequence[float]]  # seconds of the maps: one row per iteration, a number per rank


def rebalance(
    history: History,
    owner: Sequence[int],
    holders: Sequence[Sequence[int]],
    costs: Sequence[float],
) -> list[int]:
    """The rank that maps each leaf from now on: leaves leave slow ranks for faster holders.

    owner    rank of each leaf now
    holders  ranks that hold each leaf's data
    costs    work of each leaf
    The owners stay when nobody holds a second copy or the gain is small. A rank keeps a leaf, so
    that its pace stays known and its leaves come back when it has recovered.
    """
    if len(history) < ROWS or all(len(ranks) < 2 for ranks in holders):
        return list(owner)
    seconds = _medians(history)
    if max(seconds) - sum(seconds) / len(seconds) < LEAST_GAIN_S:
        return list(owner)
    shares = _Shares(seconds, owner, costs)
    before = shares.slowest()
    while (move := shares.best_move(holders)) is not None:
        shares.move(*move)
    gain = before - shares.slowest()
    return shares.owner if gain >= max(LEAST_GAIN * before, LEAST_GAIN_S) else list(owner)


def is_slow(seconds: float, others: Sequence[float], factor: float = SLOW) -> bool:
    """Whether something took more than factor times the median of the others."""
    return bool(others) and seconds > factor * median(others)


def ranks_to_evict(history: History, owner: Sequence[int], costs: Sequence[float]) -> list[int]:
    """Ranks whose pace was SLOW times the others' in each of the last SLOW_ROWS iterations.

    They drag the gang along by more than their leaves are worth elsewhere. Never all ranks.
    """
    if len(history) < SLOW_ROWS:
        return []
    loads = _loads(owner, costs, len(history[0]))
    ranks = [rank for rank, load in enumerate(loads) if load > 0]
    slow = set(ranks)
    for row in history[-SLOW_ROWS:]:
        paces = {rank: row[rank] / loads[rank] for rank in ranks}
        slow = {
            rank
            for rank in slow
            if is_slow(paces[rank], [paces[other] for other in ranks if other != rank])
        }
    return sorted(slow)


def should_back_up(running_s: float, others_s: Sequence[float], n_idle: int) -> bool:
    """Whether a task that runs for running_s gets a second attempt; the first result wins.

    others_s  seconds of finished tasks of the same kind and size, of this round or earlier ones
    n_idle    workers that have nothing else to do
    """
    if n_idle < 1 or running_s < BACK_UP_LEAST_S:
        return False
    return is_slow(running_s, others_s, BACK_UP)


def _medians(history: History) -> list[float]:
    """The usual seconds of each rank: one iteration may be slow for no reason that lasts."""
    rows = history[-LOOK_BACK:]
    return [median(row[rank] for row in rows) for rank in range(len(rows[0]))]


def _loads(owner: Sequence[int], costs: Sequence[float], n_ranks: int) -> list[float]:
    loads = [0.0] * n_ranks
    for leaf, rank in enumerate(owner):
        loads[rank] += costs[leaf]
    return loads


class _Shares:
    """Who has which leaves, and how long each rank would take for what it has."""

    def __init__(self, seconds: Sequence[float], owner: Sequence[int], costs: Sequence[float]):
        self.owner, self.costs = list(owner), costs
        self.loads = _loads(owner, costs, len(seconds))
        self.pace = [
            second / load if load > 0 else math.inf  # nobody knows: it gets nothing
            for second, load in zip(seconds, self.loads, strict=True)
        ]

    def time(self, rank: int, more: float = 0.0) -> float:
        load = self.loads[rank] + more
        return self.pace[rank] * load if load > 0 else 0.0

    def slowest(self) -> float:
        return max(self.time(rank) for rank in range(len(self.loads)))

    def best_move(self, holders: Sequence[Sequence[int]]) -> tuple[int, int] | None:
        """(leaf, rank) that takes most from the slowest rank; None when that helps nobody."""
        slow = max(range(len(self.loads)), key=lambda rank: (self.time(rank), -rank))
        mine = [leaf for leaf, rank in enumerate(self.owner) if rank == slow]
        if len(mine) < 2:
            return None
        found: tuple[float, int, int, int] | None = None
        for leaf in mine:
            for rank in holders[leaf]:
                if rank == slow:
                    continue
                after = max(self.time(slow, -self.costs[leaf]), self.time(rank, self.costs[leaf]))
                way = (after, self._strangers(leaf, rank), leaf, rank)
                if after < self.time(slow) and (found is None or way < found):
                    found = way
        return (found[2], found[3]) if found else None

    def _strangers(self, leaf: int, rank: int) -> int:
        """Neighbours of a leaf that the rank does not have: few keep its runs long."""
        beside = (leaf - 1, leaf + 1)
        return sum(not (0 <= k < len(self.owner)) or self.owner[k] != rank for k in beside)

    def move(self, leaf: int, rank: int) -> None:
        self.loads[self.owner[leaf]] -= self.costs[leaf]
        self.loads[rank] += self.costs[leaf]
        self.owner[leaf] = rank

"""Which worker holds which partition. Numbers in, lists out; loading and moving is the engine's.

A partition is a leaf of the tree of `tree.py`. A run of neighbouring leaves is sent as few sums of
whole subtrees, so fresh leaves are dealt out in runs, and the cuts are put where subtrees end.
Leaves that are held already stay, as far as the balance allows.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

SLACK = 0.01  # balance is worth no more than this: costs are estimates
UNMOVED = 0.05  # held leaves stay while no worker has more than this over the best share
NEAR = 16  # cuts are looked for so many leaves around an even share

Holders = dict[int, list[str]]


def place(
    n: int,
    costs: Sequence[float] | None,
    workers: Mapping[str, int],
    held: Mapping[int, Sequence[str]],
    replicas: int = 1,
) -> Holders:
    """The workers that hold leaf 0 .. n - 1, the one that works on it first.

    costs     work of each leaf, in any unit; None for all the same
    workers   number of threads by address; their order is the order of the runs
    held      who holds what now, the first one works on it; workers that are gone are passed over
    replicas  1, or 2 for a second holder on another worker, of another host if there is one
    Deterministic. Raises ValueError without workers.
    """
    if not workers:
        raise ValueError("there are no workers to place partitions on")
    if replicas not in (1, 2):
        raise ValueError(f"replicas must be 1 or 2, not {replicas}")
    weights = _weights(n, costs)
    here = {leaf: [name for name in held.get(leaf, ()) if name in workers] for leaf in range(n)}
    if any(here.values()):
        primary = _Moves(weights, workers, here).primary()
    else:
        primary = _fresh(weights, workers)
    placed = {leaf: [primary[leaf]] for leaf in range(n)}
    if replicas == 2 and len(workers) > 1:
        for leaf, second in _seconds(weights, workers, primary, here).items():
            placed[leaf].append(second)
    return placed


def host_of(address: str) -> str:
    """'10.0.0.1' of 'tcp://10.0.0.1:4321'; all other names count as of one host."""
    _, separator, place = address.partition("://")
    return place.rpartition(":")[0] if separator else ""


def run_nodes(n: int, start: int, stop: int) -> int:
    """How many subtrees of the tree over n leaves make the run start .. stop - 1."""
    if start >= stop:
        return 0
    if stop == n:  # where there is no right half, a node is its left half
        stop = 1 << max(n - 1, 0).bit_length()
    count = level = 0
    while start < stop:
        count += (start & 1 and start << level < n) + (stop & 1)
        start, stop, level = (start + 1) >> 1, stop >> 1, level + 1
    return count


def contiguous_cuts(costs: Sequence[float], threads: Sequence[int]) -> list[int]:
    """Ends of the runs, one per worker: the slowest one as fast as can be, then few subtrees."""
    sums = [0.0, *accumulate(costs)]
    limit = best_share(sums, threads) * (1 + SLACK)
    candidates = _candidate_cuts(sums, threads, limit)
    # (subtrees, sum of squares of loads, cut before) of the best way to each cut
    reached: dict[int, tuple[int, float, int]] = {0: (0, 0.0, 0)}
    steps = []
    for width, ends in zip(threads, candidates, strict=True):
        following: dict[int, tuple[int, float, int]] = {}
        for end in ends:
            ways = []
            for start, (nodes, squares, _) in reached.items():
                load = (sums[end] - sums[start]) / width
                if start <= end and load <= limit:
                    nodes_here = nodes + run_nodes(len(costs), start, end)
                    ways.append((nodes_here, squares + load * load * width, start))
            if ways:
                following[end] = min(ways)
        steps.append(following)
        reached = following
    cuts, end = [], len(costs)
    for step in reversed(steps):
        cuts.append(end)
        end = step[end][2]
    return cuts[::-1]


def best_share(sums: Sequence[float], threads: Sequence[int]) -> float:
    """Least cost per thread of the slowest worker over all cuts into runs; sums start with 0."""
    low, high = sums[-1] / sum(threads), sums[-1] / min(threads)
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if _reach(sums, threads, middle)[-1] == len(sums) - 1:
            high = middle
        else:
            low = middle
    return high


def _weights(n: int, costs: Sequence[float] | None) -> list[float]:
    if costs is None:
        return [1.0] * n
    if len(costs) != n:
        raise ValueError(f"{n} partitions, but {len(costs)} costs")
    if any(not cost >= 0 or math.isinf(cost) for cost in costs):
        raise ValueError("costs must be numbers of at least 0")
    total = float(sum(costs))
    return [float(cost) / total * n for cost in costs] if total > 0 else [1.0] * n


def _fresh(weights: Sequence[float], workers: Mapping[str, int]) -> list[str]:
    owners: list[str] = []
    for name, end in zip(workers, contiguous_cuts(weights, list(workers.values())), strict=True):
        owners += [name] * (end - len(owners))
    return owners


def _reach(sums: Sequence[float], threads: Sequence[int], limit: float) -> list[int]:
    """The end of each run when every worker takes what `limit` allows, from left to right."""
    ends, start = [], 0
    for width in threads:
        start = bisect.bisect_right(sums, sums[start] + limit * width * (1 + 1e-12)) - 1
        ends.append(start)
    return ends


def _candidate_cuts(
    sums: Sequence[float], threads: Sequence[int], limit: float
) -> list[Sequence[int]]:
    """Ends worth a try for each run: those around an even share, and one that surely works."""
    found: list[Sequence[int]] = []
    total, done = sum(threads), 0
    for width, farthest in zip(threads, _reach(sums, threads, limit), strict=True):
        done += width
        even = bisect.bisect_left(sums, sums[-1] * done / total)
        near = range(max(0, even - NEAR), min(len(sums), even + NEAR + 1))
        found.append(sorted({*near, farthest}))
    found[-1] = [len(sums) - 1]
    return found


class _Moves:
    """Who works on what when some leaves are held: as few as possible move."""

    def __init__(
        self,
        weights: Sequence[float],
        workers: Mapping[str, int],
        here: Mapping[int, Sequence[str]],
    ):
        self.weights, self.workers, self.here = weights, workers, here
        self.order = {name: number for number, name in enumerate(workers)}
        self.best = best_share([0.0, *accumulate(weights)], list(workers.values())) * (1 + SLACK)
        self.load = dict.fromkeys(workers, 0.0)
        self.owner: list[str | None] = [None] * len(weights)
        self.quota: dict[str, float] = {}

    def primary(self) -> list[str]:
        for leaf in range(len(self.weights)):
            if self.here[leaf]:
                self._give(leaf, self.here[leaf][0])
        for name in self.workers:
            if self._time(name) > self.best * (1 + UNMOVED):
                self._shed(name)
        self.quota = self._quotas()
        self._house()
        return [name for name in self.owner if name is not None]

    def _give(self, leaf: int, name: str | None) -> None:
        before = self.owner[leaf]
        if before is not None:
            self.load[before] -= self.weights[leaf]
        if name is not None:
            self.load[name] += self.weights[leaf]
        self.owner[leaf] = name

    def _time(self, name: str, more: float = 0.0) -> float:
        return (self.load[name] + more) / self.workers[name]

    def _shed(self, name: str) -> None:
        """Take leaves from a worker until it has no more than its share."""
        mine = {leaf for leaf, owner in enumerate(self.owner) if owner == name}
        others = [other for other in self.workers if other != name]
        while self._time(name) > self.best and len(mine) > 1:
            leaf = min(mine, key=lambda leaf: self._worth(leaf, name))
            weight = self.weights[leaf]
            if min(self._time(other, weight) for other in others) >= self._time(name):
                return  # whoever took it would be the slowest then
            self._give(leaf, self._twin(leaf))
            mine.remove(leaf)

    def _twin(self, leaf: int) -> str | None:
        """Another holder of a leaf that has room for it."""
        for name in self.here[leaf]:
            if name != self.owner[leaf] and self._time(name, self.weights[leaf]) <= self.best:
                return name
        return None

    def _worth(self, leaf: int, name: str) -> tuple[int, int]:
        """What goes first: held elsewhere, then beside what has no owner yet, then ends of runs."""
        beside = [
            self.owner[near]
            for near in (leaf - 1, leaf + 1)
            if 0 <= near < len(self.owner) and self.owner[near] != name
        ]
        if self._twin(leaf) is not None:
            rank = 0
        elif None in beside:
            rank = 1
        else:
            rank = 2 if beside else 3
        # the last worker gives from its left end, the others from their right one: what two
        # neighbours give lies together
        return rank, leaf if self.order[name] == len(self.order) - 1 else -leaf

    def _house(self) -> None:
        """Give what has no owner to those with the most room, in runs beside what they have."""
        for leaf in self._homeless():
            twin = next((name for name in self.here[leaf] if self._wants(name, leaf)), None)
            if twin is not None:
                self._take(leaf, twin)
        for step in (1, -1):  # runs grow to the right, then to the left
            for leaf in self._homeless()[::step]:
                near = leaf - step
                name = self.owner[near] if 0 <= near < len(self.owner) else None
                if name is not None and self._wants(name, leaf):
                    self._take(leaf, name)
        name = None
        for leaf in self._homeless():
            if name is None or not self._wants(name, leaf):
                name = max(self.quota, key=lambda each: (self.quota[each], -self.order[each]))
            if not self._wants(name, leaf):
                name = self._lightest(self.weights[leaf])
            self._take(leaf, name)

    def _homeless(self) -> list[int]:
        return [leaf for leaf, owner in enumerate(self.owner) if owner is None]

    def _wants(self, name: str, leaf: int) -> bool:
        return self.quota[name] > 0 and self.quota[name] >= self.weights[leaf] / 2

    def _take(self, leaf: int, name: str) -> None:
        self._give(leaf, name)
        self.quota[name] -= self.weights[leaf]

    def _lightest(self, weight: float) -> str:
        return min(self.workers, key=lambda name: (self._time(name, weight), self.order[name]))

    def _quotas(self) -> dict[str, float]:
        """How much each takes so that those who take anything end up with the same share."""
        wanted = sum(self.weights[leaf] for leaf in self._homeless())
        takers = sorted(self.workers, key=lambda name: (self._time(name), self.order[name]))
        level, load, threads = 0.0, 0.0, 0
        for number, name in enumerate(takers):
            load, threads = load + self.load[name], threads + self.workers[name]
            level = (load + wanted) / threads
            if number + 1 == len(takers) or level <= self._time(takers[number + 1]):
                break
        return {
            name: max(0.0, level * width - self.load[name]) for name, width in self.workers.items()
        }


def _seconds(
    weights: Sequence[float],
    workers: Mapping[str, int],
    primary: Sequence[str],
    here: Mapping[int, Sequence[str]],
) -> dict[int, str]:
    """A second holder for each leaf; the one it has is kept unless it has a quarter too much, or
    more than anybody would have if all second holders were chosen anew."""
    elsewhere = [
        [name for name in workers if host_of(name) != host_of(owner)]
        or [name for name in workers if name != owner]
        for owner in primary
    ]
    anew = _dealt(weights, workers, elsewhere, {})
    load = _loads(weights, workers, anew)
    fair = 1.25 * sum(weights) / sum(workers.values())
    limit = max(fair, *(load[name] / workers[name] for name in workers)) * (1 + 1e-9)
    kept: dict[int, str] = {}
    load = dict.fromkeys(workers, 0.0)
    for leaf, owner in enumerate(primary):
        for name in here[leaf]:
            fits = (load[name] + weights[leaf]) / workers[name] <= limit
            if name != owner and name in elsewhere[leaf] and fits:
                kept[leaf] = name
                load[name] += weights[leaf]
                break
    return _dealt(weights, workers, elsewhere, kept)


def _dealt(
    weights: Sequence[float],
    workers: Mapping[str, int],
    allowed: Sequence[Sequence[str]],
    kept: Mapping[int, str],
) -> dict[int, str]:
    """What is kept, and the rest in turn to the one with the least work among those allowed."""
    order = {name: number for number, name in enumerate(workers)}
    load, dealt = _loads(weights, workers, kept), dict(kept)
    for leaf, names in enumerate(allowed):
        if leaf not in dealt:
            name = min(names, key=lambda each: (load[each] / workers[each], order[each]))
            dealt[leaf] = name
            load[name] += weights[leaf]
    return dealt


def _loads(
    weights: Sequence[float], workers: Mapping[str, int], held: Mapping[int, str]
) -> dict[str, float]:
    load = dict.fromkeys(workers, 0.0)
    for leaf, name in held.items():
        load[name] += weights[leaf]
    return load

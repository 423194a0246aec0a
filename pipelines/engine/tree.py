"""The order in which partial results are merged: one fixed pairwise tree for every executor.

Floating-point sums depend on their order. The tree depends on the number of parts only, so
serial, tasks and any number of workers give the same bits.

    0  1  2  3  4
    '01'  '23'  4
    '---03---'  4
    '-----04----'
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def reduce_pairwise(merge: Callable[[T, T], T], parts: Iterable[T]) -> T:
    """merge(left, right) over the tree; one part is returned as it is, none is a ValueError."""
    level = list(parts)
    if not level:
        raise ValueError("nothing to reduce: no parts")
    while len(level) > 1:
        level = [
            merge(level[k], level[k + 1]) if k + 1 < len(level) else level[k]
            for k in range(0, len(level), 2)
        ]
    return level[0]


# A node (level, k) of the tree over n leaves covers the leaves k << level up to (k + 1) << level,
# as far as there are any. Where there is no right half, the node is its left half unchanged.

Node = tuple[int, int]


def nodes_of(n: int, leaves: Iterable[int]) -> list[Node]:
    """The largest nodes whose leaves are all among `leaves`, from left to right.

    What one rank can combine by itself without changing the tree: with leaves 0, 1, 2 of 5 that
    are the nodes (1, 0) and (0, 2).
    """
    level, here = 0, set(leaves)
    found: list[tuple[int, Node]] = []
    while here:
        width = -(-n // (1 << level))
        above: set[int] = set()
        for k in sorted(here):
            partner = k ^ 1
            if width == 1:
                found.append((k << level, (level, k)))
            elif partner in here or (partner >= width and k % 2 == 0):
                above.add(k >> 1)
            else:
                found.append((k << level, (level, k)))
        here, level = above, level + 1
        if width == 1:
            break
    return [node for _, node in sorted(found)]


class Folding(Generic[T]):
    """Combines values of nodes, given in any order, as soon as two halves are there.

    fold = Folding(n, combine); fold.add((0, leaf), value) ...; fold.nodes is node -> value of what
    could not be combined further; fold.total is the value of the root once all is there.
    """

    def __init__(self, n: int, combine: Callable[[T, T], T]):
        self.n, self._combine = n, combine
        self.nodes: dict[Node, T] = {}
        self._lock = threading.Lock()

    def add(self, node: Node, value: T) -> None:
        """Threads may add at the same time: they combine outside the lock."""
        level, k = node
        width = -(-self.n // (1 << level))
        while width > 1:
            partner = k ^ 1
            if partner < width:
                with self._lock:
                    other = self.nodes.pop((level, partner), None)
                    if other is None:
                        self.nodes[level, k] = value
                        return
                value = self._combine(value, other) if k < partner else self._combine(other, value)
            level, k, width = level + 1, k >> 1, (width + 1) // 2
        self.nodes[level, k] = value

    @property
    def total(self) -> T:
        """Raises ValueError unless all leaves are in."""
        if len(self.nodes) != 1 or next(iter(self.nodes))[1] != 0:
            raise ValueError(f"{len(self.nodes)} parts are not combined to one")
        (level, _), value = next(iter(self.nodes.items()))
        if self.n > 1 << level:
            raise ValueError("some leaves are missing")
        return value

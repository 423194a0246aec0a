"""The order in which partial results are merged: one fixed pairwise tree for every executor.

Floating-point sums depend on their order. The tree depends on the number of parts only, so
serial, tasks and any number of workers give the same bits.

    0  1  2  3  4
    '01'  '23'  4
    '---03---'  4
    '-----04----'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

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

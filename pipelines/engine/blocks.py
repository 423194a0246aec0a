"""How n rows are cut into blocks, and in which order blocks are done. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def row_ranges(n: int, block_size: int) -> list[tuple[int, int]]:
    """(start, stop) of each block of rows; the last one may be shorter. No rows, no blocks."""
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, not {block_size}")
    return [(start, min(start + block_size, n)) for start in range(0, n, block_size)]


def upper_triangle(n_blocks: int) -> list[tuple[int, int]]:
    """Pairs (i, j) of block numbers with i <= j, row by row."""
    return [(i, j) for i in range(n_blocks) for j in range(i, n_blocks)]


def heavy_first(blocks: Sequence[T], costs: Sequence[float]) -> list[T]:
    """Blocks by falling cost, so that no worker starts a long one when the others are done.

    Equal costs keep their order: the same input gives the same order everywhere.
    """
    if len(blocks) != len(costs):
        raise ValueError(f"{len(blocks)} blocks, but {len(costs)} costs")
    order = sorted(range(len(blocks)), key=lambda index: -costs[index])
    return [blocks[index] for index in order]


def choose_block_size(
    n: int,
    slots: int = 8,
    *,
    smallest: int = 64,
    largest: int = 1024,
    blocks_per_slot: int = 8,
    most_blocks: int = 20_000,
) -> int:
    """Rows per block for an (n, n) triangle: large for the kernel, many enough for balance.

    The largest size up to `largest` that gives every slot `blocks_per_slot` blocks, in steps of
    32, never under `smallest`; more than `most_blocks` blocks are never made, whatever the size.
    With the default `slots` the answer depends on n only, so that runs on different clusters
    write the same files; give the true number for clusters of many slots.
    """
    if n <= smallest:
        return max(n, 1)
    per_side = _side_for(blocks_per_slot * max(slots, 1))
    size = min(max(_step_down(n / per_side), smallest), largest)
    if _triangle(-(-n // size)) > most_blocks:
        side = _side_for(most_blocks + 1) - 1
        size = -(-n // (side * 32)) * 32
    return min(size, n)


def _triangle(side: int) -> int:
    return side * (side + 1) // 2


def _side_for(n_blocks: int) -> int:
    """Least number of row blocks whose triangle has at least n_blocks."""
    side = 1
    while _triangle(side) < n_blocks:
        side += 1
    return side


def _step_down(size: float) -> int:
    """Multiple of 32 at or under size, below 256 of 16: whole vectors of every kernel width."""
    step = 32 if size >= 256 else 16
    return int(size) // step * step

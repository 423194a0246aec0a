"""Runs of KMeans over blocks in one process: the whole function, without Dask."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from kernels import kmeans, kmeans_start
from kernels.kmeans import Block, Far, Result, State


def blocks_of(points: Any, sample_weight: Any) -> list[Block]:
    """Checked points, cut into blocks."""
    points = np.asarray(points)
    if points.dtype not in (np.float32, np.float64):
        points = points.astype(np.float64)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f"points must be a matrix (n, d) with rows and columns, not {points.shape}"
        )
    points = np.ascontiguousarray(points, points.dtype.newbyteorder("="))
    if not np.isfinite(points).all():
        row, column = np.argwhere(~np.isfinite(points))[0]
        raise ValueError(f"points[{row}, {column}] is {points[row, column]}, not a finite number")
    weights = None
    if sample_weight is not None:
        weights = np.ascontiguousarray(sample_weight, np.float64)
        if weights.shape != points.shape[:1]:
            raise ValueError(f"sample_weight has shape {weights.shape}, not ({len(points)},)")
        if not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
            raise ValueError("sample_weight must be finite, not negative, and not all 0")
    return [
        Block(points[start:stop], start, None if weights is None else weights[start:stop])
        for start, stop in kmeans.block_ranges(len(points))
    ]


class Runs:
    """Runs that share their blocks, frame and threads; to be used in a `with` statement."""

    def __init__(
        self, blocks: list[Block], n_clusters: int, max_iter: int, tol: float, random_state: int,
        n_threads: int | None,
    ):  # fmt: skip
        n = blocks[-1].first_row + len(blocks[-1].points)
        if not 1 <= n_clusters <= n:
            raise ValueError(f"n_clusters must be 1 to {n}, the number of points; not {n_clusters}")
        self.blocks, self.n, self.n_clusters = blocks, n, n_clusters
        self.max_iter, self.tol, self.random_state = max_iter, tol, random_state
        self._threads = n_threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads)
        parts = self.over(kmeans.summary_block)
        self.frame = kmeans.frame_of(kmeans.joined(kmeans.join_summaries, parts))

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def over(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """function(block, *args) of every block, in their order."""
        if min(self._threads, len(self.blocks)) == 1:
            return [function(block, *args) for block in self.blocks]
        return list(self._pool.map(lambda block: function(block, *args), self.blocks))

    def one(self, init: str | np.ndarray, run: int) -> Result:
        """The result of one run."""
        state = self.iterated(kmeans.start_state(self._start(init, run)))
        parts = self.over(kmeans.assign_block, state.centroids, self.frame)
        sums = [
            float((d if b.sample_weight is None else d * b.sample_weight).sum())
            for b, (_, d) in zip(self.blocks, parts, strict=True)
        ]
        inertia = kmeans.joined(float.__add__, sums)
        return Result(state.centroids, np.concatenate([labels for labels, _ in parts]), inertia)

    def _start(self, init: str | np.ndarray, run: int) -> np.ndarray:
        if not isinstance(init, str):
            given = np.asarray(init, np.float64)
            expected = (self.n_clusters, self.blocks[0].points.shape[1])
            if given.shape != expected or not np.isfinite(given).all():
                raise ValueError(f"init must be finite centroids {expected}, not {given.shape}")
            return given
        method = kmeans.usual_start(self.n, self.n_clusters) if init == "auto" else init
        weighted = self.blocks[0].sample_weight is not None
        return kmeans_start.start(
            method, self.over, self.frame, self.n_clusters, (self.random_state, run),
            weighted=weighted,
        )  # fmt: skip

    def iterated(self, state: State) -> State:
        """The state after iterations until the centroids stand still. An iteration with empty
        clusters is followed by one that gives them points."""
        still, empty = self.tol * self.frame.variance, 0
        for _ in range(self.max_iter):
            if empty:
                parts = self.over(kmeans.farthest_block, state.centroids, self.frame, empty)
                far: Far = kmeans.joined(kmeans.join_farthest, parts)
                state, empty = kmeans.reseed_step(state, far, self.frame), 0
                if state.shift <= still:
                    break
                continue
            parts = self.over(kmeans.partial_sums, state.centroids, self.frame)
            sums, weights, inertia = kmeans.joined(_added, parts)
            state, empty = kmeans.merge_step(state, sums, weights, float(inertia[0]), self.frame)
            if not empty and state.shift <= still:
                break
        return state


def _added(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.add(x, y, out=x) for x, y in zip(a, b, strict=True))

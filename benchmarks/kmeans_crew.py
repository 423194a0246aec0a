"""Who takes part in a benchmark: our KMeans in this process, peers of any kind in their own."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import llvmlite.binding
import numpy as np

from benchmarks.away import Absent, Away
from benchmarks.harness import Timed, tell
from kernels import kmeans
from kernels.kmeans import Block, State

NO_INNER_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Peer:
    """A class of a module, what it imports, and the variables of its process."""

    target: str
    package: str
    environment: dict[str, str | None]
    by_blas: bool = False  # try the kernels that BLAS chooses and those of this vector width
    module: str = "benchmarks.kmeans_peers"


PEERS = {
    "scikit-learn": Peer("ScikitLearn", "sklearn", {}, by_blas=True),
    "faiss": Peer("Faiss", "faiss", {}, by_blas=True),
    "dask-ml": Peer("DaskMl", "dask_ml", NO_INNER_THREADS),
    "MLlib": Peer("SparkMllib", "pyspark", NO_INNER_THREADS),
}


def core_types() -> list[str | None]:
    """Values of OPENBLAS_CORETYPE to try. An OpenBLAS that does not know the processor falls back
    to kernels of 2008, and one that does may not choose the widest."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return [None, "SkylakeX"]
    return [None, "Haswell"] if features.get("avx2") else [None]


class Crew:
    """The peers that were asked for and can be had, each ready in one process or, where its BLAS
    can be had in two ways, in two."""

    def __init__(
        self, wanted: tuple[str, ...] | None, peers: Mapping[str, Peer] | None = None
    ) -> None:
        self.wanted, self.peers = wanted, PEERS if peers is None else peers
        self.absent: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        self._teams: dict[str, list[Away]] = {}
        self._best: dict[tuple[Any, ...], Away] = {}
        self._loaded: dict[Away, tuple[str, int]] = {}
        self._stack = contextlib.ExitStack()

    def has(self, name: str) -> bool:
        """Whether the peer takes part; it is started when it is first asked for."""
        if self.wanted is not None and name not in self.wanted:
            return False
        if name not in self._teams and name not in self.absent:
            self._start(name)
        return name in self._teams

    def _start(self, name: str) -> None:
        peer, team, kernels = self.peers[name], [], []
        for core_type in core_types() if peer.by_blas else [None]:
            environment = {"OPENBLAS_CORETYPE": core_type} | peer.environment
            try:
                away = Away(f"{peer.module}:{peer.target}", peer.package, environment)
            except Absent as reason:
                self.absent[name] = str(reason)
                tell(f"{name}: left out ({reason})")
                return
            if away.facts.get("blas") in kernels:  # the same again
                away.close()
                continue
            kernels.append(away.facts.get("blas"))
            team.append(self._stack.enter_context(away))
        self._teams[name] = team
        self.facts[name] = [away.facts for away in team]

    def warm_up(self, name: str, path: Path, threads: int, method: str, *args: Any) -> None:
        """Load the points and call once; the fastest process of the team does it from then on."""
        took = []
        for away in self._teams[name]:
            self._load(away, path, threads)
            took.append((away.call(method, *args)[1], away))
        best = min(took, key=lambda pair: pair[0])[1]
        self._best[name, path, threads, method] = best

    def call(self, name: str, path: Path, threads: int, method: str, *args: Any) -> Timed:
        """A timed method of the peer on the points at `path`."""
        away = self._best.get((name, path, threads, method)) or self._teams[name][0]
        self._load(away, path, threads)
        return Timed(*away.call(method, *args))

    def ask(self, name: str, path: Path, threads: int, method: str, *args: Any) -> Any:
        """What a method that is not timed returns."""
        away = self._teams[name][0]
        self._load(away, path, threads)
        return away.call(method, *args)

    def blas_of(self, name: str, path: Path, threads: int, method: str) -> str:
        """The BLAS kernels with which the peer was fastest."""
        away = self._best.get((name, path, threads, method))
        return str(away.facts.get("blas", "")) if away else ""

    def _load(self, away: Away, path: Path, threads: int) -> None:
        if self._loaded.get(away) != (str(path), threads):
            away.call("load", str(path), threads)
            self._loaded[away] = (str(path), threads)

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class Ours:
    """Lloyd iterations by the kernel's block functions on a thread pool: what `kmeans` does."""

    def __init__(self, points: np.ndarray, threads: int) -> None:
        self.pool = ThreadPoolExecutor(threads)
        self.blocks = [
            Block(points[first:stop], first) for first, stop in kmeans.block_ranges(len(points))
        ]
        summaries = list(self.pool.map(kmeans.summary_block, self.blocks))
        self.frame = kmeans.frame_of(kmeans.joined(kmeans.join_summaries, summaries))

    def run(self, centroids: np.ndarray, calls: int) -> Timed:
        """(state after a first iteration), median of `calls` iterations after it.

        Each measures every distance, and the centroids move on as they do in a run.
        """
        after_first, took = self._steps(centroids, calls, bounds=False)
        return Timed(after_first, *np.median(took, axis=0).tolist())

    def run_bounded(self, centroids: np.ndarray, calls: int) -> Timed:
        """(state after a first iteration), mean of `calls` iterations, the first among them, that
        skip what the bounds rule out: their cost falls as these take hold."""
        for block in self.blocks:
            block.memory.clear()
        after_first, took = self._steps(centroids, calls - 1, bounds=True, counted=0)
        return Timed(after_first, *np.mean(took, axis=0).tolist())

    def _steps(
        self, centroids: np.ndarray, calls: int, bounds: bool, counted: int = 1
    ) -> tuple[State, list[tuple[float, float]]]:
        state = kmeans.start_state(centroids)
        states, took = [], []
        for _ in range(calls + 1):
            started, started_cpu = time.perf_counter(), time.process_time()
            state = self.step(state, bounds)
            took.append((time.perf_counter() - started, time.process_time() - started_cpu))
            states.append(state)
        return states[0], took[counted:]

    def step(self, state: State, bounds: bool = False) -> State:
        """One iteration; while clusters are empty, the step that fills them takes its place."""
        if len(state.weights):
            far = self._over(kmeans.farthest_block, state, int((state.weights <= 0).sum()))
            return kmeans.reseed_step(state, kmeans.joined(kmeans.join_farthest, far), self.frame)
        partial_sums = functools.partial(kmeans.partial_sums, bounds=bounds)
        sums, weights, inertia = kmeans.joined(_add, self._over(partial_sums, state))
        return kmeans.merge_step(state, sums, weights, float(inertia[0]), self.frame)[0]

    def _over(self, function: Callable[..., Any], state: State, *args: Any) -> list[Any]:
        def on_block(block: Block) -> Any:
            return function(block, state.centroids, self.frame, *args)

        return list(self.pool.map(on_block, self.blocks))

    def labels(self, centroids: np.ndarray) -> np.ndarray:
        found = self.pool.map(
            lambda block: kmeans.assign_block(block, centroids, self.frame)[0], self.blocks
        )
        return np.concatenate(list(found))

    def close(self) -> None:
        self.pool.shutdown()


def _add(left: tuple, right: tuple) -> tuple:
    return tuple(a + b for a, b in zip(left, right, strict=True))

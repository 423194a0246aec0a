"""The libraries people draw maps of distances with, each in its own process.

Made by `away.py`; told by load() where its points lie. A method that is timed returns (result,
seconds, CPU seconds) by its own clock.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist

from benchmarks.kmeans_crew import Peer
from benchmarks.kmeans_peers import Answer, blas, timed

NEVER = -1e9  # eps that no decrease of the stress is below


class ScikitLearn:
    """SMACOF. An iteration is what lies between two of its own calls of euclidean_distances:
    ratios, product, distances and stress, without the check of the matrix before the first."""

    def __init__(self) -> None:
        import sklearn.manifold._mds

        self.module = sklearn.manifold._mds

    def facts(self) -> dict[str, str]:
        import sklearn

        return {"version": sklearn.__version__, "blas": blas("numpy.libs")}

    def load(self, path: str, threads: int) -> None:
        self.threads = threads
        points = np.load(path)
        self.delta = cdist(points, points)

    def iteration(self, start: np.ndarray, calls: int) -> Answer:
        """((stress after 1 + calls transforms, median seconds), and the fastest of `calls`
        iterations after a first one."""
        from threadpoolctl import threadpool_limits

        original, clock = self.module.euclidean_distances, []

        def hooked(*args: Any, **options: Any) -> np.ndarray:
            clock.append((time.perf_counter(), time.process_time()))
            return original(*args, **options)

        self.module.euclidean_distances = hooked
        try:
            with threadpool_limits(self.threads):
                _, stress, _ = self.module._smacof_single(
                    self.delta, init=start.copy(), max_iter=calls + 1, eps=NEVER
                )
                took = np.array([np.subtract(b, a) for a, b in itertools.pairwise(clock)])[1:]
        finally:
            self.module.euclidean_distances = original
        best = took[took[:, 0].argmin()]
        return (float(stress), float(np.median(took[:, 0]))), float(best[0]), float(best[1])

    def fit(self, seed: int, max_iter: int) -> Answer:
        """(map), from one random start."""
        from threadpoolctl import threadpool_limits

        options = {"n_init": 1, "max_iter": max_iter, "random_state": seed, "n_components": 2}
        with threadpool_limits(self.threads):
            (x, _), *took = timed(lambda: self.module.smacof(self.delta, **options))
        return x, *took

    def close(self) -> None:
        """Nothing is held."""


class StochasticDescent:
    """s_gd2.mds_direct: stochastic gradient descent over all pairs, its usual schedule. It has
    one thread."""

    def __init__(self) -> None:
        import s_gd2

        self.library = s_gd2

    def facts(self) -> dict[str, str]:
        import importlib.metadata

        return {"version": importlib.metadata.version("s_gd2")}

    def load(self, path: str, threads: int) -> None:
        points = np.load(path)
        self.n, self.delta = len(points), pdist(points)

    def fit(self, seed: int) -> Answer:
        """(map)"""
        return timed(lambda: self.library.mds_direct(self.n, self.delta, random_seed=seed))

    def close(self) -> None:
        """Nothing is held."""


class Neighbours:
    """What both searches have: points and landmarks of one .npz file."""

    def load(self, path: str, threads: int) -> None:
        with np.load(path) as arrays:
            self.points, self.landmarks = arrays["points"], arrays["landmarks"]
        self.threads = threads

    def close(self) -> None:
        """Nothing is held."""


class FaissFlat(Neighbours):
    """faiss.IndexFlatL2: exact but for its rounding."""

    def __init__(self) -> None:
        import faiss

        self.faiss = faiss

    def facts(self) -> dict[str, str]:
        return {"version": self.faiss.__version__, "blas": blas("faiss")}

    def nearest(self, k: int) -> Answer:
        """(indices (n, k)), index made and searched."""
        self.faiss.omp_set_num_threads(self.threads)

        def search() -> np.ndarray:
            index = self.faiss.IndexFlatL2(self.landmarks.shape[1])
            index.add(self.landmarks)
            return index.search(self.points, k)[1]

        return timed(search)


class ScikitLearnNeighbours(Neighbours):
    """NearestNeighbors with the algorithm that it chooses itself, and by brute force: the faster
    one."""

    def __init__(self) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.estimator, self.chosen = NearestNeighbors, ""

    def facts(self) -> dict[str, str]:
        import sklearn

        return {"version": sklearn.__version__, "blas": blas("scipy.libs")}

    def nearest(self, k: int) -> Answer:
        """(indices (n, k)), fitted and searched."""
        if not self.chosen:
            ways = {way: self._search(way, k)[1] for way in ("auto", "brute")}
            self.chosen = min(ways, key=lambda way: ways[way])
        return self._search(self.chosen, k)

    def _search(self, algorithm: str, k: int) -> Answer:
        from threadpoolctl import threadpool_limits

        model = self.estimator(n_neighbors=k, algorithm=algorithm, n_jobs=self.threads)

        def search() -> np.ndarray:
            return model.fit(self.landmarks).kneighbors(self.points, return_distance=False)

        with threadpool_limits(self.threads):
            return timed(search)


_HERE = "benchmarks.mds_peers"
MAPS = {
    "scikit-learn": Peer("ScikitLearn", "sklearn", {}, by_blas=True, module=_HERE),
    "s_gd2": Peer("StochasticDescent", "s_gd2", {}, module=_HERE),
}
SEARCHES = {
    "scikit-learn": Peer("ScikitLearnNeighbours", "sklearn", {}, by_blas=True, module=_HERE),
    "faiss": Peer("FaissFlat", "faiss", {}, by_blas=True, module=_HERE),
}
PEERS = tuple(dict.fromkeys([*MAPS, *SEARCHES]))

"""The libraries people cluster points with, each at its best settings, each in its own process.

Every class is one peer: made in a process of its own by `away.py`, told by load() where its points
lie. A method that is timed returns (result, seconds, CPU seconds) by its own clock; CPU seconds
are 0 where they are not known.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.away import Absent

MANY_CLUSTERS = 200
Answer = tuple[Any, float, float]


def timed(function: Callable[[], Any]) -> Answer:
    """What it returns, and the seconds and CPU seconds (of all threads) that it took."""
    started, started_cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - started, time.process_time() - started_cpu


def blas(library: str) -> str:
    """The kernels that the BLAS which comes with a library has chosen here."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if library in pool["filepath"]] or pools
    return ", ".join(sorted({pool.get("architecture") or "?" for pool in own}))


class ScikitLearn:
    """KMeans, lloyd and elkan. An iteration is the library's own function of one, without what
    fit() does around it."""

    def __init__(self) -> None:
        import sklearn.cluster._kmeans
        from sklearn.cluster import KMeans

        self.module, self.estimator = sklearn.cluster._kmeans, KMeans

    def facts(self) -> dict[str, str]:
        import sklearn

        return {"version": sklearn.__version__, "blas": blas("scipy.libs")}

    def load(self, path: str, threads: int) -> None:
        self.points, self.threads = np.load(path), threads
        self.centred = self.points - self.points.mean(axis=0)  # as fit() does before it begins

    def lloyd(self, centroids: np.ndarray, calls: int) -> Answer:
        """(labels before the last call's move), fastest of `calls` iterations after a first one."""
        from threadpoolctl import threadpool_limits

        points = self.centred
        old = np.ascontiguousarray(centroids - self.points.mean(axis=0), points.dtype)
        new, shift = np.zeros_like(old), np.zeros(len(old), points.dtype)
        weights, in_clusters = np.ones(len(points), points.dtype), np.zeros_like(shift)
        labels = np.full(len(points), -1, np.int32)
        arrays = (in_clusters, labels, shift)
        first, took = None, []
        with threadpool_limits(1, user_api="blas"):  # as fit() does: the threads are OpenMP's
            for _ in range(calls + 1):
                step = (points, weights, old, new, *arrays, self.threads)
                took.append(timed(lambda step=step: self.module.lloyd_iter_chunked_dense(*step)))
                first = labels.copy() if first is None else first
                old, new = new, old
        best = min(took[1:], key=lambda answer: answer[1])
        return first, best[1], best[2]

    def elkan(self, centroids: np.ndarray, calls: int) -> Answer:
        """(labels), mean of `calls` iterations: their cost falls as the bounds take hold."""
        original, took = self.module.elkan_iter_chunked_dense, []

        def hooked(*args: Any, **options: Any) -> Any:
            took.append(timed(lambda: original(*args, **options)))

        self.module.elkan_iter_chunked_dense = hooked
        try:
            (labels, *_), _, _ = self.fit(centroids, "elkan", calls, 0.0)
        finally:
            self.module.elkan_iter_chunked_dense = original
        means = np.mean([answer[1:] for answer in took], axis=0)
        return labels, float(means[0]), float(means[1])

    def fit(self, centroids: np.ndarray, algorithm: str, max_iter: int, tol: float) -> Answer:
        """(labels, centroids, inertia, iterations), the whole of fit()."""
        from threadpoolctl import threadpool_limits

        model = self.estimator(
            len(centroids), init=centroids, n_init=1, max_iter=max_iter, tol=tol,
            algorithm=algorithm,
        )  # fmt: skip
        with threadpool_limits(self.threads):
            _, *took = timed(lambda: model.fit(self.points))
        found = (model.labels_, model.cluster_centers_, float(model.inertia_), int(model.n_iter_))
        return found, *took

    def close(self) -> None:
        """Nothing is held."""


class Faiss:
    """faiss.Kmeans on all points (no subsampling). An iteration is what its own clock says."""

    def __init__(self) -> None:
        import faiss

        self.faiss = faiss

    def facts(self) -> dict[str, str]:
        return {"version": self.faiss.__version__, "blas": blas("faiss")}

    def load(self, path: str, threads: int) -> None:
        self.points = np.load(path)
        self.faiss.omp_set_num_threads(threads)

    def iteration(self, centroids: np.ndarray, calls: int) -> Answer:
        """(sum of squared distances to the start), fastest of `calls` iterations after a first."""
        (_, _, objectives, clock), wall_s, cpu_s = self.fit(centroids, calls + 1)
        best = float(np.diff(clock).min())
        return objectives[0], best, best * cpu_s / wall_s

    def fit(self, centroids: np.ndarray, iterations: int) -> Answer:
        """(centroids, inertia, objective and clock after each iteration), the whole of train()."""
        k, d = centroids.shape
        everything = {"max_points_per_centroid": 2**31 - 1, "min_points_per_centroid": 1}
        model = self.faiss.Kmeans(d, k, niter=iterations, **everything)
        start = np.ascontiguousarray(centroids, np.float32)
        _, *took = timed(lambda: model.train(self.points, init_centroids=start))
        stats = model.iteration_stats
        clock = [stat["time"] for stat in stats]
        objectives = [float(stat["obj"]) for stat in stats]
        return (model.centroids.copy(), objectives[-1], objectives, clock), *took

    def close(self) -> None:
        """Nothing is held."""


class DaskMl:
    """dask_ml.cluster.KMeans on Dask's threads: blocks in memory, more of them than threads."""

    BLOCKS = 8

    def __init__(self) -> None:
        import dask
        import dask.array
        import dask_ml.cluster

        self.dask, self.estimator = dask, dask_ml.cluster.KMeans

    def facts(self) -> dict[str, str]:
        import dask_ml

        return {"version": dask_ml.__version__, "dask": self.dask.__version__}

    def load(self, path: str, threads: int) -> None:
        self.dask.config.set(scheduler="threads", num_workers=threads)
        points = np.load(path)
        rows = -(-len(points) // self.BLOCKS)
        array = self.dask.array.from_array(points, chunks=(rows, points.shape[1]))
        (self.points,) = self.dask.persist(array)
        # Its tolerance is absolute, that of scikit-learn and ours is relative to the variance.
        self.variance = float(points.var(axis=0, dtype=np.float64).mean())

    def iteration(self, centroids: np.ndarray, calls: int) -> Answer:
        return per_iteration(lambda n: self.fit(centroids, n, 0.0), calls)

    def fit(self, centroids: np.ndarray, max_iter: int, tol: float) -> Answer:
        """(centroids, inertia, iterations), the whole of fit()."""
        model = self.estimator(
            len(centroids), init=centroids, max_iter=max_iter, tol=tol * self.variance
        )
        _, *took = timed(lambda: model.fit(self.points))
        found = (np.asarray(model.cluster_centers_), float(model.inertia_), int(model.n_iter_))
        return found, *took

    def close(self) -> None:
        """Nothing is held."""


class SparkMllib:
    """pyspark.ml KMeans in local[threads], the data cached. Its block solver on native BLAS is
    the faster one with many clusters; with few, the two are tried out.

    It takes no centroids to start from. start() tells what it drew, for others to start there.
    """

    def __init__(self) -> None:
        import pyspark

        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            raise Absent("pyspark needs java (Debian: openjdk-17-jre-headless)")
        self.version = pyspark.__version__
        self.session: Any = None
        self.solvers: dict[int, str] = {}

    def facts(self) -> dict[str, str]:
        folders = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib")
        native = any(glob.glob(f"{folder}/libblas.so.3") for folder in folders)
        return {"version": self.version, "blas": "native" if native else "Java"}

    def load(self, path: str, threads: int) -> None:
        import pyarrow
        import pyarrow.parquet
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import SparkSession

        points = np.load(path)
        flat = pyarrow.FixedSizeListArray.from_arrays(points.ravel(), points.shape[1])
        table = pyarrow.table({"features": flat.cast(pyarrow.list_(flat.type.value_type))})
        rows = -(-len(points) // threads)
        pyarrow.parquet.write_table(table, f"{path}.parquet", row_group_size=rows)
        if self.session is None:
            self.session = _spark_session(SparkSession.builder.master(f"local[{threads}]"))
        read = self.session.read.parquet(f"{path}.parquet")
        rows_of = read.select(array_to_vector("features").alias("features"))
        self.rows = rows_of.repartition(threads).cache()
        self.rows.count()

    def start(self, n_clusters: int) -> np.ndarray:
        """(n_clusters, d) float64: where the fits of that many clusters begin."""
        return self.fit(n_clusters, 0)[0][0]

    def iteration(self, n_clusters: int, calls: int) -> Answer:
        """(the solver)"""
        solver = self._solver(n_clusters)
        _, *took = per_iteration(lambda n: self.fit(n_clusters, n, solver), calls)
        return solver, *took

    def _solver(self, n_clusters: int) -> str:
        if n_clusters not in self.solvers:
            tried = ("block",) if n_clusters >= MANY_CLUSTERS else ("block", "row")
            warm = {solver: self.fit(n_clusters, 1, solver) for solver in tried}
            took = {solver: self.fit(n_clusters, 3, solver)[1] for solver in warm}
            self.solvers[n_clusters] = min(took, key=lambda solver: took[solver])
        return self.solvers[n_clusters]

    def fit(self, n_clusters: int, iterations: int, solver: str = "block") -> Answer:
        """(centroids, inertia), the whole of fit() with so many iterations."""
        from pyspark.ml.clustering import KMeans

        start = {"initMode": "random", "seed": 1}
        model = KMeans(k=n_clusters, maxIter=iterations, tol=0.0, solver=solver, **start)
        fitted, *took = timed(lambda: model.fit(self.rows))
        found = (np.array(fitted.clusterCenters()), float(fitted.summary.trainingCost))
        return found, took[0], 0.0  # the CPU seconds are the JVM's

    def close(self) -> None:
        if self.session is not None:
            self.session.stop()


def per_iteration(fit: Callable[[int], Answer], calls: int) -> Answer:
    """One iteration of a library that shows only whole fits: of 1 + calls less one of 1."""
    _, once_s, once_cpu = fit(1)
    found, more_s, more_cpu = fit(1 + calls)
    return found, max(more_s - once_s, 1e-9) / calls, max(more_cpu - once_cpu, 0.0) / calls


def _spark_session(builder: Any) -> Any:
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "6g",
        "spark.driver.extraJavaOptions": "--add-modules=jdk.incubator.vector",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session

"""An empty iteration in PySpark and in Ray, each at its best settings, each in its own process.

    step(state) = sum over two pieces of (state * weight of the piece), for everybody to know

run() makes as many of them as fit into the given seconds and returns (whether the last state is
right, median seconds of one, CPU seconds: 0, not known).
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.away import Absent

PIECES = 2
FEWEST = 3
Answer = tuple[bool, float, float]


def first_state(nbytes: int) -> np.ndarray:
    """Whole numbers below 2**20: multiplied with the weights and added they stay exact."""
    count = max(1, nbytes // 8)
    return np.random.default_rng(0).integers(0, 1 << 20, count).astype(np.float64)


def weights_of(pieces: int) -> list[float]:
    """Different fractions that add up to 1; exact for a power of two."""
    return [(2 * k + 1) / pieces**2 for k in range(pieces)]


def _steps(step: Callable[[np.ndarray], np.ndarray], nbytes: int, seconds: float) -> Answer:
    first = state = first_state(nbytes)
    took: list[float] = []
    ends = time.perf_counter() + seconds
    while len(took) < FEWEST or time.perf_counter() < ends:
        started = time.perf_counter()
        state = step(state)
        took.append(time.perf_counter() - started)
    return np.array_equal(state, first), statistics.median(took), 0.0


class Spark:
    """local[2]: broadcast, mapPartitions, treeAggregate, unpersist. Numbers are not compressed."""

    def __init__(self) -> None:
        import pyspark

        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            raise Absent("pyspark needs java (Debian: openjdk-17-jre-headless)")
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "5g",
            "spark.driver.maxResultSize": "4g",
            "spark.broadcast.compress": "false",
        }
        configuration = pyspark.SparkConf().setMaster(f"local[{PIECES}]").setAll(settings.items())
        self.context = pyspark.SparkContext(conf=configuration)
        self.context.setLogLevel("ERROR")
        self.pieces = self.context.parallelize(weights_of(PIECES), PIECES).cache()
        self.pieces.count()

    def facts(self) -> dict[str, str]:
        return {"version": self.context.version}

    def run(self, nbytes: int, seconds: float) -> Answer:
        return _steps(self._step, nbytes, seconds)

    def _step(self, state: np.ndarray) -> np.ndarray:
        sent = self.context.broadcast(state)
        partials = self.pieces.mapPartitions(lambda weights: [sent.value * w for w in weights])
        total = partials.treeAggregate(None, _with_none, _with_none, 2)
        sent.unpersist()
        return total

    def close(self) -> None:
        self.context.stop()


def _with_none(left: np.ndarray | None, right: np.ndarray | None) -> np.ndarray | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


class Ray:
    """Two actors hold the pieces; the state through the object store, the sum in the driver."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        import ray

        self.ray = ray
        ray.init(
            num_cpus=PIECES,
            include_dashboard=False,
            object_store_memory=2_000_000_000,
            log_to_driver=False,
            logging_level="ERROR",
        )

        class Holder:
            def __init__(self, weight: float) -> None:
                self.weight = weight

            def step(self, state: np.ndarray) -> np.ndarray:
                return state * self.weight

        remote: Any = ray.remote(num_cpus=1)(Holder)
        self.holders = [remote.remote(weight) for weight in weights_of(PIECES)]

    def facts(self) -> dict[str, str]:
        return {"version": self.ray.__version__}

    def run(self, nbytes: int, seconds: float) -> Answer:
        return _steps(self._step, nbytes, seconds)

    def _step(self, state: np.ndarray) -> np.ndarray:
        sent = self.ray.put(state)
        partials = self.ray.get([holder.step.remote(sent) for holder in self.holders])
        return partials[0] + partials[1]

    def close(self) -> None:
        self.ray.shutdown()

"""Small K-means runs to report on, clustered by definition."""

import numpy as np

from pipelines.report import kmeans_report


def blobs(n=120, d=3, k=4, seed=0):
    """(points (n, d), clusters (n,), centroids (k, d)): normal points around k places."""
    draw = np.random.default_rng(seed)
    centroids = draw.normal(0, 8, (k, d))
    points = centroids[draw.integers(0, k, n)] + draw.normal(0, 1, (n, d))
    apart = ((points[:, None, :] - centroids[None]) ** 2).sum(axis=2)
    return points, apart.argmin(axis=1), centroids


def iteration_rows(count=12, ranks=2, runs=1, map_s=0.02, overhead_s=0.001):
    """Rows of `runs` restarts one after the other; the maps of rank r take map_s + r ms."""
    rows, now = [], 1_000.0
    for run in range(runs):
        for iteration in range(count):
            seconds = tuple(map_s + 0.001 * rank for rank in range(ranks))
            stopped = now + max(seconds) + overhead_s
            rows.append(
                {
                    "run": run, "iteration": iteration, "inertia": 900.0 / (iteration + 1) + run,
                    "shift": 2.0**-iteration, "started": now, "mapped": now + seconds[0],
                    "stopped": stopped, "seconds": seconds,
                }
            )  # fmt: skip
            now = stopped
        now += 5.0
    return rows


def tasks(count=6, kind="load"):
    return [
        {"worker": f"w-{n % 2}", "started": 990.0 + n, "stopped": 991.0 + n, "kind": kind}
        for n in range(count)
    ]


RUN = {
    "schema": 1,
    "app": "kmeans",
    "status": "complete",
    "argv": ["whorl", "run", "kmeans", "points.npy"],
    "config": {"init": {"value": "k-means++", "origin": "default"}},
    "n": 120,
    "d": 3,
    "n_clusters": 4,
    "inertia": 8917615616867.3,
    "n_iter": 12,
    "converged": True,
    "seconds": 2.4,
    "silhouette": 0.61,
    "silhouettes": [0.7, -0.1, None, 0.65],
    "labels": {"ari": 0.913, "nmi": 0.934, "one_nn": 0.997},
    "partitions": {
        "partitions": 8, "bytes": 8 << 20, "source_reads": 9, "memory_hits": 30, "disk_hits": 10,
        "spilled_bytes": 1 << 20, "moved": 2, "reloaded": 1,
    },
    "chunks": [
        {"first": 0, "n_iter": 5, "ranks": ["w-0", "w-1"], "overhead_s": 0.004},
        {"first": 5, "n_iter": 5, "ranks": ["w-0", "w-1"], "overhead_s": 0.002},
        {"first": 10, "n_iter": 2, "ranks": ["w-0"], "overhead_s": 0.002},
    ],
    "rollbacks": [{"iteration": 10, "error": "the connection to w-1 was closed"}],
    "workers_lost": [{"worker": "w-1", "at": 1_000.1}],
}  # fmt: skip


def report(n=120, d=3, k=4, run=RUN, labels=True, **changes):
    """kmeans_report of blobs; `changes` replace its arguments."""
    points, clusters, centroids = blobs(n, d, k)
    given = {
        "points_sample": points,
        "labels_sample": clusters,
        "centroids": centroids,
        "sizes": np.bincount(clusters, minlength=k),
        "rows": iteration_rows(),
        "true_labels_sample": [f"class {c}" for c in clusters] if labels else None,
        "elbow": None,
        "timeline": tasks(),
        "random_state": 0,
    }
    return kmeans_report(run, **(given | changes))

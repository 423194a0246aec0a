"""Runs of `run cluster` inside the tests: distances of clouds of points, and what is compared."""

import dataclasses

import numpy as np
from scipy.spatial.distance import pdist, squareform

from pipelines import cluster
from pipelines.app import RunOptions
from pipelines.engine import connect
from pipelines.formats.tables import table_rows
from pipelines.run_steps import open_results
from storage.folder import open_folder

NOT_RESULT = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256"}


def clouds(n, k, *, seed=4):
    """(points (n, 3), cloud of each (n,)): far apart, of decreasing size."""
    rng = np.random.default_rng(seed)
    centres = 30 * rng.normal(size=(k, 3))
    of = np.sort(rng.integers(0, k, n))
    return centres[of] + rng.normal(size=(n, 3)), of


def square(n, k=4, **options):
    """(distances (n, n), cloud of each)"""
    points, of = clouds(n, k, **options)
    return (squareform(pdist(points)) if n > 1 else np.zeros((n, n))), of


def save(path, values):
    np.save(path, values)
    return str(path)


def prepare(distances, out, **options):
    """The job of a command with these options."""
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", "cluster", str(distances))
    chosen = RunOptions(output=str(out), command=words, **ours)
    return cluster.prepare(cluster.Config(str(distances), **theirs), chosen)


def run(distances, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    job = prepare(distances, out, **options)
    with open_results("cluster", job, job.config, job.options) as results:
        if engine is not None:
            return cluster.run(job, engine, results)
        with connect("serial") as serial:
            return cluster.run(job, serial, results)


def table(out, name):
    """Rows of a table of the result."""
    return table_rows(open_folder(str(out)).get(name))


def clusters_of(out):
    """(n,) clusters"""
    return np.array([int(row["cluster"]) for row in table(out, "clusters.tsv")])


def result_bytes(out):
    """Name -> bytes of the files that must not depend on how a result was made."""
    folder = open_folder(str(out))
    return {key: folder.get(key) for key in folder.list() if key not in NOT_RESULT}

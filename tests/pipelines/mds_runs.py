"""Runs of `run mds` inside the tests: small matrices, the kernel beside it, what is compared."""

from pathlib import Path

import numpy as np

from kernels import mds as kernel
from pipelines import mds
from tests.pipelines import iterative_runs

DATA = Path(__file__).parents[3] / "shared" / "data"
KEPT = ("run", "iteration", "job", "transforms", "temperature", "stress", "normalized")


def distances(n=150, *, seed=5, dtype="float64", holes=0.0, k=4):
    """(n, n) dissimilarities that no map shows exactly, and the class of each record (n,).

    holes: this part of the pairs is missing
    """
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, k, n)
    points = rng.normal(size=(k, 9))[classes] * 3 + rng.normal(size=(n, 9))
    found = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    found *= np.exp(rng.normal(scale=0.1, size=(n, n)))
    found[rng.random((n, n)) < holes] = np.nan
    found = np.triu(found, 1)
    return (found + found.T).astype(dtype), classes


def save(path, matrix, classes=None):
    """matrix.npy at path, and beside it labels.tsv with the classes."""
    np.save(path, matrix)
    if classes is not None:
        rows = "".join(f"{row}\tclass {label}\n" for row, label in enumerate(classes))
        Path(path).with_suffix(".tsv").write_text("id\tlabel\n" + rows)
    return str(path)


def prepare(given, out, **options):
    """The job of a command with these options."""
    return iterative_runs.prepare(mds, given, out, **options)


def run(given, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    return iterative_runs.run(mds, given, out, engine, **options)


def lasting_bytes(out):
    """As result_bytes(), and of stress.tsv what does not tell of times, column by column."""
    return iterative_runs.lasting_bytes(out, "stress.tsv", KEPT)


def map_of(out):
    """(n, d) float64"""
    return np.load(Path(out, "coordinates.npy"))


def kernels_map(matrix, **options):
    """What the kernel's own function makes of the same options: (embedding, stress)."""
    usual = "random" if options.get("anneal") else "classical"
    return kernel.smacof(matrix, **{"n_components": 3, "init": usual, **options})


def figures(matrix, x, weights=None):
    """(stress, normalized stress, stress-1) by definition, pair by pair."""
    rows, columns = np.triu_indices(len(x), 1)
    delta = matrix[rows, columns].astype(np.float64)
    distance = np.sqrt(((x[rows] - x[columns]) ** 2).sum(axis=1))
    w = np.ones(len(delta)) if weights is None else weights[rows, columns]
    known = ~np.isnan(delta)
    w, delta, distance = w[known], delta[known], distance[known]
    stress, squares = (w * (delta - distance) ** 2).sum(), (w * delta**2).sum()
    best = (w * delta * distance).sum() / squares
    least = (w * (best * delta - distance) ** 2).sum()
    return stress, stress / squares, np.sqrt(least / (w * distance**2).sum())

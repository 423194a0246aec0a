"""Runs of `run kmeans` inside the tests: small inputs, an engine of choice, what is compared."""

from pathlib import Path

import numpy as np

from pipelines import kmeans
from pipelines.formats.label_array import LabelArray
from storage.folder import open_folder
from tests.pipelines import iterative_runs
from tests.pipelines.iterative_runs import StopAt, result_bytes, table

__all__ = ["DATA", "StopAt", "blobs", "labels_of", "lasting_bytes", "prepare", "result_bytes",
           "run", "save", "table"]  # fmt: skip

DATA = Path(__file__).parents[3] / "shared" / "data" / "points"


def blobs(n=600, d=3, k=4, *, seed=5, dtype="float32", spread=1.0):
    """Points (n, d) around k centres, and the number of each one's centre (n,)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * 6
    classes = rng.integers(0, k, n)
    return (centres[classes] + spread * rng.normal(size=(n, d))).astype(dtype), classes


def save(path, points, classes=None):
    """points.npy at path, and beside it labels.tsv with the classes."""
    np.save(path, points)
    if classes is not None:
        rows = "".join(f"{row}\tclass {label}\n" for row, label in enumerate(classes))
        Path(path).with_suffix(".tsv").write_text("id\tlabel\n" + rows)
    return str(path)


def prepare(points, out, **options):
    """The job of a command with these options; blocks are small unless said otherwise."""
    return iterative_runs.prepare(kmeans, points, out, **{"block_size": 100, **options})


def run(points, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    return iterative_runs.run(kmeans, points, out, engine, **{"block_size": 100, **options})


def lasting_bytes(out):
    """As result_bytes(), and of inertia.tsv what does not tell of times, column by column."""
    told = ("run", "iteration", "job", "inertia", "shift")
    return iterative_runs.lasting_bytes(out, "inertia.tsv", told)


def labels_of(out):
    """(n,) int32"""
    return LabelArray(open_folder(str(out)), "labels.zarr").all()

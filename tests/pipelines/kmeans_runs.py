"""Runs of `run kmeans` inside the tests: small inputs, an engine of choice, what is compared."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines import kmeans
from pipelines.app import RunOptions, byte_changing_values
from pipelines.engine import connect
from pipelines.engine.events import Checkpointed, IterationEnded
from pipelines.formats.label_array import LabelArray
from pipelines.results import ResultFolder
from storage.folder import open_folder

DATA = Path(__file__).parents[3] / "shared" / "data" / "points"
TIMED = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256",
         "inertia.tsv"}  # fmt: skip


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
    options = {"block_size": 100, **options}
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", "kmeans", str(points))
    return kmeans.prepare(
        kmeans.Config(str(points), **theirs), RunOptions(output=str(out), command=words, **ours)
    )


def folder_for(job):
    """The result folder as the command makes it."""
    values = byte_changing_values(job.config, job.options)
    return ResultFolder.create(
        job.options.output,
        app="kmeans",
        options={name: job.resolved.get(name, value) for name, value in values.items()},
        inputs=job.inputs,
        resume=job.options.resume,
        overwrite=job.options.overwrite,
        command=job.options.command,
        needed_bytes=job.needed_bytes,
    )


def run(points, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    job = prepare(points, out, **options)
    with folder_for(job) as results:
        if results.complete:
            return None
        if engine is not None:
            return kmeans.run(job, engine, results)
        with connect("serial") as serial:
            return kmeans.run(job, serial, results)


def result_bytes(out):
    """Name -> bytes of the files that must not depend on how a result was made."""
    folder = open_folder(str(out))
    return {key: folder.get(key) for key in folder.list() if key not in TIMED}


def lasting_bytes(out):
    """As result_bytes(), and of inertia.tsv what does not tell of times, column by column."""
    rows = table(out, "inertia.tsv")
    told = ("run", "iteration", "job", "inertia", "shift")
    return result_bytes(out) | {f"inertia.tsv {name}": [row[name] for row in rows] for name in told}


def labels_of(out):
    """(n,) int32"""
    return LabelArray(open_folder(str(out)), "labels.zarr").all()


def table(out, name):
    """Rows of a .tsv as dicts."""
    header, *lines = Path(out, name).read_text().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


class StopAt:
    """A listener that ends the run as Ctrl-C does, at the first checkpoint once `runs` starts
    were over and `iterations` more iterations done."""

    def __init__(self, runs=0, iterations=1):
        self.runs, self.iterations = runs, iterations
        self.begun, self.last = 0, None

    def __call__(self, event):
        if isinstance(event, IterationEnded):
            self.begun += self.last is None or event.row.iteration <= self.last
            self.last = event.row.iteration
            self.iterations -= self.begun > self.runs
        if isinstance(event, Checkpointed) and self.iterations <= 0:
            raise KeyboardInterrupt

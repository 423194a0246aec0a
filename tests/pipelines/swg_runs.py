"""Runs of `run swg` inside the tests: small inputs, an engine of choice, and what is compared."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines import swg
from pipelines.app import RunOptions, byte_changing_values
from pipelines.engine import TaskEnded, connect
from pipelines.formats.distances import open_distances
from pipelines.generate import sequences
from pipelines.results import ResultFolder
from storage.folder import open_folder

DATA = Path(__file__).parents[3] / "shared" / "data" / "fasta"
NOT_RESULT = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256"}


def write_fasta(path, n=100, *, alphabet="dna", length=60, seed=3):
    """n records of a few families at path; returns the letters."""
    ids, letters, labels = sequences(
        n, alphabet=alphabet, length=length, classes=4, divergence=0.3, random_state=seed
    )
    records = zip(ids, letters, strict=True)
    Path(path).write_text("".join(f">{name} of a family\n{text}\n" for name, text in records))
    table = zip(ids, labels, strict=True)
    Path(path).with_suffix(".tsv").write_text("".join(f"{a}\t{b}\n" for a, b in table))
    return letters


def prepare(fasta, out, **options):
    """The job of a command with these options."""
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", "swg", str(fasta))
    chosen = RunOptions(output=str(out), command=words, **ours)
    return swg.prepare(swg.Config(str(fasta), **theirs), chosen)


def folder_for(job):
    """The result folder as the command makes it."""
    values = byte_changing_values(job.config, job.options)
    return ResultFolder.create(
        job.options.output,
        app="swg",
        options={name: job.resolved.get(name, value) for name, value in values.items()},
        inputs=job.inputs,
        resume=job.options.resume,
        overwrite=job.options.overwrite,
        command=job.options.command,
        needed_bytes=job.needed_bytes,
    )


def run(fasta, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    job = prepare(fasta, out, **options)
    with folder_for(job) as results:
        if results.complete:
            return None
        if engine is not None:
            return swg.run(job, engine, results)
        with connect("serial") as serial:
            return swg.run(job, serial, results)


def result_bytes(out):
    """Name -> bytes of the files that must not depend on how a result was made."""
    folder = open_folder(str(out))
    found = [key for key in folder.list() if key not in NOT_RESULT]
    return {key: folder.get(key) for key in found}


def values_of(out):
    """The whole matrix (n, n), NaN = missing."""
    matrix = open_distances(str(out))
    return matrix.rows(0, matrix.n)


def assert_same(a, b):
    """Equal distances, missing ones at the same places."""
    np.testing.assert_array_equal(a, b)


class Stop:
    """A listener that ends the run after so many blocks, as Ctrl-C does."""

    prefix = "swg-distance"

    def __init__(self, blocks):
        self.left = blocks

    def __call__(self, event):
        if isinstance(event, TaskEnded) and event.key.startswith(self.prefix):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

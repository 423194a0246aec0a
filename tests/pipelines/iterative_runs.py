"""Runs of applications that iterate, inside the tests: an engine of choice, what is compared."""

import dataclasses
from pathlib import Path

from pipelines.app import RunOptions
from pipelines.engine import connect
from pipelines.engine.events import Checkpointed, IterationEnded
from pipelines.run_steps import open_results
from storage.folder import open_folder

TIMED = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256",
         "inertia.tsv", "stress.tsv"}  # fmt: skip


def name_of(module):
    """'kmeans' of pipelines.kmeans."""
    return module.__name__.rpartition(".")[2]


def prepare(module, given, out, **options):
    """The job of a command with these options."""
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", name_of(module), str(given))
    return module.prepare(
        module.Config(str(given), **theirs), RunOptions(output=str(out), command=words, **ours)
    )


def run(module, given, out, engine=None, **options):
    """The whole way of the command; returns run.json, None where nothing was left to do. Without
    an engine it is serial."""
    job = prepare(module, given, out, **options)
    with open_results(name_of(module), job, job.config, job.options) as results:
        if results.complete:
            return None
        if engine is not None:
            return module.run(job, engine, results)
        with connect("serial") as serial:
            return module.run(job, serial, results)


def result_bytes(out):
    """Name -> bytes of the files that must not depend on how a result was made."""
    folder = open_folder(str(out))
    return {key: folder.get(key) for key in folder.list() if key not in TIMED}


def lasting_bytes(out, name, columns):
    """As result_bytes(), and of the table of iterations the columns that do not tell of times."""
    rows = table(out, name)
    return result_bytes(out) | {f"{name} {one}": [row[one] for row in rows] for one in columns}


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

"""Runs of `run sequences` inside the tests: small families, an engine of choice, comparisons."""

import dataclasses
from pathlib import Path

from pipelines import (
    cluster_results,
    interpolate_results,
    mds_results,
    sequences,
    sequences_results,
    swg_results,
)
from pipelines.app import RunOptions
from pipelines.engine import TaskEnded, connect
from pipelines.engine.events import IterationEnded, PartitionLoaded
from pipelines.formats.tables import table_rows
from pipelines.generate import sequences as families
from pipelines.run_steps import open_results
from pipelines.stages import StageStarted
from storage.folder import open_folder

DATA = Path(__file__).parents[3] / "shared" / "data" / "fasta"
TIMED = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256",
         "stress.tsv"}  # fmt: skip


def write_families(path, n=40, *, copies=6, length=60, classes=3, seed=3):
    """n sequences of a few families and, mixed among them, copies of some; labels beside it."""
    ids, letters, labels = families(
        n, alphabet="dna", length=length, classes=classes, divergence=0.1, random_state=seed
    )
    records = list(zip(ids, letters, labels, strict=True))
    for k in range(copies):
        name, text, label = records[2 * k]
        records.insert(3 * k + 5, (f"copy{k}-of-{name}", text.lower(), label))
    Path(path).write_text("".join(f">{name} of {x}\n{text}\n" for name, text, x in records))
    rows = "".join(f"{name}\t{label}\n" for name, _, label in records)
    Path(path).with_suffix(".tsv").write_text(rows)
    return records


def no_reports(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(sequences_results, "report_page", lambda *args: b"<html>")
    for module in (swg_results, mds_results, cluster_results, interpolate_results):
        name = f"{module.__name__.rpartition('.')[2].removesuffix('_results')}_report"
        monkeypatch.setattr(module, name, lambda *args, **more: b"<html>")


def prepare(fasta, out, **options):
    """The job of a command with these options."""
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", "sequences", str(fasta))
    chosen = RunOptions(output=str(out), command=words, **ours)
    return sequences.prepare(sequences.Config(str(fasta), **theirs), chosen)


def run(fasta, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    job = prepare(fasta, out, **options)
    with open_results("sequences", job, job.config, job.options) as results:
        if results.complete:
            return None
        if engine is not None:
            return sequences.run(job, engine, results)
        with connect("serial") as serial:
            return sequences.run(job, serial, results)


def result_bytes(out):
    """Name -> bytes of the files, of stages too, that must not depend on how they were made."""
    folder = open_folder(str(out))
    keys = [key for key in folder.list() if key.rpartition("/")[2] not in TIMED]
    return {key: folder.get(key) for key in keys}


def rows(out, name):
    """Rows of a table as dicts."""
    return table_rows(open_folder(str(out)).get(name))


class StopIn:
    """A listener that ends the run as Ctrl-C does, in a stage, once something of it is done."""

    def __init__(self, stage):
        self.stage, self.within, self.seen = stage, False, []

    def __call__(self, event):
        if isinstance(event, StageStarted):
            self.within = event.name == self.stage
            self.seen.append(event.name)
        elif self.within and isinstance(event, TaskEnded | IterationEnded | PartitionLoaded):
            raise KeyboardInterrupt

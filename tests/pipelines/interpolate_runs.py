"""Runs of `run interpolate` inside the tests: known maps, small inputs, what is compared."""

import dataclasses
import io
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from pipelines import interpolate
from pipelines.app import RunOptions
from pipelines.engine import connect
from pipelines.formats.distances import ids_table
from pipelines.results import ResultFolder, read_run
from pipelines.run_steps import open_results
from storage.folder import open_folder

TIMED = {"run.json", "log.jsonl", "report.html", "performance.html", "checksums.sha256"}


def npy(array):
    """Bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def make_map(url, at, ids=None, *, source=None, labels=None, shepard=None, **told):
    """A result folder as run mds leaves it: coordinates at (n, d), made from `source`."""
    ids = [str(k) for k in range(len(at))] if ids is None else ids
    files = {"coordinates.npy": npy(np.asarray(at, np.float64)), "report.html": b"<html>"}
    files["ids.tsv"] = ids_table(ids, [9] * len(ids), [""] * len(ids))
    if labels is not None:
        rows = "".join(f"{a}\t{b}\n" for a, b in zip(ids, labels, strict=True))
        files["coordinates.tsv"] = f"id\tlabel\n{rows}".encode()
    if shepard is not None:
        file = io.BytesIO()
        np.savez(file, **shepard)
        files["shepard.npz"] = file.getvalue()
    given = {"path": str(source), "bytes": 1, "sha256": "ab" * 32}
    known = {"url": str(source), "format": "npy"}
    if source is not None:
        run = read_run(str(source))
        known |= {name: run[name] for name in ("app", "version", "config", "inputs")}
    run = {"normalized_stress": 0.015, "stress1": 0.1225, "source": known, **told}
    create = {"app": "mds", "options": {}, "inputs": [given]}
    with ResultFolder.create(str(url), **create) as results:
        return results.finish(run, files)


def prepare(new, onto, out, **options):
    """The job of a command with these options; fitted to the nearest landmarks only, as published,
    unless said otherwise."""
    options = {"n_far": 0, **options}
    of_run = {field.name for field in dataclasses.fields(RunOptions)}
    ours = {name: value for name, value in options.items() if name in of_run}
    theirs = {name: value for name, value in options.items() if name not in of_run}
    words = ("whorl", "run", "interpolate", str(new))
    chosen = RunOptions(output=str(out), command=words, **ours)
    config = interpolate.Config(new=str(new), onto=str(onto), **theirs)
    return interpolate.prepare(config, chosen)


def run(new, onto, out, engine=None, **options):
    """The whole way of the command; returns run.json. Without an engine it is serial."""
    job = prepare(new, onto, out, **options)
    with open_results("interpolate", job, job.config, job.options) as results:
        if results.complete:
            return None
        if engine is not None:
            return interpolate.run(job, engine, results)
        with connect("serial") as serial:
            return interpolate.run(job, serial, results)


def result_bytes(out):
    """Name -> bytes of the files that must not depend on how a result was made."""
    folder = open_folder(str(out))
    return {key: folder.get(key) for key in folder.list() if key not in TIMED}


def coordinates(out):
    """(n, d) float64"""
    return np.load(io.BytesIO(open_folder(str(out)).get("coordinates.npy")))


def table(out, name="coordinates.tsv"):
    """Rows of a .tsv as dicts."""
    header, *lines = Path(out, name).read_text().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


class Scene:
    """A map in d dimensions of landmarks that are points in q, and new points, in a folder."""

    def __init__(self, folder, n=150, m=40, *, q=5, d=3, seed=2):
        rng = np.random.default_rng(seed)
        self.folder = Path(folder)
        turn = np.linalg.qr(rng.normal(size=(q, q)))[0][:, :d]
        self.landmarks = rng.normal(size=(m, q)).astype(np.float32)
        self.points = rng.normal(size=(n, q)).astype(np.float32)
        self.at = self.landmarks @ turn
        self.ids = [f"landmark {k}" for k in range(m)]
        self.new = self.folder / "new.npy"
        self.vectors = self.folder / "landmarks.npy"
        self.map = self.folder / "map"
        np.save(self.new, self.points)
        np.save(self.vectors, self.landmarks)
        make_map(self.map, self.at, self.ids)

    @property
    def rows(self):
        """Distances of the new points to the landmarks, (n, m) float64."""
        return cdist(self.points.astype(float), self.landmarks.astype(float))

    def run(self, out="out", engine=None, **options):
        """Place the points."""
        options = {"landmarks": str(self.vectors), **options}
        out = out if "://" in str(out) else self.folder / out
        return run(self.new, self.map, out, engine, **options)

    def save(self, name, array):
        np.save(self.folder / name, array)
        return self.folder / name

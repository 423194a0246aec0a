"""The result of `run mds`: the map, tables, report and run.json."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import numpy as np

from kernels import _mds_runs, mds_pairs, mds_start, mds_steps
from kernels.mds_pairs import Pairs
from pipelines import cluster_quality as quality
from pipelines.formats.arrays import npy_bytes, npz_bytes
from pipelines.formats.distances import printable
from pipelines.formats.labels import coded
from pipelines.formats.tables import table_rows
from pipelines.iterations import (
    iteration_facts,
    log_bytes,
    log_lines,
    number,
    row_table,
    told_again,
)
from pipelines.mds_plan import SHOWN_PAIRS, SHOWN_RECORDS, Job
from pipelines.mds_trials import Trial, Trials
from pipelines.plan_words import count
from pipelines.report.mds import mds_report
from pipelines.results import read_run
from pipelines.run_steps import provenance, source_facts
from storage.folder import open_folder

COLUMNS = (
    "run", "iteration", "job", "transforms", "temperature", "stress", "normalized", "seconds",
    "imbalance",
)  # fmt: skip
AXES = "xyz"


@dataclasses.dataclass(frozen=True)
class Found:
    """What came of a run.

    trial           the run that was kept
    x (n, d)        the map, at the scale of --scaling
    stress          sum of w (delta - dist)^2, pair by pair; normalized, stress1: see Smacof
    pairs           a sample, of those that are known
    rows, between   numbers of some records (k,), and the distances among them (k, k)
    """

    trial: Trial
    x: np.ndarray
    stress: float
    normalized: float
    stress1: float
    pairs: Pairs
    rows: np.ndarray
    between: np.ndarray


def measured(trials: Trials, trial: Trial) -> Found:
    """The exact stress of a run's map, a sample of its pairs and of its records."""
    job, problem = trials.job, trials.problem
    last = mds_steps.start_state(trial.x, problem)._replace(
        x=trial.x, stress=trial.stress, transforms=trial.n_iter
    )
    over = trials.over
    end = _mds_runs.finished(over, last, [], problem, job.config.scaling)
    seed = job.options.random_state
    parts = over(mds_pairs.pairs_block, end.embedding, SHOWN_PAIRS, seed, key="shepard")
    rng = np.random.default_rng((seed, 0x5A3B1E))
    rows = np.sort(rng.choice(job.n, min(SHOWN_RECORDS, job.n), replace=False))
    between = np.concatenate(over(mds_start.rows_block, rows, key="shepard"))
    between = np.fmin(between, between.T)
    np.fill_diagonal(between, 0.0)
    return Found(
        trial, end.embedding, float(end.stress), float(end.normalized), float(end.stress1),
        Pairs(*map(np.concatenate, zip(*parts, strict=True))), rows, between,
    )  # fmt: skip


def summarise(trials: Trials, found: Found, room: list[str]) -> dict[str, Any]:
    """What run.json says of the run, but for times and labels."""
    job, engine, log, problem = trials.job, trials.engine, trials.log, trials.problem
    trial, config = found.trial, job.config
    warnings = [*job.warnings, *room, *([engine.cpu_warning] if engine.cpu_warning else [])]
    return provenance(job, engine, len(log.lost)) | {
        "n": job.n,
        "n_components": config.n_components,
        "stress": found.stress,
        "normalized_stress": found.normalized,
        "stress1": found.stress1,
        "n_iter": trial.n_iter,
        "converged": trial.converged,
        "best_run": trial.run,
        "init": "given" if job.given is not None and trial.run == 0 else job.init,
        "pairs": job.pairs,
        "missing_pairs": job.pairs - int(problem.known),
        "largest": problem.high,
        "source": source_facts(job.matrix),
        "iterations": iteration_facts(log),
        "partitions": engine.partition_facts(trials.partitions),
        "bytes": {"input": sum(each["bytes"] for each in job.inputs), "distances": job.nbytes},
        "warnings": [*warnings, *result_warnings(trials, found)],
        "plan": job.plan,
    }  # fmt: skip


def result_warnings(trials: Trials, found: Found) -> list[str]:
    """What the user should know of the map."""
    told, trial, problem = [], found.trial, trials.problem
    missing = trials.job.pairs - int(problem.known)
    if missing:
        share = 100 * missing / trials.job.pairs
        told.append(f"{count(missing, 'pair')} of {trials.job.pairs:,} ({share:.2g} %) missing")
    if not trial.converged:
        told.append(
            f"not converged after {count(trial.n_iter, 'transform')}: the stress was still "
            "falling; raise --max-iter or --tol"
        )
    if not found.x.any() and problem.high > 0:
        told.append("all records lie at the same place; start with --init random")
    return told


def make_files(
    trials: Trials, run: dict[str, Any], found: Found, pages: list[bytes]
) -> dict[str, bytes]:
    """Tables, log and report: name -> bytes. Adds what the labels tell to run."""
    job, log, results = trials.job, trials.log, trials.results
    if job.labels is not None:
        run["labels"] = label_facts(job, found.x)
    with_temperatures(log.rows)
    files = {
        "coordinates.npy": npy_bytes(found.x),
        "coordinates.tsv": coordinates_table(job, found.x),
        "ids.tsv": ids_table(job),
        "stress.tsv": row_table(log.rows, COLUMNS),
        "shepard.npz": npz_bytes(found.pairs._asdict() | {"pairs": np.array(trials.problem.known)}),
        "sample.npz": npz_bytes({"rows": found.rows, "distances": found.between.astype("f4")}),
    }
    lines = log_lines(log)
    files["log.jsonl"] = log_bytes(lines)
    if pages:
        files["performance.html"] = pages[0]
    known = run | {"status": "complete", "app": "mds", "inputs": job.inputs}
    files["report.html"] = report_page(known, found.x, files, lines)
    if results.resumed and not pages:
        results.folder.delete("performance.html")  # of a run that was killed while it finished
    return files


def label_facts(job: Job, x: np.ndarray) -> dict[str, Any]:
    """How often the nearest record on the map, of equally near ones the first, has the same
    label."""
    names, codes = coded(job.labels or ())
    return {
        "records": int((codes >= 0).sum()),
        "classes": len(names),
        "one_nn": number(quality.one_nn(x, codes)),
    }


def with_temperatures(rows: list[dict[str, Any]]) -> None:
    """Tell each row of an annealed run the temperature that its run had reached."""
    last: dict[int, float] = {}
    for row in rows:
        if "temperature" in row:
            last[row["run"]] = row["temperature"]
        elif row["run"] in last:
            row["temperature"] = last[row["run"]]


def coordinates_table(job: Job, x: np.ndarray) -> bytes:
    """coordinates.tsv: id, a column per dimension, and the label where labels are known."""
    d = x.shape[1]
    axes = list(AXES[:d]) if d <= len(AXES) else [f"x{k + 1}" for k in range(d)]
    lines = ["\t".join(["id", *axes, *(["label"] if job.labels is not None else [])])]
    for row, (name, place) in enumerate(zip(job.ids, x.tolist(), strict=True)):
        cells = [printable(name), *map(repr, place)]
        cells += [job.labels[row] or ""] if job.labels is not None else []
        lines.append("\t".join(cells))
    return ("\n".join(lines) + "\n").encode()


def ids_table(job: Job) -> bytes:
    """ids.tsv: that of the result the distances came from, or index and id."""
    if job.matrix.format == "result" and job.matrix.ids is not None:
        return open_folder(job.matrix.url).get("ids.tsv")
    lines = [f"{index}\t{printable(name)}" for index, name in enumerate(job.ids)]
    return "\n".join(["index\tid", *lines, ""]).encode()


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    run, folder = read_run(url), open_folder(url)
    x = np.load(io.BytesIO(folder.get("coordinates.npy")), allow_pickle=False)
    names = ("coordinates.tsv", "ids.tsv", "shepard.npz", "sample.npz")
    lines = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    return report_page(run, x, {name: folder.get(name) for name in names}, lines)


def report_page(
    run: dict[str, Any], x: np.ndarray, files: dict[str, bytes], lines: list[dict[str, Any]]
) -> bytes:
    """report.html from run.json, coordinates.npy, tables, samples and log.jsonl."""
    told = told_again(lines)
    rows, timeline = told.pop("rows"), told.pop("timeline")
    records, places = table_rows(files["ids.tsv"]), table_rows(files["coordinates.tsv"])
    ids, columns = [row["id"] for row in records], {}
    if "label" in places[0]:
        columns["label"] = [row["label"] or None for row in places]
    if "length" in records[0]:
        columns["length"] = [float(row["length"]) for row in records]
    with (
        np.load(io.BytesIO(files["shepard.npz"]), allow_pickle=False) as shepard,
        np.load(io.BytesIO(files["sample.npz"]), allow_pickle=False) as sample,
    ):
        return mds_report(
            run | told, coordinates=x, ids=ids, columns=columns,
            shepard={**shepard, "pairs": int(shepard["pairs"])}, rows=rows, sample=dict(sample),
            timeline=timeline, random_state=run["random_state"],
        )  # fmt: skip

"""The result of `run kmeans`: labels, tables, report and run.json."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from typing import Any

import numpy as np

from kernels import kmeans
from kernels.kmeans import Block
from pipelines import cluster_quality as quality
from pipelines.engine import Engine
from pipelines.engine.tree import reduce_pairwise
from pipelines.formats.distances import printable
from pipelines.formats.label_array import LabelArray
from pipelines.formats.labels import coded
from pipelines.iterations import imbalance, iteration_facts, log_lines, spent, told_again
from pipelines.kmeans_blocks import Written, take_rows, write_labels
from pipelines.kmeans_plan import Job
from pipelines.kmeans_trials import Trial, Trials
from pipelines.report.kmeans import kmeans_report
from pipelines.results import read_run
from pipelines.run_steps import provenance
from storage.folder import open_folder

COLUMNS = ("n_clusters", "run", "iteration", "job", "inertia", "shift", "seconds", "imbalance")


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows that were drawn: numbers, points (m, d), and codes of their true labels (-1: none)."""

    rows: np.ndarray
    points: np.ndarray
    codes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tried:
    """The best run of a number of clusters, its silhouette on the sample (nan: there is none), and
    that of each cluster's points."""

    trial: Trial
    silhouette: float = math.nan
    of_clusters: tuple[float | None, ...] = ()


def take_sample(job: Job, engine: Engine, partitions: Any) -> Sample:
    """The rows of job.sample_rows, read from the partitions."""
    rows = job.sample_rows
    order = np.argsort(rows)
    parts = engine.map_partitions(take_rows, partitions, rows[order], job.rows, key="sample")
    points = np.empty((len(rows), job.points.d), job.points.dtype)
    points[order] = np.concatenate(parts)
    codes = np.full(job.points.n, -1) if job.labels is None else coded(job.labels)[1]
    return Sample(rows, points, codes[rows])


def labels_of(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(m,) int32: the nearest centroid of each point."""
    block = Block(np.ascontiguousarray(points))
    frame = kmeans.frame_of(kmeans.summary_block(block))
    return kmeans.assign_block(block, centroids, frame)[0]


def with_silhouette(job: Job, trial: Trial, sample: Sample) -> Tried:
    """A run with the silhouette of the first rows of the sample."""
    points = sample.points[: job.config.silhouette_sample]
    if not len(points):
        return Tried(trial)
    labels = labels_of(points, trial.centroids)
    scores = quality.silhouettes(points, labels)
    if scores is None:
        return Tried(trial)
    means = quality.means_by(scores, labels, trial.n_clusters)
    return Tried(trial, float(scores.mean()), tuple(means))


def choose(tried: list[Tried]) -> Tried:
    """The one with the largest silhouette, of equal ones the one with fewer clusters; the first
    where there is no silhouette at all."""
    return max(tried, key=lambda one: -math.inf if math.isnan(one.silhouette) else one.silhouette)


def write_all_labels(trials: Trials, trial: Trial) -> tuple[Trial, np.ndarray, int]:
    """Store the labels, block by block where the blocks are: (the run with its inertia, sizes
    (k,), bytes stored)."""
    job, results = trials.job, trials.results
    layout = job.layout
    results.folder.put(f"{results.array_prefix}/zarr.json", layout.metadata())
    parts: list[Written] = trials.engine.map_partitions(
        write_labels, trials.partitions, trial.centroids, trials.what, layout, results.folder,
        results.array_prefix, key="labels",
    )  # fmt: skip
    inertia = reduce_pairwise(float.__add__, [part.inertia for part in parts])
    sizes = np.sum([part.sizes for part in parts], axis=0)
    return dataclasses.replace(trial, inertia=inertia), sizes, sum(part.nbytes for part in parts)


def summarise(
    trials: Trials, tried: list[Tried], chosen: Tried, sizes: np.ndarray, nbytes: int
) -> dict[str, Any]:
    """What run.json says of the run, but for times and true labels."""
    job, engine, log = trials.job, trials.engine, trials.log
    trial = chosen.trial
    warnings = [*job.warnings, *([engine.cpu_warning] if engine.cpu_warning else [])]
    more: dict[str, Any] = {"elbow": elbow_facts(tried, trial)} if len(tried) > 1 else {}
    more |= {"silhouettes": list(chosen.of_clusters)} if chosen.of_clusters else {}
    return provenance(job, engine, len(log.lost)) | {
        "n": job.points.n,
        "d": job.points.d,
        "n_clusters": trial.n_clusters,
        "inertia": trial.inertia,
        "silhouette": number(chosen.silhouette),
        "n_iter": trial.n_iter,
        "converged": trial.converged,
        "best_run": trial.run,
        "sizes": [int(size) for size in sizes],
        "init": "given" if job.given is not None else job.method(trial.n_clusters),
        "tol_shift": trials.what.tol_shift,
        "iterations": iteration_facts(log),
        "partitions": engine.partition_facts(trials.partitions),
        "bytes": {
            "input": sum(each["bytes"] for each in job.inputs),
            "points": job.nbytes,
            "labels": nbytes,
        },
        "warnings": [*warnings, *result_warnings(job, trial, sizes)],
        "plan": job.plan,
    } | more  # fmt: skip


def result_warnings(job: Job, trial: Trial, sizes: np.ndarray) -> list[str]:
    """What the user should know of the clusters."""
    found, empty = [], int((sizes == 0).sum())
    if not trial.converged:
        found.append(
            f"not converged after {trial.n_iter:,} iterations: the centroids still moved; "
            "raise --max-iter or --tol"
        )
    if trial.reseeded:
        times = "once" if trial.reseeded == 1 else f"{trial.reseeded:,} times"
        found.append(f"clusters without points were given the farthest points, {times}")
    if empty:
        why = "; do fewer points differ than there are clusters?" if trial.converged else ""
        some = "cluster is" if empty == 1 else "clusters are"
        found.append(f"{empty:,} of {len(sizes):,} {some} empty{why}")
    return found


def elbow_facts(tried: list[Tried], chosen: Trial) -> dict[str, Any]:
    """For run.json and the report: each number of clusters, and how one was chosen."""
    rows = [
        {
            "n_clusters": one.trial.n_clusters, "inertia": one.trial.inertia,
            "silhouette": number(one.silhouette), "n_iter": one.trial.n_iter,
            "converged": one.trial.converged,
        }
        for one in tried
    ]  # fmt: skip
    return {"rule": "largest silhouette", "chosen": chosen.n_clusters, "rows": rows}


def number(value: float) -> float | None:
    """None for what is not a number, which JSON does not know."""
    return None if math.isnan(value) else value


def make_files(
    trials: Trials, run: dict[str, Any], tried: list[Tried], chosen: Tried, sample: Sample,
    pages: list[bytes],
) -> dict[str, bytes]:  # fmt: skip
    """Tables, log and report: name -> bytes. Adds what the true labels tell to run."""
    job, log, results = trials.job, trials.log, trials.results
    labels = LabelArray(results.folder, results.array_prefix)
    centroids = chosen.trial.centroids
    files = {"centroids.npy": npy(centroids), "inertia.tsv": inertia_table(log.rows)}
    if job.has_table:
        files["labels.tsv"] = labels_table(job, labels)
    if len(tried) > 1:
        files["elbow.tsv"] = elbow_table(run["elbow"])
    agreement = true_labels_facts(job, labels, len(centroids), sample)
    run |= {"labels": agreement} if agreement else {}
    files["sample.npz"] = sample_file(job, sample, labels_of(sample.points, centroids))
    lines = log_lines(log)
    files["log.jsonl"] = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    if pages:
        files["performance.html"] = pages[0]
    known = run | {"status": "complete", "app": "kmeans", "inputs": job.inputs}
    files["report.html"] = report_page(known, files["sample.npz"], centroids, lines)
    own = {"labels.tsv", "elbow.tsv", "performance.html"}
    for name in own - set(files) if results.resumed else ():
        results.folder.delete(name)  # of a run that was killed while it finished
    return files


def true_labels_facts(
    job: Job, labels: LabelArray, n_clusters: int, sample: Sample
) -> dict[str, Any] | None:
    """Agreement of the clusters, and of nearest points, with the labels that are known."""
    if job.labels is None:
        return None
    names, codes = coded(job.labels)
    table = quality.contingency(labels.chunks(), codes, n_clusters, len(names))
    few = slice(max(job.config.silhouette_sample, 2))
    return {
        "records": int(table.sum()),
        "classes": len(names),
        "ari": number(quality.adjusted_rand(table)),
        "nmi": number(quality.normalized_mutual_information(table)),
        "one_nn": number(quality.one_nn(sample.points[few], sample.codes[few])),
    }


def labels_table(job: Job, labels: LabelArray) -> bytes:
    """labels.tsv: id (or number from 0) and cluster of every row."""
    ids, parts = job.points.ids, ["id\tlabel\n"]
    for first, chunk in labels.chunks():
        rows = range(first, first + len(chunk))
        names = rows if ids is None else [printable(ids[row]) for row in rows]
        pairs = zip(names, chunk.tolist(), strict=True)
        parts.append("".join(f"{name}\t{label}\n" for name, label in pairs))
    return "".join(parts).encode()


def inertia_table(rows: list[dict[str, Any]]) -> bytes:
    """inertia.tsv: a line per iteration of every run."""
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        values = {**row, "seconds": f"{spent(row):.6f}", "imbalance": f"{imbalance(row):.3f}"}
        lines.append("\t".join(str(values[name]) for name in COLUMNS))
    return ("\n".join(lines) + "\n").encode()


def elbow_table(elbow: dict[str, Any]) -> bytes:
    """elbow.tsv: a line per number of clusters."""
    lines = ["n_clusters\tinertia\tsilhouette\tn_iter\tconverged\tchosen"]
    for row in elbow["rows"]:
        silhouette = "" if row["silhouette"] is None else row["silhouette"]
        yes = {True: "yes", False: "no"}
        cells = (row["n_clusters"], row["inertia"], silhouette, row["n_iter"])
        cells += (yes[row["converged"]], yes[row["n_clusters"] == elbow["chosen"]])
        lines.append("\t".join(map(str, cells)))
    return ("\n".join(lines) + "\n").encode()


def sample_file(job: Job, sample: Sample, labels: np.ndarray) -> bytes:
    """sample.npz: what the report shows of the points, so that it can be written again."""
    arrays = {"rows": sample.rows, "points": sample.points, "labels": labels}
    if job.labels is not None:
        names = np.array([*coded(job.labels)[0], ""])
        arrays["true_labels"] = names[sample.codes]  # -1 is the last one: no label
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    run, folder = read_run(url), open_folder(url)
    centroids = np.load(io.BytesIO(folder.get("centroids.npy")), allow_pickle=False)
    lines = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    return report_page(run, folder.get("sample.npz"), centroids, lines)


def report_page(
    run: dict[str, Any], sample: bytes, centroids: np.ndarray, lines: list[dict[str, Any]]
) -> bytes:
    """report.html from run.json, sample.npz, centroids.npy and log.jsonl."""
    told = told_again(lines)
    rows, timeline = told.pop("rows"), told.pop("timeline")
    with np.load(io.BytesIO(sample), allow_pickle=False) as arrays:
        truth = arrays.get("true_labels")
        return kmeans_report(
            run | told, arrays["points"], arrays["labels"], centroids, np.array(run["sizes"]),
            rows, None if truth is None else [text or None for text in truth.tolist()],
            run["elbow"]["rows"] if "elbow" in run else None, timeline, run["random_state"],
            arrays["rows"],
        )  # fmt: skip

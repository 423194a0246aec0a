"""The result of `run sequences`: what the stages found of distinct sequences, for every record."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any

import numpy as np

from kernels import neighbours
from pipelines.cluster_quality import adjusted_rand, contingency, normalized_mutual_information
from pipelines.engine import Engine
from pipelines.formats.distances import ids_table, open_distances, printable
from pipelines.formats.tables import table_rows
from pipelines.interpolate_results import AXES
from pipelines.linkage import numbered
from pipelines.neighbours import label_agreement
from pipelines.results import ResultFolder
from pipelines.run_steps import provenance
from pipelines.sequences_plan import Job
from pipelines.sequences_report import report_page
from pipelines.sequences_stages import Stages
from pipelines.stages import stage_url
from pipelines.swg_results import labels_table
from storage.folder import Folder

FACTS = ("stress", "normalized_stress", "stress1", "n_iter", "converged")  # of the map


@dataclasses.dataclass(frozen=True)
class Found:
    """What is known of the u distinct sequences.

    at (u, d) float64     coordinates, NaN where there is no known distance to a landmark
    clusters (u,) int64   1 .. k by decreasing number of distinct sequences, 0 where there are none
    nearest (u,) int64    the nearest landmark of a placed sequence, -1: a landmark, or none known
    """

    at: np.ndarray
    clusters: np.ndarray
    nearest: np.ndarray


def found_of(job: Job, folder: Folder, stages: Stages) -> Found:
    """Coordinates and clusters of all distinct sequences, from the stages' folders."""
    n, d = job.distinct.n, job.config.n_components
    at, clusters = np.full((n, d), np.nan), np.zeros(n, np.int64)
    nearest = np.full(n, -1)
    at[stages.aligned] = npy_of(folder, "map/coordinates.npy")
    clusters[stages.aligned] = [
        int(row["cluster"]) for row in table_rows(folder.get("clusters/clusters.tsv"))
    ]
    if len(stages.placed):
        at[stages.placed] = npy_of(folder, "placed/coordinates.npy")
        ids = job.records.ids
        first = job.distinct.first[stages.aligned].tolist()
        number = dict(zip((printable(ids[k]) for k in first), stages.aligned.tolist(), strict=True))
        names = [row["nearest"] for row in table_rows(folder.get("placed/coordinates.tsv"))]
        nearest[stages.placed] = [number.get(name, -1) for name in names]
        known = stages.placed[nearest[stages.placed] >= 0]
        clusters[known] = clusters[nearest[known]]
    some = clusters > 0
    clusters[some] = numbered(clusters[some])
    return Found(at, clusters, nearest)


def npy_of(folder: Folder, key: str) -> np.ndarray:
    return np.load(io.BytesIO(folder.get(key)), allow_pickle=False)


# Tables


def columns_of(job: Job, found: Found) -> dict[str, list[str]]:
    """What clusters.tsv and coordinates.tsv say of every record."""
    group, counts = job.distinct.group, job.distinct.counts
    ids = [printable(name) for name in job.records.ids]
    columns = {
        "id": ids,
        "cluster": list(map(str, found.clusters[group].tolist())),
        "count": list(map(str, counts[group].tolist())),
        "representative": [ids[k] for k in job.distinct.first[group].tolist()],
    }
    axes = (
        AXES if found.at.shape[1] <= len(AXES) else [f"x{k + 1}" for k in range(found.at.shape[1])]
    )
    for axis, values in zip(axes, found.at.T, strict=False):
        columns[axis] = [f"{value:.10g}" for value in values[group].tolist()]
    if job.labels is not None:
        columns["label"] = [printable(label or "") for label in job.labels]
    return columns


def tsv(columns: dict[str, list[str]], names: list[str]) -> bytes:
    """Some columns as a table with a header."""
    rows = zip(*(columns[name] for name in names), strict=True)
    return "".join("\t".join(row) + "\n" for row in [names, *rows]).encode()


def medoids_table(job: Job, folder: Folder, found: Found) -> bytes:
    """medoids.tsv: a line per cluster with the sequence in its midst, of the stage's linkage."""
    ids = [printable(job.records.ids[k]) for k in job.distinct.first.tolist()]
    number = {name: k for k, name in enumerate(ids)}
    distinct = np.bincount(found.clusters)
    records = np.bincount(found.clusters, job.distinct.counts).astype(np.int64)
    lines = {}
    for row in table_rows(folder.get("clusters/medoids.tsv")):
        cluster = int(found.clusters[number[row["medoid"]]])
        cells = (cluster, records[cluster], distinct[cluster], row["medoid"])
        lines[cluster] = "\t".join([*map(str, cells), row["mean"], row["max"]])
    header = "cluster\trecords\tdistinct\tmedoid\tmean\tmax"
    return "".join(f"{line}\n" for line in [header, *(lines[k] for k in sorted(lines))]).encode()


# Agreement with labels


def agreement(job: Job, results: ResultFolder, stages: Stages, found: Found) -> dict[str, Any]:
    """How clusters and neighbours agree with the labels.

    one_nn_distances   share of distinct sequences whose nearest other one has the same label: of a
                       landmark the nearest landmark, of another one its nearest landmark
    one_nn_map         the same by the distances on the map, of all distinct sequences
    ari, nmi           clusters of the records against their labels
    """
    labels = job.labels
    classes = sorted({label for label in labels or () if label is not None})
    if labels is None or not classes:
        return {}
    code = {label: k for k, label in enumerate(classes)}
    codes = np.array([-1 if label is None else code[label] for label in labels])
    group = job.distinct.group
    counted = contingency([(0, found.clusters[group])], codes, found.clusters.max() + 1, len(code))
    of_distinct = job.distinct.labels(labels)
    own = np.array([-1 if label is None else code[label] for label in of_distinct])
    return {
        "records": int(counted.sum()),
        "classes": len(classes),
        "distinct": int((own >= 0).sum()),
        "one_nn_distances": by_distances(of_distinct, own, results, stages, found),
        "one_nn_map": on_map(found.at, own),
        "ari": number(adjusted_rand(counted)),
        "nmi": number(normalized_mutual_information(counted)),
    }


def by_distances(
    labels: list[str | None], codes: np.ndarray, results: ResultFolder, stages: Stages, found: Found
) -> float | None:
    """Agreement of nearest neighbours by the distances that were computed; None without any."""
    matrix = open_distances(stage_url(results, "distances"))
    told = label_agreement(matrix, [labels[k] for k in stages.aligned])
    agree = told["one_nn"] * told["records"] if told else 0.0
    asked = told["records"] if told else 0
    known = stages.placed[(found.nearest[stages.placed] >= 0) & (codes[stages.placed] >= 0)]
    known = known[codes[found.nearest[known]] >= 0]
    agree += (codes[known] == codes[found.nearest[known]]).sum()
    return float(agree / (asked + len(known))) if asked + len(known) else None


def on_map(at: np.ndarray, codes: np.ndarray) -> float | None:
    """Share of labelled points whose nearest other labelled point has the same label."""
    some = np.flatnonzero((codes >= 0) & np.isfinite(at[:, 0]))
    if len(some) < 2:
        return None
    nearest, _ = neighbours.nearest(at[some], at[some], 2)
    other = np.where(nearest[:, 0] == np.arange(len(some)), nearest[:, 1], nearest[:, 0])
    return float((codes[some] == codes[some[other]]).mean())


def number(value: float) -> float | None:
    """None for what is not a number, which JSON does not know."""
    return None if math.isnan(value) else value


# The whole


def summarise(
    job: Job, engine: Engine, stages: Stages, found: Found, labels: dict[str, Any]
) -> dict[str, Any]:
    """What run.json says of the run, but for times."""
    there = stages.runs["map"]
    sizes = np.bincount(found.clusters, job.distinct.counts)[1:]
    warnings = [*job.warnings, *([engine.cpu_warning] if engine.cpu_warning else [])]
    for name, run in stages.runs.items():
        warnings += [f"{name}: {text}" for text in run.get("warnings", [])]
    lost = sum(run.get("workers_lost", 0) for run in stages.runs.values())
    told = {"labels": labels, "one_nn": labels["one_nn_map"]} if labels else {}
    if "placed" in stages.runs:
        told["placement"] = placement_facts(stages)
    return provenance(job, engine, lost) | {
        "records": job.records.n,
        "distinct": job.distinct.n,
        "duplicates": job.distinct.duplicates,
        "mode": job.choice.mode,
        "landmarks": job.choice.landmarks,
        "distance": job.config.distance,
        "n_components": job.config.n_components,
        "n_clusters": len(sizes),
        "sizes": [int(size) for size in sizes],
        **{key: there.get(key) for key in FACTS},
        **clusters_facts(job, stages.runs["clusters"]),
        "stages": {
            name: {"app": run["app"], "seconds": run["seconds"]}
            for name, run in stages.runs.items()
        },
        "warnings": list(dict.fromkeys(warnings)),
        "plan": job.plan,
        **told,
    }


def clusters_facts(job: Job, run: dict[str, Any]) -> dict[str, Any]:
    """How the distances were linked and cut; silhouettes by cluster where the numbers of the
    clusters are the stage's."""
    names = ["linkage", "cut", "silhouette", "elbow"]
    names += [] if job.choice.landmarks else ["silhouettes"]
    return {name: run[name] for name in names if run.get(name) is not None}


def placement_facts(stages: Stages) -> dict[str, Any]:
    """How well the others fit among the landmarks, beside the landmarks' own stress."""
    run = stages.runs["placed"]
    names = ("n", "unplaced", "not_converged", "normalized_stress", "sampled")
    there = {key: stages.runs["map"].get(key) for key in ("n", "normalized_stress")}
    return {name: run[name] for name in names if name in run} | {"landmarks": there}


def make_files(
    job: Job, engine: Engine, results: ResultFolder, stages: Stages
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(run.json but for times, files: name -> bytes)."""
    found = found_of(job, results.folder, stages)
    run = summarise(job, engine, stages, found, agreement(job, results, stages, found))
    records, columns = job.records, columns_of(job, found)
    axes = [name for name in columns if name not in ("id", "cluster", "count", "representative")]
    label = [axes.pop()] if "label" in axes else []
    file = io.BytesIO()
    np.save(file, found.at[job.distinct.group], allow_pickle=False)
    files = {
        "ids.tsv": ids_table(records.ids, records.lengths, records.descriptions),
        "coordinates.npy": file.getvalue(),
        "coordinates.tsv": tsv(columns, ["id", *axes, "cluster", "count", *label]),
        "clusters.tsv": tsv(columns, ["id", "cluster", "representative", "count"]),
        "medoids.tsv": medoids_table(job, results.folder, found),
    }
    if job.labels is not None:
        files["labels.tsv"] = labels_table(records.ids, job.labels)
    elif results.resumed:
        results.folder.delete("labels.tsv")  # of a run that was killed while it finished
    known = run | {"status": "complete", "app": "sequences", "inputs": job.inputs}
    files["report.html"] = report_page(known, results.folder, files)
    return run, files

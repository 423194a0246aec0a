"""The result of `run cluster`: clusters and what is measured of them, tables, report, run.json."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pipelines import cluster_quality as quality
from pipelines.cluster_input import Given
from pipelines.cluster_plan import SHOWN, Job
from pipelines.engine import Engine
from pipelines.formats.arrays import npy_bytes, npz_bytes
from pipelines.formats.distances import printable
from pipelines.formats.labels import coded
from pipelines.formats.newick import newick
from pipelines.formats.tables import table_rows
from pipelines.happenings import Happenings
from pipelines.linkage import (
    Spread,
    cophenetic_correlation,
    cut,
    cut_heights,
    negative_share,
    rows_of,
    spread_of,
    stripes_of,
)
from pipelines.linkage_choice import CutQuality, best_cut, cut_qualities, numbers_tried
from pipelines.neighbours import agreement
from pipelines.report import cluster_report
from pipelines.results import read_run
from pipelines.run_steps import provenance, source_facts
from storage.folder import open_folder

NOT_EUCLIDEAN = 1e-3  # share of negative squares that rounding (of int16 too) does not reach
MEDOIDS = ("cluster", "size", "medoid", "mean", "max")


class Found(NamedTuple):
    """A linkage (n - 1, 4), clusters (n,) 1 .. k, and what is measured of them.

    tried       silhouettes of each number of clusters that was looked at; one where it was given,
                none where it has no silhouette
    cophenetic  correlation of distances and merge heights, None where there is none
    negative    how far from Euclidean the distances are; None: it does not matter
    """

    linkage: np.ndarray
    clusters: np.ndarray
    spread: Spread
    tried: list[CutQuality]
    cophenetic: float | None
    negative: float | None

    @property
    def sizes(self) -> np.ndarray:
        """(k,) int64"""
        return np.bincount(self.clusters)[1:]

    @property
    def chosen(self) -> CutQuality | None:
        """The silhouettes of the clusters, where they have some."""
        return next((one for one in self.tried if one.n_clusters == len(self.sizes)), None)


def clusters_of(job: Job, given: Given, linkage: np.ndarray) -> Found:
    """Cut the tree where the options say, or where the silhouette is largest, and look at it."""
    config, tried = job.config, []
    if config.threshold is not None:
        clusters = cut(linkage, threshold=job.threshold)
    elif config.n_clusters is not None:
        clusters = cut(linkage, n_clusters=config.n_clusters)
    else:
        tried = cut_qualities(given.distances, linkage, numbers_tried(job.n))
        clusters = cut(linkage, n_clusters=best_cut(tried))
    if not tried and 2 <= clusters.max() < job.n:
        tried = cut_qualities(given.distances, linkage, [int(clusters.max())])
    rng = np.random.default_rng((job.options.random_state, 0x3A2D))
    return Found(
        linkage,
        clusters,
        spread_of(given.distances, clusters),
        tried,
        cophenetic_correlation(given.distances, linkage),
        negative_share(given.distances, rng) if config.linkage == "ward" else None,
    )


def summarise(
    job: Job, engine: Engine, given: Given, found: Found, seen: Happenings
) -> dict[str, Any]:
    """What run.json says of the run, but for times and true labels."""
    k, silhouettes = len(found.sizes), found.chosen
    below, above = cut_heights(found.linkage, k)
    warnings = [*job.warnings, *([engine.cpu_warning] if engine.cpu_warning else [])]
    more: dict[str, Any] = {"elbow": elbow_facts(found)} if len(found.tried) > 1 else {}
    more |= {"silhouettes": list(silhouettes.of_clusters)} if silhouettes else {}
    return provenance(job, engine, len(seen.lost)) | {
        "records": job.n,
        "n_clusters": k,
        "linkage": job.config.linkage,
        "cut": {"below": below, "above": above},
        "sizes": [int(size) for size in found.sizes],
        "silhouette": silhouettes.silhouette if silhouettes else None,
        "cophenetic_correlation": found.cophenetic,
        "missing_pairs": given.missing,
        "filled_with": given.filled,
        "source": source_facts(job.matrix),
        "bytes": {"input": job.matrix.nbytes, "distances": given.distances.nbytes},
        "warnings": [*warnings, *result_warnings(job, given, found)],
        "plan": job.plan,
    } | more  # fmt: skip


def result_warnings(job: Job, given: Given, found: Found) -> list[str]:
    """What the user should know of the clusters."""
    told = []
    if given.missing:
        told.append(
            f"{given.missing:,} of {len(given.distances):,} pairs have no distance; they were "
            f"taken for as far apart as any pair known ({given.filled:.6g})"
        )
    if found.negative is not None and found.negative > NOT_EUCLIDEAN:
        told.append(
            "ward linkage adds up squares of Euclidean distances, and these are none "
            f"({100 * found.negative:.2g} % of the spread of a sample is negative): its heights "
            "only rank the merges"
        )
    return told


def elbow_facts(found: Found) -> dict[str, Any]:
    """Each number of clusters that was looked at, and how one was chosen."""
    rows = [{"n_clusters": one.n_clusters, "silhouette": one.silhouette} for one in found.tried]
    return {"rule": "largest silhouette", "chosen": len(found.sizes), "rows": rows}


def make_files(
    job: Job, run: dict[str, Any], given: Given, found: Found, seen: Happenings,
    pages: list[bytes],
) -> dict[str, bytes]:  # fmt: skip
    """Tables, tree, log and report: name -> bytes. Adds what the true labels tell to run."""
    facts = true_labels_facts(job, given, found)
    run |= {"labels": facts} if facts else {}
    ids = [printable(name) for name in job.ids]
    files = {
        "clusters.tsv": clusters_table(ids, found.clusters),
        "medoids.tsv": medoids_table(ids, found),
        "linkage.npy": npy_bytes(found.linkage),
        "dendrogram.nwk": newick(found.linkage, ids).encode(),
        "sample.npz": sample_file(job, given),
        "log.jsonl": "".join(f"{json.dumps(line)}\n" for line in seen.log).encode(),
    }
    if pages:
        files["performance.html"] = pages[0]
    known = run | {"status": "complete", "app": "cluster", "inputs": job.inputs}
    files["report.html"] = report_page(known, files.__getitem__)
    return files


def true_labels_facts(job: Job, given: Given, found: Found) -> dict[str, Any] | None:
    """Agreement of the clusters, and of nearest records, with the labels that are known."""
    if job.labels is None:
        return None
    names, codes = coded(job.labels)
    table = quality.contingency([(0, found.clusters - 1)], codes, len(found.sizes), len(names))
    nearest = agreement(upper_blocks(given.distances), job.labels)
    ari, nmi = quality.adjusted_rand(table), quality.normalized_mutual_information(table)
    return {
        "records": int(table.sum()),
        "classes": len(names),
        "ari": None if math.isnan(ari) else ari,
        "nmi": None if math.isnan(nmi) else nmi,
        "one_nn": nearest["one_nn"] if nearest else None,
    }


def upper_blocks(distances: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """(first row, first column, distances) that cover the upper triangle, row by row."""
    for start, rows in stripes_of(distances):
        stop = start + len(rows)
        yield start, start, rows[:, start:stop]
        yield start, stop, rows[:, stop:]


def clusters_table(ids: list[str], clusters: np.ndarray) -> bytes:
    """clusters.tsv: id (or number from 0) and cluster of every record."""
    rows = zip(ids, clusters.tolist(), strict=True)
    return "".join(["id\tcluster\n", *(f"{name}\t{k}\n" for name, k in rows)]).encode()


def medoids_table(ids: list[str], found: Found) -> bytes:
    """medoids.tsv: a line per cluster with the record in its midst, and the distances within."""
    lines = ["\t".join(MEDOIDS)]
    rows = zip(found.sizes.tolist(), *(each.tolist() for each in found.spread), strict=True)
    for cluster, (size, medoid, mean, largest) in enumerate(rows, 1):
        lines.append(f"{cluster}\t{size}\t{ids[medoid]}\t{mean:.9g}\t{largest:.9g}")
    return ("\n".join(lines) + "\n").encode()


def sample_file(job: Job, given: Given) -> bytes:
    """sample.npz: records and their distances, for the picture of the matrix in the report."""
    rng = np.random.default_rng((job.options.random_state, 0x5A3B1E))
    rows = np.sort(rng.choice(job.n, min(SHOWN, job.n), replace=False))
    distances = rows_of(given.distances, rows)[:, rows].astype(np.float32)
    return npz_bytes({"rows": rows, "distances": distances})


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    return report_page(read_run(url), open_folder(url).get)


def report_page(run: dict[str, Any], get: Callable[[str], bytes]) -> bytes:
    """report.html from run.json and files of the result: get(name) -> bytes."""
    clusters = table_rows(get("clusters.tsv"))
    medoids = [
        {"cluster": int(row["cluster"]), "size": int(row["size"]), "medoid": row["medoid"],
         "mean": float(row["mean"]), "max": float(row["max"])}
        for row in table_rows(get("medoids.tsv"))
    ]  # fmt: skip
    with np.load(io.BytesIO(get("sample.npz")), allow_pickle=False) as sample:
        return cluster_report(
            run,
            ids=[row["id"] for row in clusters],
            clusters=np.array([int(row["cluster"]) for row in clusters]),
            linkage=np.load(io.BytesIO(get("linkage.npy")), allow_pickle=False),
            medoids=medoids,
            sample=dict(sample),
            random_state=run.get("random_state"),
        )

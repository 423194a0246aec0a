"""Clusters from distances: a linkage of all pairs, cut at a height or into a number of clusters.

The result folder holds the clusters (clusters.tsv, numbered by decreasing size), the record in the
midst of each (medoids.tsv), the tree of merges (linkage.npy in scipy's form, dendrogram.nwk), a
report (report.html) and what is needed to trust and repeat it (run.json, checksums.sha256). All
distances are in memory, 17 bytes a pair while they are merged.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, ClassVar

from pipelines import cluster_plan
from pipelines.app import RunOptions, argument, check_fields, option
from pipelines.cluster_input import read_condensed
from pipelines.cluster_plan import Job
from pipelines.cluster_results import clusters_of, make_files, report, summarise
from pipelines.engine import Engine
from pipelines.happenings import Happenings
from pipelines.linkage import linkage_of
from pipelines.results import ResultFolder
from pipelines.run_steps import performance_page

__all__ = ["Config", "prepare", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Config:
    """What is computed. The options of `run cluster`."""

    KEEP_BYTES: ClassVar[tuple[str, ...]] = ("block_size",)  # the input is read as it lies

    distances: str = argument(
        "Distances of all pairs: the result folder of run swg, or a matrix (.zarr, .npy, .npz, "
        "text; path or URL).",
        metavar="DISTANCES",
    )
    linkage: str = option(
        "average", "How the distance of two clusters follows from those of their members.",
        choices=("average", "complete", "single", "ward"),
    )  # fmt: skip
    n_clusters: int | None = option(
        None, "Number of clusters.", min=1, metavar="K",
        shown_default="that with the largest silhouette",
    )  # fmt: skip
    threshold: float | None = option(
        None, "Merge up to this distance, in place of a number of clusters.", min=0, metavar="D",
        shown_default="none",
    )  # fmt: skip
    missing: str = option(
        "error", "Refuse pairs without a distance, or take the largest known one for them.",
        choices=("error", "max"),
    )  # fmt: skip
    symmetrize: bool = option(False, "Take the mean of d[i,j] and d[j,i] where they differ.")
    kind: str = option(
        "auto", "Raw int16 numbers of SALSA, which cannot be told by their content.",
        choices=("auto", "salsa-int16-be", "salsa-int16-le"),
    )  # fmt: skip
    labels: str | None = option(
        None, "TSV file of id and true label: ARI, NMI and 1-NN agreement.",
        metavar="FILE.tsv", shown_default="none", changes_bytes=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fields(self)
        if self.n_clusters is not None and self.threshold is not None:
            raise ValueError("--n-clusters and --threshold exclude each other.")


def prepare(config: Config, options: RunOptions) -> Job:
    """Open and check the input, and plan the run; nothing is started or written.

    Raises InputProblem, UsageProblem, ResourceProblem.
    """
    return cluster_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Cluster, write the result folder, return the content of run.json."""
    seen, clock = Happenings(), time.perf_counter
    engine.listen(seen)
    entered = clock()
    seen.note("Started", records=job.n)
    with performance_page(engine) as pages:
        given = read_condensed(job, engine)
    loaded = clock()
    seen.note("Loaded", missing_pairs=given.missing)
    tree = linkage_of(given.distances, job.config.linkage)
    linked = clock()
    seen.note("Linked")
    found = clusters_of(job, given, tree)
    ended = clock()
    summary = summarise(job, engine, given, found, seen) | {
        "phases": {
            "input": job.seconds,
            "start": entered - job.ready,
            "load": loaded - entered,
            "linkage": linked - loaded,
            "clusters": ended - linked,
        }
    }
    files = make_files(job, summary, given, found, seen, pages)
    if results.resumed and not pages:
        results.folder.delete("performance.html")  # of a run that was killed while it finished
    summary["phases"]["report"] = clock() - ended
    summary["seconds"] = sum(summary["phases"].values())
    return results.finish(summary, files, keep_work=job.options.keep_work)

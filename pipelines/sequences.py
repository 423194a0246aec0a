"""The whole way from sequences to a map and clusters: distances, 3-D map, clusters, one report.

Sequences with the same letters are taken together. All pairs are aligned where time and memory
allow; else those of landmarks, among which the others are placed by their nearest ones. Clusters
come from the distances, by linkage, not from the map, which is for looking. The result folder holds
the coordinates (coordinates.npy, coordinates.tsv), the clusters (clusters.tsv, medoids.tsv), one
report (report.html), what is needed to trust and repeat it (run.json, checksums.sha256), and each
stage as a result folder of its own (distances, map, clusters; with landmarks also pool and placed).
An interrupted run goes on with --resume in the stage that it was in.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, ClassVar

from pipelines import cluster, interpolate, mds, sequences_plan, swg
from pipelines.app import IterativeOptions, RunOptions, option, same_option
from pipelines.engine import Engine
from pipelines.results import ResultFolder, keep_input
from pipelines.run_steps import check_output
from pipelines.sequences_plan import Job
from pipelines.sequences_report import report
from pipelines.sequences_results import make_files
from pipelines.sequences_stages import compute_stages

__all__ = ["Config", "prepare", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Config(swg.Config, IterativeOptions):
    """What is computed: the options of `run swg`, and those of what follows the distances."""

    KEEP_BYTES: ClassVar[tuple[str, ...]] = ()

    dtype: str = same_option(
        swg.Config, "dtype", default="auto",
        choices=("auto", "float32", "float64", "float16", "int16"),
        help="Numbers of the matrix; auto is float32, from 10,000 sequences on int16 for distances "
        "from 0 to 1.",
    )  # fmt: skip
    triangle: str = same_option(swg.Config, "triangle", default="upper")
    mode: str = option(
        "auto", "Align all pairs, or landmarks with each other and all others with them; auto goes "
        "by --max-minutes and memory.", choices=("auto", "all-pairs", "landmarks"),
    )  # fmt: skip
    max_minutes: float = option(
        60.0, "Minutes that alignments may take before auto takes landmarks.", min=0,
        changes_bytes=False,
    )  # fmt: skip
    landmarks: int | str = option(
        "auto", "Number of landmarks; auto is as many as time and memory allow, 500 to 10,000.",
        min=2, kind="auto-int", metavar="auto|N",
    )  # fmt: skip
    landmark_choice: str = option(
        "maximin", "How landmarks are chosen: at random, or each the farthest from all before it.",
        choices=("maximin", "random"),
    )  # fmt: skip
    n_components: int = same_option(mds.Config, "n_components")
    weights: str = same_option(
        mds.Config, "weights", help="Weight of each pair in the map: 1, 1/distance, or distance^P.",
        metavar="none|sammon|power:P",
    )  # fmt: skip
    n_init: int = same_option(mds.Config, "n_init")
    anneal: bool = same_option(mds.Config, "anneal")
    cooling: float = same_option(mds.Config, "cooling")
    max_iter: int = same_option(mds.Config, "max_iter", default=2000)
    tol: float = same_option(mds.Config, "tol", default=1e-7)
    k: int | None = same_option(
        interpolate.Config, "k", help="Nearest landmarks that another sequence is placed by.",
        default=None, shown_default="all of them",
    )  # fmt: skip
    linkage: str = same_option(cluster.Config, "linkage")
    n_clusters: int | None = same_option(cluster.Config, "n_clusters")
    threshold: float | None = same_option(cluster.Config, "threshold")
    missing: str = same_option(
        cluster.Config, "missing", default="max",
        help="Link pairs without a distance (saturated corrections) by the largest known one, or "
        "refuse them.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for names, why in sequences_plan.contradictions(self):
            raise ValueError(f"{names}: {why}")


def prepare(config: Config, options: RunOptions) -> Job:
    """Read and check the input, take equal sequences together, choose between all pairs and
    landmarks; nothing is started or written.

    Raises InputProblem, UsageProblem, ResourceProblem.
    """
    return sequences_plan.make_job(config, options)


def run(job: Job, engine: Engine, results: ResultFolder) -> dict[str, Any]:
    """Compute the stages that are not there yet, write the result folder around them, return the
    content of run.json."""
    entered = time.perf_counter()
    check_output(engine, results, job.new_token())
    if job.standard_input is not None:
        keep_input(results, job.standard_input)
    stages = compute_stages(job, engine, results)
    begun = time.perf_counter()
    summary, files = make_files(job, engine, results, stages)
    phases = {"input": job.seconds, "start": entered - job.ready, **stages.seconds}
    phases["report"] = time.perf_counter() - begun
    summary |= {"phases": phases, "seconds": sum(phases.values())}
    return results.finish(summary, files, keep_work=job.options.keep_work)

"""The report of a K-means run: clusters on a plane, sizes, inertia, how the iterations ran."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.clusters import ClusterSample, cluster_section, size_section
from pipelines.report.convergence import best_run, elbow_section, inertia_section
from pipelines.report.iteration_rows import Iterations, found, number
from pipelines.report.iterations import iteration_section, with_iterations
from pipelines.report.page import build
from pipelines.report.partitions import data_section
from pipelines.report.parts import Number
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section, whole_seconds
from pipelines.report.silhouettes import mean_silhouette, silhouette_section

CITATION = (
    "Lloyd SP (1982) Least squares quantization in PCM. IEEE Trans Inf Theory 28:129-137.\n"
    "Arthur D, Vassilvitskii S (2007) k-means++: the advantages of careful seeding. "
    "SODA '07:1027-1035.\n"
    "Bahmani B, Moseley B, Vattani A, Kumar R, Vassilvitskii S (2012) Scalable k-means++. "
    "Proc VLDB Endow 5:622-633."
)
# lists of the log, which the sections show and run.json does not hold
FROM_THE_LOG = {"chunks", "rollbacks", "checkpoints", "moves", "backups"}


def kmeans_report(
    run: Mapping,
    points_sample: np.ndarray,
    labels_sample: np.ndarray,
    centroids: np.ndarray,
    sizes: Sequence[int] | np.ndarray,
    rows: Sequence[Mapping],
    true_labels_sample: Sequence[str | None] | None,
    elbow: Sequence[Mapping] | None,
    timeline: Sequence[Mapping],
    random_state: int | None = None,
    sample_rows: Sequence[int] | np.ndarray | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run                       run.json as a dict (schema 1); any key may be missing
    points_sample (m, d)      float; at most 20,000 of them are drawn
    labels_sample (m,)        number of each point's cluster
    centroids (k, d), sizes (k,)
    rows                      [{run, iteration, inertia, shift, started, mapped, stopped, seconds}]
                              of all restarts, in order of time; seconds of each rank's map
    true_labels_sample (m,)   foreign texts, None for an unlabelled point; None: there are no labels
    elbow                     [{k, inertia, silhouette}] of the numbers of clusters tried, or None
    timeline                  [{worker, started, stopped, kind}] of the tasks, epoch seconds
    random_state              seed of what is drawn at random; None = 0
    sample_rows (m,)          row of each sampled point in the input; None: 0, 1, 2, ...
    """
    sample = ClusterSample(
        points_sample, labels_sample, centroids, sizes, true_labels_sample,
        random_state, sample_rows,
    )  # fmt: skip
    told, of_best = Iterations(rows), Iterations(_of_k(rows, len(sample.centroids)))
    tasks = with_iterations(run, told, timeline)
    sections = [
        cluster_section(sample, run),
        size_section(sample),
        *silhouette_section(run, sample.colours),
        inertia_section(run, of_best),
        *elbow_section(elbow, len(sample.centroids)),
        iteration_section(rows, timeline),
        data_section(run),
        run_section(run, tasks),
    ]
    return build(
        {key: value for key, value in run.items() if key not in FROM_THE_LOG},
        title=_title(run, sample),
        subtitle=_subtitle(run, sample),
        numbers=_numbers(run, sample, of_best),
        sections=sections,
        warnings=_warnings(run, sample),
        citation=CITATION,
    )


def _of_k(rows: Sequence[Mapping], k: int) -> list[Mapping]:
    """The rows of the runs with k clusters, their runs counted from 0; all where none tells k."""
    rows = [row for row in rows or () if isinstance(row, Mapping)]
    if not any("n_clusters" in row for row in rows):
        return rows
    rows = [row for row in rows if row.get("n_clusters") == k]
    first = min((int(row.get("run") or 0) for row in rows), default=0)
    return [{**row, "run": int(row.get("run") or 0) - first} for row in rows]


def _n_points(run: Mapping, sample: ClusterSample) -> int:
    told = found(run, "n", "points", "records", "n_rows")
    return int(told) if np.isfinite(told) else int(sample.sizes.sum())


def _title(run: Mapping, sample: ClusterSample) -> str:
    n, k = _n_points(run, sample), len(sample.centroids)
    plural = ("" if n == 1 else "s", "" if k == 1 else "s")
    return f"{wording.count(n)} point{plural[0]} in {wording.count(k)} cluster{plural[1]}"


def _subtitle(run: Mapping, sample: ClusterSample) -> str:
    """'K-means in 20 dimensions · start k-means|| · best of 10 runs · 2 workers, gang'."""
    d = sample.centroids.shape[1]
    parts = [f"K-means in {wording.count(d)} dimension{'' if d == 1 else 's'}"]
    if setting(run, "init"):
        parts.append(f"start {setting(run, 'init')}")
    n_init = number(setting(run, "n_init"))
    if n_init > 1:
        parts.append(f"best of {wording.count(n_init)} runs")
    workers, executor = run.get("workers"), mapping(run, "executor").get("name")
    if isinstance(workers, Sequence) and not isinstance(workers, str) and workers:
        parts.append(f"{len(workers):,} worker{'' if len(workers) == 1 else 's'}")
    if executor:
        parts.append(f"executor {executor}")
    return wording.short(" · ".join(parts), 300)


def _numbers(run: Mapping, sample: ClusterSample, told: Iterations) -> list[Number]:
    k, d = sample.centroids.shape
    numbers = [
        Number("points", wording.large(_n_points(run, sample))),
        Number("dimensions", wording.count(d)),
        Number("clusters", wording.count(k)),
    ]
    inertia = found(run, "inertia")
    if np.isfinite(inertia):
        note = "sum of squared distances to the centroids"
        numbers.append(Number("inertia", wording.number(inertia), note))
    numbers += _iterations(run, told)
    silhouette = mean_silhouette(run)
    if np.isfinite(silhouette):
        note = "−1 to 1, of a sample; more is better"
        numbers.append(Number("silhouette", wording.three(silhouette), note))
    named = (
        ("ari", "adjusted Rand index", "clusters against labels; 1 is the same"),
        ("nmi", "mutual information", "normalised; 1 is the same"),
        ("one_nn", "1-NN agreement", "nearest has the same label"),
    )
    labels = mapping(run, "labels")
    for key, name, note in named:
        if np.isfinite(number(labels.get(key))):
            numbers.append(Number(name, wording.three(number(labels[key])), note))
    seconds = whole_seconds(run)
    if seconds is not None:
        numbers.append(Number("time", wording.seconds(seconds), "from start to end"))
    return numbers


def _iterations(run: Mapping, told: Iterations) -> list[Number]:
    count = found(run, "n_iter", "iterations")
    if not np.isfinite(count) and len(told):
        count = float((told.run == best_run(run, told)).sum())
    converged = run.get("converged")
    note = "converged" if converged is True else "not converged" if converged is False else ""
    runs = len(np.unique(told.run))
    if runs > 1:
        note = ", ".join(filter(None, (note, f"{len(told):,} in all {runs:,} runs")))
    return [Number("iterations", wording.count(count), note)] if np.isfinite(count) else []


def _warnings(run: Mapping, sample: ClusterSample) -> list[str]:
    """What the run did not warn of itself."""
    told = " ".join(map(str, run.get("warnings") or ())).lower()
    warnings = []
    if run.get("converged") is False and "converge" not in told:
        warnings.append(
            "The iterations were stopped before they converged: more of them (--max-iter) "
            "may still move the centroids."
        )
    empty = int((sample.sizes == 0).sum())
    if empty and "empty" not in told:
        plural = " has" if empty == 1 else "s have"
        warnings.append(f"{wording.count(empty)} cluster{plural} no points.")
    return warnings

"""The report of clusters made from distances: tree, sizes, medoids, the matrix in their order."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.cloud import CLUSTER, Cloud, drawn
from pipelines.report.colours import CATEGORIES, OTHER_CATEGORY
from pipelines.report.dendrogram import dendrogram
from pipelines.report.groups import Groups, matrix_section, size_section
from pipelines.report.iteration_rows import number
from pipelines.report.maps import columns_with, map_section
from pipelines.report.mds import time_numbers, without_logs
from pipelines.report.page import build
from pipelines.report.parts import Number, Section
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section
from pipelines.report.silhouettes import mean_silhouette, silhouette_section

CITATION = (
    "Sokal RR, Michener CD (1958) A statistical method for evaluating systematic relationships. "
    "Univ Kansas Sci Bull 38:1409-1438.\n"
    "Müllner D (2011) Modern hierarchical, agglomerative clustering algorithms. arXiv:1109.2378."
)


def cluster_report(
    run: Mapping,
    *,
    ids: Sequence[str],
    clusters: Sequence[int] | np.ndarray,
    linkage: np.ndarray | None = None,
    leaves: Sequence[int] | np.ndarray | None = None,
    medoids: Sequence[Mapping] = (),
    sample: Mapping | None = None,
    coordinates: np.ndarray | None = None,
    columns: Mapping[str, Sequence] | None = None,
    counts: np.ndarray | None = None,
    timeline: Sequence[Mapping] | None = None,
    random_state: int | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run                   run.json as a dict (schema 1); any key may be missing; "silhouettes", a
                          number (or None) for each cluster, and "silhouette", their mean, are drawn
    ids (n,)              foreign texts; clusters (n,) int 1 .. k, the largest is 1
    linkage (m - 1, 4)    the tree in scipy's form, None: no picture of it
    leaves (m,)           record of each leaf; None: leaf i is record i
    medoids               [{cluster, size, medoid, mean, max}], medoid: an id; distances within
    sample                {"rows": (k,) numbers of records, "distances": (k, k), NaN = missing} for
                          the picture of the matrix, k <= 2,000
    coordinates (n, d)    of a map, where there is one: it is shown in the colours of the clusters
    columns               {name: (n,) texts or numbers}: more to colour the map by
    counts, timeline, random_state   as in mds_report
    """
    n = len(ids)
    points = None
    if coordinates is not None:
        told = columns_with(columns, cluster=np.asarray(clusters))
        points = drawn(Cloud(coordinates, ids, told, counts), random_state)
    groups = Groups(clusters, points, counts)
    sections = [
        *([] if points is None else [map_section(points, n, CLUSTER)]),
        *cluster_sections(run, groups, ids, linkage, leaves, medoids),
        *matrix_section(sample, ids, groups, n),
        run_section(run, [task for task in timeline or () if isinstance(task, Mapping)]),
    ]
    k = len(groups)
    return build(
        without_logs(run),
        title=f"{wording.count(n)} record{'' if n == 1 else 's'} in "
        f"{wording.count(k)} cluster{'' if k == 1 else 's'}",
        subtitle=_subtitle(run),
        numbers=[Number("records", wording.count(n)), *cluster_numbers(run, groups),
                 *time_numbers(run)],
        sections=sections,
        citation=CITATION,
    )  # fmt: skip


def cluster_sections(
    run: Mapping,
    groups: Groups,
    ids: Sequence[str],
    linkage,
    leaves,
    medoids,
    unit: str = "records",
) -> list[Section]:
    """Sizes (of so many `unit`), medoids, tree, silhouettes: arguments as in cluster_report."""
    known = [row for row in medoids or () if isinstance(row, Mapping)]
    sections = [size_section(groups, known, unit)]
    if linkage is not None and len(linkage):
        sections.append(_tree_section(groups, ids, np.asarray(linkage), leaves))
    places = {colour: n for n, colour in enumerate(CATEGORIES)}
    of_page = np.array([places.get(colour, 0) for colour in groups.colours], dtype=np.int64)
    return [*sections, *silhouette_section(run, of_page, first=1)]


def _tree_section(groups: Groups, ids: Sequence[str], linkage: np.ndarray, leaves) -> Section:
    of_leaf = np.arange(len(linkage) + 1) if leaves is None else np.asarray(leaves, dtype=np.int64)
    cluster_of = groups.clusters[of_leaf].tolist()
    names = {
        leaf: f"cluster {cluster} · {wording.short(ids[of_leaf[leaf]], 40)}"
        for leaf, cluster in enumerate(cluster_of)
    }
    paint = {
        leaf: groups.colours[cluster - 1] if cluster > 0 else OTHER_CATEGORY
        for leaf, cluster in enumerate(cluster_of)
    }
    figure = dendrogram(linkage, len(set(cluster_of)), names, paint)
    return Section("Tree", [] if figure is None else [figure])


def cluster_numbers(run: Mapping, groups: Groups) -> list[Number]:
    """Number of clusters, the largest, silhouette and agreement with labels."""
    k = len(groups)
    numbers = [Number("clusters", wording.count(k))]
    if k:
        largest = int(groups.sizes.max())
        note = f"{wording.share(largest, int(groups.sizes.sum()))} of all"
        numbers.append(Number("largest cluster", wording.count(largest), note))
    silhouette = mean_silhouette(run)
    if np.isfinite(silhouette):
        numbers.append(Number("silhouette", wording.three(silhouette), "−1 to 1; more is better"))
    labels = mapping(run, "labels")
    for key, name in (("ari", "adjusted Rand index"), ("nmi", "mutual information")):
        value = number(labels.get(key, run.get(key)))
        if np.isfinite(value):
            note = "clusters against labels; 1 is the same"
            numbers.append(Number(name, wording.three(value), note))
    return numbers


def _subtitle(run: Mapping) -> str:
    """'Average linkage · cut at 0.03'."""
    linkage = setting(run, "linkage")
    parts = [f"{str(linkage).capitalize()} linkage" if linkage else "Hierarchical clustering"]
    threshold = number(setting(run, "threshold"))
    if np.isfinite(threshold):
        parts.append(f"cut at distance {threshold:g}")
    return wording.short(" · ".join(parts), 300)

"""Clusters made from distances: their sizes and medoids, and the matrix in their order."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import colours, wording
from pipelines.report.cloud import CLUSTER, Category, Drawn
from pipelines.report.clusters import rank_ticks
from pipelines.report.figures import bars, cell_edges, heat_map
from pipelines.report.iteration_rows import number
from pipelines.report.ordering import similarity_order, upper_triangle
from pipelines.report.parts import Cell, Legend, Section, Table, Text

MOST_LISTED = 500  # clusters in a table
NAMED = 40  # bars that carry the number of their cluster


class Groups:
    """Clusters 1 .. k of n records, the largest first; 0 and below: in none.

    clusters (n,) int64, sizes (k,) int64, colours (k,) names in page.css
    counts (n,)   what each record stands for, where it is not one: sizes are sums of them
    """

    def __init__(
        self,
        clusters: Sequence[int] | np.ndarray,
        points: Drawn | None = None,
        counts: np.ndarray | None = None,
    ):
        self.clusters = np.asarray(clusters, dtype=np.int64).reshape(-1)
        k = int(self.clusters.max(initial=0))
        each = np.ones(len(self.clusters), dtype=np.int64) if counts is None else np.asarray(counts)
        known = self.clusters > 0
        sums = np.bincount(self.clusters[known], each[known], minlength=k + 1)[1:]
        self.sizes = np.rint(sums).astype(np.int64)
        self.colours = _colours(k, points)

    def __len__(self) -> int:
        return len(self.sizes)

    def colour(self, cluster: int) -> str:
        """Of cluster 1 .. k, as CSS."""
        return f"var({self.colours[cluster - 1]})"


def _colours(k: int, points: Drawn | None) -> list[str]:
    """Those of the viewer where it shows the clusters, else in turn."""
    columns = [] if points is None else points.columns
    column = next((c for c in columns if c.name == CLUSTER and isinstance(c, Category)), None)
    if column is None:
        return [colours.CATEGORIES[n % len(colours.CATEGORIES)] for n in range(k)]
    shown = dict(zip(column.texts, column.colours, strict=False))
    return [shown.get(str(cluster), colours.OTHER_CATEGORY) for cluster in range(1, k + 1)]


class Strip:
    """The clusters of ordered records in the form that heat_map takes for labels."""

    def __init__(self, clusters: np.ndarray, groups: Groups):
        names, codes = np.unique(clusters, return_inverse=True)
        self.entries = [
            (groups.colours[c - 1], f"cluster {c}", 0)
            if 0 < c <= len(groups)
            else (colours.NO_CATEGORY, None, 0)
            for c in names.tolist()
        ]
        self.codes = codes.reshape(-1).astype(np.int64)


def size_section(groups: Groups, medoids: Sequence[Mapping], unit: str = "records") -> Section:
    """Bars of the sizes, and the medoids as a table.

    medoids   [{cluster, size, medoid, mean, max}]: id of the record nearest to all others of its
              cluster, mean and largest distance within; any key may be missing
    """
    k = len(groups)
    if not k:
        return Section("Sizes", [Text("There are no clusters.")])
    sizes = groups.sizes
    alone = int((sizes == 1).sum())
    table = medoid_table(groups, medoids, unit)
    if k < 2:
        return Section("Sizes", [Text(f"All {unit} are in one cluster."), table])
    edges = cell_edges(k)
    named = k <= NAMED
    ends = f"{wording.count(sizes.min())} to {wording.count(sizes.max())}"
    text = f"{ends} {unit}, median {np.median(sizes):,.0f}"
    text += f"; {wording.count(alone)} of one record" if alone else ""
    figure = bars(
        "sizes",
        f"{unit.capitalize()} in each cluster",
        edges[:-1] - 0.4 if named else edges[:-1].astype(float),
        np.full(k, 0.8) if named else np.diff(edges).astype(float),
        np.add.reduceat(sizes, edges[:-1]) / np.diff(edges),
        summary=f"{text}." + ("" if named else " In order of size."),
        tips=_tips(sizes, edges, unit),
        x_title="cluster" if named else "rank by size",
        ticks=(range(k), [str(c + 1) for c in range(k)]) if named else rank_ticks(k),
        y_title=unit,
        paint=groups.colours if named else (),
    )
    return Section("Sizes", [figure, table])


def _tips(sizes: np.ndarray, edges: np.ndarray, unit: str) -> list[str]:
    whole, tips = int(sizes.sum()), []
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        largest, smallest = int(sizes[first:end].max()), int(sizes[first:end].min())
        if end - first == 1:
            share = wording.share(largest, whole)
            tips.append(f"cluster {first + 1}\n{wording.count(largest)} {unit} ({share})")
        else:
            span = f"{wording.count(largest)} to {wording.count(smallest)} {unit} each"
            tips.append(f"clusters {first + 1} to {end}\n{span}")
    return tips


def medoid_table(groups: Groups, medoids: Sequence[Mapping], unit: str = "records") -> Table:
    """The clusters in numbers, each with the record that stands in its middle."""
    told = {int(number(row.get("cluster"))): row for row in medoids if _numbered(row)}
    whole, rows = int(groups.sizes.sum()), []
    for cluster in range(1, min(len(groups), MOST_LISTED) + 1):
        row, size = told.get(cluster, {}), int(groups.sizes[cluster - 1])
        rows.append(
            (
                Cell(str(cluster), colour=groups.colour(cluster)),
                wording.count(size),
                wording.share(size, whole),
                wording.short(row.get("medoid", "")),
                *(_distance(row.get(name)) for name in ("mean", "max")),
            )
        )
    more = "" if len(rows) == len(groups) else f", the {len(rows):,} largest of {len(groups):,}"
    columns = ("cluster", unit, "share", "medoid", "mean distance within", "largest")
    return Table(columns, rows, (1, 2, 4, 5), folded=f"Clusters and their medoids{more}")


def _numbered(row: object) -> bool:
    return isinstance(row, Mapping) and np.isfinite(number(row.get("cluster")))


def _distance(value: object) -> str:
    return wording.number(number(value), 4) if np.isfinite(number(value)) else "–"


def cluster_order(distances: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """An order in which each cluster stands together, similar clusters and records side by side.

    distances (k, k) float, NaN = missing; clusters (k,) int. Returns (k,) int64, a permutation.
    """
    names, codes = np.unique(clusters, return_inverse=True)
    one = np.eye(len(names))[codes.reshape(-1)]  # (k, clusters)
    present = np.isfinite(distances).astype(np.float64)
    total = one.T @ np.where(present > 0, distances, 0.0) @ one
    pairs = one.T @ present @ one
    between = np.divide(total, pairs, out=np.full(total.shape, np.nan), where=pairs > 0)
    parts = []
    for code in similarity_order(between).tolist():
        own = np.flatnonzero(codes.reshape(-1) == code)
        parts.append(own[similarity_order(distances[np.ix_(own, own)])])
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def matrix_section(
    sample: Mapping | None, ids: Sequence[str], groups: Groups | None, n: int
) -> list[Section]:
    """[the section "Matrix"]: the distances of some records, ordered by cluster.

    sample    {"rows": (k,) numbers of records, "distances": (k, k) float, NaN = missing}; None:
              no section
    ids       of all records; groups None: ordered by similarity alone
    """
    if sample is None:
        return []
    rows = np.asarray(sample["rows"], dtype=np.int64)
    distances = np.asarray(sample["distances"], dtype=np.float64)
    values = upper_triangle(distances)
    values = values[np.isfinite(values)]
    if not len(values):
        return [Section("Matrix", [Text("A map needs two records and a distance between them.")])]
    strip = None
    if groups is None:
        order = similarity_order(distances)
    else:
        order = cluster_order(distances, groups.clusters[rows])
        strip = Strip(groups.clusters[rows][order], groups)
    low, high = _scale_ends(values)
    k = len(rows)
    who = f"All {wording.count(k)} records" if k >= n else f"A sample of {wording.count(k)} records"
    by = "similar ones side by side" if groups is None else "ordered by cluster"
    figure = heat_map(
        "matrix",
        "Map of the matrix",
        distances[np.ix_(order, order)],
        [ids[row] for row in rows[order].tolist()],
        strip,
        summary=f"{who}, {by}.",
        ends=(low, high),
    )
    aside: list = [Legend(scale=(f"alike  {low:.3g}", f"{high:.3g}  unlike"))]
    if np.isfinite(distances).sum() < distances.size:
        aside.append(Legend([("var(--missing)", "missing")]))
    if groups is not None:
        told = "Each cluster is a square on the diagonal, similar clusters are neighbours. "
        told += "The strips at the sides have the colours of the clusters."
        aside.insert(0, Text(told, tone="quiet"))
    return [Section("Matrix", [figure], aside)]


def _scale_ends(values: np.ndarray) -> tuple[float, float]:
    """Nearly all distances lie between."""
    low, high = np.quantile(values, (0.005, 0.995)).tolist()
    return (low, high) if high > low else (low, low + 1.0)

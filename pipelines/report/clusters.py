"""Clusters of points: two views of a sample, sizes, the clusters in numbers, against labels."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import colours, wording
from pipelines.report.figures import bars, cell_edges
from pipelines.report.parts import Cell, Figure, Legend, Row, Section, Table, Text
from pipelines.report.projection import Plane, project
from pipelines.report.sampling import choose
from pipelines.report.scatter import matched_colours, scatter, spread_colours

MOST_POINTS = 20_000
MOST_LISTED = 500  # clusters in a table
MOST_LABELS = 20  # columns of the table of labels
MOST_BESIDE = 15  # clusters in the table beside the picture
NAMED = 12  # clusters or bars that carry their number or name beside the picture


class ClusterSample:
    """The points that are drawn, in random order, with their clusters and labels.

    points (m, d) float64, clusters (m,) int64, rows (m,) int64
    centroids (k, d) float64, sizes (k,) int64, colours (k,) int64: places in CATEGORIES
    labels (m,) texts or None; None when there are none
    """

    def __init__(self, points, clusters, centroids, sizes, labels, random_state, rows):
        self.centroids = np.atleast_2d(np.asarray(centroids, dtype=np.float64))
        k = len(self.centroids)
        self.sizes = np.asarray(sizes, dtype=np.int64).reshape(-1)
        points = np.asarray(points)
        self.given = len(points)
        seed = 0 if random_state is None else random_state
        chosen = choose(self.given, MOST_POINTS, seed)
        # mixed, so that no cluster lies on top because its points came last in the input
        chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))]
        self.points = points[chosen].astype(np.float64)
        self.clusters = np.asarray(clusters, dtype=np.int64)[chosen]
        self.rows = chosen if rows is None else np.asarray(rows, dtype=np.int64)[chosen]
        self.plane: Plane | None = None
        if len(self.points):
            self.plane = project(self.points, self.centroids, random_state)
        places = self.plane.centroids if self.plane else np.zeros((k, 2))
        self.colours = spread_colours(places, self.sizes, len(colours.CATEGORIES))
        self.labels = None
        if self.plane and labels is not None and any(label is not None for label in labels):
            self._read_labels([labels[place] for place in chosen.tolist()], self.plane)

    def _read_labels(self, labels: list[str | None], plane: Plane) -> None:
        """label_names in order of name; label_codes and label_colours (m,), -1 = no label."""
        self.labels = labels
        names = {label for label in labels if label is not None}
        self.label_names = sorted(names, key=wording.natural)
        place = {name: code for code, name in enumerate(self.label_names)}
        codes = np.array([-1 if name is None else place[name] for name in labels], dtype=np.int64)
        found = matched_colours(codes, self.clusters, self.colours, plane.points)
        self.label_codes = codes
        self.label_colours = np.where(codes >= 0, found[codes], -1)

    @property
    def scope(self) -> str:
        m, n = len(self.points), int(self.sizes.sum())
        if m >= n:
            return f"All {wording.count(m)} points" if m != 1 else "The one point"
        return f"A random sample of {wording.count(m)} of {wording.count(n)} points"


def colour_of(sample: ClusterSample, cluster: int) -> str:
    """The cluster's colour, as CSS."""
    return f"var({colours.CATEGORIES[sample.colours[cluster]]})"


def cluster_section(sample: ClusterSample, run: Mapping) -> Section:
    """Both views of the sample, and the tables behind them."""
    if sample.plane is None:
        return Section("Clusters", [Text("There are no points to show.")])
    views = [_by_cluster(sample)]
    if sample.labels is not None:
        views.append(_by_label(sample))
    wide = sample.plane.titles[1] == ""
    alone = len(views) == 1 and not wide
    parts: list = [*views] if wide or alone else [Row(views)]
    if not alone:
        legends = _legends(sample)
        parts += [Row(legends)] if len(legends) > 1 and not wide else legends
    parts.append(cluster_table(sample))
    if sample.labels is not None:
        parts.append(label_table(sample))
    intro = f"{sample.scope}. {sample.plane.axes}"
    if len(sample.centroids) > len(colours.CATEGORIES):
        intro += " Colours repeat: clusters of one colour lie apart."
    return Section("Clusters", parts, [largest_table(sample)] if alone else (), intro=intro)


def _columns(sample: ClusterSample) -> list[dict]:
    """What the pointer tells of a point."""
    columns = [
        {"name": "row", "values": sample.rows.tolist()},
        {"name": "cluster", "values": sample.clusters.tolist()},
    ]
    if sample.labels is not None:
        most = 40 if len(sample.label_names) <= 1_000 else 16  # letters; many make a heavy page
        texts = [*(wording.short(name, most) for name in sample.label_names), "none"]
        values = np.where(sample.label_codes < 0, len(texts) - 1, sample.label_codes)
        columns.append({"name": "label", "values": values.tolist(), "texts": texts})
    return columns


def _mark_columns(sample: ClusterSample) -> list[dict]:
    numbers = list(range(len(sample.centroids)))
    return [
        {"name": "centroid of cluster", "values": numbers},
        {"name": "", "values": sample.sizes.tolist(), "unit": "points"},
    ]


def _by_cluster(sample: ClusterSample) -> Figure:
    k = len(sample.centroids)
    mark = "Numbered" if k <= 30 else "Framed"
    return scatter(
        "clusters",
        "By cluster",
        sample.plane,
        sample.colours[sample.clusters],
        colours.CATEGORIES,
        summary=f"{mark} marks are centroids. Point at one, or at a point, for more."
        if k > 1
        else "All points are in one cluster.",
        tips={"columns": [_columns(sample), _mark_columns(sample)]},
    )


def _by_label(sample: ClusterSample) -> Figure:
    n, repeated = len(sample.label_names), len(sample.label_names) > len(colours.CATEGORIES)
    return scatter(
        "labels",
        "By given label",
        sample.plane,
        np.where(sample.label_codes < 0, len(colours.CATEGORIES), sample.label_colours),
        (*colours.CATEGORIES, colours.NO_CATEGORY),
        summary=f"{wording.count(n)} label{'' if n == 1 else 's'}, each in the colour of the "
        f"cluster that holds most of it{'; colours repeat' if repeated else ''}.",
        tips={"of": "clusters"},
        marks=np.zeros(0, dtype=np.int64),
    )


def _legends(sample: ClusterSample) -> list[Legend]:
    legends = []
    k = len(sample.centroids)
    if 1 < k <= NAMED:
        legends.append(Legend([(colour_of(sample, c), f"cluster {c}") for c in range(k)]))
    if sample.labels is not None and len(sample.label_names) <= NAMED:
        first = np.unique(sample.label_codes, return_index=True)
        entries = [
            (
                f"var({colours.CATEGORIES[sample.label_colours[place]]})",
                wording.short(sample.label_names[code], 40),
            )
            for code, place in zip(*(part.tolist() for part in first), strict=True)
            if code >= 0
        ]
        none = [(f"var({colours.NO_CATEGORY})", "no label")] if None in sample.labels else []
        legends.append(Legend(entries + none))
    return legends


def largest_table(sample: ClusterSample) -> Table:
    """The largest clusters as a legend that counts."""
    order = np.lexsort((np.arange(len(sample.sizes)), -sample.sizes))
    whole = int(sample.sizes.sum())
    rows = [
        (
            Cell(str(c), colour=colour_of(sample, c)),
            wording.count(sample.sizes[c]),
            wording.share(int(sample.sizes[c]), whole),
        )
        for c in order[:MOST_BESIDE].tolist()
    ]
    caption = "Clusters" if len(order) <= MOST_BESIDE else f"The {MOST_BESIDE} largest clusters"
    return Table(("cluster", "points", "share"), rows, (1, 2), caption=caption)


def cluster_table(sample: ClusterSample) -> Table:
    """Size, spread and nearest neighbour of the largest clusters."""
    order = np.lexsort((np.arange(len(sample.sizes)), -sample.sizes))
    listed = order[:MOST_LISTED]
    near, apart = nearest_centroids(sample.centroids, listed)
    spread = _spread(sample)
    whole = int(sample.sizes.sum())
    rows = []
    for place, c in enumerate(listed.tolist()):
        size = int(sample.sizes[c])
        alone = len(sample.centroids) < 2
        rows.append(
            (
                Cell(str(c), colour=colour_of(sample, c)),
                wording.count(size),
                wording.share(size, whole),
                wording.number(float(spread[c]), 4),
                "–" if alone else str(near[place]),
                "–" if alone else wording.number(float(apart[place]), 4),
            )
        )
    columns = ("cluster", "points", "share", "typical distance", "next cluster", "distance to it")
    more = "" if len(listed) == len(order) else f", the {len(listed):,} largest of {len(order):,}"
    return Table(columns, rows, (1, 2, 3, 4, 5), folded=f"Clusters in numbers{more}")


def _spread(sample: ClusterSample) -> np.ndarray:
    """Root of the mean squared distance of each cluster's sampled points to its centroid, (k,)."""
    apart = sample.points - sample.centroids[sample.clusters]
    squares = np.einsum("ij,ij->i", apart, apart)
    k = len(sample.centroids)
    number = np.bincount(sample.clusters, minlength=k)
    total = np.bincount(sample.clusters, squares, minlength=k)
    return np.sqrt(np.divide(total, number, out=np.full(k, np.nan), where=number > 0))


def nearest_centroids(centroids: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number of the nearest other centroid, distance to it) of each chosen one."""
    near, apart = np.zeros(len(chosen), dtype=np.int64), np.zeros(len(chosen))
    for place, c in enumerate(chosen.tolist()):
        squares = ((centroids - centroids[c]) ** 2).sum(axis=1)
        squares[c] = np.inf
        near[place] = squares.argmin()
        apart[place] = np.sqrt(squares[near[place]])
    return near, apart


def label_table(sample: ClusterSample) -> Table:
    """How many sampled points of each cluster carry each label; the most frequent labels."""
    names = ["no label" if label is None else label for label in sample.labels]
    counts = Counter(names)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    shown = ranked[:MOST_LABELS]
    place = {name: n for n, name in enumerate(shown)}
    column = np.array([place.get(name, len(shown)) for name in names])
    width = len(shown) + (len(ranked) > len(shown))
    table = np.zeros((len(sample.centroids), width), dtype=np.int64)
    np.add.at(table, (sample.clusters, column), 1)
    order = np.lexsort((np.arange(len(table)), -table.sum(axis=1)))[:MOST_LISTED]
    rest = [f"{len(ranked) - len(shown):,} others"] if width > len(shown) else []
    rows = [
        (
            Cell(str(c), colour=colour_of(sample, c)),
            *(wording.count(count) if count else "·" for count in table[c].tolist()),
            wording.share(int(table[c].max()), int(table[c].sum())),
        )
        for c in order.tolist()
    ]
    heads = [wording.short(name, 16) for name in shown]
    columns = ("cluster", *heads, *rest, "largest share")
    return Table(columns, rows, range(1, width + 2), folded="Clusters against labels")


def size_section(sample: ClusterSample) -> Section:
    """Bars, the largest cluster first; neighbours share a bar where there are very many."""
    k = len(sample.sizes)
    if k < 2:
        return Section("Sizes", [Text("All points are in one cluster." if k else "No clusters.")])
    order = np.lexsort((np.arange(k), -sample.sizes))
    edges = cell_edges(k)
    sizes = sample.sizes[order]
    mean = np.add.reduceat(sizes, edges[:-1]) / np.diff(edges)
    named = k <= 40
    middle = float(np.median(sizes))
    ends = f"{wording.count(sizes[-1])} to {wording.count(sizes[0])}"
    figure = bars(
        "sizes",
        "Points in each cluster",
        edges[:-1] - 0.4 if named else edges[:-1].astype(float),
        np.full(k, 0.8) if named else np.diff(edges).astype(float),
        mean,
        summary=f"{ends} points, median {middle:,.0f}." + ("" if named else " In order of size."),
        tips=_size_tips(sample, order, edges),
        x_title="cluster" if named else "rank by size",
        ticks=(range(k), [str(c) for c in order.tolist()]) if named else rank_ticks(k),
        y_title="points",
        paint=[colours.CATEGORIES[sample.colours[c]] for c in order[edges[:-1]].tolist()]
        if named
        else (),
    )
    return Section("Sizes", [figure])


def _size_tips(sample: ClusterSample, order: np.ndarray, edges: np.ndarray) -> list[str]:
    whole, tips = int(sample.sizes.sum()), []
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        largest, smallest = int(sample.sizes[order[first]]), int(sample.sizes[order[end - 1]])
        if end - first == 1:
            share = wording.share(largest, whole)
            tips.append(f"cluster {order[first]}\n{wording.count(largest)} points ({share})")
        else:
            span = f"{wording.count(largest)} to {wording.count(smallest)} points each"
            tips.append(f"{end - first} clusters\n{span}")
    return tips


def rank_ticks(k: int) -> tuple[Sequence[float], Sequence[str]]:
    """Round ranks; rank 1 is the first bar."""
    step = next(s for e in range(9) for s in (10**e, 2 * 10**e, 5 * 10**e) if k / s <= 10)
    ranks = [1, *range(step, k + 1, step)]
    return [rank - 0.5 for rank in ranks], [f"{rank:,}" for rank in ranks]

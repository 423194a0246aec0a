"""The top of a tree of merges: how far apart the largest groups are, and where it was cut."""

import numpy as np

from pipelines.report import colours, still, wording
from pipelines.report.curves import mark_line
from pipelines.report.figures import STILL_WIDTH, typed
from pipelines.report.parts import Figure

MOST_BRANCHES = 60  # ends of the tree that are drawn; what lies below one is told as a number


class Top:
    """The last merges of a tree over m records.

    ends        [(records below, a record of it, height of its own last merge)], left to right
    joins       [(left, right, low left, low right, height)]: places and heights of both sides
    """

    def __init__(self, linkage: np.ndarray, most: int = MOST_BRANCHES):
        linkage = np.asarray(linkage, dtype=np.float64).reshape(-1, 4)
        self.m = len(linkage) + 1
        first = max(0, len(linkage) - (most - 1))
        self.first = first  # merges before this one are not drawn
        order, stack = [], [self.m + len(linkage) - 1]
        while stack:  # from right to left
            node = stack.pop()
            if node < self.m + first:
                order.append(node)
            else:
                stack += linkage[node - self.m, :2].astype(np.int64).tolist()
        order.reverse()
        self.ends = [self._end(linkage, node) for node in order]
        at = {node: float(place) for place, node in enumerate(order)}
        height = {node: end[2] for node, end in zip(order, self.ends, strict=True)}
        self.joins = []
        for merge in range(first, len(linkage)):
            a, b = sorted(linkage[merge, :2].astype(np.int64).tolist(), key=at.__getitem__)
            top = float(linkage[merge, 2])
            self.joins.append((at[a], at[b], height[a], height[b], top))
            node = self.m + merge
            at[node], height[node] = (at[a] + at[b]) / 2, top

    def _end(self, linkage: np.ndarray, node: int) -> tuple[int, int, float]:
        size, height = 1, 0.0
        if node >= self.m:
            size, height = int(linkage[node - self.m, 3]), float(linkage[node - self.m, 2])
        while node >= self.m:
            node = int(linkage[node - self.m, 0])
        return size, node, height


def dendrogram(
    linkage: np.ndarray,
    n_clusters: int,
    names: dict[int, str] | None = None,
    paint: dict[int, str] | None = None,
) -> Figure | None:
    """The last merges as a tree with its root above; None where there is nothing to merge.

    linkage (m - 1, 4)   in scipy's form
    n_clusters           the tree was cut into so many: a dotted line between two merges
    names, paint         what to tell of a record's cluster, and its colour: {record: text}
    """
    linkage = np.asarray(linkage, dtype=np.float64).reshape(-1, 4)
    if not len(linkage):
        return None
    top = Top(linkage)
    heights = linkage[:, 2]
    cut = _cut(heights, n_clusters)
    x, y = _path(top.joins)
    tree = {
        "type": "scatter", "mode": "lines", "x": typed(x), "y": typed(y),
        "line": {"color": "--c-other", "width": 1.4}, "hoverinfo": "skip",
    }  # fmt: skip
    ends = _ends(top, paint or {})
    layout = {
        "xaxis": {"visible": False, "range": [-0.8, len(top.ends) - 0.2]},
        "yaxis": {"title": {"text": "height of the merge"}, "zeroline": False},
        **_cut_line(cut, n_clusters),
    }
    shown = len(top.joins)
    scope = "All" if shown == len(linkage) else f"The last {wording.count(shown)} of"
    return Figure(
        name="dendrogram",
        title="Tree of merges",
        graph={"data": [tree, ends], "layout": layout},
        summary=f"{scope} {wording.count(len(linkage))} merges; a dot is as wide as what lies "
        f"below it is large.",
        still=_still(x, y, top, paint or {}),
        tips={"texts": [[], _tips(top, names or {})]},
        height=340,
    )


def _cut(heights: np.ndarray, n_clusters: int) -> float | None:
    """The height between the last merge below the cut and the first above it."""
    above = n_clusters - 1  # merges that were not made
    if not 0 < above <= len(heights):
        return None
    ranked = np.sort(heights)
    high = ranked[len(ranked) - above]
    low = ranked[len(ranked) - above - 1] if above < len(ranked) else 0.0
    return float(low + high) / 2


def _path(joins) -> tuple[np.ndarray, np.ndarray]:
    """Corners of all brackets, a gap after each."""
    x = [v for a, b, *_ in joins for v in (a, a, b, b, np.nan)]
    y = [v for _, _, low, other, top in joins for v in (low, top, top, other, np.nan)]
    return np.array(x), np.array(y)


def _ends(top: Top, paint: dict[int, str]) -> dict:
    sizes = np.array([size for size, _, _ in top.ends], dtype=np.float64)
    wide = 5 + 11 * np.sqrt(sizes / sizes.max())
    return {
        "type": "scatter", "mode": "markers", "x": typed(np.arange(len(sizes), dtype=float)),
        "y": typed(np.array([height for *_, height in top.ends])),
        "marker": {
            "color": [paint.get(record, colours.OTHER_CATEGORY) for _, record, _ in top.ends],
            "size": np.round(wide, 1).tolist(), "opacity": 1, "line": {"width": 0},
        },
        "cliponaxis": False, "hoverinfo": "none",
    }  # fmt: skip


def _tips(top: Top, names: dict[int, str]) -> list[str]:
    tips = []
    for size, record, height in top.ends:
        text = f"{wording.count(size)} record{'' if size == 1 else 's'}"
        text += f", joined up to {wording.number(height, 4)}" if size > 1 else ""
        tips.append("\n".join(filter(None, (names.get(record, ""), text))))
    return tips


def _cut_line(cut: float | None, n_clusters: int) -> dict:
    if cut is None:
        return {}
    shape = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": cut, "y1": cut}
    note = {
        "x": 1, "xref": "paper", "xanchor": "right", "y": cut, "yanchor": "bottom",
        "text": f"{wording.count(n_clusters)} clusters", "showarrow": False,
        "font": {"color": "--ink", "size": 12}, "bgcolor": "--paper",
    }  # fmt: skip
    return {"shapes": [shape | {"line": mark_line()}], "annotations": [note]}


def _still(x: np.ndarray, y: np.ndarray, top: Top, paint: dict[int, str]) -> str:
    high = float(np.nanmax(y)) or 1.0
    across = STILL_WIDTH / len(top.ends)

    def placed(x, y) -> np.ndarray:
        return np.column_stack([(x + 0.5) * across, 970 - np.asarray(y) / high * 940])

    paths = [still.line(colours.OTHER_CATEGORY, placed(x, y), 1.4)]
    for place, (_, record, height) in enumerate(top.ends):
        colour = paint.get(record, colours.OTHER_CATEGORY)
        paths.append(still.dots(colour, placed(np.array([place]), [height]), 7))
    return still.picture(paths, STILL_WIDTH, 1000, "Tree of merges")

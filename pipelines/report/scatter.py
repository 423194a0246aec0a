"""Points on a plane in the colours of their groups, the centroids upon them."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import colours, still
from pipelines.report.figures import typed
from pipelines.report.parts import Figure
from pipelines.report.projection import Plane

MOST_NUMBERED = 30  # centroids that carry their number
STILL_POINTS = 5_000
STILL_LAYERS = 8  # in which all colours take turns, so that none hides the others
STILL_SIDE = 1_000  # units of a still picture, both ways


def scatter(
    name: str,
    title: str,
    plane: Plane,
    codes: np.ndarray,
    palette: Sequence[str],
    *,
    summary: str,
    tips: Mapping[str, object],
    marks: np.ndarray | None = None,
) -> Figure:
    """A point cloud; later points lie upon earlier ones.

    codes (m,) int   place of each point's colour in palette
    tips             as page.js reads them, of the points and of the marks
    marks (c,) int   numbers of the centroids to show; None: all of them
    """
    marks = np.arange(len(plane.centroids)) if marks is None else marks
    size = _dot_size(len(codes))
    hidden = {"visible": False, "range": [-0.35, 1.35], "fixedrange": True}
    upward = {"scaleanchor": "x"} if plane.equal else {}
    axis = {"zeroline": False, "showgrid": False, "exponentformat": "power"}  # lines would cross
    across, up = ({"title": {"text": title}, **axis} for title in plane.titles)
    return Figure(
        name=name,
        title=title,
        graph={
            "data": [
                _cloud(plane.points, codes, palette, size),
                _marks(plane.centroids[marks], marks),
            ],
            "layout": {"xaxis": across, "yaxis": up | upward if plane.titles[1] else hidden},
        },
        summary=summary,
        still=_still(plane, codes, palette, size, marks, title),
        tips=dict(tips),
        height=0 if plane.titles[1] else 260,
    )


def _cloud(points: np.ndarray, codes: np.ndarray, palette: Sequence[str], size: float) -> dict:
    return {
        "type": "scatter",
        "meta": "cloud",
        "mode": "markers",
        "x": typed(points[:, 0]),
        "y": typed(points[:, 1]),
        "marker": {
            "color": typed(codes),
            "colorscale": _steps(palette),
            "cmin": -0.5,
            "cmax": len(palette) - 0.5,
            "size": size,
            "opacity": 0.8 if len(codes) <= 5_000 else 0.65,
            "line": {"width": 0},
        },
        "hoverinfo": "none",
    }


def _dot_size(n: int) -> float:
    return next(size for most, size in ((300, 9), (1_500, 7), (6_000, 5), (n, 3.5)) if n <= most)


def _steps(palette: Sequence[str]) -> list[list]:
    """plotly's colorscale with a flat step for each colour."""
    n = len(palette)
    return [[(code + end) / n, colour] for code, colour in enumerate(palette) for end in (0, 1)]


def _marks(centroids: np.ndarray, marks: np.ndarray) -> dict:
    numbered = len(marks) <= MOST_NUMBERED
    size = 19 if numbered else 8 if len(marks) <= 150 else 4
    trace = {
        "type": "scatter",
        "mode": "markers+text" if numbered else "markers",
        "x": typed(centroids[:, 0]),
        "y": typed(centroids[:, 1]),
        "marker": {
            "symbol": "circle" if numbered else "diamond",
            "color": "--card",
            "opacity": 0.92,
            "size": size,
            "line": {"color": "--ink", "width": 1.3 if len(marks) <= 150 else 0.8},
        },
        "cliponaxis": False,
        "hoverinfo": "none",
    }
    if not numbered:
        return trace
    font = {"size": 11, "color": "--ink"}
    return trace | {"text": [str(number) for number in marks.tolist()], "textfont": font}


def _still(plane: Plane, codes, palette, size: float, marks, title: str) -> str:
    if not len(codes):
        return ""
    both = np.vstack([plane.points, plane.centroids[marks]])
    low, sides = both.min(axis=0), np.ptp(both, axis=0)
    sides = np.where(sides > 0, sides, 1.0)
    sides = np.full(2, sides.max()) if plane.equal else sides
    inset = STILL_SIDE * 0.02

    def placed(values: np.ndarray) -> np.ndarray:
        unit = inset + (values - low) / sides * (STILL_SIDE - 2 * inset)
        return np.column_stack([unit[:, 0], STILL_SIDE - unit[:, 1]])

    step = -(-len(codes) // STILL_POINTS)
    points, colour_of = placed(plane.points[::step]), codes[::step]
    layers = np.arange(len(points)) * STILL_LAYERS // len(points)
    paths = [
        still.dots(palette[code], points[(layers == layer) & (colour_of == code)], size)
        for layer in range(STILL_LAYERS)
        for code in np.unique(colour_of[layers == layer]).tolist()
    ]
    for colour, width in (("--ink", 12), ("--card", 9)) if len(marks) <= 150 else (("--ink", 4),):
        paths.append(still.dots(colour, placed(plane.centroids[marks]), width))
    return still.picture(paths, STILL_SIDE, STILL_SIDE, title)


def spread_colours(
    places: np.ndarray, sizes: np.ndarray, n_colours: int, wanted: np.ndarray | None = None
) -> np.ndarray:
    """A colour number for each of k groups so that groups of one colour lie far apart.

    places (k, d) float, sizes (k,)   the largest group chooses first, each the colour whose
                                      nearest group so far is the farthest; unused ones first
    wanted (k,) int                   a colour that a group takes without choosing; -1: it chooses
    Returns (k,) int64; without wishes 0, 1, 2, ... where there are colours enough.
    """
    k = len(places)
    if wanted is None and k <= n_colours:
        return np.arange(k, dtype=np.int64)
    wanted = np.full(k, -1) if wanted is None else wanted
    chosen = np.zeros(k, dtype=np.int64)
    nearest = np.full((k, n_colours), np.inf)
    # those with a wish first: then nobody who may choose takes what another one wants
    for group in np.lexsort((np.arange(k), -np.asarray(sizes), wanted < 0)).tolist():
        colour = int(wanted[group]) if wanted[group] >= 0 else int(nearest[group].argmax())
        chosen[group] = colour
        apart = ((places - places[group]) ** 2).sum(axis=1)
        np.minimum(nearest[:, colour], apart, out=nearest[:, colour])
    return chosen


def matched_colours(
    codes: np.ndarray, clusters: np.ndarray, cluster_colours: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """A colour for each label: that of the cluster that holds most of it.

    codes (m,)     number of each point's label, 0 .. l - 1, each of them occurring; -1: no label
    clusters (m,)  number of each point's cluster; cluster_colours (k,); places (m, 2) float
    Of labels with the same cluster the one with most points in it gets its colour; the others get
    one that is far away, so that labels which fell into one cluster differ. Returns (l,) int64.
    """
    known = codes >= 0
    n_labels, k = int(codes.max(initial=-1)) + 1, len(cluster_colours)
    sizes = np.bincount(codes[known], minlength=n_labels)
    pairs, held = np.unique(codes[known] * k + clusters[known], return_counts=True)
    wanted, taken = np.full(n_labels, -1), np.zeros(k, dtype=bool)
    seen = np.zeros(n_labels, dtype=bool)
    for pair in np.lexsort((pairs, -held)).tolist():
        label, cluster = divmod(int(pairs[pair]), k)
        if not seen[label] and not taken[cluster]:
            wanted[label], taken[cluster] = cluster_colours[cluster], True
        seen[label] = True  # by its largest share only
    middles = (
        np.column_stack(
            [np.bincount(codes[known], places[known, axis], n_labels) for axis in (0, 1)]
        )
        / np.maximum(sizes, 1)[:, None]
    )
    return spread_colours(middles, sizes, len(colours.CATEGORIES), wanted)

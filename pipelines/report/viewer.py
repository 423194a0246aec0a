"""A map of points to look at from all sides: coordinates, columns and a still picture.

viewer_paint.js paints (WebGL, or a plain canvas), viewer.js answers the reader, viewer_save.js
saves the view as a picture.
"""

import base64
import gzip
import json

import numpy as np

from pipelines.report import colours, still, wording
from pipelines.report.cloud import Category, Drawn
from pipelines.report.figures import typed
from pipelines.report.parts import Viewer

TILT = (0.42, -0.5)  # radians that the first view is turned about the upright and the level axis
LEAST_REACH = 0.5
FAR = 4.0  # distance of the eye, in radii of the cloud
STILL_POINTS = 5_000
STILL_WIDTH, STILL_HEIGHT = 1_200, 900  # units of the still picture
MOST_NAMED = 24  # categories below the still picture
COUNT_STEPS = 0.45  # how much wider a point is for each doubling of the records it stands for


def viewer(
    name: str, title: str, points: Drawn, *, summary: str, colour_by: str | None = None
) -> Viewer:
    """The part that page.html shows.

    colour_by   the column that is shown first; None: the first one
    """
    names = [column.name for column in points.columns]
    first = names.index(colour_by) if colour_by in names else 0
    told = {
        "n": len(points.rows),
        "flat": points.dimensions < 3,
        "unit": points.unit,
        "first": first,
        "far": FAR,
        "tilt": first_turn(points).reshape(-1).tolist(),
        "reach": list(first_reach(points)),
        "size": dot_size(len(points.rows)),
        "steps": COUNT_STEPS,
        "ramp": [list(colour) for colour in colours.ramp(24)],
    }
    return Viewer(
        name=name,
        title=title,
        data=told,
        places=base64.b64encode(points.places.astype("<f4").tobytes()).decode("ascii"),
        columns=_packed(points),
        summary=summary,
        still=_still(points, first, title),
        legend=_legend(points, first),
    )


def _packed(points: Drawn) -> str:
    """ids and columns as gzipped JSON in base64: no letter in it could end a script element."""
    told = {
        "ids": points.ids,
        "columns": [_column(column) for column in points.columns],
        "counts": None if points.counts is None else typed(points.counts),
        "placed": None if points.placed is None else typed(points.placed.astype(np.int64)),
    }
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _column(column) -> dict:
    if not isinstance(column, Category):
        return {"name": column.name, "values": typed(column.values)}
    told = {"name": column.name, "texts": column.texts, "codes": typed(column.codes)}
    return told | {
        "sizes": column.sizes, "colours": column.colours, "own": column.own, "none": column.none,
    }  # fmt: skip


def dot_size(n: int) -> float:
    """Pixels across a point."""
    return next(size for most, size in ((60, 13), (300, 11), (1_500, 9), (6_000, 7), (30_000, 5),
                                        (n, 3.6)) if n <= most)  # fmt: skip


def first_turn(points: Drawn) -> np.ndarray:
    """The rotation of the first view, (3, 3); viewer.js multiplies it from the left."""
    if points.dimensions < 3:
        return np.eye(3)
    about_y, about_x = TILT
    c, s = np.cos(about_y), np.sin(about_y)
    level = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(about_x), np.sin(about_x)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ level


def first_reach(points: Drawn) -> tuple[float, float]:
    """How far the cloud reaches from the middle of the first view, to the sides and up; a cloud
    that reaches less than LEAST_REACH of its radius is not drawn larger than one that does."""
    if not len(points.rows):
        return 1.0, 1.0
    seen = points.places @ first_turn(points).T
    across, up = (np.abs(seen[:, :2]) * (FAR / (FAR - seen[:, 2:]))).max(axis=0).tolist()
    return round(max(across, LEAST_REACH), 4), round(max(up, LEAST_REACH), 4)


def _still(points: Drawn, first: int, title: str) -> str:
    """The first view of at most STILL_POINTS points as dots, the nearest on top."""
    if not len(points.rows):
        return ""
    step = -(-len(points.rows) // STILL_POINTS)
    seen = points.places[::step] @ first_turn(points).T
    across, up = first_reach(points)
    unit = min(0.46 * STILL_WIDTH / across, 0.44 * STILL_HEIGHT / up)
    scale = FAR / (FAR - seen[:, 2]) * unit
    places = np.column_stack([
        STILL_WIDTH / 2 + seen[:, 0] * scale, STILL_HEIGHT / 2 - seen[:, 1] * scale,
    ])  # fmt: skip
    paint = _paint(points, first)[::step]
    near = np.argsort(seen[:, 2], kind="stable")
    paths = []
    for layer in np.array_split(near, 12):  # in turn, so that none hides the others
        for colour in np.unique(paint[layer]).tolist():
            own = places[layer[paint[layer] == colour]]
            paths.append(still.dots(colour, own, dot_size(len(points.rows)) * 0.8))
    return still.picture(paths, STILL_WIDTH, STILL_HEIGHT, title, stretch=False)


def _paint(points: Drawn, first: int) -> np.ndarray:
    """The name of each point's colour in the still picture, (m,)."""
    if not points.columns or not isinstance(points.columns[first], Category):
        return np.full(len(points.rows), "--accent")
    column = points.columns[first]
    palette = np.array([*column.colours, "--c-other", colours.NO_CATEGORY])
    place = np.minimum(column.codes, column.own)
    place = np.where(column.codes == column.none, len(palette) - 1, place)
    return palette[place]


def _legend(points: Drawn, first: int) -> list[tuple[str, str]]:
    """[(CSS colour, name)] of the largest categories, for readers without scripts."""
    if not points.columns or not isinstance(points.columns[first], Category):
        return []
    column = points.columns[first]
    most = min(column.own, MOST_NAMED)
    shown = [*zip(column.colours[:most], range(most), strict=True)]
    if column.none >= 0:
        shown.append((colours.NO_CATEGORY, column.none))
    entries = [
        (f"var({colour})", f"{column.texts[code]} ({wording.count(column.sizes[code])})")
        for colour, code in shown
    ]
    rest = len(column.texts) - len(shown)
    return [*entries, ("transparent", f"and {wording.count(rest)} more")] if rest else entries

"""Lines over a common x axis: inertia by iteration, an elbow, tasks over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.report import still, wording
from pipelines.report.figures import STILL_WIDTH, typed
from pipelines.report.parts import Figure

STILL_LINES = 20  # of a still picture: the last ones, which lie on top


@dataclass(frozen=True)
class Curve:
    """One line. x, y (m,) float, NaN is a gap; `tips` are the columns that page.js tells of."""

    x: np.ndarray
    y: np.ndarray
    colour: str = "--accent"
    width: float = 2
    dots: bool = False  # a dot at each place
    filled: bool = False  # down to 0
    tips: Sequence[Mapping] = ()


def curves(
    name: str,
    title: str,
    lines: Sequence[Curve],
    *,
    summary: str,
    x_title: str,
    y_title: str,
    from_zero: bool = False,
    log: bool | None = None,
    marked: tuple[float, str] | None = None,
) -> Figure:
    """Lines, the last one on top.

    log      None: linear, and the reader may switch; True or False: fixed
    marked   (place, our own text): a dotted upright line
    """
    values = np.concatenate([line.y for line in lines]) if lines else np.zeros(0)
    values = values[np.isfinite(values)]
    above = values[values > 0]
    switch = log is None and len(above) > 0
    upright = {} if marked is None else _upright(*marked, lines)
    zero = {"rangemode": "tozero"} if from_zero else {}
    across = {"title": {"text": x_title}, "showgrid": False, "zeroline": False}
    up = {"title": {"text": y_title}, "exponentformat": "power", "zeroline": False}
    if len(values) and np.array_equal(values, np.rint(values)) and values.max() < 6:
        up["dtick"] = 1  # no fractions of a task
    layout = {
        "xaxis": across | _whole(lines),
        "yaxis": up | zero | ({"type": "log"} if log else {}),
        **upright,
    }
    return Figure(
        name=name,
        title=title,
        graph={"data": [_trace(line) for line in lines], "layout": layout},
        summary=summary,
        still=_still(lines, title, from_zero, bool(log)),
        tips={"columns": [list(line.tips) for line in lines]},
        log_top=float(above.max()) if switch else 0,
        log_low=float(above.min()) / 1.15 if switch else 0.6,
    )


def _whole(lines: Sequence[Curve]) -> dict:
    """No fractions of an iteration on a short axis that counts them."""
    x = np.concatenate([line.x for line in lines]) if lines else np.zeros(0)
    few = len(x) and np.array_equal(x, np.rint(x)) and np.ptp(x) < 6
    return {"dtick": 1} if few else {}


def _trace(line: Curve) -> dict:
    alone = len(line.x) == 1
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if line.dots or alone else "lines",
        "x": typed(np.asarray(line.x, dtype=np.float64)),
        "y": typed(np.asarray(line.y, dtype=np.float64)),
        "line": {"color": line.colour, "width": line.width},
        "marker": {"color": line.colour, "size": line.width + 4},
        "hoverinfo": "none" if line.tips else "skip",
    }
    return trace | ({"fill": "tozeroy", "fillcolor": "--accent-soft"} if line.filled else {})


def _upright(at: float, text: str, lines: Sequence[Curve]) -> dict:
    middle = float(np.mean([(line.x.min() + line.x.max()) / 2 for line in lines if len(line.x)]))
    side = {"xanchor": "right", "xshift": -6} if at > middle else {"xanchor": "left", "xshift": 6}
    shape = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper"}
    return {
        "shapes": [shape | {"line": mark_line()}],
        "annotations": [
            {
                "x": at,
                "y": 1,
                "yref": "paper",
                "yanchor": "top",
                "showarrow": False,
                "text": text,
                "font": {"color": "--ink", "size": 12},
                **side,
            }
        ],
    }


def mark_line() -> dict:
    """How a line looks that marks a place."""
    return {"color": "--ink", "width": 1.2, "dash": "dot"}


def _still(lines: Sequence[Curve], title: str, from_zero: bool, log: bool) -> str:
    lines = lines[-STILL_LINES:]
    x = np.concatenate([line.x for line in lines]) if lines else np.zeros(0)
    raised = [_raised(line.y, log) for line in lines]
    y = np.concatenate(raised) if raised else np.zeros(0)
    y = y[np.isfinite(y)]
    if not len(y):
        return ""
    left, right = float(x.min()), float(x.max())
    low, high = float(min(y.min(), 0) if from_zero else y.min()), float(y.max())
    paths = []
    for line, height in zip(lines, raised, strict=True):
        # a little inside the box, so that dots at its edges are whole
        across = (0.01 + 0.98 * (line.x - left) / ((right - left) or 1)) * STILL_WIDTH
        down = 980 - (height - low) / ((high - low) or 1) * 960
        places = np.column_stack([across, down])
        paths.append(still.line(line.colour, places, line.width))
        if line.dots or len(places) == 1:
            known = places[np.isfinite(places).all(axis=1)]
            paths.append(still.dots(line.colour, known, line.width + 4))
    ends = (wording.number(left, 4), wording.number(right, 4))
    return still.picture(paths, STILL_WIDTH, 1000, title, ends)


def _raised(values: np.ndarray, log: bool) -> np.ndarray:
    """Height on the page: the value, or its logarithm (NaN where there is none)."""
    values = np.asarray(values, dtype=np.float64)
    if not log:
        return values
    return np.log10(values, out=np.full(len(values), np.nan), where=values > 0)

"""The four figures of iterations: pure functions of their rows and of the timeline of tasks."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import still, wording
from pipelines.report.curves import Curve, curves
from pipelines.report.figures import STILL_WIDTH, typed
from pipelines.report.histograms import seconds_histogram
from pipelines.report.iteration_rows import Iterations, number, pieces
from pipelines.report.parts import Figure
from pipelines.report.timeline import TIME_BINS, busy

ENVELOPES = {"chunk", "gang"}  # tasks whose maps are told one by one elsewhere
MOST_STEPS = 120  # tasks whose starts and ends are drawn one by one
MOST_PLACES = 1_000  # of a line; more iterations share a place
PIECES = {  # of an iteration's time, and their colours
    "maps, mean of the ranks": "--accent",
    "waiting for the slowest": "--c3",
    "exchange and update": "--second",
}


def task_times(told: Iterations) -> Figure | None:
    """Histogram of the seconds of all maps."""
    times = told.seconds[told.known]
    if not len(times):
        times = told.slowest[np.isfinite(told.slowest)]
    if not len(times):
        return None
    low, high = (wording.seconds(float(end)) for end in (times.min(), times.max()))
    ranks = told.seconds.shape[1]
    who = f"{wording.count(len(times))} maps"
    who += f" of {wording.count(ranks)} ranks" if ranks > 1 else ""
    return seconds_histogram(
        times, "task-times", "Task times", "map", f"{who}, {low} to {high} each."
    )


def executing(told: Iterations, timeline: Sequence[Mapping]) -> Figure | None:
    """Maps and other tasks at work over time. Maps come from the timeline where it has them."""
    maps, others = _spans(told, timeline)
    if not len(maps):
        return None
    both = np.vstack([maps, others])
    origin, span = float(both.min()), float(np.ptp(both))
    named = [(maps, "--accent", "maps"), (others, "--second", "other tasks")]
    lines = []
    exact = len(both) <= MOST_STEPS
    for spans, colour, name in named if len(others) else named[:1]:
        x, y = at_work(spans[:, 0] - origin, spans[:, 1] - origin, span, exact)
        tips = [
            {"name": "", "axis": "y", "unit": f"{name} at work"},
            {"name": "at", "axis": "x", "unit": "s"},
        ]
        lines.append(Curve(x, y, colour, 1.6, filled=colour == "--accent", tips=tips))
    spent = wording.seconds(float((maps[:, 1] - maps[:, 0]).sum()))
    summary = f"{spent} of maps in all."
    if len(others):
        summary += " Other tasks, such as loading, in the second colour."
    if not exact:
        summary += f" Means of {wording.seconds(span / TIME_BINS)} each."
    return curves(
        "executing",
        "Executing tasks over time",
        lines,
        summary=summary,
        x_title="seconds since the first task",
        y_title="tasks at work",
        from_zero=True,
        log=False,
    )


def _spans(told: Iterations, timeline: Sequence[Mapping]) -> tuple[np.ndarray, np.ndarray]:
    """(start, stop) of the maps (m, 2) and of other tasks (o, 2), epoch seconds."""
    tasks = [t for t in timeline or () if isinstance(t, Mapping) and t.get("kind") not in ENVELOPES]
    spans = np.array(
        [(number(t.get("started")), number(t.get("stopped"))) for t in tasks], dtype=np.float64
    ).reshape(-1, 2)
    is_map = np.array([t.get("kind") == "map" for t in tasks], dtype=bool)
    maps = spans[is_map]
    if not len(maps):
        row, rank = np.nonzero(told.known)
        begun = told.started[row]
        maps = np.column_stack([begun, begun + told.seconds[row, rank]])
    first, second = (part[np.isfinite(part).all(axis=1)] for part in (maps, spans[~is_map]))
    return first, second


def at_work(started: np.ndarray, stopped: np.ndarray, span: float, exact: bool):
    """Number of tasks at work over time as the corners (x, y) of a line.

    started, stopped (m,)   seconds, within 0 .. span
    exact                   every start and end is a step; else means in TIME_BINS bins
    """
    span = max(span, 1e-9)
    if not exact:
        row = np.zeros(len(started), dtype=np.int64)
        y = busy(started, np.maximum(stopped, started), row, 1, span)[0]
        edges = np.linspace(0, span, TIME_BINS + 1)
        return np.repeat(edges, 2)[1:-1], np.repeat(np.round(y, 4), 2)
    times, place = np.unique(np.concatenate([[0.0, span], started, stopped]), return_inverse=True)
    signs = np.concatenate([[0, 0], np.ones(len(started)), -np.ones(len(stopped))])
    level = np.cumsum(np.bincount(place, signs, len(times)))
    return np.repeat(times, 2), np.concatenate([[0.0], np.repeat(level, 2)[:-1]])


def overhead(told: Iterations) -> Figure | None:
    """Seconds of each iteration outside the slowest rank's map."""
    known = np.isfinite(told.overhead)
    if not known.any():
        return None
    spent, whole = told.overhead[known] * 1000, told.whole[known]
    middle = wording.seconds(float(np.median(spent)) / 1000)
    part = wording.share(float(np.nansum(spent)) / 1000, float(whole.sum()))
    lines, remark = [_numbered(spent, "--accent", "overhead")], ""
    if len(spent) > MOST_PLACES:
        groups = np.array_split(np.arange(len(spent)), MOST_PLACES)
        first = np.array([group[0] for group in groups]) + 1.0
        lines = [
            Curve(first, np.array([join(spent[group]) for group in groups]), colour, 1.4)
            for join, colour in ((np.max, "--second"), (np.median, "--accent"))
        ]
        remark = " Medians of neighbouring iterations, and their largest values."
    return curves(
        "overhead",
        "Overhead between iterations",
        lines,
        summary=f"Time outside the slowest rank's map: median {middle}, {part} of all.{remark}",
        x_title="iteration, in order of time",
        y_title="milliseconds",
        from_zero=True,
    )


def _numbered(values: np.ndarray, colour: str, name: str) -> Curve:
    tips = [{"name": "iteration", "axis": "x"}, {"name": name, "axis": "y", "unit": "ms"}]
    order = np.arange(1, len(values) + 1, dtype=np.float64)
    return Curve(order, values, colour, 1.5, dots=len(values) <= 150, tips=tips)


def first_and_later(told: Iterations) -> Figure | None:
    """A bar for each of `pieces`, parted by what the time was spent on."""
    rows = pieces(told)
    if not rows:
        return None
    spent = np.array([values for _, values in rows]) * 1000
    base = np.column_stack([np.zeros(len(rows)), np.cumsum(spent, axis=1)[:, :-1]])
    lane = np.arange(len(rows), dtype=np.float64)
    longest = float(spent.sum(axis=1).max())
    data, texts, layers = [], [], []
    for n, (piece, colour) in enumerate(PIECES.items()):
        data.append(_lying(base[:, n], spent[:, n], lane, colour))
        texts.append(
            [
                f"{name}\n{piece}: {wording.seconds(value / 1000)}"
                for (name, _), value in zip(rows, spent[:, n].tolist(), strict=True)
            ]
        )
        across = np.column_stack([base[:, n], spent[:, n]]) * STILL_WIDTH / (longest or 1.0)
        boxes = [across[:, 0], lane * 10 + 2, across[:, 1], 0 * lane + 6]
        layers.append((colour, np.column_stack(boxes)))
    names = {"tickvals": lane.tolist(), "ticktext": [name for name, _ in rows]}
    upward = {"autorange": "reversed", "showgrid": False, "zeroline": False}
    across = {"title": {"text": "milliseconds"}, "rangemode": "tozero"}
    layout = {"barmode": "overlay", "xaxis": across, "yaxis": names | upward}
    ends = ("0 ms", f"{longest:.3g} ms")
    return Figure(
        name="first-later",
        title="First iteration against later ones",
        graph={"data": data, "layout": layout},
        summary=_compared(rows),
        still=still.svg(layers, STILL_WIDTH, 10 * len(rows), "First and later iterations", ends),
        tips={"texts": texts},
    )


def _lying(base: np.ndarray, length: np.ndarray, lane: np.ndarray, colour: str) -> dict:
    return {
        "type": "bar",
        "orientation": "h",
        "base": typed(base),
        "x": typed(length),
        "y": typed(lane),
        "width": 0.62,
        "marker": {"color": colour, "line": {"width": 0}},
        "hoverinfo": "none",
    }


def _compared(rows) -> str:
    first = float(rows[0][1].sum())
    if len(rows) < 2:
        return f"The only iteration took {wording.seconds(first)}."
    later = float(rows[1][1].sum())
    text = f"The first took {wording.seconds(first)}, later ones {wording.seconds(later)}"
    return text + (f" ({first / later:.3g} times as long)." if later > 0 else ".")

"""Stress by iteration and by start, with the temperature of annealed runs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from pipelines.report import still, wording
from pipelines.report.convergence import best_of, run_ends, run_lines
from pipelines.report.curves import curves
from pipelines.report.figures import STILL_WIDTH, typed
from pipelines.report.iteration_rows import Iterations
from pipelines.report.parts import Figure, Legend, Section, Table, Text

MOST_ROWS = 500  # of a table


def stress_of(told: Iterations) -> tuple[np.ndarray, str]:
    """(values (r,), what they are): the normalized stress where the rows have it."""
    normalized = told.value("normalized")
    if np.isfinite(normalized).any():
        return normalized, "normalized stress"
    return told.value("stress"), "stress"


def stress_section(run: Mapping, told: Iterations) -> list[Section]:
    """[the section "Stress"]: every start is a line, the one that was kept is bold.

    told   of rows {run, iteration, job, temperature, stress, normalized, seconds, ...}; rows of
           jobs without stress are left out
    """
    values, name = stress_of(told)
    told = Iterations([told.rows[n] for n in np.flatnonzero(np.isfinite(values)).tolist()])
    values = values[np.isfinite(values)]
    if not len(values):
        return [Section("Stress", [Text("The run left no record of its stress.")])]
    ends = run_ends(told, values)
    best = best_of(run, told, values)
    parts: list = [_figure(told, values, name, best, len(ends))]
    if np.isfinite(_temperatures(told, best)).any():
        parts.append(
            Legend([("var(--accent)", name), ("var(--second)", "temperature, on the right")])
        )
    if len(ends) > 1:
        parts.append(_starts(ends, best, name))
    parts.append(_table(told, values, name, best))
    return [Section("Stress", parts)]


def _temperatures(told: Iterations, best: int) -> np.ndarray:
    """Of the best start, NaN where none was above 0."""
    values = told.value("temperature")[told.run == best]
    return values if (values > 0).any() else np.full(len(values), np.nan)


def _figure(told: Iterations, values: np.ndarray, name: str, best: int, n_starts: int) -> Figure:
    lines = run_lines(told, values, best, name)
    known = lines[-1].y
    text = f"{wording.number(known[0])} to {wording.number(known[-1])}"
    text += f" in {wording.count(len(known))} iterations" if len(known) > 1 else ""
    if n_starts > 1:
        text += f"; {wording.count(n_starts)} starts, the best one (run {best}) bold"
    figure = curves(
        "stress",
        "Stress by iteration",
        lines,
        summary=f"{text}.",
        x_title="iteration",
        y_title=name,
    )
    return _heated(figure, _temperatures(told, best))


def _heated(figure: Figure, temperature: np.ndarray) -> Figure:
    """The figure with the temperature on an axis of its own, at the right."""
    if not np.isfinite(temperature).any():
        return figure
    order = np.arange(1, len(temperature) + 1, dtype=np.float64)
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": typed(order),
        "y": typed(temperature),
        "yaxis": "y2",
        "line": {"color": "--second", "width": 1.6, "shape": "hv"},
        "hoverinfo": "none",
    }
    right = {
        "overlaying": "y", "side": "right", "showgrid": False, "zeroline": False,
        "rangemode": "tozero", "tickmode": "auto", "title": {"text": "temperature"},
        "exponentformat": "power",
    }  # fmt: skip
    layout = figure.graph["layout"] | {
        "yaxis2": right,
        "margin": {"l": 52, "r": 52, "t": 8, "b": 44},
    }
    tips = [{"name": "iteration", "axis": "x"}, {"name": "temperature", "axis": "y"}]
    return replace(
        figure,
        graph={"data": [*figure.graph["data"], line], "layout": layout},
        tips={"columns": [*figure.tips["columns"], tips]},
        still=_heated_still(figure.still, order, temperature),
        summary=f"{figure.summary[:-1]}; annealed from temperature "
        f"{wording.number(float(np.nanmax(temperature)), 3)}.",
    )


def _heated_still(picture: str, order: np.ndarray, temperature: np.ndarray) -> str:
    """The still picture with the temperature from 0 below to its largest above."""
    across = (0.01 + 0.98 * (order - 1) / max(len(order) - 1, 1)) * STILL_WIDTH
    down = 980 - temperature / np.nanmax(temperature) * 960
    path = still.line("--second", np.column_stack([across, down]), 1.6)
    return picture.replace("</svg>", Markup(f"{path}</svg>"), 1)


def _starts(ends: list[tuple[int, float, int]], best: int, name: str) -> Table:
    """The starts by their last stress."""
    known = sorted(ends, key=lambda e: (e[1], e[0]))
    rows = [
        (f"{r} (kept)" if r == best else str(r), wording.number(value, 7), wording.count(count))
        for r, value, count in known[:MOST_ROWS]
    ]
    return Table(("run", name, "iterations"), rows, (1, 2), folded="Starts")


def _table(told: Iterations, values: np.ndarray, name: str, best: int) -> Table:
    """The iterations of the best start; of very many the first and the last."""
    places = np.flatnonzero(told.run == best)
    if len(places) > MOST_ROWS:
        places = np.r_[places[: MOST_ROWS // 2], places[-MOST_ROWS // 2 :]]
    heat, rows = told.value("temperature"), []
    for n in places.tolist():
        job = wording.short(told.rows[n].get("job", ""), 12)
        warm = wording.number(heat[n], 4) if np.isfinite(heat[n]) else ""
        rows.append((str(told.iteration[n]), job, warm, wording.number(float(values[n]), 10)))
    columns = ("iteration", "job", "temperature", name)
    return Table(columns, rows, (0, 2, 3), folded="Iterations in numbers")

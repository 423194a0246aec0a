"""Inertia by iteration and by restart, movement of the centroids, and the elbow."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.curves import Curve, curves
from pipelines.report.iteration_rows import Iterations, number
from pipelines.report.parts import Cell, Figure, Row, Section, Table, Text

MOST_RUNS = 100  # restarts that are drawn
MOST_ROWS = 500  # of a table


def best_run(run: Mapping, told: Iterations) -> int:
    """The restart whose result was kept: told by run.json, else that of the lowest inertia."""
    return best_of(run, told, told.value("inertia"))


def best_of(run: Mapping, told: Iterations, values: np.ndarray) -> int:
    """The restart that run.json names as kept, else that whose last known value is the lowest."""
    named = number(run.get("best_run"))
    if np.isfinite(named) and (told.run == named).any():
        return int(named)
    last = {r: value for r, value, _ in run_ends(told, values)}
    known = {r: value for r, value in last.items() if np.isfinite(value)}
    return min(known, key=lambda r: (known[r], r)) if known else min(last, default=0)


def run_ends(told: Iterations, values: np.ndarray) -> list[tuple[int, float, int]]:
    """(run, the last known of its values, its iterations), by number of the run."""
    ends = []
    for r in np.unique(told.run).tolist():
        own = values[told.run == r]
        known = own[np.isfinite(own)]
        ends.append((r, float(known[-1]) if len(known) else np.nan, len(own)))
    return ends


def inertia_section(run: Mapping, told: Iterations) -> Section:
    """Inertia and movement by iteration; each restart is a line, the one kept is bold."""
    if not len(told):
        return Section("Inertia", [Text("The run left no record of its iterations.")])
    best = best_run(run, told)
    ends = run_ends(told, told.value("inertia"))
    figures = [_inertia(told, best, len(ends)), _movement(told, best)]
    shown = [figure for figure in figures if figure is not None]
    parts: list = [Row(shown)] if len(shown) > 1 else list(shown)
    if len(ends) > 1:
        parts.append(_restarts(ends, best))
    parts.append(_table(told, best))
    return Section("Inertia", parts)


def run_lines(told: Iterations, values: np.ndarray, best: int, name: str) -> list[Curve]:
    """A line for each run, the best one last and bold."""
    runs = [r for r in np.unique(told.run).tolist() if r != best][: MOST_RUNS - 1]
    lines = []
    for r in [*runs, best]:
        of = told.run == r
        tips = [
            {"name": "run", "value": r},
            {"name": "iteration", "axis": "x"},
            {"name": name, "axis": "y"},
        ]
        is_best = r == best
        number_of = np.arange(1, of.sum() + 1, dtype=np.float64)
        few = is_best and of.sum() <= 60
        colour, width = ("--accent", 2.6) if is_best else ("--c-other", 1)
        shown = tips if len(runs) else tips[1:]
        lines.append(Curve(number_of, values[of], colour, width, dots=few, tips=shown))
    return [line for line in lines if np.isfinite(line.y).any()]


def _inertia(told: Iterations, best: int, n_runs: int) -> Figure | None:
    lines = run_lines(told, told.value("inertia"), best, "inertia")
    if not lines:
        return None
    known = lines[-1].y[np.isfinite(lines[-1].y)]
    text = f"{wording.number(known[0])} to {wording.number(known[-1])}"
    text += f" in {wording.count(len(known))} iterations" if len(known) > 1 else ""
    if n_runs > 1:
        text += f"; {wording.count(n_runs)} runs, the best one (run {best}) bold"
        text += "" if n_runs <= MOST_RUNS else f", {MOST_RUNS} drawn"
    return curves(
        "inertia",
        "Inertia by iteration",
        lines,
        summary=f"{text}.",
        x_title="iteration",
        y_title="inertia (squared distances)",
    )


def _movement(told: Iterations, best: int) -> Figure | None:
    """Squared moves of the centroids of the best run, logarithmic; steps of 0 cannot be drawn."""
    only = np.where(told.run == best, told.value("shift"), np.nan)
    values = np.where(only > 0, only, np.nan)[told.run == best]
    if not np.isfinite(values).any():
        return None
    tips = [{"name": "iteration", "axis": "x"}, {"name": "moved", "axis": "y"}]
    order = np.arange(1, len(values) + 1, dtype=np.float64)
    line = Curve(order, values, "--second", 2, dots=len(values) <= 60, tips=tips)
    still = only[told.run == best][-1] == 0
    text = "In the last one no centroid moved." if still else "On a logarithmic scale."
    return curves(
        "movement",
        "Movement of the centroids",
        [line],
        summary=f"Sum of their squared moves in each iteration. {text}",
        x_title="iteration",
        y_title="squared distance",
        log=True,
    )


def _restarts(ends: list[tuple[int, float, int]], best: int) -> Table:
    """The runs by inertia, with how far each is above the best."""
    known = [entry for entry in ends if np.isfinite(entry[1])]
    ranked = sorted(known, key=lambda entry: (entry[1], entry[0]))[:MOST_ROWS]
    low = min((value for _, value, _ in known), default=0.0)
    rows = []
    for r, value, count in ranked:
        above = (value / low - 1) if low > 0 else 0.0
        name = f"{r} (kept)" if r == best else str(r)
        rows.append((name, wording.number(value, 7), f"+{100 * above:.3g} %", wording.count(count)))
    columns = ("run", "inertia", "above the lowest", "iterations")
    return Table(columns, rows, (1, 2, 3), folded="Runs")


def _table(told: Iterations, best: int) -> Table:
    """The iterations of the best run; of very many the first and the last."""
    places = np.flatnonzero(told.run == best)
    if len(places) > MOST_ROWS:
        places = np.r_[places[: MOST_ROWS // 2], places[-MOST_ROWS // 2 :]]
    inertia, shift, whole = told.value("inertia"), told.value("shift"), told.whole
    rows = [
        (
            wording.short(told.iteration[n], 12),
            wording.number(float(inertia[n]), 10),
            wording.number(float(shift[n]), 4),
            wording.seconds(float(whole[n])) if np.isfinite(whole[n]) else "",
        )
        for n in places.tolist()
    ]
    columns = ("iteration", "inertia", "squared moves of the centroids", "time")
    return Table(columns, rows, (0, 1, 2, 3), folded="Iterations in numbers")


def elbow_section(elbow: Sequence[Mapping] | None, chosen: int) -> list[Section]:
    """[the section "Number of clusters"] with inertia and silhouette by k, the chosen one marked.

    elbow   [{k (or n_clusters), inertia, silhouette}], the last may be missing or None
    """
    rows = [entry for entry in elbow or () if isinstance(entry, Mapping)]
    keyed = [(number(entry.get("k", entry.get("n_clusters"))), entry) for entry in rows]
    known = sorted(((k, e) for k, e in keyed if np.isfinite(k)), key=lambda pair: pair[0])
    if not known:
        return []
    k, tried = np.array([k for k, _ in known]), [entry for _, entry in known]
    mark = (float(chosen), f"{chosen:,} clusters") if (k == chosen).any() else None
    figures, columns = [], [k]
    for name, title, zero in (("inertia", "Elbow", True), ("silhouette", "Silhouette", False)):
        values = np.array([number(entry.get(name)) for entry in tried])
        columns.append(values)
        if not np.isfinite(values).any():
            continue
        tips = [{"name": "", "axis": "x", "unit": "clusters"}, {"name": name, "axis": "y"}]
        line = Curve(k, values, "--accent" if zero else "--second", 2, len(k) <= 100, tips=tips)
        figures.append(
            curves(
                f"elbow-{name}",
                f"{title} by number of clusters",
                [line],
                summary="The more clusters the less inertia; a bend is a good number."
                if zero
                else "Mean silhouette of a sample; the largest is a good number.",
                x_title="clusters",
                y_title=name,
                from_zero=zero,
                log=None if zero else False,
                marked=mark,
            )
        )
    parts: list = [Row(figures)] if len(figures) > 1 else figures
    return [Section("Number of clusters", [*parts, _tried(columns, chosen)])]


def _tried(columns: list[np.ndarray], chosen: int) -> Table:
    rows = [
        (
            Cell(f"{int(k):,} (chosen)" if k == chosen else f"{int(k):,}"),
            wording.number(float(inertia), 7),
            wording.number(float(silhouette), 3),
        )
        for k, inertia, silhouette in zip(*columns, strict=True)
    ]
    return Table(("clusters", "inertia", "silhouette"), rows[:MOST_ROWS], (1, 2), folded="Tried")

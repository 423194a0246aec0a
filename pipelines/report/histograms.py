"""Histograms of lengths and of distances: where to cut, what to mark, what to say."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipelines.report import wording
from pipelines.report.figures import bars
from pipelines.report.parts import Figure, Table

LENGTH_BINS = 60
DISTANCE_BINS = 100


def length_histogram(lengths: np.ndarray, unit: str = "letters") -> Figure | None:
    """lengths (n,) int. Even bins; growing ones where the longest is over 20 x the shortest."""
    if not len(lengths):
        return None
    low, high, middle = int(lengths.min()), int(lengths.max()), float(np.median(lengths))
    wide = high > 20 * max(low, 1)
    edges = _growing_edges(max(low, 1), high) if wide else _even_edges(low, high)
    counts = np.histogram(np.maximum(lengths, 1) if wide else lengths, edges)[0]
    place = np.log10(edges) if wide else edges
    tips = [
        f"{_span(edges[b], edges[b + 1])} {unit}\n{wording.count(c)} records "
        f"({wording.share(c, len(lengths))})"
        for b, c in enumerate(counts.tolist())
    ]
    summary = (
        f"{wording.count(low)} to {wording.count(high)} {unit}, median {middle:,.0f}."
        if high > low
        else f"Every record has {wording.count(low)} {unit}."
    )
    return bars(
        "lengths",
        "Sequence lengths",
        place[:-1],
        np.diff(place),
        counts,
        summary=summary,
        tips=tips,
        x_title=f"{unit}, on a logarithmic scale" if wide else unit,
        ticks=_decades(edges) if wide else even_ticks(float(edges[0]), float(edges[-1])),
        lines=[(float(np.log10(max(middle, 1)) if wide else middle), f"median {middle:,.0f}")],
    )


def _even_edges(low: int, high: int) -> np.ndarray:
    """Bounds between whole lengths, so that every bin holds equally many of them."""
    step = max(1, -(-(high - low + 1) // LENGTH_BINS))
    return np.arange(low, high + step + 1, step, dtype=float) - 0.5


def _growing_edges(low: int, high: int) -> np.ndarray:
    """Bounds between whole lengths that grow by one factor, as far as whole lengths allow."""
    edges = np.unique(np.geomspace(low, high + 1, LENGTH_BINS).round())
    edges[0], edges[-1] = low, high + 1
    return edges - 0.5


def _span(left: float, right: float) -> str:
    """Whole lengths between two bounds."""
    first, last = int(np.ceil(left)), int(np.ceil(right)) - 1
    return (
        wording.count(first)
        if first >= last
        else f"{wording.count(first)} to {wording.count(last)}"
    )


def _decades(edges: np.ndarray) -> tuple[list[float], list[str]]:
    steps = [m * 10**e for e in range(13) for m in (1, 2, 5)]
    steps = [step for step in steps if edges[0] <= step <= edges[-1]]
    return [float(np.log10(step)) for step in steps], [wording.large(step) for step in steps]


def even_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    raw = (high - low) / 7 or 1.0
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next(m * power for m in (1, 2, 5, 10) if m * power >= raw))
    at = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    digits = max(0, -int(np.floor(np.log10(step))))
    return at.tolist(), [f"{value:,.{digits}f}" for value in at.tolist()]


def distance_histogram(
    values: np.ndarray,
    *,
    unit: str = "distance",
    summary: str = "",
    exact: Sequence[float] = (0.0, 1.0),
    grain: float | None = None,
    what: str = "pairs",
) -> Figure | None:
    """values (m,) float, finite, of so many `what`.

    exact   values that get a bar of their own at the sides: equal sequences, or unrelated ones,
            would otherwise hide everything between
    grain   many values are multiples of it, as those of reads of one length are of 1 / length;
            bins then hold equally many multiples, which even bins would not
    """
    if not len(values):
        return None
    low, high = _range(values)
    inner = values[~np.isin(values, exact)] if len(exact) else values
    edges = _distance_edges(low, high, grain)
    counts = np.histogram(inner, edges)[0]
    left, width = edges[:-1], np.diff(edges)
    tips = [f"{unit} {a:.3g} to {b:.3g}" for a, b in pairwise(edges)]
    ticks = dict(zip(*even_ticks(low, high), strict=True))
    sides = [value for value in exact if value in (low, high)]
    for value in sides:
        side = edges[0] - 0.035 * (high - low) if value == low else edges[-1] + 0.015 * (high - low)
        left, width = np.append(left, side), np.append(width, 0.02 * (high - low))
        counts = np.append(counts, int((values == value).sum()))
        tips.append(f"{unit} exactly {value:g}")
        ticks.pop(value, None)
        ticks[side + 0.01 * (high - low)] = f"= {value:g}"
    middle = float(np.median(values))
    return bars(
        "distances",
        f"Distribution of the {unit}s",
        left,
        width,
        counts,
        summary=summary,
        tips=[
            f"{tip}\n{wording.count(c)} {what} ({wording.share(c, len(values))})"
            for tip, c in zip(tips, counts.tolist(), strict=True)
        ],
        x_title=unit,
        ticks=(list(ticks), list(ticks.values())),
        y_title=what,
        marked=range(len(left) - len(sides), len(left)),
        lines=[(middle, f"median {middle:.3g}")],
    )


def _distance_edges(low: float, high: float, grain: float | None) -> np.ndarray:
    if not grain or grain > (high - low) / 4:
        return np.linspace(low, high, DISTANCE_BINS + 1)
    step = grain * max(1, np.ceil((high - low) / grain / DISTANCE_BINS))
    # half a grain aside: no multiple of it falls on a bound
    return low - grain / 2 + step * np.arange(np.ceil((high - low + grain) / step) + 1)


def _range(values: np.ndarray) -> tuple[float, float]:
    """[0, 1] for a bounded distance, else from 0 (or the smallest) to the largest."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return low, max(high, 1.0) if high <= 1 else high


def quantile_table(values: np.ndarray, unit: str = "distance") -> Table:
    """The distribution for those who want numbers, or have no JavaScript."""
    parts = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
    names = ("smallest", "1 %", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "largest")
    found = np.quantile(values, parts) if len(values) else []
    rows = [(name, f"{value:.4g}") for name, value in zip(names, found, strict=False)]
    return Table(("quantile", unit), rows, numeric=(1,), folded="In numbers")


def seconds_histogram(
    values: np.ndarray, name: str, title: str, what: str, summary: str = ""
) -> Figure | None:
    """values (m,) float seconds, not negative; `what` takes them, in the singular.

    In the unit of their median; growing bins where the longest is over 20 x the median.
    """
    if not len(values):
        return None
    middle = float(np.median(values))
    factor, unit = next(
        ((f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if middle * f >= 1), (1e6, "µs")
    )
    scaled = np.asarray(values, dtype=np.float64) * factor
    low, high = float(scaled.min()), float(scaled.max())
    wide = high > 20 * max(middle * factor, 1e-3)
    edges, place, ticks = _second_edges(low, high, wide)
    scaled = np.maximum(scaled, edges[0])
    counts = np.histogram(scaled, edges)[0]
    tips = [
        f"{a:.4g} to {b:.4g} {unit}\n{wording.count(c)} {what}s ({wording.share(c, len(values))})"
        for (a, b), c in zip(pairwise(edges.tolist()), counts.tolist(), strict=True)
    ]
    at = float(np.log10(max(middle * factor, edges[0])) if wide else middle * factor)
    return bars(
        name,
        title,
        place[:-1],
        np.diff(place),
        counts,
        summary=summary,
        tips=tips,
        x_title=f"{unit} for a {what}" + (", on a logarithmic scale" if wide else ""),
        ticks=ticks,
        y_title=f"{what}s",
        lines=[(at, f"median {wording.seconds(middle)}")],
    )


def _second_edges(low: float, high: float, wide: bool):
    """(bounds of the bins, their places on the page, ticks): logarithmic places where wide."""
    if not wide:
        margin = (high - low) * 1e-6 or max(high * 0.05, 1e-3)
        edges = np.linspace(max(low - margin, 0), high + margin, LENGTH_BINS + 1)
        return edges, edges, even_ticks(float(edges[0]), float(edges[-1]))
    edges = np.geomspace(max(low, high / 1e6) * 0.999, high * 1.001, LENGTH_BINS + 1)
    steps = [m * 10.0**e for e in range(-6, 13) for m in (1, 2, 5)]
    steps = [step for step in steps if edges[0] <= step <= edges[-1]]
    return edges, np.log10(edges), (list(map(math.log10, steps)), [f"{step:,g}" for step in steps])

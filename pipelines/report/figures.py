"""Numbers -> figures: a plotly graph as a plain dict, and a still picture of the same numbers.

Typed arrays travel as base64 (plotly's own form): a third of the size of decimal text.
"""

import base64
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipelines.report import colours, still, wording
from pipelines.report.parts import Figure

MOST_CELLS = 500  # rows and columns of a drawn map
STILL_LEVELS = 64  # colours of the scale in a still map: fewer compress better
STILL_WIDTH = 10_000  # units across a still chart


def typed(values: np.ndarray) -> dict:
    """An array as plotly.js reads it. Floats become f4, NaN is a gap."""
    values = np.ascontiguousarray(values)
    kind = "f4" if values.dtype.kind == "f" else "i4"
    values = values.astype("<" + kind)
    graph = {"dtype": kind, "bdata": base64.b64encode(values.tobytes()).decode("ascii")}
    if values.ndim > 1:
        graph["shape"] = ",".join(map(str, values.shape))
    return graph


def bars(
    name: str,
    title: str,
    left: np.ndarray,
    width: np.ndarray,
    counts: np.ndarray,
    *,
    summary: str,
    tips: Sequence[str],
    x_title: str,
    ticks: tuple[Sequence[float], Sequence[str]],
    y_title: str = "records",
    paint: Sequence[str] = (),
    whole: bool = True,
    marked: Sequence[int] = (),
    lines: Sequence[tuple[float, str]] = (),
) -> Figure:
    """A histogram with bars of any width.

    left, width, counts (m,)   of the bars; `marked` ones stand out, or each has its own `paint`
    whole                      counts are whole numbers: they offer a logarithmic scale
    ticks                      places and texts on the x axis
    lines                      [(place, our own text)]: dotted upright lines
    """
    paint = paint or ["--second" if b in set(marked) else "--accent" for b in range(len(counts))]
    trace = {
        "type": "bar",
        "x": typed(left + width / 2),
        "width": typed(width),
        "y": typed(counts.astype(float)),
        "marker": {"color": list(paint), "line": {"width": 0}},
        "hoverinfo": "none",
    }
    middle = float(left.min() + (left + width).max()) / 2 if len(left) else 0.0
    # no fractions of a record
    few = {"dtick": 1} if whole and counts.max(initial=0) < 6 else {}
    layout = {
        "xaxis": {
            "title": {"text": x_title},
            "tickvals": list(map(float, ticks[0])),
            "ticktext": list(ticks[1]),
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"title": {"text": y_title}, "rangemode": "tozero", "tickformat": ",~g", **few},
        "shapes": [_upright(at) for at, _ in lines],
        "annotations": [_beside(at, text, at > middle) for at, text in lines],
        "bargap": 0,
    }
    return Figure(
        name=name,
        title=title,
        graph={"data": [trace], "layout": layout},
        summary=summary,
        still=_still_bars(left, width, counts, paint, title, _ends(ticks)),
        tips={"texts": [list(tips)]},
        log_top=float(counts.max(initial=0)) if whole else 0,
    )


def _upright(at: float) -> dict:
    line = {"color": "--ink", "width": 1.2, "dash": "dot"}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _beside(at: float, text: str, to_the_left: bool) -> dict:
    side = {"xanchor": "right", "xshift": -4} if to_the_left else {"xanchor": "left", "xshift": 4}
    place = {"x": at, "y": 1, "yref": "paper", "yanchor": "top", **side}
    return {**place, "text": text, "showarrow": False, "font": {"color": "--ink", "size": 12}}


def _ends(ticks) -> tuple[str, ...]:
    """Texts of the leftmost and the rightmost tick."""
    texts = [text for _, text in sorted(zip(*ticks, strict=True))]
    return (texts[0], texts[-1]) if texts else ()


def _still_bars(left, width, counts, paint: Sequence[str], title: str, ends) -> str:
    if not len(counts):
        return ""
    scale = STILL_WIDTH / max(float((left + width).max() - left.min()), 1e-12)
    low, high = min(float(counts.min()), 0.0), max(float(counts.max()), 0.0)
    unit = 1000 / ((high - low) or 1.0)
    top, tall = unit * (high - np.maximum(counts, 0)), unit * np.abs(counts)
    boxes = np.column_stack([(left - left.min()) * scale, top, width * scale * 0.96, tall])
    colour_of = np.array(list(paint))
    layers = [(colour, boxes[colour_of == colour]) for colour in dict.fromkeys(paint)]
    return still.svg(layers, STILL_WIDTH, 1000, title, ends)


def cell_edges(k: int) -> np.ndarray:
    """Bounds of the cells that k ordered records are drawn in: (cells + 1,), at most MOST_CELLS."""
    cells = min(k, MOST_CELLS)
    return np.linspace(0, k, cells + 1).astype(np.int64) if k else np.zeros(1, dtype=np.int64)


def block_mean(distances: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of the present distances in each cell; NaN where a cell has none. Zeros of the diagonal
    are left out where a cell holds anything else: they would paint false nearness.

    distances (k, k) float, edges (m + 1,) -> (m, m) float32
    """
    if len(edges) == len(distances) + 1:
        return distances.astype(np.float32)
    off = distances.copy()
    np.fill_diagonal(off, np.nan)
    present = np.isfinite(off)
    parts = [np.where(present, off, 0).astype(np.float32), present.astype(np.float32)]
    total, number = (
        np.add.reduceat(np.add.reduceat(part, edges[:-1], axis=0), edges[:-1], axis=1)
        for part in parts
    )
    alone = np.where(
        np.eye(len(total), dtype=bool), 0.0, np.nan
    )  # a cell of one record with itself
    return np.where(number > 0, total / np.maximum(number, 1), alone).astype(np.float32)


def heat_map(
    name: str,
    title: str,
    distances: np.ndarray,
    ids: Sequence[str],
    labels: colours.LabelColours | None,
    *,
    summary: str,
    unit: str = "distance",
    ends: tuple[float, float] = (0.0, 1.0),
    near_is_large: bool = False,
) -> Figure:
    """The map of an ordered matrix, a strip of label colours on two sides.

    distances (k, k)   float, in drawing order; NaN = missing
    ids (k,), labels   in the same order
    ends               values at the ends of the scale; beyond them the colour stays
    """
    edges = cell_edges(len(ids))
    values = block_mean(distances, edges)
    codes = None if labels is None else _majority(labels.codes, edges)
    inset = 0.0 if codes is None else 0.03
    scale = colours.plotly_scale()
    trace = {
        "type": "heatmap",
        "meta": "distance-map",
        "z": typed(np.round(values, 4)),
        "zmin": ends[0],
        "zmax": ends[1],
        "colorscale": [[1 - at, colour] for at, colour in reversed(scale)]
        if near_is_large
        else scale,
        "showscale": False,
        "hoverinfo": "none",
    }
    hidden = {"visible": False, "automargin": False}
    layout = {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "plot_bgcolor": "--missing",
        "xaxis": {**hidden, "domain": [inset, 1]},
        "yaxis": {**hidden, "domain": [0, 1 - inset], "autorange": "reversed"},
        "xaxis2": {**hidden, "domain": [0, inset * 0.7], "fixedrange": True},
        "yaxis2": {**hidden, "domain": [1 - inset * 0.7, 1], "fixedrange": True},
    }
    data = [trace]
    if codes is not None:
        data += [_strip(codes[:, None], labels, "left"), _strip(codes[None, :], labels, "top")]
    return Figure(
        name=name,
        title=title,
        graph={"data": data, "layout": layout},
        summary=summary,
        still=_still_map(values, codes, labels, ends, near_is_large),
        tips={"cells": _cell_names(ids, labels, codes, edges), "unit": unit, "digits": 3},
        height=0,
    )


def _majority(codes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Most frequent code within each cell, the smaller one at a tie."""
    cells = pairwise(edges.tolist())
    return np.array([np.bincount(codes[a:b]).argmax() for a, b in cells], dtype=np.int64)


def _strip(codes: np.ndarray, labels: colours.LabelColours, side: str) -> dict:
    n = len(labels.entries)
    steps = [[(code + end) / n, labels.entries[code][0]] for code in range(n) for end in (0, 1)]
    return {
        "type": "heatmap",
        "meta": f"strip-{side}",
        "z": typed(codes.astype(float)),
        "xaxis": "x2" if side == "left" else "x",
        "yaxis": "y2" if side == "top" else "y",
        "zmin": -0.5,
        "zmax": n - 0.5,
        "colorscale": steps,
        "showscale": False,
        "hoverinfo": "none",
    }


def _cell_names(ids, labels, codes, edges) -> list[str]:
    names = []
    for cell, (a, b) in enumerate(pairwise(edges.tolist())):
        name = wording.short(ids[a])
        if b - a > 1:
            name = (
                f"{wording.short(ids[a], 30)} … {wording.short(ids[b - 1], 30)} ({b - a} records)"
            )
        label = None if labels is None else labels.entries[codes[cell]][1]
        names.append(name if label is None else f"{name} · {wording.short(label, 30)}")
    return names


def _still_map(values, codes, labels, ends: tuple[float, float], near_is_large: bool) -> str:
    """The same map as a palette picture: scale, then missing, see-through and label colours."""
    if not len(values):
        return ""
    part = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
    part = 1 - part if near_is_large else part
    missing, clear = STILL_LEVELS, STILL_LEVELS + 1
    levels = np.where(np.isfinite(part), np.nan_to_num(part) * (STILL_LEVELS - 1), missing)
    levels = levels.round().astype(np.uint8)
    enlarge = max(1, MOST_CELLS // len(levels))
    levels = levels.repeat(enlarge, 0).repeat(enlarge, 1)
    palette = [*colours.ramp(STILL_LEVELS), (185, 189, 185), (255, 255, 255)]
    if codes is not None:
        side, gap = max(1, round(len(levels) * 0.0217)), max(1, round(len(levels) * 0.0093))
        strip = (codes + clear + 1).astype(np.uint8).repeat(enlarge)
        framed = np.full((len(levels) + side + gap,) * 2, clear, dtype=np.uint8)
        framed[side + gap :, side + gap :] = levels
        framed[side + gap :, :side] = strip[:, None]
        framed[:side, side + gap :] = strip[None, :]
        levels = framed
        palette += [colours.rgb(entry[0]) for entry in labels.entries]
    return still.png(levels, palette, clear)

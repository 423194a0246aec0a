"""Shepard diagram: how well distances on the map keep the given ones, as a density of pairs."""

from collections.abc import Mapping

import numpy as np

from pipelines.report import colours, still, wording
from pipelines.report.figures import typed
from pipelines.report.histograms import even_ticks
from pipelines.report.parts import Cell, Figure, Legend, Section, Table, Text

BINS = 90  # in each direction
LIGHTEST = 9 / 11  # where the colour scale begins: paler colours would not stand out
MOST_CORNERS = 2_000  # of a line that only rises
STILL_SIDE = 360  # pixels of the still picture


class Pairs:
    """Sampled pairs with both distances.

    delta, distance (m,) float64   given, and on the map; both finite
    slope    the ideal line is distance = slope x delta: 1 for absolute scaling, NaN for ordinal
             scaling, whose ideal is any line that never falls
    total    known pairs in all
    """

    def __init__(self, sample: Mapping | None, scaling: object = "absolute"):
        given = {} if sample is None else {name: sample[name] for name in sample}
        columns = [np.asarray(given.get(name, ()), np.float64) for name in ("delta", "distance")]
        if len(columns[0]) != len(columns[1]):
            raise ValueError(
                f"the Shepard sample has {len(columns[0]):,} given distances and "
                f"{len(columns[1]):,} on the map; they are pairs"
            )
        known = np.isfinite(columns[0]) & np.isfinite(columns[1])
        self.delta, self.distance = (column[known] for column in columns)
        self.slope = 1.0
        squares = float(self.delta @ self.delta)
        if scaling not in (None, "absolute") and squares > 0:
            self.slope = float(self.delta @ self.distance) / squares
        if scaling == "ordinal":
            self.slope = np.nan
        total = given.get("pairs")
        self.total = int(total) if isinstance(total, int | np.integer) else len(self.delta)

    def __len__(self) -> int:
        return len(self.delta)

    @property
    def correlation(self) -> float:
        """Pearson's, NaN where one side is constant."""
        if len(self) < 2 or not np.ptp(self.delta) or not np.ptp(self.distance):
            return np.nan
        return float(np.corrcoef(self.delta, self.distance)[0, 1])

    @property
    def rank_correlation(self) -> float:
        """Spearman's, NaN where one side is constant."""
        if not np.isfinite(self.correlation):
            return np.nan
        from scipy.stats import rankdata

        return float(np.corrcoef(rankdata(self.delta), rankdata(self.distance))[0, 1])


def shepard_section(sample: Mapping | None, scaling: object = "absolute") -> list[Section]:
    """[the section "Shepard diagram"], [] without a sample.

    sample    {"delta": (m,), "distance": (m,)}: given distances of sampled pairs and those on the
              map; a Mapping, such as an open shepard.npz; "pairs", where given, is the
              number of known pairs in all
    scaling   that of the run; for others than 'absolute' the dotted line is fitted
    """
    if sample is None:
        return []
    pairs = Pairs(sample, scaling)
    if not len(pairs):
        return [Section("Shepard diagram", [Text("There is no pair with both distances.")])]
    aside = [
        Text(
            "Each pair of records is in one cell: to the right what was given, upwards what the "
            "map shows. Pairs on the dotted line are shown as they are; below it the map draws "
            "them together, above it apart.",
            tone="quiet",
        ),
        Legend(scale=("many pairs", "one pair")),
        _table(pairs),
    ]
    return [Section("Shepard diagram", [shepard_figure(pairs)], aside)]


def shepard_figure(pairs: Pairs) -> Figure:
    """Density with a logarithmic colour, and the histogram of each distance beside it."""
    across, up = _edges(pairs.delta), _edges(pairs.distance)
    counts = np.histogram2d(pairs.distance, pairs.delta, bins=(up, across))[0]
    heights = np.log10(counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    top = max(float(np.nanmax(heights)), 0.3)
    data = [
        _density(across, up, heights, top),
        _ideal(pairs, across, up),
        _margin(across, counts.sum(axis=0), False),
        _margin(up, counts.sum(axis=1), True),
    ]
    named = ({"name": "given", "axis": "x"}, {"name": "on the map", "axis": "y"})
    tips = [
        [*named, {"name": "", "axis": "z", "raised": 10, "unit": "pairs"}],
        [],
        [named[0], {"name": "", "axis": "y", "unit": "pairs"}],
        [named[1], {"name": "", "axis": "x", "unit": "pairs"}],
    ]
    r = pairs.correlation
    told = f", correlation {wording.three(r)}" if np.isfinite(r) else ""
    told += f", of their ranks {wording.three(pairs.rank_correlation)}" if told else ""
    return Figure(
        name="shepard",
        title="Given distances against those on the map",
        graph={"data": data, "layout": _layout(across, up)},
        summary=f"{_scope(pairs)}{told}.",
        still=_still(heights, top),
        tips={"columns": tips},
        height=0,
    )


def _scope(pairs: Pairs) -> str:
    m = len(pairs)
    if pairs.total > m:
        return f"A sample of {wording.count(m)} of {wording.large(pairs.total)} pairs"
    return f"{wording.count(m)} pair{'' if m == 1 else 's'}"


def _edges(values: np.ndarray) -> np.ndarray:
    """Bounds of the cells from 0 (or below) to the largest value."""
    low, high = min(0.0, float(values.min())), float(values.max())
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)


def _middles(edges: np.ndarray) -> np.ndarray:
    return (edges[1:] + edges[:-1]) / 2


def _density(across, up, heights: np.ndarray, top: float) -> dict:
    scale = [[1 - at / LIGHTEST, colour] for at, colour in _dark_scale()]
    return {
        "type": "heatmap",
        "meta": "density",
        "x": typed(_middles(across)),
        "y": typed(_middles(up)),
        "z": typed(np.round(heights, 4)),
        "zmin": 0,
        "zmax": top,
        "colorscale": sorted(scale),
        "showscale": False,
        "hoverinfo": "none",
        "hoverongaps": False,
    }


def _dark_scale() -> list[list]:
    """The part of the scale that stands out from a white page."""
    return [entry for entry in colours.plotly_scale() if entry[0] <= LIGHTEST + 1e-9]


def ideal_line(pairs: Pairs, right: float, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners (x, y) of the line on which a perfect map has its pairs, up to right and top."""
    if np.isnan(pairs.slope):
        from scipy.optimize import isotonic_regression

        order = np.lexsort((pairs.distance, pairs.delta))
        order = order[:: -(-len(order) // MOST_CORNERS)]
        return pairs.delta[order], isotonic_regression(pairs.distance[order]).x
    end = min(right, top / pairs.slope) if pairs.slope > 0 else right
    return np.array([0.0, end]), np.array([0.0, end * pairs.slope])


def _ideal(pairs: Pairs, across, up) -> dict:
    x, y = ideal_line(pairs, float(across[-1]), float(up[-1]))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": typed(x),
        "y": typed(y),
        "line": {"color": "--ink", "width": 1.2, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _margin(edges: np.ndarray, counts: np.ndarray, lying: bool) -> dict:
    place, length = ("y", "x") if lying else ("x", "y")
    return {
        "type": "bar",
        "orientation": "h" if lying else "v",
        place: typed(_middles(edges)),
        length: typed(counts.astype(float)),
        "width": float(edges[1] - edges[0]),
        "marker": {"color": "--accent", "line": {"width": 0}},
        "xaxis": "x2" if lying else "x",
        "yaxis": "y" if lying else "y2",
        "hoverinfo": "none",
    }


def _layout(across: np.ndarray, up: np.ndarray) -> dict:
    hidden = {"visible": False, "automargin": False, "fixedrange": True, "rangemode": "tozero"}
    axis = {"showgrid": False, "zeroline": False}
    return {
        "xaxis": {**axis, **_ticks(across), "title": {"text": "given distance"},
                  "domain": [0, 0.86], "range": [float(across[0]), float(across[-1])]},
        "yaxis": {**axis, **_ticks(up), "title": {"text": "distance on the map"},
                  "domain": [0, 0.86], "range": [float(up[0]), float(up[-1])]},
        "xaxis2": {**hidden, "domain": [0.875, 1], "anchor": "y"},
        "yaxis2": {**hidden, "domain": [0.875, 1], "anchor": "x"},
        "margin": {"l": 52, "r": 4, "t": 4, "b": 44},
    }  # fmt: skip


def _ticks(edges: np.ndarray) -> dict:
    at, texts = even_ticks(float(edges[0]), float(edges[-1]))
    return {"tickvals": at, "ticktext": texts}


def _still(heights: np.ndarray, top: float) -> str:
    """The density alone; a row of cells above the other, the first one below."""
    steps = 64
    part = np.clip(np.nan_to_num(heights[::-1]) / top, 0, 1)
    levels = np.where(np.isfinite(heights[::-1]), (1 - part) * (steps - 1), steps)
    enlarge = max(1, STILL_SIDE // BINS)
    levels = levels.round().astype(np.uint8).repeat(enlarge, 0).repeat(enlarge, 1)
    ramp = colours.ramp(round(steps / LIGHTEST))[:steps]
    return still.png(levels, [*ramp, (255, 255, 255)], clear=steps)


def _table(pairs: Pairs) -> Table:
    """How far pairs of each span of given distances are off, in numbers."""
    edges = np.linspace(float(pairs.delta.min()), float(pairs.delta.max()), 6)
    edges[-1] = np.nextafter(edges[-1], np.inf)
    group = np.clip(np.searchsorted(edges, pairs.delta, "right") - 1, 0, 4)
    most = int(np.bincount(group).max())
    rows = []
    for g in np.unique(group).tolist():
        of = group == g
        ends = f"{edges[g]:.2g} – {edges[g + 1]:.2g}"
        shown = f"{np.median(pairs.distance[of]):.3g}"
        rows.append((ends, Cell("", share=int(of.sum()) / most), shown))
    return Table(("given", "pairs", "median on the map"), rows, (2,))

"""Silhouettes of clusters: how much nearer a point is to its own cluster than to the next one."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import colours
from pipelines.report.figures import bars
from pipelines.report.iteration_rows import number
from pipelines.report.parts import Section

MOST_BARS = 500
MOST_NAMED = 40


def mean_silhouette(run: Mapping) -> float:
    """The mean silhouette in run.json, NaN where there is none."""
    return number(run.get("silhouette"))


def silhouette_section(run: Mapping, cluster_colours: np.ndarray, first: int = 0) -> list[Section]:
    """[the section "Silhouette"] where run.json has "silhouettes", a number for each cluster.

    cluster_colours (k,) int   places in the categories of colours
    first                      number of the first cluster
    """
    found = run.get("silhouettes")
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    values = np.array([number(value) for value in found], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values[: len(cluster_colours)]))
    if not len(known):
        return []
    order = known[np.lexsort((known, -values[known]))]
    shown = order if len(order) <= MOST_BARS else np.r_[order[:250], order[-250:]]
    m = len(shown)
    named = m <= MOST_NAMED
    mean = mean_silhouette(run)
    text = f"Mean {mean:.3f} over a sample of the points" if np.isfinite(mean) else "Of a sample"
    text += ". 1: far from the next cluster; 0: on the border; below: nearer to another one."
    text += "" if m == len(order) else f" The 250 best and the 250 worst of {len(order):,}."
    figure = bars(
        "silhouettes",
        "Mean silhouette of each cluster",
        np.arange(m) - (0.4 if named else 0.5),
        np.full(m, 0.8 if named else 1.0),
        values[shown],
        summary=text,
        tips=[f"cluster {c + first}\nsilhouette {values[c]:.3f}" for c in shown.tolist()],
        x_title="cluster" if named else "clusters, the best first",
        ticks=(range(m), [str(c + first) for c in shown.tolist()]) if named else ([], []),
        y_title="silhouette",
        paint=[colours.CATEGORIES[cluster_colours[c]] for c in shown.tolist()] if named else (),
        whole=False,
    )
    return [Section("Silhouette", [figure])]

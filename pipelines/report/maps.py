"""The section with the map of points, of every application that makes or extends one."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.cloud import CLUSTER, Category, Drawn
from pipelines.report.parts import Section, Table, Text
from pipelines.report.viewer import viewer


def map_section(points: Drawn, n: int, colour_by: str | None = None) -> Section:
    """The viewer, and the colours as a table for readers without scripts.

    n           points in all
    colour_by   the column shown first; None: the clusters, else a label, else the first one
    """
    if not len(points.rows):
        return Section("Map", [Text("There are no points to show.")])
    chosen = colour_by or _first(points)
    part = viewer("map", "Points", points, summary=_summary(points, n), colour_by=chosen)
    return Section("Map", [part, *_tables(points)])


def _first(points: Drawn) -> str | None:
    names = [column.name for column in points.columns]
    categories = [c.name for c in points.columns if isinstance(c, Category)]
    return next(iter([name for name in (CLUSTER,) if name in names] + categories + names), None)


def _summary(points: Drawn, n: int) -> str:
    m, d = len(points.rows), points.dimensions
    who = f"All {wording.count(m)} points" if m > 1 else "The one point"
    if m < n - points.unseen:
        who = f"A random sample of {wording.count(m)} of {wording.count(n)} points"
    how = "" if d <= 3 else f", on three principal axes of {wording.count(d)}"
    how = ", their height at random" if d == 1 else how
    told = f"{who}{how}; what is near is alike, directions mean nothing"
    if points.placed is not None:
        told += f"; {wording.count(int(points.placed.sum()))} of them were placed onto the others"
    if points.unseen:
        told += f"; {wording.count(points.unseen)} have no place and are not shown"
    return f"{told}."


def _tables(points: Drawn) -> list[Table]:
    """Categories with their sizes; numbers as quantiles."""
    tables = []
    for column in points.columns:
        name = f"Colours: {column.name}"
        if not isinstance(column, Category):
            known = column.values[np.isfinite(column.values)]
            if len(known):
                marks = (0, 0.25, 0.5, 0.75, 1)
                found = [wording.number(v, 5) for v in np.quantile(known, marks).tolist()]
                heads = ("smallest", "25 %", "median", "75 %", "largest")
                tables.append(Table(heads, [found], range(5), folded=name))
    return tables


def columns_with(
    columns: Mapping[str, Sequence] | None, **first: Sequence | np.ndarray | None
) -> dict[str, Sequence]:
    """Columns by name, those of `first` that are not None ahead of the others."""
    known = {name: values for name, values in first.items() if values is not None}
    return known | {name: v for name, v in (columns or {}).items() if name not in known}


def joined(first: Sequence | None, n: int, second: Sequence | None, m: int) -> Sequence:
    """A column of n records and one of m others as one; what is missing is None or NaN."""
    arrays = [v for v in (first, second) if isinstance(v, np.ndarray) and v.dtype.kind in "iuf"]
    gap = np.nan if arrays and (first is None or second is None) else None
    if len(arrays) == 2 or (arrays and gap is not None):
        pair = ((first, n), (second, m))
        return np.concatenate([np.full(c, gap) if v is None else v for v, c in pair])
    return [*([None] * n if first is None else first), *([None] * m if second is None else second)]

"""Points in the XML of PlotViz and WebPlotViz: clusters and their colours, then the points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

import numpy as np

from pipelines.formats.distances import printable

POINTS_AT_ONCE = 4096
_SHAPE = 3  # a sphere
_PLOT = (
    "<plot><title>{}</title><pointsize>1</pointsize>"
    "<glyph><visible>1</visible><scale>1</scale></glyph>"
    "<camera><focumode>0</focumode><focus><x>0</x><y>0</y><z>0</z></focus></camera></plot>\n"
)


def plotviz(
    title: str, places: np.ndarray, ids: Sequence[str], groups: np.ndarray,
    named: Sequence[tuple[str, str]],
) -> Iterator[str]:  # fmt: skip
    """The document in pieces.

    places (n, 3)   finite; ids (n,)
    groups (n,)     number of each point's cluster
    named           (name, colour as #rrggbb) of each cluster
    """
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<plotviz>\n{_PLOT.format(_text(title))}'
    yield "<clusters>\n"
    for key, (name, colour) in enumerate(named):
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        yield (
            f"<cluster><key>{key}</key><label>{_text(name)}</label><visible>1</visible>"
            f'<default>0</default><color r="{red}" g="{green}" b="{blue}" a="255"/>'
            f"<size>1</size><shape>{_SHAPE}</shape></cluster>\n"
        )
    yield "</clusters>\n<points>\n"
    for start in range(0, len(places), POINTS_AT_ONCE):
        part = slice(start, start + POINTS_AT_ONCE)
        rows = zip(ids[part], groups[part].tolist(), places[part].tolist(), strict=True)
        yield "".join(
            f"<point><key>{key}</key><clusterkey>{group}</clusterkey><label>{_text(name)}</label>"
            f'<location x="{x!r}" y="{y!r}" z="{z!r}"/></point>\n'
            for key, (name, group, (x, y, z)) in enumerate(rows, start)
        )
    yield "</points>\n</plotviz>\n"


def _text(text: str) -> str:
    """As XML holds it: without control letters, which no escape allows."""
    return escape(printable(text))

"""What a page is made of: plain records, shown by page.html."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Number:
    """One result in the headline: '28,645' over 'records', a remark beneath."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell with a bar behind it (share in 0..1) or a square of colour before it."""

    text: str
    share: float | None = None
    colour: str | None = None
    code: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of texts or Cells. `numeric` names the columns that are aligned right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numeric: Sequence[int] = ()
    caption: str = ""
    folded: str = ""  # a title: the table hides behind it
    kind: str = "table"


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` is '' or 'quiet'."""

    text: str
    tone: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Verbatim:
    """Text as it is, folded behind a title or with a copy button."""

    text: str
    folded: str = ""
    copy: bool = False
    kind: str = "verbatim"


@dataclass(frozen=True)
class Legend:
    """Squares of colour with names; `scale` is the texts at the ends of the colour scale."""

    entries: Sequence[tuple[str, str]] = ()  # (CSS colour, name)
    scale: tuple[str, str] | None = None
    kind: str = "legend"


@dataclass(frozen=True)
class Figure:
    """A picture. `graph` is a plotly figure as a dict; a colour like '--accent' is the page's own,
    light or dark; `tips` are the texts at the pointer (page.js tells the forms)."""

    name: str
    title: str
    graph: dict
    summary: str  # what it shows, in a sentence; also read out by screen readers
    still: str = ""  # from pipelines.report.still
    tips: dict = field(default_factory=dict)
    height: int = 280  # pixels; 0 = square
    log_top: float = 0  # the largest count or value: offers a logarithmic scale up to it
    log_low: float = 0.6  # where that scale begins: below one, so that a bar of one is seen
    kind: str = "figure"


@dataclass(frozen=True)
class Viewer:
    """Points that the reader turns, from pipelines.report.viewer; `still` and `legend` are what a
    page without scripts shows."""

    name: str
    title: str
    data: dict  # small numbers and texts of our own
    places: str  # base64 of float32 (m, 3)
    columns: str  # base64 of gzipped JSON: ids and columns
    summary: str
    still: str = ""
    legend: Sequence[tuple[str, str]] = ()
    kind: str = "viewer"


@dataclass(frozen=True)
class Row:
    """Parts side by side where the window is wide enough."""

    parts: Sequence[object]
    kind: str = "row"


@dataclass(frozen=True)
class Section:
    title: str
    parts: Sequence[object]
    aside: Sequence[object] = ()  # stands beside the parts where the window is wide enough
    intro: str = ""

    @property
    def anchor(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())

"""One offline HTML page of a run: headline, warnings, sections, provenance.

An application hands over its sections as the plain records of parts.py; what they mean is its own.

    build(run, title="K-means", numbers=[Number("clusters", "8")], sections=[Section(...)]) -> bytes

Safety, since record ids are foreign text: the template escapes every text; data for the pictures
is JSON whose `<`, `>`, `&` are written as escapes, or base64; and should both fail, the policy in
the page lets only the scripts run whose hashes it names, and lets nothing be fetched.
"""

import base64
import gzip
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from pipelines.report import wording
from pipelines.report.parts import Figure, Number, Section
from pipelines.report.provenance import provenance_parts

MOST_WARNINGS = 100
MOST_COMMAND = 4_000  # letters of the command line that are shown
# one script, before the figures', so that the points are seen first
VIEWING = ("viewer_paint.js", "viewer_save.js", "viewer_panel.js", "viewer_hands.js", "viewer.js")


def build(
    run: Mapping,
    *,
    title: str,
    subtitle: str = "",
    numbers: Sequence[Number] = (),
    sections: Sequence[Section] = (),
    warnings: Sequence[str] = (),
    citation: str = "",
) -> bytes:
    """The page as UTF-8 bytes; the same for the same arguments.

    run        run.json as a dict (schema 1); any key may be missing
    warnings   of the report itself; they follow those of the run
    """
    sections = [*sections, Section("Provenance", provenance_parts(run, citation))]
    figures = _of_kind(sections, "figure")
    library = _library() if figures else ""
    script, style = _own("page.js"), _own("page.css")
    viewing = ""
    if _of_kind(sections, "viewer"):
        viewing = "\n".join(map(_own, VIEWING))
        style += _own("viewer.css")
    told = [*map(_warning, run.get("warnings") or ()), *warnings]
    page = _template().render(
        title=title,
        subtitle=subtitle,
        app=wording.clean(run.get("app", "")),
        status=wording.clean(run.get("status", "unknown")),
        command=_command(run),
        warnings=told[:MOST_WARNINGS],
        more_warnings=max(0, len(told) - MOST_WARNINGS),
        numbers=numbers,
        sections=sections,
        drawings={part.name: _drawing(part) for part in figures},
        style=Markup(style),
        script=Markup(script),
        viewing=Markup(viewing),
        library=Markup(_packed(library)) if library else "",
        allowed=_allowed(viewing, script, library),
    )
    return page.encode("utf-8", "replace")


def _of_kind(sections: Sequence[Section], kind: str) -> list:
    """All parts of one kind."""
    return [
        part
        for section in sections
        for entry in (*section.parts, *section.aside)
        for part in getattr(entry, "parts", (entry,))
        if getattr(part, "kind", "") == kind
    ]


def _allowed(*scripts: str) -> Markup:
    return Markup(" ".join(f"'sha256-{_sha256(text)}'" for text in scripts if text))


def _drawing(part: Figure) -> dict:
    logs = {"log_top": part.log_top, "log_low": part.log_low}
    return {"graph": part.graph, "tips": part.tips, **logs}


def _warning(entry: object) -> str:
    """A warning of run.json: a text, or a dict with one."""
    if isinstance(entry, Mapping):
        entry = entry.get("text") or entry.get("message") or json.dumps(entry, default=str)
    return wording.short(entry, 1_000)


def _command(run: Mapping) -> str:
    argv = run.get("argv") or ""
    line = shlex.join(map(str, argv)) if isinstance(argv, list | tuple) else str(argv)
    return wording.short(line, MOST_COMMAND)


@cache
def _template():
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipelines.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,  # NaN is no JSON; missing values travel in typed arrays
        "sort_keys": True,
        "separators": (",", ":"),
    }
    return environment.get_template("page.html")


@cache
def _own(name: str) -> str:
    return files("pipelines.report").joinpath(name).read_text("utf-8")


@cache
def _library() -> str:
    """The plotly.js of the installed plotly package (MIT; its notice is in its first lines)."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")


@cache
def _packed(text: str) -> str:
    """gzip in base64: 2 MB instead of 4.8, and no letter in it that could end a script element."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 6, mtime=0)).decode("ascii")


@cache
def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

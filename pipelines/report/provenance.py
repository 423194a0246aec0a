"""Where a result comes from: settings, inputs, versions, machine, outputs and run.json, folded."""

import json
from collections.abc import Mapping, Sequence

from pipelines.report import wording
from pipelines.report.parts import Table, Text, Verbatim

MOST_JSON = 200_000  # letters of run.json that are shown; the file itself lies beside the report


def provenance_parts(run: Mapping, citation: str) -> list:
    """Parts of the last section; what run.json lacks is left out."""
    parts: list = []
    if citation:
        parts.append(Text("Please cite:", tone="quiet"))
        parts.append(Verbatim(citation, copy=True))
    settings = [(name, *_setting(entry)) for name, entry in mapping(run, "config").items()]
    tables = [
        Table(("option", "value", "set by"), _texts(settings), folded="Settings"),
        _records(run.get("inputs"), "Input"),
        Table(("package", "version"), _texts(mapping(run, "versions").items()), folded="Versions"),
        Table(("", ""), _texts(mapping(run, "host").items()), folded="Machine"),
        _records(run.get("outputs"), "Output"),
    ]
    parts.extend(table for table in tables if table.rows)
    text = json.dumps(run, indent=2, ensure_ascii=False, default=str)
    if len(text) > MOST_JSON:
        text = text[:MOST_JSON] + f"\n… and {wording.count(len(text) - MOST_JSON)} letters more"
    text = "\n".join(map(wording.clean, text.split("\n")))
    parts.append(Verbatim(text, folded="run.json"))
    return parts


def mapping(run: Mapping, name: str) -> Mapping:
    """A part of run.json that should be a dict, {} where it is not."""
    value = run.get(name)
    return value if isinstance(value, Mapping) else {}


def setting(run: Mapping, name: str) -> object:
    """The value of an option of the run, None where it is not told."""
    return _setting(mapping(run, "config").get(name))[0]


def _setting(entry: object) -> tuple[object, object]:
    """An option of run.json: {value, origin}, or the bare value."""
    if isinstance(entry, Mapping) and "value" in entry:
        return entry["value"], entry.get("origin", "")
    return entry, ""


def _texts(rows) -> list[list[str]]:
    return [[_text(value) for value in row] for row in rows]


def _text(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else wording.short(value, 200)


def _records(entries: object, title: str):
    """A list of dicts as one table whose columns are all their keys, in order of appearance."""
    if isinstance(entries, Mapping):
        entries = [
            {"name": name, **(entry if isinstance(entry, Mapping) else {"value": entry})}
            for name, entry in entries.items()
        ]
    entries = entries if isinstance(entries, Sequence) and not isinstance(entries, str) else []
    entries = [entry if isinstance(entry, Mapping) else {"name": entry} for entry in entries][:100]
    columns = list(dict.fromkeys(str(key) for entry in entries for key in entry))
    rows = [[_text(entry.get(column)) for column in columns] for entry in entries]
    return Table([wording.short(column) for column in columns], rows, folded=title)

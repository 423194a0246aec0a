"""How a run went: seconds by phase, blocks by worker, what was lost and repeated."""

from collections.abc import Mapping, Sequence

from pipelines.report import wording
from pipelines.report.parts import Cell, Legend, Section, Table, Text
from pipelines.report.provenance import mapping
from pipelines.report.timeline import kind_colours, noun, timeline


def whole_seconds(run: Mapping) -> float | None:
    """Seconds of the command, else the sum of its phases."""
    if isinstance(run.get("seconds"), int | float):
        return float(run["seconds"])
    spent = [value for value in mapping(run, "phases").values() if isinstance(value, int | float)]
    return float(sum(spent)) if spent else None


def run_section(run: Mapping, blocks: Sequence[Mapping]) -> Section:
    """The section "Run" of any application; blocks as in `timeline`."""
    lost = run.get("workers_lost")
    figure = timeline(blocks, lost if isinstance(lost, Sequence) else ())
    kinds = [
        (f"var({colour})", wording.short(kind)) for kind, colour in kind_colours(blocks).items()
    ]
    by_kind = figure is not None and figure.graph["data"][0]["type"] == "bar" and len(kinds) > 1
    drawn = [figure] if figure else []
    parts = [*_phases(run), *drawn, *([Legend(kinds)] if by_kind else []), *_workers(blocks)]
    return Section("Run", parts or [Text("The run left no times.")], intro=_run_intro(run))


def _phases(run: Mapping) -> list[Table]:
    found = mapping(run, "phases").items()
    phases = {name: float(value) for name, value in found if isinstance(value, int | float)}
    whole = sum(phases.values()) or 1.0
    rows = [
        (
            wording.short(name),
            Cell("", share=value / whole),
            wording.seconds(value),
            wording.share(value, whole),
        )
        for name, value in phases.items()
    ]
    return [Table(("phase", "", "time", "share"), rows, (2, 3))] if rows else []


def _run_intro(run: Mapping) -> str:
    blocks, remarks = mapping(run, "blocks"), []
    if isinstance(blocks.get("done"), int):
        remarks.append(f"{wording.count(blocks['done'])} blocks done")
    if blocks.get("repeated"):
        remarks.append(f"{wording.count(blocks['repeated'])} repeated")
    lost = run.get("workers_lost")
    n_lost = len(lost) if isinstance(lost, Sequence) and not isinstance(lost, str) else lost
    if n_lost:
        remarks.append(f"{n_lost} worker{'' if n_lost == 1 else 's'} lost and replaced")
    return ", ".join(remarks) + "." if remarks else ""


def _workers(blocks: Sequence[Mapping]) -> list[Table]:
    """Blocks and busy seconds of each worker, the busiest first; at most 100 of them."""
    spent: dict[str, list[float]] = {}
    for block in blocks:
        if block.get("started") is not None and block.get("stopped") is not None:
            spent.setdefault(str(block.get("worker", "")), []).append(
                block["stopped"] - block["started"]
            )
    if not spent:
        return []
    ranked = sorted(spent, key=lambda name: (-sum(spent[name]), name))[:100]
    most = sum(spent[ranked[0]]) or 1.0
    rows = [
        (
            wording.short(name),
            wording.count(len(spent[name])),
            Cell("", share=sum(spent[name]) / most),
            wording.seconds(sum(spent[name])),
        )
        for name in ranked
    ]
    return [Table(("worker", noun(blocks), "", "at work"), rows, (1, 3), folded="Workers")]

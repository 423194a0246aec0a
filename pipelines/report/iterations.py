"""How the iterations of any application ran: the four figures that tell an engine's quality.

Histogram of task times, number of executing tasks over time, overhead between iterations, the
first iteration against later ones: those that Gunarathne et al. (2013, Future Generation Computer
Systems 29(4)) showed of Twister4Azure.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.iteration_figures import (
    ENVELOPES,
    PIECES,
    executing,
    first_and_later,
    overhead,
    task_times,
)
from pipelines.report.iteration_rows import Iterations, pieces
from pipelines.report.partitions import records
from pipelines.report.parts import Cell, Legend, Row, Section, Table, Text


def iteration_section(rows: Sequence[Mapping], timeline: Sequence[Mapping] = ()) -> Section:
    """The section "Iterations" of any iterative application.

    rows       [{run, iteration, started, mapped, stopped, seconds: (of each rank's map)}]
    timeline   [{worker, started, stopped, kind}] of the tasks, epoch seconds; 'chunk' and 'gang'
               hold maps which the rows tell, 'map' are maps of iterations or of single passes
    """
    told = Iterations(rows)
    if not len(told):
        return Section("Iterations", [Text("The run left no record of its iterations.")])
    figures = [task_times(told), executing(told, timeline), overhead(told), first_and_later(told)]
    shown = [figure for figure in figures if figure is not None]
    parts: list = [Row(shown[n : n + 2]) for n in range(0, len(shown), 2)]
    if pieces(told):
        parts.append(Legend([(f"var({colour})", piece) for piece, colour in PIECES.items()]))
    return Section("Iterations", [*parts, *_tables(told)], intro=_intro(told))


def iteration_spans(told: Iterations, workers: Sequence[str] = ()) -> list[dict]:
    """Tasks for a timeline: for each run and rank one from its first iteration to its last.

    workers   names of the ranks, where they are known for as many as there are
    """
    ranks = told.seconds.shape[1]
    names = list(workers) if len(workers) == ranks else [f"rank {rank}" for rank in range(ranks)]
    spans = []
    for run in np.unique(told.run).tolist():
        of = (told.run == run) & np.isfinite(told.started) & np.isfinite(told.stopped)
        for rank, name in enumerate(names):
            at_work = of & told.known[:, rank]
            if at_work.any():
                ends = {
                    "started": told.started[at_work].min(),
                    "stopped": told.stopped[at_work].max(),
                }
                spans.append({"worker": name, "kind": "iterations", **ends})
    return spans


def with_iterations(
    run: Mapping, told: Iterations, timeline: Sequence[Mapping] | None
) -> list[Mapping]:
    """The tasks of a timeline, and the iterations where no task holds them."""
    tasks = [task for task in timeline or () if isinstance(task, Mapping)]
    if any(task.get("kind") in (*ENVELOPES, "map") for task in tasks):
        return tasks
    workers = [str(worker.get("name", "")) for worker in records(run, "workers")]
    return [*tasks, *iteration_spans(told, workers)]


def _intro(told: Iterations) -> str:
    n, runs = len(told), len(np.unique(told.run))
    text = f"{wording.count(n)} iteration{'' if n == 1 else 's'}"
    text += f" in {wording.count(runs)} runs" if runs > 1 else ""
    whole, spent = float(np.nansum(told.whole)), float(np.nansum(told.overhead))
    if whole > 0:
        text += f" took {wording.seconds(whole)}; {wording.share(spent, whole)} of that was not "
        text += "spent in the slowest rank's map"
    return text + "."


def _tables(told: Iterations) -> list[Table]:
    tables = []
    rows = pieces(told)
    if rows:
        spent = [(name, *map(wording.seconds, (*values, values.sum()))) for name, values in rows]
        columns = ("iteration", *PIECES, "in all")
        tables.append(Table(columns, spent, (1, 2, 3, 4), folded="First and later in numbers"))
    ranks = told.seconds.shape[1]
    if ranks > 1:
        tables.append(_ranks(told))
    return tables


def _ranks(told: Iterations) -> Table:
    """How evenly the maps were spread; at most 200 ranks."""
    total = np.nansum(told.seconds, axis=0)
    most = float(total.max()) or 1.0
    slowest = np.where(told.known, told.seconds, -1).argmax(axis=1)[told.known.any(axis=1)]
    often = np.bincount(slowest, minlength=len(total))
    rows = []
    for rank in range(min(len(total), 200)):
        of_rank = told.seconds[told.known[:, rank], rank]
        if len(of_rank):
            spent = float(total[rank])
            often_text = wording.share(int(often[rank]), len(slowest))
            middle = wording.seconds(float(np.median(of_rank)))
            bar = Cell("", share=spent / most)
            rows.append((str(rank), bar, wording.seconds(spent), middle, often_text))
    columns = ("rank", "", "maps in all", "median map", "slowest in")
    return Table(columns, rows, (0, 2, 3, 4), folded="Ranks")

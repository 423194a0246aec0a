"""Where the data lay while the iterations ran: partitions, ranks, rollbacks, losses, workers."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from pipelines.report import wording
from pipelines.report.iteration_rows import number
from pipelines.report.parts import Cell, Section, Table, Text
from pipelines.report.provenance import mapping

MOST_ROWS = 200
COUNTED = (  # keys of the facts on partitions, what they are, in the order shown
    ("partitions", "partitions"),
    ("bytes", "data in partitions"),
    ("source_reads", "read from the source"),
    ("memory_hits", "found in memory"),
    ("disk_hits", "found in the disk cache"),
    ("spilled_bytes", "written to the disk cache"),
    ("moved", "moved to another worker"),
    ("reloaded", "loaded anew after a loss"),
)


def data_section(run: Mapping) -> Section:
    """The section "Data and workers"; what run.json lacks is left out."""
    parts = [*_executor(run), *_partitions(run), *_ranks(run), *_troubles(run), *_workers(run)]
    return Section("Data and workers", parts or [Text("The run left no record of its data.")])


def _executor(run: Mapping) -> list[Text]:
    told = mapping(run, "executor")
    if not told.get("name"):
        return []
    reason = f": {wording.short(told['reason'], 300)}" if told.get("reason") else ""
    return [Text(f"Executor {wording.short(told['name'], 20)}{reason}.", tone="quiet")]


def records(run: Mapping, name: str) -> list[Mapping]:
    """A list of dicts in run.json, [] where it is not."""
    value = run.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value if isinstance(entry, Mapping)]


def how_many(run: Mapping, name: str) -> int:
    """What run.json counts or lists under a name."""
    value = run.get(name)
    if isinstance(value, int | float):
        return int(value)
    return len(value) if isinstance(value, Sequence) and not isinstance(value, str) else 0


def _partitions(run: Mapping) -> list[Table]:
    facts = mapping(run, "partitions")
    found = {key: number(facts.get(key)) for key, _ in COUNTED}
    rows = []
    for key, what in COUNTED:
        value = found[key]
        if np.isfinite(value):
            text = wording.nbytes(value) if key.endswith("bytes") else wording.count(value)
            rows.append((what, text, _remark(key, found)))
    return [Table(("", "", ""), rows, (1,), caption="Partitions")] if rows else []


def _remark(key: str, found: Mapping[str, float]) -> str:
    """What a number means beside the others."""
    partitions, value = found["partitions"], found[key]
    if not np.isfinite(partitions) or partitions <= 0:
        return ""
    if key == "bytes":
        return f"{wording.nbytes(value / partitions)} each"
    if key == "source_reads":
        again = value - partitions
        return "each once" if again == 0 else f"{wording.count(again)} again" if again > 0 else ""
    if key in ("memory_hits", "disk_hits"):
        uses = sum(found[hits] for hits in ("memory_hits", "disk_hits") if np.isfinite(found[hits]))
        return f"{wording.share(value, uses)} of all uses after loading" if uses else ""
    return ""


def _ranks(run: Mapping) -> list[Table]:
    """Chunks of iterations; neighbours with the same ranks share a row."""
    rows, done = [], 0
    for ranks, group in groupby(records(run, "chunks"), key=_rank_names):
        chunks = list(group)
        counts = [number(chunk.get("n_iter")) for chunk in chunks]
        overheads = [number(chunk.get("overhead_s")) for chunk in chunks]
        overheads = [value for value in overheads if np.isfinite(value)]
        rows.append(
            (
                wording.count(done + 1)
                if len(chunks) == 1
                else f"{done + 1:,}–{done + len(chunks):,}",
                wording.count(np.nansum(counts)),
                wording.count(len(ranks)),
                wording.listing(ranks, 8),
                wording.seconds(float(np.median(overheads))) if overheads else "",
            )
        )
        done += len(chunks)
    columns = ("chunks", "iterations", "ranks", "workers", "overhead of a chunk, median")
    shown = rows[:MOST_ROWS]
    return [Table(columns, shown, (1, 2, 4), folded="Ranks by chunk")] if rows else []


def _rank_names(chunk: Mapping) -> tuple[str, ...]:
    ranks = chunk.get("workers", chunk.get("ranks"))
    if isinstance(ranks, Sequence) and not isinstance(ranks, str):
        return tuple(map(str, ranks))
    return tuple(f"rank {n}" for n in range(ranks)) if isinstance(ranks, int) else ()


def _troubles(run: Mapping) -> list[Table | Text]:
    """Rollbacks and lost workers one by one, checkpoints in a sentence."""
    parts: list[Table | Text] = []
    rows = []
    for entry in records(run, "rollbacks"):
        where = f"to iteration {wording.short(entry.get('iteration', '?'), 12)}"
        rows.append(("rolled back", where, wording.short(entry.get("error", ""), 300)))
    for entry in records(run, "workers_lost"):
        name = entry.get("worker", entry.get("name", ""))
        rows.append(("worker lost", wording.short(name), ""))
    for entry in records(run, "moves"):
        moves, reason = number(entry.get("moves")), wording.short(entry.get("reason", ""))
        what = f"{moves:,.0f} partitions" if np.isfinite(moves) else ""
        rows.append(("moved", what, reason))
    for entry in records(run, "backups"):
        where = f"on {wording.short(entry.get('worker', '?'))}"
        rows.append(("backup attempt", where, wording.short(entry.get("key", ""), 40)))
    counts = {
        "rolled back": how_many(run, "rollbacks") - len(records(run, "rollbacks")),
        "worker lost": how_many(run, "workers_lost") - len(records(run, "workers_lost")),
    }
    rows += [(what, f"{n:,} times", "") for what, n in counts.items() if n > 0]
    if rows:
        table = Table(("", "", ""), rows[:MOST_ROWS], caption="Rollbacks, losses, moves")
        parts.append(table)
    else:
        parts.append(Text("Nothing was rolled back, no worker was lost.", tone="quiet"))
    checkpoints = how_many(run, "checkpoints")
    if checkpoints:
        size = (
            number(records(run, "checkpoints")[-1].get("nbytes"))
            if records(run, "checkpoints")
            else np.nan
        )
        each = f" of {wording.nbytes(size)}" if np.isfinite(size) else ""
        plural = "" if checkpoints == 1 else "s"
        parts.append(Text(f"{checkpoints:,} checkpoint{plural}{each} written.", tone="quiet"))
    return parts


def _workers(run: Mapping) -> list[Table]:
    rows = []
    for worker in records(run, "workers")[:MOST_ROWS]:
        limit = number(worker.get("memory_limit_bytes"))
        rows.append(
            (
                wording.short(worker.get("name", "")),
                wording.short(worker.get("host", "")),
                wording.short(worker.get("nthreads", ""), 12),
                wording.nbytes(limit) if limit > 0 else "no limit" if limit == 0 else "",
                Cell(wording.short(worker.get("cpu", ""))),
            )
        )
    columns = ("worker", "host", "threads", "memory", "CPU")
    return [Table(columns, rows, (2, 3), folded="Workers and their machines")] if rows else []

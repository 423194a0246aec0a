"""The result of `run swg`: tables, report and run.json, made from the records of the blocks."""

from __future__ import annotations

import json
from typing import Any

from pipelines.engine import Engine
from pipelines.formats.distances import ids_table, open_distances, printable
from pipelines.formats.labels import Labels
from pipelines.happenings import Happenings
from pipelines.neighbours import label_agreement
from pipelines.report import swg_report
from pipelines.results import ResultFolder, read_run
from pipelines.run_steps import provenance
from pipelines.swg_blocks import Done, block_key
from pipelines.swg_plan import Job
from storage.folder import open_folder

SHORT_SHARE = 0.1  # of pairs that align over a short stretch, beyond which the user is warned


def summarise(
    job: Job, engine: Engine, done: list[Done], earlier: int, seen: Happenings
) -> dict[str, Any]:
    """What run.json says of the run, but for times."""
    counted = Done._fields[Done._fields.index("cells") :]
    total = {name: sum(getattr(block, name) for block in done) for name in counted}
    pairs = {name: total[name] for name in ("zero", "one", "missing", "clipped", "short")}
    repeated = sum(n for key, n in seen.repeated.items() if key.startswith("swg-distance-"))
    warnings = [*job.warnings, *([engine.cpu_warning] if engine.cpu_warning else [])]
    return provenance(job, engine, len(seen.lost)) | {
        "records": job.records.n,
        "distance": job.config.distance,
        "pairs": {"total": total["pairs"], **pairs},
        "missing_pairs": total["missing"],
        "cells": total["cells"],
        "realigned_pairs": total["realigned"],
        "blocks": {
            "total": len(job.blocks), "done": len(done), "done_before": earlier,
            "repeated": repeated,
        },
        "bytes": {
            "input": sum(each["bytes"] for each in job.inputs),
            "broadcast": job.records.codes.nbytes + job.records.offsets.nbytes,
            "matrix": total["nbytes"],
        },
        "warnings": [*warnings, *result_warnings(total)],
        "plan": job.plan,
    }  # fmt: skip


def result_warnings(total: dict[str, int]) -> list[str]:
    """What the user should know of the distances."""
    found, pairs = [], max(total["pairs"], 1)
    if total["short"] > SHORT_SHARE * pairs:
        found.append(
            f"{100 * total['short'] / pairs:.0f} % of the pairs align over less than half of the "
            "shorter sequence, where identity says little; --distance identity-longer "
            "counts the whole sequence"
        )
    if total["missing"]:
        found.append(f"{total['missing']:,} pairs have no distance (missing, stored as NaN or -1)")
    if total["clipped"]:
        found.append(f"{total['clipped']:,} pairs scored beyond their self scores: clipped to 0")
    return found


def make_files(
    job: Job, results: ResultFolder, run: dict[str, Any], done: list[Done], seen: Happenings,
    pages: list[bytes],
) -> dict[str, bytes]:  # fmt: skip
    """Tables, log and report: name -> bytes. Adds what the labels tell to run."""
    records = job.records
    matrix = open_distances(results.array_url, ids=records.ids)
    files = {"ids.tsv": ids_table(records.ids, records.lengths, records.descriptions)}
    if job.labels is not None:
        files["labels.tsv"] = labels_table(records.ids, job.labels)
        found = label_agreement(matrix, job.labels, similarity=job.config.distance == "score")
        run |= {"labels": found} if found else {}
    blocks = [timing(block, seen) for block in done]
    log = [{"event": "Block", **block} for block in blocks] + seen.log
    files["log.jsonl"] = "".join(f"{json.dumps(line)}\n" for line in log).encode()
    if pages:
        files["performance.html"] = pages[0]
    known = run | {"status": "complete", "app": "swg", "inputs": job.inputs}
    files["report.html"] = swg_report(
        known | {"workers_lost": seen.lost}, records.ids, records.lengths, job.labels, matrix,
        blocks, job.options.random_state,
    )  # fmt: skip
    for name in {"labels.tsv", "performance.html"} - set(files) if results.resumed else ():
        results.folder.delete(name)  # of a run that was killed while it finished
    return files


def timing(block: Done, seen: Happenings) -> dict[str, Any]:
    """Where and when a block was computed, for the log and the report."""
    key = block_key((block.i, block.j))
    again = seen.repeated.get(key, 0)
    return {
        "i": block.i,
        "j": block.j,
        "worker": seen.worker_of.get(key, block.worker),
        "started": block.started,
        "stopped": block.stopped,
        "cells": block.cells,
    } | ({"attempt": again + 1} if again else {})


def labels_table(ids: list[str], labels: Labels) -> bytes:
    """labels.tsv: id and label of the records that have one, as --labels reads them."""
    rows = [f"{printable(i)}\t{printable(x)}\n" for i, x in zip(ids, labels, strict=True) if x]
    return "".join(["id\tlabel\n", *rows]).encode()


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    run, folder = read_run(url), open_folder(url)
    matrix = open_distances(url)
    ids = matrix.ids or []
    lengths = [int(row.split("\t")[2]) for row in folder.get("ids.tsv").decode().split("\n")[1:-1]]
    labels = None
    if "labels.tsv" in folder.names():
        rows = folder.get("labels.tsv").decode().split("\n")[1:-1]
        label_of = dict(row.split("\t") for row in rows)
        labels = [label_of.get(name) for name in ids]
    log = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    blocks = [line for line in log if line["event"] == "Block"]
    lost = [line for line in log if line["event"] == "WorkerLost"]
    return swg_report(
        run | {"workers_lost": lost}, ids, lengths, labels, matrix, blocks, run["random_state"]
    )

"""show: one screen of a finished or running result."""

from __future__ import annotations

import json
from typing import Any

import click

from cli import failures, units

DONE = "complete"


@click.command()
@click.argument("result", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print run.json with the state of the run.")
def show(result: str, as_json: bool) -> None:
    """Show one screen of a finished or running result."""
    run = read(result)
    if as_json:
        click.echo(json.dumps(run))
        return
    for name, text in rows(run):
        click.echo(f"{name:<12} {text}")


def read(url: str) -> dict[str, Any]:
    """run.json of a finished result, or what is known of an unfinished one.

    Raises UsageProblem when there is no result of ours, DamagedResult when it cannot be read.
    """
    from pipelines.results import read_run
    from storage.folder import open_folder

    run = read_run(url, unfinished=True)
    if run.get("status") != DONE:
        folder = open_folder(url)
        done, total = len(folder.list(".work/blocks")), run.get("plan", {}).get("blocks")
        run = {**run, "status": state(folder, run)}
        if done or total is not None:
            run["blocks"] = {"total": total, "done": done}
        checkpoints = folder.list(".work/checkpoints")
        if checkpoints:
            run["checkpoint"] = int(max(checkpoints).rpartition("/")[2].partition(".")[0])
    return {**run, "output": url}


def state(folder: Any, run: dict[str, Any]) -> str:
    """'running' only while somebody works on it; a killed run could not write that it ended."""
    from pipelines import run_lock

    owner = run_lock.read_owner(folder)
    if owner is not None and run_lock.is_alive(owner):
        return "running"
    status = str(run.get("status"))
    return "stopped" if status == "running" else status


def rows(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Two columns; what is not known has no row."""
    found = [("result", f"{run['output']} ({run.get('app', 'unknown')}, {run.get('status')})")]
    found += [("input", input_text(one)) for one in run.get("inputs", [])]
    found += [("options", options_text(run)), ("stage", run.get("stage", ""))]
    found += [("blocks", blocks_text(run.get("blocks", {}), run.get("workers_lost", 0)))]
    if "checkpoint" in run:
        found += [("checkpoint", f"after {units.count(run['checkpoint'], 'iteration')}")]
    found += [("sequences", sequences_text(run))]
    found += [("points", points_text(run)), ("clusters", clusters_text(run))]
    found += [("distances", distances_text(run)), ("map", map_text(run))]
    found += [("placed", placed_text(run))]
    found += [("iterations", iterations_text(run.get("iterations") or {}))]
    found += [("time", phases_text(run))]
    found += [("rate", f"{run['gcups']:.3g} GCUPS")] if run.get("gcups") else []
    found += [("labels", labels_text(run))]
    if run.get("status") == "running":
        found += [("dashboard", run.get("dashboard") or "")]
    found += [("outputs", ", ".join(output_text(one) for one in run.get("outputs", [])))]
    found += [("warning", text) for text in run.get("warnings", [])]
    if run.get("status") not in (DONE, "running") and run.get("command"):
        found += [("go on with", failures.resume_command(run["command"]))]
    return [(name, text) for name, text in found if text]


def input_text(one: dict[str, Any]) -> str:
    parts = [str(one.get("path", one.get("url", "?")))]
    if "records" in one:
        parts.append(units.count(one["records"], "record"))
    if "bytes" in one:
        parts.append(units.size(one["bytes"]))
    return ", ".join(parts)


def options_text(run: dict[str, Any]) -> str:
    """Only what somebody chose, without what other rows or nobody needs; the rest is default."""
    inputs = [one.get("path") for one in run.get("inputs", [])]
    chosen = [
        f"{name.replace('_', '-')} {row['value']}"
        for name, row in run.get("config", {}).items()
        if isinstance(row, dict)
        and row.get("origin") not in (None, "default")
        and not isinstance(row["value"], bool)
        and name != "output"
        and row["value"] not in inputs
    ]
    return ", ".join(chosen)


def labels_text(run: dict[str, Any]) -> str:
    agreement = agreement_text(run)
    if not agreement:
        return ""
    return f"{units.count(run['labels']['classes'], 'class', 'classes')}, {agreement}"


def agreement_text(run: dict[str, Any]) -> str:
    """'ARI 0.997, NMI 0.994, 1-NN agreement 0.999', as far as labels told it."""
    known = run.get("labels") or {}
    names = {
        "ari": "ARI", "nmi": "NMI", "one_nn": "1-NN agreement",
        "one_nn_distances": "1-NN agreement of distances", "one_nn_map": "on the map",
    }  # fmt: skip
    told = [f"{names[key]} {known[key]:.3f}" for key in names if known.get(key) is not None]
    return ", ".join(told)


def sequences_text(run: dict[str, Any]) -> str:
    """'28,645, of which 26,419 distinct, around 2,000 landmarks', as far as run sequences tells."""
    if "distinct" not in run:
        return ""
    how = f"around {run['landmarks']:,} landmarks" if run["landmarks"] else "all pairs"
    some = f", of which {run['distinct']:,} distinct" if run["duplicates"] else ""
    return f"{run['records']:,}{some}, {how}"


def points_text(run: dict[str, Any]) -> str:
    plan = run.get("plan") or {}
    if "points" not in plan:
        return ""
    columns = units.count(plan["columns"], "column")
    parts = units.count(plan["partitions"], "partition")
    return f"{plan['points']:,} of {columns}, {plan['dtype']}, in {parts}"


def clusters_text(run: dict[str, Any]) -> str:
    """'15 clusters, inertia 8.91762e+12 after 11 iterations, silhouette 0.711', '12 clusters,
    average linkage, silhouette 0.62'"""
    if "n_clusters" not in run:
        return ""
    parts = [units.count(run["n_clusters"], "cluster")]
    if "inertia" in run:
        limit = "" if run.get("converged", True) else " (not converged)"
        after = units.count(run["n_iter"], "iteration")
        parts.append(f"inertia {run['inertia']:.6g} after {after}{limit}")
    if "linkage" in run:
        parts.append(f"{run['linkage']} linkage")
    if run.get("silhouette") is not None:
        parts.append(f"silhouette {run['silhouette']:.3f}")
    return ", ".join(parts)


def distances_text(run: dict[str, Any]) -> str:
    """'500 records, 124,750 pairs in float32, 12 missing, in 4 partitions'"""
    plan = run.get("plan") or {}
    if "pairs" not in plan or "partitions" not in plan:
        return ""
    pairs = f"{units.count(plan['pairs'], 'pair')} in {plan['dtype']}"
    missing = [f"{run['missing_pairs']:,} missing"] if run.get("missing_pairs") else []
    parts = f"in {units.count(plan['partitions'], 'partition')}"
    return ", ".join([units.count(plan["records"], "record"), pairs, *missing, parts])


def map_text(run: dict[str, Any]) -> str:
    """'3 dimensions, normalized stress 0.0064 (stress-1 0.08) after 36 transforms'"""
    if "stress1" not in run or "n_iter" not in run:
        return ""
    limit = "" if run.get("converged", True) else " (not converged)"
    stress = f"normalized stress {run['normalized_stress']:.4g} (stress-1 {run['stress1']:.3g})"
    after = units.count(run["n_iter"], "transform")
    return f"{units.count(run['n_components'], 'dimension')}, {stress} after {after}{limit}"


def placed_text(run: dict[str, Any]) -> str:
    """'4,990 of 5,000 points onto 300 landmarks, stress 0.0001 (the map 0.02), 14,050 a second'"""
    if "placed" not in run:
        return ""
    landmarks = run["landmarks"]
    kind = {"sequences": "sequence", "points": "point"}.get(run["kind"], "row")
    some = "" if run["placed"] == run["n"] else f"{run['placed']:,} of "
    parts = [f"{some}{units.count(run['n'], kind)} onto {units.count(landmarks['n'], 'landmark')}"]
    if run.get("normalized_stress") is not None:
        of_map = landmarks.get("normalized_stress")
        beside = "" if of_map is None else f" (the map {of_map:.3g})"
        parts.append(f"stress {run['normalized_stress']:.3g}{beside}")
    if run.get("items_per_second"):
        parts.append(f"{run['items_per_second']:,.0f} a second")
    return ", ".join(parts)


def iterations_text(facts: dict[str, Any]) -> str:
    """'11 in all, 25 ms each, 3 ms of it not in the map'"""
    if not facts.get("iterations"):
        return ""
    parts = [f"{facts['iterations']:,} in all", f"{units.duration(facts['seconds_median'])} each"]
    parts.append(f"{units.duration(facts['overhead_seconds_median'])} of it beside the map")
    if facts.get("rollbacks"):
        parts.append(units.count(facts["rollbacks"], "rollback"))
    return ", ".join(parts)


def blocks_text(blocks: dict[str, Any], lost: int) -> str:
    if not blocks:
        return ""
    total = blocks.get("total")
    parts = [f"{blocks.get('done', 0):,}" + (f"/{total:,}" if total is not None else "") + " done"]
    if blocks.get("repeated"):
        parts.append(f"{blocks['repeated']:,} repeated")
    if lost:
        parts.append(f"{units.count(lost, 'worker')} lost and replaced")
    return ", ".join(parts)


def phases_text(run: dict[str, Any]) -> str:
    phases = run.get("phases") or {}
    seconds = run.get("seconds", sum(phases.values()) if phases else None)
    if seconds is None:
        return ""
    told = ", ".join(f"{name} {units.duration(value)}" for name, value in phases.items())
    return units.duration(seconds) + (f" ({told})" if told else "")


def output_text(output: dict[str, Any]) -> str:
    """'distances.zarr (1336 x 1336 float32)'."""
    if not output.get("shape"):
        return str(output["name"])
    return f"{output['name']} ({' x '.join(map(str, output['shape']))} {output['dtype']})"

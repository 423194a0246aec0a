"""report.html of `run sequences`, from the result folder and its stages."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.formats.tables import table_rows
from pipelines.iterations import told_again
from pipelines.report.sequences import Scaled, sequences_report
from pipelines.results import read_run
from storage.folder import Folder, open_folder


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    return report_page(read_run(url), open_folder(url), {})


def report_page(run: dict[str, Any], folder: Folder, files: Mapping[str, bytes]) -> bytes:
    """The page. files: what is not in the folder yet, name -> bytes."""

    def get(name: str) -> bytes:
        return files[name] if name in files else folder.get(name)

    clusters, ids = table_rows(get("clusters.tsv")), table_rows(get("ids.tsv"))
    shown = [k for k, row in enumerate(clusters) if row["representative"] == row["id"]]
    names = [ids[k]["id"] for k in shown]
    at = np.load(io.BytesIO(get("coordinates.npy")), allow_pickle=False)[shown]
    labels = None
    if "labels" in run:
        label_of = {row["id"]: row["label"] for row in table_rows(get("labels.tsv"))}
        labels = [label_of.get(name) for name in names]
    aligned = aligned_of(folder, names)
    return sequences_report(
        run,
        coordinates=at,
        ids=names,
        clusters=np.array([int(clusters[k]["cluster"]) for k in shown]),
        lengths=np.array([int(ids[k]["length"]) for k in shown]),
        labels=labels,
        counts=np.array([int(clusters[k]["count"]) for k in shown]),
        placed=None if run["mode"] == "all-pairs" else mask(len(names), aligned),
        scaled=scaled_of(run, folder, get, names, aligned),
        random_state=run["random_state"],
    )


def aligned_of(folder: Folder, names: list[str]) -> np.ndarray:
    """Places, among the distinct sequences, of those of which all pairs are aligned."""
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[row["id"]] for row in table_rows(folder.get("distances/ids.tsv"))])


def mask(n: int, aligned: np.ndarray) -> np.ndarray:
    """(n,) bool: True for what is placed."""
    found = np.ones(n, bool)
    found[aligned] = False
    return found


def scaled_of(
    run: dict[str, Any], folder: Folder, get: Any, names: list[str], aligned: np.ndarray
) -> Scaled:
    """What the stages left behind."""
    logs = {stage: log_of(folder, stage) for stage in run["stages"]}
    told = told_again(logs["map"])
    nearest = stress = None
    if "placed" in run["stages"]:
        nearest, stress = placement_of(folder, names)
    return Scaled(
        shepard=(pairs := npz_of(folder, "map/shepard.npz")) | {"pairs": int(pairs["pairs"])},
        rows=told["rows"],
        linkage=np.load(io.BytesIO(folder.get("clusters/linkage.npy")), allow_pickle=False),
        leaves=aligned,
        medoids=[medoid(row) for row in table_rows(get("medoids.tsv"))],
        sample=(sample := npz_of(folder, "map/sample.npz")) | {"rows": aligned[sample["rows"]]},
        nearest=nearest,
        stress=stress,
        timeline=[*blocks_of(logs), *told["timeline"]],
    )


def log_of(folder: Folder, stage: str) -> list[dict[str, Any]]:
    """log.jsonl of a stage."""
    return [json.loads(line) for line in folder.get(f"{stage}/log.jsonl").splitlines()]


def blocks_of(logs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What workers did block by block, named after the stage."""
    return [
        {**line, "kind": stage}
        for stage, log in logs.items()
        for line in log
        if line["event"] == "Block"
    ]


def medoid(row: dict[str, str]) -> dict[str, Any]:
    """A row of medoids.tsv in numbers."""
    return {
        "cluster": int(row["cluster"]), "size": int(row["distinct"]), "medoid": row["medoid"],
        "mean": float(row["mean"]), "max": float(row["max"]),
    }  # fmt: skip


def npz_of(folder: Folder, key: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file."""
    with np.load(io.BytesIO(folder.get(key)), allow_pickle=False) as arrays:
        return dict(arrays)


def placement_of(folder: Folder, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) distance to the nearest landmark and stress of what was placed, NaN for landmarks."""
    place = {name: k for k, name in enumerate(names)}
    nearest, stress = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for row in table_rows(folder.get("placed/coordinates.tsv")):
        nearest[place[row["id"]]] = float(row["distance"])
        stress[place[row["id"]]] = float(row["stress"])
    return nearest, stress

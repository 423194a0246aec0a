"""Points in a folder: a zarr array, or the coordinates in an earlier result."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.distances import read_ids
from pipelines.formats.points_npy import open_npy
from pipelines.formats.points_source import Points
from pipelines.formats.points_zarr import MARKS, open_zarr
from storage.folder import Folder, open_folder, split_url

COORDINATES = ("coordinates.npy", "embedding.npy")
_HOLDS = {"swg": "distances", "kmeans": "labels and centroids", "pagerank": "ranks"}
_ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".txt", ".parquet", ".zarr")


def is_folder(url: str) -> bool:
    """Whether url is a directory, or a prefix of an object store under which something lies."""
    protocol, path = split_url(url)
    if protocol == "file":
        return os.path.isdir(path)
    if protocol in ("http", "https"):  # has no folders: a listing would be the file itself
        return False
    return bool(open_folder(url).names())


def open_in_folder(url: str, *, check: bool = True) -> Points:
    """The points that a folder holds. Raises UsageProblem naming what it is when it holds none."""
    folder = open_folder(url)
    names = folder.names()
    if MARKS & set(names):
        return open_zarr(url, url, check=check)
    run = _run_of(url, names)
    found = [name for name in COORDINATES if name in names]
    if not found:
        raise _nothing(url, names, run)
    path = f"{url.rstrip('/')}/{found[0]}"
    points = open_npy(path, path, check=check)
    ids = read_ids(folder) if "ids.tsv" in names else None
    if ids is not None and len(ids) != points.n:
        raise DamagedResult(f"{path} has {points.n:,} rows, ids.tsv {len(ids):,} records.")
    identity = dict(points.identity)
    if run is not None:  # where the coordinates came from is told there
        identity["run_sha256"] = _hash(folder, "run.json")
    return replace(points, ids=ids, identity=identity)


def _run_of(url: str, names: list[str]) -> dict[str, Any] | None:
    """run.json of a result; None for a folder that is none. Raises DamagedResult."""
    if "run.json" not in names and ".work" not in names:
        return None
    from pipelines.results import read_run

    return read_run(url)


def _hash(folder: Folder, key: str) -> str:
    return hashlib.sha256(folder.get(key)).hexdigest()


def _nothing(url: str, names: list[str], run: dict[str, Any] | None) -> UsageProblem:
    if run is not None:
        app = str(run.get("app"))
        text = f"{url} holds {_HOLDS.get(app, 'results')} of run {app}, no points."
        return UsageProblem(text, remedy="Give a file of points, or a result with coordinates.")
    text = f"{url} is a folder without points: no zarr array, no {COORDINATES[0]}."
    inside = [name for name in names if name.endswith(_ENDINGS)]
    example = f", for example {os.path.join(url, inside[0])}" if inside else ""
    return UsageProblem(text, remedy=f"Give one file{example}.")

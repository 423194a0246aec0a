"""Dissimilarities in a folder: a zarr array, or the distances of an earlier result."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.formats import points_source, points_zarr
from pipelines.formats.arrays import DISTANCES
from pipelines.formats.dissimilarities_source import Dissimilarities
from pipelines.formats.dissimilarities_zarr import open_zarr, scale_of
from pipelines.formats.distances import read_ids
from storage.folder import open_folder


def open_in_folder(url: str) -> Dissimilarities:
    """The distances that a folder holds, not looked at yet.

    Raises UsageProblem naming what it is when it holds none, DamagedResult for an unfinished run.
    """
    names = open_folder(url).names()
    if points_zarr.MARKS & set(names):
        return _array(url, url, mirrored=False)
    if "run.json" not in names and ".work" not in names:
        text = f"{url} is a folder without distances: no result, no zarr array."
        raise UsageProblem(text, remedy="Give one file, or the folder of a run.")
    return _of_result(url)


def _of_result(url: str) -> Dissimilarities:
    from pipelines.results import read_run

    run = read_run(url)
    folder = open_folder(url)
    if run.get("app") == "sequences":
        return _of_result(f"{url.rstrip('/')}/distances")
    if DISTANCES not in folder.names():
        text = f"{url} is a result of run {run.get('app')} and holds no distances."
        raise UsageProblem(text, remedy="Give a file of distances, or the result of run swg.")
    given = _array(f"{url.rstrip('/')}/{DISTANCES}", url, mirrored=True)
    ids = read_ids(folder) if "ids.tsv" in folder.names() else None
    if ids is not None and len(ids) != given.n:
        raise DamagedResult(f"{url} has {given.n:,} rows, ids.tsv {len(ids):,} records.")
    outputs = {each["name"]: each for each in run.get("outputs", [])}
    identity = points_source.identity(
        url, given.nbytes, given.n, outputs.get(DISTANCES, {}).get("sha256")
    )
    identity["run_sha256"] = hashlib.sha256(folder.get("run.json")).hexdigest()
    return replace(given, url=url, format="result", ids=ids, identity=identity)


def _array(url: str, name: str, mirrored: bool) -> Dissimilarities:
    layout, attributes = open_zarr(url, name, mirrored)
    if attributes.get("kind") == "score":
        text = f"{name} holds scores, which are larger the nearer two records are."
        raise InputProblem(text, remedy="Use run swg with another --distance.")
    scale = scale_of(attributes, layout.stored, name)
    objects = points_zarr.objects_of(url)
    nbytes = sum(objects.values())
    identity: dict[str, Any] = {"path": name}
    if not mirrored:
        digest = points_zarr.hash_objects(url, objects, name)
        identity = points_source.identity(name, nbytes, layout.n, digest, whole=False)
    return Dissimilarities(
        name, "zarr", layout.n, layout.stored, scale, None, identity, nbytes, [], False, layout,
        attributes=attributes,
    )  # fmt: skip

"""What `check` tells of distances: range, missing pairs, broken triples, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.errors import InputProblem, UsageProblem, WhorlError
from pipelines.formats import dissimilarities_flat, points_zarr
from pipelines.formats.bytestream import StreamDamageError
from pipelines.formats.dissimilarities import opened, with_triples
from pipelines.formats.dissimilarities_source import Dissimilarities, check_all
from pipelines.formats.dissimilarities_text import looks_square
from pipelines.formats.points import format_of
from pipelines.formats.points_folder import is_folder
from storage.folder import open_folder


@dataclass(frozen=True)
class Survey:
    """Distances that were looked at from end to end, right or wrong.

    missing  pairs without a distance; breaks: share of the sampled triples that break the triangle
             inequality, or None
    """

    source: str
    format: str
    nbytes: int = 0
    n: int = 0
    dtype: str = ""
    n_ids: int = 0
    high: float = 0.0
    missing: int = 0
    breaks: float | None = None
    warnings: list[str] = field(default_factory=list)
    n_problems: int = 0
    problems: list[str] = field(default_factory=list)


def looks_like_dissimilarities(url: str) -> bool:
    """Whether a file or folder, but no result, is meant to be distances, wrong ones too: a square
    that begins with zeros on its diagonal, PHYLIP, or one dimension of as many numbers as pairs.

    Raises UsageProblem when there is no such file.
    """
    if url == "-":
        return False
    try:
        if is_folder(url):
            return bool(points_zarr.MARKS & set(open_folder(url).names())) and _is_zarr(url)
        form = format_of(url)
        if form == "text":
            return looks_square(url, url)
        return form in ("npy", "npz") and _is_flat(url, form)
    except (InputProblem, StreamDamageError):
        return False


def survey_dissimilarities(url: str, kind: str = "auto") -> Survey:
    """Look at all distances. UsageProblem when there are none; what is wrong is in the survey."""
    try:
        given = opened(url, kind)
    except WhorlError as problem:
        if isinstance(problem, UsageProblem):
            raise
        return Survey(url, "unknown", n_problems=1, problems=[str(problem)])
    told: dict[str, Any] = {"missing": 0, "high": 0.0}
    try:
        found = check_all(given.layout, given.scale, False, given.zero_diagonal)
        problems = [str(problem) for problem in found.problems()]
        told = {"missing": found.missing, "high": max(found.high, 0.0)}
        given = with_triples(given)
    except InputProblem as problem:
        problems = [str(problem)]
    return Survey(
        url, given.format, given.nbytes, given.n, str(given.dtype), len(given.ids or ()),
        breaks=given.breaks, warnings=given.warnings, n_problems=len(problems), problems=problems,
        **told,
    )  # fmt: skip


def _is_flat(url: str, form: str) -> bool:
    flat = dissimilarities_flat.look(url, url, form == "npz")
    n = dissimilarities_flat.records_of(flat.array.shape, url)
    if len(flat.array.shape) == 1 or flat.packed is not None:
        return n > 1
    return n > 1 and _begins_with_zeros(dissimilarities_flat.layout_of(flat.array, url, url))


def _is_zarr(url: str) -> bool:
    given: Dissimilarities = opened(url)
    return "triangle" in given.attributes or (given.n > 1 and _begins_with_zeros(given.layout))


def _begins_with_zeros(layout: Any) -> bool:
    few = min(layout.n, 3)
    with layout.reading() as read:
        diagonal = np.diagonal(read(0, few, 0, few))
    return bool((~(np.abs(diagonal.astype(np.float64)) > 0)).all())  # NaN too

"""Dissimilarities: a number for each pair of records, in any of the formats that people keep.

    given = open_dissimilarities("out/swg")
    data = load_band(given.source(0, 16, "float32"))     # here, or on a worker

The folder of an earlier result, zarr, .npy and .npz, square or condensed, as a path or any fsspec
URL. The format is told by the content, never by the name.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import dissimilarities_flat, points_source
from pipelines.formats.bytestream import ByteStream, open_stored
from pipelines.formats.dissimilarities_source import (
    CHECKED_BYTES,
    BandSource,
    Dissimilarities,
    Layout,
    check_all,
    load_band,
)
from pipelines.formats.dissimilarities_triples import broken_share
from pipelines.formats.points import format_of
from pipelines.formats.points_folder import is_folder

__all__ = ["BandSource", "Dissimilarities", "load_band", "open_dissimilarities"]

KINDS = ("auto", "salsa-int16-be", "salsa-int16-le")
SUSPICIOUS = 0.05  # share of broken triples that is worth a warning


def open_dissimilarities(
    url: str, *, symmetrize: bool = False, kind: str = "auto"
) -> Dissimilarities:
    """Open and check dissimilarities; what is wrong is told before anything is started.

    symmetrize: take the mean of d[i,j] and d[j,i]; without it they must be equal
    kind: one of KINDS; raw numbers of SALSA cannot be told by their content
    Raises UsageProblem for a missing file, DamagedResult for an unfinished result, InputProblem
    naming the pair of what cannot be used. Of matrices beyond CHECKED_BYTES only the form is
    checked; `load_band` checks the numbers.
    """
    url = os.fspath(url)
    if kind not in KINDS:
        raise UsageProblem(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
    if url == "-":
        text = "distances are not read from standard input: workers read their rows of the file."
        raise UsageProblem(text, remedy="Save them to a file and name it.")
    if is_folder(url):
        from pipelines.formats.dissimilarities_folder import open_in_folder

        return checked(open_in_folder(url), symmetrize)
    form = format_of(url)
    if form in ("npy", "npz"):
        return checked(_open_flat(url, form), symmetrize)
    raise InputProblem(f"{url} holds no distances that can be read: it is {form}.")


def checked(given: Dissimilarities, symmetrize: bool) -> Dissimilarities:
    """The same, looked at as far as can be done in about a second. Raises InputProblem."""
    layout = given.layout
    given = replace(given, symmetrize=symmetrize and not layout.upper and not layout.mirrored)
    if given.n * given.n * given.dtype.itemsize <= CHECKED_BYTES:
        found = check_all(layout, given.scale, given.symmetrize)
        found.finish()
        given = replace(given, checked=True, high=max(found.high, 0.0), missing=found.missing)
    breaks = broken_share(given)
    warnings = list(given.warnings)
    if breaks is not None and breaks > SUSPICIOUS:
        text = f"{100 * breaks:.0f} % of sampled triples break the triangle inequality; "
        warnings.append(text + "is the order of rows right?")
    return replace(given, breaks=breaks, warnings=warnings)


def identity_of(url: str, nbytes: int, n: int) -> dict[str, Any]:
    """What run.json keeps of a file: the hash of all of it, or of samples of a large one."""
    if nbytes <= CHECKED_BYTES:
        with ByteStream(url) as stream:
            for _ in stream.blocks():
                pass
        return points_source.identity(url, nbytes, n, stream.sha256)
    with ExitStack() as close:
        digest = points_source.hash_samples(open_stored(url, close), nbytes, url)
    return points_source.identity(url, nbytes, n, digest, whole=False)


def _open_flat(url: str, form: str) -> Dissimilarities:
    flat = dissimilarities_flat.look(url, url, form == "npz")
    layout: Layout = dissimilarities_flat.layout_of(flat.array, url, url)
    condensed = len(flat.array.shape) == 1
    return Dissimilarities(
        url, "condensed" if condensed else form, layout.n, layout.stored, 1.0, None,
        identity_of(url, flat.nbytes, layout.n), flat.nbytes, [], False, layout,
    )  # fmt: skip

"""Dissimilarities: a number for each pair of records, in any of the formats that people keep.

    given = open_dissimilarities("out/swg")
    data = load_band(given.source(0, 16, "float32"))     # here, or on a worker

The folder of an earlier result, zarr, .npy and .npz, square or condensed, text (a square table
with ids or without, PHYLIP; plain or compressed), raw int16 of SALSA, as a path or any fsspec URL.
The format is told by the content, never by the name; only raw numbers must be named.
"""

from __future__ import annotations

import os
from dataclasses import replace

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import dissimilarities_flat, dissimilarities_scratch, points_source
from pipelines.formats.dissimilarities_folder import open_in_folder
from pipelines.formats.dissimilarities_salsa import KINDS as SALSA_KINDS
from pipelines.formats.dissimilarities_salsa import open_salsa
from pipelines.formats.dissimilarities_source import (
    CHECKED_BYTES,
    BandSource,
    Dissimilarities,
    Layout,
    check_all,
    hash_of,
    load_band,
)
from pipelines.formats.dissimilarities_staged import staged
from pipelines.formats.dissimilarities_text import parse
from pipelines.formats.dissimilarities_triples import broken_share
from pipelines.formats.points import format_of
from pipelines.formats.points_folder import is_folder

__all__ = [
    "BandSource",
    "Dissimilarities",
    "load_band",
    "open_dissimilarities",
    "open_weights",
    "staged",
]

KINDS = ("auto", *SALSA_KINDS)
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
    return checked(opened(url, kind), symmetrize)


def open_weights(url: str) -> Dissimilarities:
    """Weights of pairs, in the same formats; what is on the diagonal has no meaning.

    Raises as `open_dissimilarities`. A missing weight is 0.
    """
    return checked(replace(opened(url), zero_diagonal=False), symmetrize=False)


def opened(url: str, kind: str = "auto") -> Dissimilarities:
    """The same with no number looked at."""
    url = os.fspath(url)
    if kind not in KINDS:
        raise UsageProblem(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
    if url == "-":
        text = "distances are not read from standard input: workers read their rows of the file."
        raise UsageProblem(text, remedy="Save them to a file and name it.")
    if kind != "auto":
        return open_salsa(url, kind)
    if is_folder(url):
        return open_in_folder(url)
    form = format_of(url)
    if form == "parquet":
        text = f"{url} is Parquet, which keeps columns of records, not a square of distances."
        raise InputProblem(text, remedy="Save the distances with numpy.save, or as text.")
    return _open_text(url) if form == "text" else _open_flat(url, form)


def checked(given: Dissimilarities, symmetrize: bool) -> Dissimilarities:
    """The same, looked at as far as can be done in about a second. Raises InputProblem."""
    layout = given.layout
    given = replace(given, symmetrize=symmetrize and not layout.upper and not layout.mirrored)
    small = given.n * given.n * given.dtype.itemsize <= CHECKED_BYTES
    if small or given.held is not None:  # what was read from end to end can be looked at too
        found = check_all(layout, given.scale, given.symmetrize, given.zero_diagonal)
        found.finish()
        given = replace(given, checked=True, high=max(found.high, 0.0), missing=found.missing)
    return with_triples(given) if given.zero_diagonal else given


def with_triples(given: Dissimilarities) -> Dissimilarities:
    """The same, with a look at a sample of triples."""
    breaks = broken_share(given)
    warnings = list(given.warnings)
    if breaks is not None and breaks > SUSPICIOUS:
        text = f"{100 * breaks:.0f} % of sampled triples break the triangle inequality"
        question = {
            "salsa": "is the byte order, or the order of rows, right?",
            "result": "such distances are no lengths, and no map shows them exactly",
        }.get(given.format, "is the order of rows right?")
        warnings.append(f"{text}; {question}")
    return replace(given, breaks=breaks, warnings=warnings)


def _open_flat(url: str, form: str) -> Dissimilarities:
    flat = dissimilarities_flat.look(url, url, form == "npz")
    held, place = None, url
    dissimilarities_flat.records_of(flat.array.shape, url)
    if flat.packed is not None:
        held = dissimilarities_scratch.unpack(url, url, flat.packed)
        place = held.path
    layout: Layout = dissimilarities_flat.layout_of(flat.array, place, url)
    condensed = len(flat.array.shape) == 1
    key, digest = hash_of(url, flat.nbytes)
    identity = {"path": url, "bytes": flat.nbytes, "records": layout.n, key: digest}
    return Dissimilarities(
        url, "condensed" if condensed else form, layout.n, layout.stored, 1.0, None, identity,
        flat.nbytes, [], False, layout, held=held,
    )  # fmt: skip


def _open_text(url: str) -> Dissimilarities:
    parsed = parse(url, url)
    layout, ids, warnings = parsed.layout, parsed.ids, []
    if ids is not None and len(set(ids)) < len(ids):
        warnings = [f"names occur more than once in {url}: the records are numbered"]
        ids = None
    identity = points_source.identity(url, parsed.nbytes, layout.n, parsed.sha256)
    return Dissimilarities(
        url, parsed.form, layout.n, layout.stored, 1.0, ids, identity, parsed.nbytes, warnings,
        False, layout, held=parsed.held,
    )  # fmt: skip

"""A result in the forms other programs read: its matrix, written in stripes of rows.

Labels, maps and clusters are written by label_exports and map_exports. Of a matrix:

    tsv               id_1 id_2 distance, a line per unordered pair; missing is NaN
    lsmat             square, tab-separated, ids in the first row and column (scikit-bio, QIIME)
    phylip            square, relaxed: id, blank, distances. Ids of at most 10 letters are padded
                      to 10, so that programs that cut there read them too
    npy               n x n float32
    condensed         upper triangle row by row, as scipy.spatial.distance.squareform; .npy
    salsa-int16-be    n x n int16 without header, round(d * 32767), missing -1, big-endian
    salsa-int16-le    the same, little-endian

The file gets its name when it is whole. The old SALSA programs cut instead of rounding; a reader
sees at most 1/32767 of difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import psutil

from pipelines.errors import UsageProblem
from pipelines.formats.distances import INT16_SCALE, DistanceMatrix, open_distances
from pipelines.formats.label_array import LABELS, open_labels
from pipelines.label_exports import LABEL_FORMS, Form, StoredLabels
from pipelines.map_exports import (
    CLUSTER_FORMS,
    COORDINATES,
    MAP_FORMS,
    TREE,
    StoredClusters,
    StoredMap,
)
from pipelines.results import read_run
from storage.directory import TEMPORARY, replace_file
from storage.folder import open_folder, require_space, split_url


@dataclass(frozen=True)
class Exported:
    """The written file: path, form, bytes, how many unordered pairs have no distance, and how many
    items of a map have no place and were left out."""

    path: str
    form: str
    nbytes: int
    missing_pairs: int
    left_out: int = 0


def export(
    url: str, to: str, destination: str, *, overwrite: bool = False, **storage_options
) -> Exported:
    """Write what the result at url holds to the local file `destination`, in the form `to`.

    Raises UsageProblem (unknown form, existing file, a matrix that the form cannot hold),
    NoSpace before writing when the disk is short, DamagedResult for a broken result.
    """
    if to not in ALL_FORMS:
        raise UsageProblem(f'"{to}" is not a form: {", ".join(ALL_FORMS)}.')
    check_destination(destination, overwrite)
    held, form = open_result(url, to, **storage_options)
    folder, name = os.path.split(os.path.abspath(destination))
    remove_stale(folder, name)
    require_space(open_folder(folder), form.size(held))
    with replace_file(destination) as file:
        missing = form.write(file, held)
    nbytes = os.path.getsize(destination)
    if isinstance(held, StoredMap):
        return Exported(destination, to, nbytes, 0, missing)
    return Exported(destination, to, nbytes, missing)


def open_result(url: str, to: str, **storage_options) -> tuple[Any, Any]:
    """What the result holds and the form of it: a matrix, labels, a map or clusters.

    Raises UsageProblem, DamagedResult.
    """
    folder = open_folder(url, **storage_options)
    names = folder.names()
    if LABELS in names:
        array = open_labels(url, **storage_options)
        return StoredLabels(folder, array), form_among(LABEL_FORMS, to, f"{url} holds labels")
    if COORDINATES in names:
        stage = stage_with(to) if "clusters" in names else None
        if stage is not None:
            return open_result(f"{url.rstrip('/')}/{stage}", to, **storage_options)
        form = form_among(MAP_FORMS, to, f"{url} holds a map")
        return StoredMap(folder, read_run(url, **storage_options)), form
    if TREE in names:
        read_run(url, **storage_options)
        return StoredClusters(folder), form_among(CLUSTER_FORMS, to, f"{url} holds clusters")
    matrix = open_distances(url, **storage_options)
    if matrix.ids is None:
        matrix.ids = [str(index) for index in range(matrix.n)]
    form = form_among(FORMS, to, f"{url} holds distances")
    check_fits(matrix, to)
    return matrix, form


def form_among(forms: dict[str, Any], to: str, holds: str) -> Any:
    """The form of that name, when what the result holds has it. Raises UsageProblem."""
    if to in forms:
        return forms[to]
    what = next(name for name, known in KINDS.items() if to in known)
    *most, last = forms
    raise UsageProblem(
        f"{to} is for {what}; {holds}.", remedy=f"Use --to {', '.join(most)} or {last}."
    )


def stage_with(to: str) -> str | None:
    """The stage of a run of several applications that has a form which maps do not have."""
    if to in MAP_FORMS:
        return None
    return "clusters" if to in CLUSTER_FORMS else "distances"


def check_destination(destination: str, overwrite: bool) -> None:
    """Raise UsageProblem for what is not a new local file."""
    if split_url(destination)[0] != "file":
        raise UsageProblem(f"{destination} is a URL; exports are written to a local file.")
    if os.path.isdir(destination):
        raise UsageProblem(f"{destination} is a folder; name a file in it.")
    if os.path.exists(destination) and not overwrite:
        raise UsageProblem(f"{destination} exists.", remedy="Use another name or --overwrite.")
    parent = os.path.dirname(os.path.abspath(destination))
    if not os.path.isdir(parent):
        raise UsageProblem(f"{destination}: the folder {parent} does not exist.")


def check_fits(matrix: DistanceMatrix, to: str) -> None:
    """Raise UsageProblem when the form cannot hold such a matrix."""
    limits = matrix.attributes.get("distance_range")
    bounded = matrix.dtype == np.int16 or (limits and limits[0] >= 0 and limits[1] <= 1)
    if to.startswith("salsa") and not bounded:
        raise UsageProblem(f"{to} holds distances in [0, 1] only; {matrix.url} has others.")
    if to == "phylip":
        phylip_names(matrix.ids)


def remove_stale(folder: str, name: str) -> None:
    """Remove the unfinished copies of this file that killed exports left."""
    for entry in os.listdir(folder):
        match = TEMPORARY.fullmatch(entry)
        if match and entry.startswith(f".{name}.") and not psutil.pid_exists(int(match[1])):
            with suppress(OSError):
                os.unlink(os.path.join(folder, entry))


def write_tsv(file: BinaryIO, matrix: DistanceMatrix) -> int:
    file.write(b"id_1\tid_2\tdistance\n")
    missing = 0
    for index, row in rows_of(matrix):
        tail = row[index + 1 :]
        missing += int(np.isnan(tail).sum())
        first = matrix.ids[index]
        pairs = zip(matrix.ids[index + 1 :], as_text(tail), strict=True)
        file.write("".join(f"{first}\t{second}\t{text}\n" for second, text in pairs).encode())
    return missing


def write_lsmat(file: BinaryIO, matrix: DistanceMatrix) -> int:
    file.write(("\t" + "\t".join(matrix.ids) + "\n").encode())
    missing = 0
    for index, row in rows_of(matrix):
        missing += int(np.isnan(row[index + 1 :]).sum())
        file.write("\t".join([matrix.ids[index], *as_text(row)]).encode() + b"\n")
    return missing


def write_phylip(file: BinaryIO, matrix: DistanceMatrix) -> int:
    names = phylip_names(matrix.ids)
    file.write(f"{matrix.n}\n".encode())
    for index, row in rows_of(matrix):
        if np.isnan(row).any():
            other = matrix.ids[int(np.isnan(row).argmax())]
            raise UsageProblem(
                f"phylip has no sign for a missing distance ({matrix.ids[index]}, {other}).",
                remedy="Use --to tsv, lsmat or npy.",
            )
        file.write(" ".join([names[index], *as_text(row)]).encode() + b"\n")
    return 0


def write_npy(file: BinaryIO, matrix: DistanceMatrix) -> int:
    # written in sequence: through a memory map a full disk would be a SIGBUS, not an error
    write_header(file, (matrix.n, matrix.n), np.dtype("<f4"))
    return write_stripes(file, matrix, lambda stripe: stripe.astype("<f4", copy=False))


def write_condensed(file: BinaryIO, matrix: DistanceMatrix) -> int:
    kind = np.dtype("<f8" if matrix.dtype == np.float64 else "<f4")
    write_header(file, (matrix.n * (matrix.n - 1) // 2,), kind)
    missing = 0
    for index, row in rows_of(matrix):
        missing += int(np.isnan(row[index + 1 :]).sum())
        file.write(row[index + 1 :].astype(kind).tobytes())
    return missing


def write_salsa(order: str) -> Callable[[BinaryIO, DistanceMatrix], int]:
    def pack(stripe: np.ndarray) -> np.ndarray:
        scaled = np.rint(stripe.astype(np.float64) * INT16_SCALE)
        return np.where(np.isnan(stripe), -1, scaled).astype(f"{order}i2")

    return lambda file, matrix: write_stripes(file, matrix, pack)


def write_stripes(
    file: BinaryIO, matrix: DistanceMatrix, pack: Callable[[np.ndarray], np.ndarray]
) -> int:
    """Write whole rows, packed; returns the number of missing pairs."""
    missing = 0
    for start, stripe in matrix.stripes():
        missing += int(np.triu(np.isnan(stripe), start + 1).sum())
        file.write(pack(stripe).data)
    return missing


def write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """The header of an .npy file in C order."""
    described = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def rows_of(matrix: DistanceMatrix) -> Iterator[tuple[int, np.ndarray]]:
    """(index, row) of every row."""
    for start, stripe in matrix.stripes():
        for offset, row in enumerate(stripe):
            yield start + offset, row


def as_text(values: np.ndarray) -> list[str]:
    """The shortest decimals that give the same float32 (float64) back; NaN for missing."""
    # a row holds few different identities: each is formatted once
    distinct, places = np.unique(values, return_inverse=True)
    texts = np.array(["NaN" if np.isnan(one) else shortest(one) for one in distinct], dtype=object)
    return texts[places].tolist() if len(distinct) else []


def shortest(value: np.floating) -> str:
    """ "0", "0.25", "3.2e-05" """
    text = str(value)
    return text.removesuffix(".0")


def phylip_names(ids: list[str]) -> list[str]:
    """The ids as PHYLIP programs read them: blanks and ( ) [ ] : ; , become "_", width >= 10.

    Raises UsageProblem when two ids become the same.
    """
    names = [re.sub(r"[\s()\[\]:;,]", "_", name) for name in ids]
    seen: dict[str, str] = {}
    for name, given in zip(names, ids, strict=True):
        if name in seen:
            raise UsageProblem(
                f'ids "{seen[name]}" and "{given}" are the same in PHYLIP: {name}.',
                remedy="Run with --ids number, or use --to lsmat.",
            )
        seen[name] = given
    return [name.ljust(10) for name in names]


def pairs_size(matrix: DistanceMatrix) -> int:
    letters = sum(len(name.encode()) for name in matrix.ids)
    pairs = matrix.n * (matrix.n - 1) // 2
    return (matrix.n - 1) * letters + pairs * (number_bytes(matrix) + 3) + 32


def square_text_size(matrix: DistanceMatrix) -> int:
    letters = sum(len(name.encode()) + 10 for name in matrix.ids)
    return 2 * letters + matrix.n**2 * (number_bytes(matrix) + 1) + 32


def number_bytes(matrix: DistanceMatrix) -> int:
    """Letters of a long distance: 0.0012345678"""
    return 21 if matrix.dtype == np.float64 else 12


FORMS = {
    "tsv": Form(write_tsv, pairs_size),
    "lsmat": Form(write_lsmat, square_text_size),
    "phylip": Form(write_phylip, square_text_size),
    "npy": Form(write_npy, lambda matrix: 128 + 4 * matrix.n**2),
    "condensed": Form(
        write_condensed, lambda matrix: 128 + max(4, matrix.dtype.itemsize) * matrix.n**2 // 2
    ),
    "salsa-int16-be": Form(write_salsa(">"), lambda matrix: 2 * matrix.n**2),
    "salsa-int16-le": Form(write_salsa("<"), lambda matrix: 2 * matrix.n**2),
}
KINDS = {
    "distances": FORMS, "maps": MAP_FORMS, "clusters of distances": CLUSTER_FORMS,
    "labels": LABEL_FORMS,
}  # fmt: skip
ALL_FORMS = {name: form for forms in KINDS.values() for name, form in forms.items()}

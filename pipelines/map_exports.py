"""A map, or clusters, of a result in the forms that other programs read.

Of coordinates:

    tsv          coordinates.tsv of the result: id, a column per dimension, what else is known
    npy          (n, d) float64
    plotviz      XML of PlotViz and WebPlotViz: points in three dimensions, coloured by cluster or
                 label. Fewer dimensions are filled up with 0, of more the principal three are taken
    ordination   ordination results of scikit-bio as text, which emperor and QIIME 2 read. A map has
                 no eigenvalues: in their place stand the sums of squares along its axes
    anndata      .h5ad with the coordinates in obsm["X_mds"]; needs the extra "anndata"

plotviz and ordination have no sign for a place that is not known: such items are left out.

Of clusters made from distances:

    newick       the tree of merges; the path between two records is the height of their merge
    tsv          id and cluster of every record
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from pipelines.errors import UsageProblem
from pipelines.formats.distances import printable, read_ids
from pipelines.formats.labels import coded, row_numbers
from pipelines.formats.plotviz import plotviz
from pipelines.label_exports import Form
from pipelines.report.colours import FIXED, OTHER_CATEGORY
from storage.folder import Folder

COORDINATES, TABLE, TREE = "coordinates.npy", "coordinates.tsv", "dendrogram.nwk"
CLUSTERS = "clusters.tsv"
_COLOURS = [colour for name, colour in FIXED.items() if name.removeprefix("--c").isdecimal()]
_ROWS = 4096  # that become text at a time


@dataclass(frozen=True)
class StoredMap:
    """The coordinates in a result folder, and what its tables tell of the items."""

    folder: Folder
    run: dict[str, Any]

    @cached_property
    def places(self) -> np.ndarray:
        """(n, d) float64, NaN where an item has no place"""
        return np.load(io.BytesIO(self.folder.get(COORDINATES)), allow_pickle=False)

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The columns of coordinates.tsv but for the coordinates; of a result without the table
        the ids alone."""
        if not self.folder.exists(TABLE):
            known = self.folder.exists("ids.tsv")
            return {"id": read_ids(self.folder) if known else row_numbers(len(self.places))}
        header, *lines = self.folder.get(TABLE).decode().split("\n")
        names, d = header.split("\t"), self.places.shape[1]
        rows = [line.split("\t") for line in lines if line]
        kept = [k for k in range(len(names)) if not 1 <= k <= d]
        return {names[k]: [row[k] for row in rows] for k in kept}

    @property
    def ids(self) -> list[str]:
        return self.columns["id"]

    @property
    def n(self) -> int:
        return len(self.places)

    def table_bytes(self) -> int:
        """Of coordinates.tsv; where there is none, as many as it can have."""
        if self.folder.exists(TABLE):
            return self.folder.size(TABLE)
        return 64 + self.n * 25 * self.places.shape[1] + self.id_bytes()

    def id_bytes(self) -> int:
        """Of all ids, each with the end of its line."""
        return sum(len(name.encode()) + 1 for name in self.ids)

    @cached_property
    def known(self) -> np.ndarray:
        """(m,) numbers of the items that have a place"""
        return np.flatnonzero(np.isfinite(self.places).all(axis=1))


def write_map_tsv(file: BinaryIO, stored: StoredMap) -> int:
    if stored.folder.exists(TABLE):
        file.write(stored.folder.get(TABLE))
        return 0
    d = stored.places.shape[1]
    axes = "xyz"[:d] if d <= 3 else [f"x{k}" for k in range(1, d + 1)]
    file.write(("\t".join(["id", *axes]) + "\n").encode())
    write_rows(file, map(printable, stored.ids), stored.places)
    return 0


def write_rows(file: BinaryIO, names: Iterable[str], places: np.ndarray) -> None:
    """Lines of a name and numbers, as few digits as bring each number back."""
    lines: list[str] = []
    for name, place in zip(names, places, strict=True):
        lines.append("\t".join([name, *map(repr, place.tolist())]) + "\n")
        if len(lines) == _ROWS:
            file.write("".join(lines).encode())
            lines.clear()
    file.write("".join(lines).encode())


def write_ordination(file: BinaryIO, stored: StoredMap) -> int:
    places = stored.places[stored.known]
    m, d = places.shape
    squares = ((places - places.mean(axis=0)) ** 2).sum(axis=0) if m else np.zeros(d)
    shares = squares / (squares.sum() or 1.0)
    for title, values in (("Eigvals", squares), ("Proportion explained", shares)):
        numbers = "\t".join(map(repr, values.tolist()))
        file.write(f"{title}\t{d}\n{numbers}\n\n".encode())
    file.write(f"Species\t0\t0\n\nSite\t{m}\t{d}\n".encode())
    write_rows(file, (printable(stored.ids[k]) for k in stored.known.tolist()), places)
    file.write(b"\nBiplot\t0\t0\n\nSite constraints\t0\t0\n")
    return stored.n - m


def write_plotviz(file: BinaryIO, stored: StoredMap) -> int:
    known = stored.known
    groups, named = groups_of(stored)
    ids = [stored.ids[k] for k in known.tolist()]
    title = f"{stored.run.get('app', 'map')}, {len(known):,} points"
    places = in_three(stored.places[known])
    for piece in plotviz(title, places, ids, groups[known], named):
        file.write(piece.encode())
    return stored.n - len(known)


def groups_of(stored: StoredMap) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(group of each item (n,), (name, colour) of each group): by cluster, else by label."""
    column = next((name for name in ("cluster", "label") if name in stored.columns), None)
    if column is None:
        return np.zeros(stored.n, np.int64), [("all", _COLOURS[0])]
    names, codes = coded([text or None for text in stored.columns[column]])
    order = sorted(range(len(names)), key=lambda k: (len(names[k]), names[k]))  # 2 before 10
    place = np.empty(len(names) + 1, np.int64)
    place[order], place[-1] = np.arange(len(names)), len(names)  # code -1 is the last
    named = [(f"{column} {names[k]}", _COLOURS[n % len(_COLOURS)]) for n, k in enumerate(order)]
    if (codes < 0).any():
        named.append((f"no {column}", FIXED[OTHER_CATEGORY]))
    return place[codes], named


def in_three(places: np.ndarray) -> np.ndarray:
    """(m, 3): the places in three dimensions."""
    m, d = places.shape
    if d <= 3:
        return np.concatenate([places, np.zeros((m, 3 - d))], axis=1)
    centred = places - places.mean(axis=0) if m else places
    _, _, axes = np.linalg.svd(centred.T @ centred)
    return centred @ axes[:3].T


def write_anndata(file: BinaryIO, stored: StoredMap) -> int:
    try:
        import anndata
        import pandas
    except ImportError:
        text = "--to anndata needs the package anndata, which is not installed."
        raise UsageProblem(text, remedy="pip install 'whorl[anndata]'") from None
    others = {name: texts for name, texts in stored.columns.items() if name != "id"}
    table = pandas.DataFrame(others, index=pandas.Index(stored.ids, dtype=object), dtype=object)
    names = ("app", "version", "stress", "normalized_stress", "stress1")
    facts = {name: stored.run[name] for name in names if stored.run.get(name) is not None}
    data = anndata.AnnData(obs=table, obsm={"X_mds": stored.places}, uns={"whorl": facts})
    with tempfile.TemporaryDirectory(prefix="whorl-") as folder:
        path = os.path.join(folder, "map.h5ad")
        data.write_h5ad(path)
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)
    return 0


def copied(name: str) -> Callable[[BinaryIO, Any], int]:
    """A form that the result holds as a file."""

    def write(file: BinaryIO, stored: Any) -> int:
        file.write(stored.folder.get(name))
        return 0

    return write


@dataclass(frozen=True)
class StoredClusters:
    """The clusters and their tree in a result folder."""

    folder: Folder


MAP_FORMS = {
    "tsv": Form(write_map_tsv, StoredMap.table_bytes),
    "npy": Form(copied(COORDINATES), lambda stored: stored.folder.size(COORDINATES)),
    "plotviz": Form(
        write_plotviz, lambda stored: 4096 + 400 * stored.n + 6 * stored.id_bytes()
    ),  # an ampersand takes six letters
    "ordination": Form(
        write_ordination,
        lambda stored: 1024 + 25 * (stored.n + 2) * stored.places.shape[1] + stored.id_bytes(),
    ),
    "anndata": Form(
        write_anndata, lambda stored: (1 << 20) + 2 * (stored.table_bytes() + stored.places.nbytes)
    ),
}
CLUSTER_FORMS = {
    "tsv": Form(copied(CLUSTERS), lambda stored: stored.folder.size(CLUSTERS)),
    "newick": Form(copied(TREE), lambda stored: stored.folder.size(TREE)),
}

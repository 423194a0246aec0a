"""What workers do for `run interpolate`: measure a block of new items, place and store it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import time
from typing import Any, NamedTuple

import numpy as np

from kernels import interpolation, neighbours
from pipelines.engine import Broadcast
from pipelines.formats.distances import ChunkWritten, printable
from pipelines.interpolate_input import load_block
from pipelines.landmark_distances import Found, Landmarks, Wanted
from pipelines.results import write_record
from storage.folder import Folder

NUMBER = "\t%.10g"
# parts of a block: (b, d) float64; (b, 2) float64 of FACTS; (2, r, c) float64, distances of sampled
# items as they are given and as the map shows them; lines
COORDINATES, FACTS, PAIRS, TABLE = "coordinates", "facts", "pairs", "table"


@dataclasses.dataclass(frozen=True)
class OnMap:
    """Landmarks as the map shows them, and what new items are measured against: broadcast.

    at (m, d) float64     ids of the landmarks
    codes (m,) int32      of their labels, -1: none; None where no labels are known
    scale                 of distances, before they are compared with the map
    """

    landmarks: Landmarks
    at: np.ndarray
    ids: list[str]
    codes: np.ndarray | None
    scale: float


@dataclasses.dataclass(frozen=True)
class Work:
    """How items are placed, and where they go."""

    k: int
    far: np.ndarray  # landmarks that all items are fitted to, ascending
    max_iter: int
    tol: float
    folder: Folder
    prefix: str  # key under which parts are stored
    columns: np.ndarray  # landmarks whose distances the report shows
    has_table: bool
    classes: list[str]  # texts of the labels' codes
    n_threads: int


class Block(NamedTuple):
    """New items start..stop-1.

    source    what load_block reads             ids    their names, None: numbers from `start`
    codes     (b,) int32 of their labels, None: none are known
    sampled   (r,) rows of the block that are compared with all landmarks
    """

    index: int
    start: int
    stop: int
    source: Any
    ids: list[str] | None
    codes: np.ndarray | None
    sampled: np.ndarray


class Done(NamedTuple):
    """What the driver keeps of a finished block. Sums are of squares, over items that are placed.

    unplaced     items without a known distance, at NaN     on_landmark   items at distance 0 of one
    cut_off      items that took max_iter steps, so have not converged
    residual, square          against the landmarks that they are fitted to
    all_residual, all_square  against all landmarks, of the sampled items
    labelled, agree           placed items with a label and a labelled nearest landmark on the map
    """

    index: int
    worker: str
    started: float
    stopped: float
    items: int
    unplaced: int
    on_landmark: int
    cut_off: int
    residual: float
    square: float
    all_residual: float
    all_square: float
    labelled: int
    agree: int
    nbytes: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Done:
        """From the record of a block."""
        nbytes = sum(chunk["nbytes"] for chunk in record["chunks"])
        return cls(*(record[name] for name in cls._fields[:-1]), nbytes)


def block_key(block: Block) -> str:
    """Task key of a block: the dashboard groups by the words."""
    return f"place-{block.index}"


def part_key(name: str, index: int) -> str:
    """Where a part of a block lies, below the parts of the run."""
    return f"{name}/{index:06d}"


def warm_up(kind: str, d: int, dtype: str, aligned: tuple[str, str, str] | None) -> str:
    """Compile the kernels or load them from the cache. Returns the CPU they are compiled for.

    aligned    (distance, alphabet, strand) where sequences are placed
    """
    from kernels import _jit
    from pipelines import swg_blocks
    from pipelines.warm import compiled_once

    if aligned is not None:
        swg_blocks.warm_up(*aligned)
    with compiled_once(f"interpolate-{kind}-{dtype}"):
        points = np.random.default_rng(0).random((8, d)).astype(dtype)
        if kind == "points":
            neighbours.nearest(points, points, 2, n_threads=1)
        found = neighbours.select_block(points, 2)
        at = np.random.default_rng(0).random((8, d))
        interpolation.placement_stress(interpolation.place_block(*found, at), *found, at)
    return _jit.target()


def place(block: Block, on_map: Broadcast, work: Broadcast) -> Done:
    """Measure the items of a block, place them, store them, and commit the block."""
    there: OnMap = on_map.value
    what: Work = work.value
    started = time.time()
    wanted = Wanted(what.k, what.far, block.sampled)
    found = there.landmarks.measure(load_block(block.source), wanted, what.n_threads)
    fitted = fit(found, there, what)
    at = fitted.at
    pairs = sampled_pairs(found.whole * there.scale, at[block.sampled], there.at)
    told = counts_of(found, fitted) | agreement(block, at, there) | sums_of(pairs)
    facts = np.stack([found.distances[:, 0], fitted.stress], axis=1)
    parts = {
        COORDINATES: stored(at), FACTS: stored(facts), PAIRS: stored(pairs[:, :, what.columns])
    }  # fmt: skip
    if what.has_table:
        parts[TABLE] = table_of(block, at, found, facts, there, what)
    record = told | {
        "index": block.index, "items": len(at), "started": started, "stopped": time.time(),
        "worker": f"{socket.gethostname()}-{os.getpid()}",
        "chunks": [store(what, name, block.index, data) for name, data in parts.items()],
    }  # fmt: skip
    write_record(what.folder, (block.index,), record)
    record["chunks"] = [dataclasses.asdict(chunk) for chunk in record["chunks"]]
    return Done.of(record)


class Fitted(NamedTuple):
    """Where the items of a block lie (b, d), whether they took all their steps (b,) bool, and sums
    of squares (b,) as interpolation.placement_stress tells them."""

    at: np.ndarray
    cut_off: np.ndarray
    residuals: np.ndarray
    squares: np.ndarray

    @property
    def stress(self) -> np.ndarray:
        """(b,) normalized: 0 where all distances of an item are 0, NaN without a place."""
        some = self.squares > 0
        return np.divide(self.residuals, self.squares, out=self.residuals.copy(), where=some)


def fit(found: Found, there: OnMap, what: Work) -> Fitted:
    """Place the items of a block, some at a time."""
    n, d = len(found.numbers), there.at.shape[1]
    fitted = Fitted(np.empty((n, d)), np.empty(n, np.bool_), np.empty(n), np.empty(n))

    def fill(start: int, stop: int) -> None:
        at, cut_off, residuals, squares = (part[start:stop] for part in fitted)
        numbers, distances = anchors_of(found, what.far, slice(start, stop))
        distances *= there.scale
        at[:] = interpolation.place_block(
            numbers, distances, there.at, max_iter=what.max_iter, tol=what.tol, cut_off=cut_off
        )
        residuals[:], squares[:] = interpolation.placement_stress(at, numbers, distances, there.at)

    neighbours.over_rows(fill, n, what.n_threads)
    return fitted


def anchors_of(found: Found, far: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, distances) of the landmarks that items are fitted to: the nearest, then those far
    ones that are not among them."""
    nearest, k = found.numbers[rows], found.numbers.shape[1]
    numbers = np.empty((len(nearest), k + len(far)), np.int32)
    distances = np.empty(numbers.shape)
    numbers[:, :k], distances[:, :k] = nearest, found.distances[rows]
    numbers[:, k:], distances[:, k:] = far, found.far[rows]
    if len(far):
        place = np.minimum(np.searchsorted(far, nearest), len(far) - 1)
        row, column = np.nonzero(far[place] == nearest)
        distances[row, k + place[row, column]] = np.nan
    return numbers, distances


def store(what: Work, name: str, index: int, data: bytes) -> ChunkWritten:
    """A part of a block."""
    key = part_key(name, index)
    what.folder.put(f"{what.prefix}/{key}", data)
    return ChunkWritten(key, len(data), hashlib.sha256(data).hexdigest())


def stored(values: np.ndarray) -> bytes:
    """As they lie in parts."""
    return np.ascontiguousarray(values, "<f8").tobytes()


def counts_of(found: Found, fitted: Fitted) -> dict[str, float]:
    """Items of a block without a place, on a landmark, and not converged; their stress."""
    known = found.numbers[:, 0] >= 0
    return {
        "unplaced": int((~known).sum()),
        "on_landmark": int((known & (found.distances[:, 0] == 0)).sum()),
        "cut_off": int(fitted.cut_off.sum()),
        "residual": float(np.nansum(fitted.residuals)),
        "square": float(fitted.squares.sum()),
    }


def agreement(block: Block, at: np.ndarray, there: OnMap) -> dict[str, int]:
    """How many placed items with a label have that of the landmark nearest to them on the map."""
    if block.codes is None or there.codes is None:
        return {"labelled": 0, "agree": 0}
    marked = np.flatnonzero(there.codes >= 0)
    asked = np.flatnonzero((block.codes >= 0) & np.isfinite(at[:, 0]))
    if not len(marked) or not len(asked):
        return {"labelled": 0, "agree": 0}
    nearest, _ = neighbours.nearest(at[asked], there.at[marked], 1, n_threads=1)
    agree = there.codes[marked[nearest[:, 0]]] == block.codes[asked]
    return {"labelled": len(asked), "agree": int(agree.sum())}


def sampled_pairs(whole: np.ndarray, at: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """(2, r, m) float64: distances of sampled items to all landmarks, given and on the map."""
    apart = np.square(at[:, None, :] - anchors[None, :, :]).sum(axis=2)
    return np.stack([whole, np.sqrt(apart)])


def sums_of(pairs: np.ndarray) -> dict[str, float]:
    """Sums of (distance - delta)^2 and of delta^2 over pairs that have both."""
    given, shown = pairs
    known = np.isfinite(given) & np.isfinite(shown)
    misfit = shown[known] - given[known]
    return {
        "all_residual": float((misfit**2).sum()), "all_square": float((given[known] ** 2).sum())
    }  # fmt: skip


def table_of(
    block: Block, at: np.ndarray, found: Found, facts: np.ndarray, there: OnMap, what: Work
) -> bytes:
    """The lines of coordinates.tsv of a block: id, coordinates, nearest landmark, its distance,
    stress, and the label where there are labels."""
    names = map(str, range(block.start, block.stop))
    if block.ids is not None:
        names = map(printable, block.ids)
    nearest = [there.ids[k] if k >= 0 else "" for k in found.numbers[:, 0].tolist()]
    columns = [names, *at.T.tolist(), nearest, *facts.T.tolist()]
    line = f"%s{at.shape[1] * NUMBER}\t%s{2 * NUMBER}"
    if block.codes is not None:
        texts = [*what.classes, ""]  # -1 is the last one: no label
        columns.append([texts[code] for code in block.codes.tolist()])
        line += "\t%s"
    return "".join([f"{line}\n" % cells for cells in zip(*columns, strict=True)]).encode()

"""What `run interpolate` is given: sequences, points or rows of distances, in blocks."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipelines.app import RunOptions
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.fasta import Records
from pipelines.formats.points import Points, load_rows, open_points
from pipelines.formats.points_source import Source, ends_early
from pipelines.formats.points_survey import looks_like_points
from pipelines.interpolate_map import Aligned, Map, aligned_by, check_longest, vectors_of
from pipelines.landmark_distances import (
    GivenLandmarks,
    Landmarks,
    PointLandmarks,
    SequenceBlock,
)
from pipelines.swg_input import check_together, read_records

KINDS = ("sequences", "points", "distances")


class New(Protocol):
    """New items, whatever they are."""

    kind: str
    n: int
    ids: list[str] | None
    inputs: list[dict[str, Any]]  # identities of what was read, the new items first
    warnings: list[str]

    def source(self, start: int, stop: int) -> Any:
        """What `load_block` needs for items start..stop-1; picklable."""


@dataclasses.dataclass(frozen=True)
class NewSequences:
    """Sequences, which travel with their blocks."""

    records: Records
    aligned: Aligned
    inputs: list[dict[str, Any]]
    warnings: list[str]
    standard_input: bytes | None
    kind = "sequences"

    @property
    def n(self) -> int:
        return self.records.n

    @property
    def ids(self) -> list[str]:
        return self.records.ids

    def source(self, start: int, stop: int) -> SequenceBlock:
        offsets = self.records.offsets[start : stop + 1]
        return SequenceBlock(self.records.codes[offsets[0] : offsets[-1]], offsets - offsets[0])


@dataclasses.dataclass(frozen=True)
class NewPoints:
    """Points; workers read the rows of a block."""

    points: Points
    vectors: np.ndarray  # of the landmarks, (n, q)
    inputs: list[dict[str, Any]]
    kind = "points"

    @property
    def n(self) -> int:
        return self.points.n

    @property
    def ids(self) -> list[str] | None:
        return self.points.ids

    @property
    def warnings(self) -> list[str]:
        return self.points.warnings

    def source(self, start: int, stop: int) -> Source:
        return self.points.source(start, stop)


class RowSource(NamedTuple):
    """Rows of a block; columns: where distances to the map's items stand, None: in its order."""

    rows: Source
    columns: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class NewDistances:
    """Rows of distances to the map's items; workers read those of a block."""

    points: Points
    columns: np.ndarray | None
    inputs: list[dict[str, Any]]
    kind = "distances"

    @property
    def n(self) -> int:
        return self.points.n

    @property
    def ids(self) -> list[str] | None:
        return self.points.ids

    @property
    def warnings(self) -> list[str]:
        return self.points.warnings

    def source(self, start: int, stop: int) -> RowSource:
        return RowSource(self.points.source(start, stop), self.columns)


def open_new(
    path: str, there: Map, kind: str, landmarks: str | None, options: RunOptions
) -> NewSequences | NewPoints | NewDistances:
    """The new items, opened and checked. Raises UsageProblem, InputProblem."""
    if kind == "auto":
        kind = kind_of(path, landmarks)
    if kind == "sequences":
        return open_sequences(path, there, landmarks, options)
    if kind == "points":
        return open_vectors(path, there, landmarks)
    return open_rows(path, there, landmarks)


def kind_of(path: str, landmarks: str | None) -> str:
    """'sequences', 'points' or 'distances', by what is in the file and what else is given."""
    if not looks_like_points(path):
        return "sequences"
    return "points" if landmarks is not None else "distances"


def open_sequences(
    path: str, there: Map, landmarks: str | None, options: RunOptions
) -> NewSequences:
    """Sequences to be aligned with those of the map, as these were with each other."""
    aligned = aligned_by(there, landmarks)
    config = dataclasses.replace(aligned.config, sequences=path)
    records, standard_input = read_records(config, options)
    scoring = (
        aligned.landmarks.scores, aligned.landmarks.gap_open, aligned.landmarks.gap_extend,
    )  # fmt: skip
    check_together(config, records, scoring)
    check_longest(aligned, records, scoring, path)
    told = {
        "path": path, "bytes": records.nbytes, "records": records.n, "sha256": records.sha256,
    }  # fmt: skip
    warnings = [*records.warnings, *aligned.warnings]
    return NewSequences(records, aligned, [told, *aligned.inputs], warnings, standard_input)


def open_vectors(path: str, there: Map, landmarks: str | None) -> NewPoints:
    """Points whose distances are those of their coordinates."""
    if landmarks is None:
        raise UsageProblem(
            f"{path} holds points, and the vectors of the map's items are not given.",
            remedy="--landmarks FILE names them: a row for each item of the map, in its order.",
        )
    points = open_points(path)
    vectors, identity = vectors_of(there, landmarks)
    if points.d != vectors.shape[1]:
        text = f"{path} has {points.d:,} columns, --landmarks {landmarks} {vectors.shape[1]:,}."
        raise InputProblem(text, remedy="Both need the same columns, in the same order.")
    return NewPoints(points, vectors, [points.identity, identity])


def open_rows(path: str, there: Map, landmarks: str | None) -> NewDistances:
    """Distances, a row for each new item and a column for each item of the map."""
    if landmarks is not None:
        raise UsageProblem(
            "--landmarks is for sequences and points; rows of distances need none.",
            remedy="Leave it out, or take --kind points.",
        )
    points = open_points(path, check=False, missing=True)
    if points.d != there.n:
        text = f"{path} has {points.d:,} columns, {there.url} {there.n:,} items"
        raise InputProblem(
            f"{text}: a column of distances to each of them is expected.",
            remedy="Are these points? --landmarks FILE names the vectors of the map's items.",
        )
    columns = None
    if points.names is not None and there.ids is not None and points.names != there.ids:
        if sorted(points.names) != sorted(there.ids):
            text = f"the columns of {path} are not named as the items of {there.url}."
            raise InputProblem(text, remedy="Name them by the ids of the map, or leave names out.")
        place = {name: k for k, name in enumerate(points.names)}
        columns = np.array([place[name] for name in there.ids])
    return NewDistances(points, columns, [points.identity])


# On workers


def load_block(source: SequenceBlock | Source | RowSource) -> Any:
    """What the landmarks' `nearest` gets. Raises InputProblem."""
    if isinstance(source, RowSource):
        rows = load_distances(source.rows)
        return rows if source.columns is None else rows[:, source.columns]
    return load_rows(source) if isinstance(source, Source) else source


def load_distances(source: Source) -> np.ndarray:
    """(rows, columns) of distances, NaN: missing. InputProblem for negative and infinite ones."""
    rows = np.empty((source.stop - source.start, source.d), source.dtype)
    done = 0
    for block in source.layout.blocks(source.start, source.stop):
        part = rows[done : done + len(block)]
        part[:] = block
        wrong = (part < 0) | np.isinf(part)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            text = f"{source.layout.name}: row {source.start + done + row:,}, column {column:,}"
            raise InputProblem(
                f"{text} (counted from 0) is {part[row, column]}; distances are 0 or more.",
                remedy="Put NaN where a distance is not known.",
            )
        done += len(block)
    if done < len(rows):
        raise ends_early(source.layout.name, source.start + done, source.stop)
    return rows


def landmarks_of(new: NewSequences | NewPoints | NewDistances, chosen: np.ndarray) -> Landmarks:
    """What the new items are measured against: those items of the map, in that order."""
    if isinstance(new, NewSequences):
        return new.aligned.landmarks.taken(chosen)
    if isinstance(new, NewPoints):
        return PointLandmarks(np.ascontiguousarray(new.vectors[chosen]))
    return GivenLandmarks(chosen)

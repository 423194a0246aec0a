"""The map that new items are placed on, and how the distances it shows were made."""

from __future__ import annotations

import dataclasses
import io
import os
from typing import Any

import numpy as np

from pipelines import swg
from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.formats.distances import printable
from pipelines.formats.fasta import Records, read_fasta
from pipelines.formats.fasta_checks import quote
from pipelines.formats.labels import row_numbers
from pipelines.formats.points import load_rows, open_points
from pipelines.formats.points_folder import is_folder
from pipelines.formats.tables import table_rows
from pipelines.landmark_distances import SequenceLandmarks, taken_sequences
from pipelines.results import read_run
from pipelines.swg_input import Scoring, scoring_of
from storage.errors import StorageError
from storage.folder import Folder, open_folder, split_url

ALIGNED = (
    "alphabet", "matrix", "match", "mismatch", "gap_open", "gap_extend", "distance", "strand",
    "ids", "on_bad_record", "gaps",
)  # fmt: skip
NAMED = "--landmarks FILE names it."


@dataclasses.dataclass(frozen=True)
class Map:
    """A finished map: coordinates at (n, d) float64, and what is known of them.

    run     run.json of the result folder; {} where only coordinates were given
    scale   by which distances are multiplied before they are compared with the map: 1 unless the
            map was scaled freely
    """

    url: str
    at: np.ndarray
    ids: list[str] | None
    labels: list[str | None] | None
    run: dict[str, Any]
    identity: dict[str, Any]
    scale: float = 1.0

    @property
    def n(self) -> int:
        return len(self.at)

    @property
    def d(self) -> int:
        return self.at.shape[1]

    @property
    def names(self) -> list[str]:
        """Ids, or numbers from 0."""
        return self.ids if self.ids is not None else row_numbers(self.n)

    @property
    def stress(self) -> dict[str, float]:
        """What run.json says of the fit of the landmarks."""
        found = {key: self.run.get(key) for key in ("normalized_stress", "stress1")}
        return {key: float(value) for key, value in found.items() if value is not None}


def open_map(url: str) -> Map:
    """The map in a result folder (of run sequences: that in its folder map), or the coordinates in
    a file. Raises UsageProblem, InputProblem, DamagedResult."""
    run: dict[str, Any] = {}
    if is_folder(url) and "run.json" in open_folder(url).names():
        run = read_run(url)
        if run.get("app") == "sequences":
            return open_map(f"{url.rstrip('/')}/map")
    points = open_points(url)
    at = load_rows(points.source(0, points.n)).astype(np.float64)
    folder = open_folder(url) if run else None
    labels = labels_in(folder) if folder is not None else None
    ids = None if points.ids == row_numbers(points.n) else points.ids
    scale = 1.0
    if folder is not None and scaling_of(run) != "absolute":
        scale = fitted_scale(folder)
    return Map(url, at, ids, labels, run, points.identity | {"path": url}, scale)


def scaling_of(run: dict[str, Any]) -> str:
    """'absolute', 'ratio' or 'ordinal'."""
    return str(run.get("config", {}).get("scaling", {}).get("value", "absolute"))


def fitted_scale(folder: Folder) -> float:
    """The factor between given distances and those on the map, by the map's own sample of pairs."""
    try:
        with np.load(io.BytesIO(folder.get("shepard.npz")), allow_pickle=False) as sample:
            given, shown = sample["delta"], sample["distance"]
    except (StorageError, ValueError, KeyError) as error:
        text = f"{folder.url} was scaled freely, and its shepard.npz, which tells the scale,"
        raise DamagedResult(f"{text} cannot be read: {error}.") from error
    known = np.isfinite(given) & np.isfinite(shown)
    squares = float((given[known] ** 2).sum())
    return float((given[known] * shown[known]).sum()) / squares if squares > 0 else 1.0


def labels_in(folder: Folder) -> list[str | None] | None:
    """The labels that a result keeps of its items; None where it has none."""
    if "coordinates.tsv" not in folder.names():
        return None
    rows = table_rows(folder.get("coordinates.tsv"))
    if not rows or "label" not in rows[0]:
        return None
    return [row["label"] or None for row in rows]


# Sequences: back from the map to the run that aligned its items


@dataclasses.dataclass(frozen=True)
class Aligned:
    """How the items of a map were aligned, and their sequences in the map's order.

    config   of the run swg, its input being the file that was read just now
    inputs   that file, and a scoring matrix that is a file
    """

    config: swg.Config
    landmarks: SequenceLandmarks
    matrix_name: str
    inputs: list[dict[str, Any]]
    warnings: list[str]


def aligned_by(there: Map, given: str | None) -> Aligned:
    """The run that aligned the items of a map, with their sequences; given: where these lie now.

    Raises UsageProblem and InputProblem: no run swg, sequences that are gone or changed.
    """
    run = distances_run(there)
    source = run["inputs"][0]
    config = config_of(run, given or place_of(source["path"], there.url))
    records, warnings = records_of(there, config, given, source["sha256"])
    if records.alphabet != config.alphabet:
        raise InputProblem(f"{records.source} holds {records.alphabet}, the map {config.alphabet}.")
    scoring, name, matrix = scoring_of(config, config.alphabet)
    check_matrix(run, matrix)
    codes, offsets = in_order(there, records)
    landmarks = SequenceLandmarks(codes, offsets, *scoring, config.distance, config.strand)
    told = {
        "path": config.sequences, "bytes": records.nbytes, "records": records.n,
        "sha256": records.sha256,
    }  # fmt: skip
    return Aligned(config, landmarks, name, [told, *([matrix] if matrix else [])], warnings)


def distances_run(there: Map) -> dict[str, Any]:
    """What run.json keeps of the run swg whose distances a map shows. Raises UsageProblem."""
    source = there.run.get("source") or {}
    if source.get("app") == "swg":
        return source
    shows = f"shows {source['url']}" if "url" in source else "is no result of run mds"
    raise UsageProblem(
        f"{there.url} {shows}: how to align sequences with its items is not known.",
        remedy="Give rows of distances to the map's items, or points with --landmarks.",
    )


def config_of(run: dict[str, Any], path: str) -> swg.Config:
    """The options of a run swg that alignments and records depend on."""
    rows = run["config"]
    values = {name: rows[name]["value"] for name in ALIGNED if name in rows}
    if "matrix" in values:  # what a name stood for is told in words
        values["matrix"] = rows["matrix"].get("given", values["matrix"])
    return swg.Config(path, **values)


def place_of(path: str, beside: str) -> str:
    """Where a file lies that a result was made from: as it was named, or, where a folder was moved
    with all that is in it, beside that result."""
    if split_url(path)[0] != "file" or path == "-" or os.path.exists(path):
        return path
    parent = beside.rstrip("/").rpartition("/")[0] or "."
    moved = f"{parent}/{path.rpartition('/')[2]}"
    return moved if os.path.exists(moved) else path


def records_of(
    there: Map, config: swg.Config, given: str | None, sha256: str
) -> tuple[Records, list[str]]:
    """The sequences of the map's items, and warnings. Raises UsageProblem, InputProblem."""
    if config.sequences == "-":
        text = f"the sequences of {there.url} came from standard input, and are gone."
        raise UsageProblem(text, remedy=f"Save them to a file; {NAMED}")
    if split_url(config.sequences)[0] == "file" and not os.path.exists(config.sequences):
        text = f"{config.sequences}, whose sequences {there.url} shows, does not exist."
        raise UsageProblem(text, remedy=f"Has it moved? {NAMED}")
    records = read_fasta(
        config.sequences, alphabet=config.alphabet, ids=config.ids,
        on_bad_record=config.on_bad_record, gaps=config.gaps,
    )  # fmt: skip
    if records.sha256 == sha256:
        return records, []
    text = f"{config.sequences} is not the file that {there.url} was made from"
    hashes = f"sha256 {records.sha256[:12]}, not {sha256[:12]}"
    if given is None:
        raise InputProblem(f"{text} ({hashes}).", remedy=f"Is the old one elsewhere? {NAMED}")
    return records, [f"{text} ({hashes}); its records of the same ids are taken"]


def check_matrix(run: dict[str, Any], matrix: dict[str, Any] | None) -> None:
    """InputProblem when a scoring matrix that is a file is not what it was."""
    before = run["inputs"][1:]
    if matrix is not None and before and before[0]["sha256"] != matrix["sha256"]:
        text = f"{matrix['path']} is not the scoring matrix that the map's items were aligned with"
        raise InputProblem(
            f"{text} (sha256 {matrix['sha256'][:12]}, not {before[0]['sha256'][:12]}).",
            remedy="Put the old one back.",
        )


def in_order(there: Map, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """(codes, offsets) of the map's items. InputProblem when one is not among the records."""
    if there.ids is None:
        if records.n != there.n:
            text = f"{records.source} holds {records.n:,} records, {there.url} {there.n:,} items."
            raise InputProblem(text, remedy="The map's own sequences are meant, in its order.")
        return records.codes, records.offsets
    place = {printable(name): k for k, name in enumerate(records.ids)}
    numbers = [place.get(name, -1) for name in there.ids]
    if numbers == list(range(records.n)):
        return records.codes, records.offsets
    if min(numbers) < 0:
        gone = there.ids[numbers.index(-1)]
        raise InputProblem(f"{records.source} has no record {quote(gone)} of {there.url}.")
    return taken_sequences(records.codes, records.offsets, np.array(numbers))


def vectors_of(there: Map, given: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The landmarks' own vectors (n, q), in the map's order, and their identity.

    Raises InputProblem where they are not those of the map.
    """
    points = open_points(given)
    if points.n != there.n:
        text = f"--landmarks {given} holds {points.n:,} points, {there.url} {there.n:,} items."
        raise InputProblem(text, remedy="One row for each item of the map, in its order.")
    vectors = load_rows(points.source(0, points.n))
    if points.ids is None or there.ids is None or points.ids == there.ids:
        return vectors, points.identity
    place = {name: k for k, name in enumerate(points.ids)}
    numbers = [place.get(name, -1) for name in there.ids]
    if min(numbers) < 0:
        gone = there.ids[numbers.index(-1)]
        raise InputProblem(f"--landmarks {given} has no row {quote(gone)} of {there.url}.")
    return vectors[numbers], points.identity


def check_longest(aligned: Aligned, records: Records, scoring: Scoring, source: str) -> None:
    """InputProblem when the longest new record is too long to be aligned with the landmarks."""
    from kernels import swg as kernel

    lengths = np.concatenate([records.lengths, np.diff(aligned.landmarks.offsets)])
    unfit = kernel.unfit_pair(lengths, *scoring, aligned.config.distance)
    if unfit is not None:
        name = min(unfit)
        who = quote(records.ids[name]) if name < records.n else "one of the map's"
        raise InputProblem(
            f"{source}: record {who} is too long ({int(lengths[name]):,} letters): "
            f"{aligned.config.distance} needs more than 64 bits.",
            remedy="Leave it out, or cut it.",
        )

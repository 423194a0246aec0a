"""Is a result what was written? Bytes against checksums, then the array against itself."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from pipelines.checksums import CHECKSUMS, read_checksums
from pipelines.errors import DamagedResult, WhorlError
from pipelines.formats.arrays import DISTANCES, NAMES
from pipelines.formats.distances import DistanceMatrix, read_ids
from pipelines.formats.label_array import LABELS, LabelArray
from pipelines.output_rules import STAGES
from pipelines.results import read_run
from storage.errors import KeyMissing
from storage.folder import Folder, open_folder

COORDINATES = "coordinates.npy"
SHOWN = 5
READ_AT_ONCE = 16


@dataclass
class Verification:
    """What was looked at; `problems` is empty for a sound result.

    stages: result folders inside this one, looked at as well
    extra: files at the top of the folder that the result does not know (no damage)
    missing_pairs: unordered pairs without a distance
    matrix_checked, labels_checked, map_checked: False where there is none, or when it was damaged
    """

    url: str
    files: int = 0
    nbytes: int = 0
    n: int | None = None
    missing_pairs: int | None = None
    matrix_checked: bool = False
    labels_checked: bool = False
    map_checked: bool = False
    seconds: float = 0.0
    stages: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        """For --json."""
        return asdict(self)


def verify(url: str, **storage_options) -> Verification:
    """Check every file's sha256, then shape, dtype, symmetry, diagonal and values of a matrix,
    shape, range and number of labels, or shape and values of a map.

    Raises DamagedResult with the first problems; its `verification` holds all of them.
    """
    began = time.monotonic()
    found = Verification(url)
    run = read_run(url, **storage_options)
    folder = open_folder(url, **storage_options)
    hashes = read_checksums(folder)
    check_bytes(folder, hashes, found)
    for array, check in ((DISTANCES, check_matrix), (LABELS, check_labels)):
        damaged_bytes = any(problem.startswith(array) for problem in found.problems)
        if not damaged_bytes and any(name.startswith(f"{array}/") for name in hashes):
            check(folder, run, found)
    if COORDINATES in hashes and not any(p.startswith(COORDINATES) for p in found.problems):
        check_map(folder, run, found)
    for stage in (name for name in STAGES if f"{name}/run.json" in hashes):
        check_stage(f"{url.rstrip('/')}/{stage}", stage, found, storage_options)
    found.seconds = time.monotonic() - began
    if found.problems:
        raise damaged(found)
    return found


def check_stage(url: str, stage: str, found: Verification, storage_options: dict) -> None:
    """Add what a result folder inside this one holds, and what is wrong with it."""
    try:
        inner = verify(url, **storage_options)
    except WhorlError as error:
        inner = getattr(error, "verification", Verification(url, problems=[str(error)]))
    found.files += inner.files
    found.nbytes += inner.nbytes
    found.extra += [f"{stage}/{name}" for name in inner.extra]
    found.problems += [f"{stage}: {problem}" for problem in inner.problems]
    found.stages.append(stage)


def damaged(found: Verification) -> DamagedResult:
    """The error that tells the first problems in one line."""
    first = "; ".join(found.problems[:SHOWN])
    more = len(found.problems) - SHOWN
    error = DamagedResult(
        f"{found.url} is damaged: {first}{f'; and {more:,} more' if more > 0 else ''}.",
        remedy="Copy the folder again, or run the command that made it with --overwrite.",
    )
    error.verification = found
    return error


def check_bytes(folder: Folder, hashes: dict[str, str], found: Verification) -> None:
    """Compare each listed file with its checksum; name missing, damaged and extra files."""
    names = sorted(hashes)
    for start in range(0, len(names), READ_AT_ONCE):
        group = names[start : start + READ_AT_ONCE]
        contents = folder.get_many(group)
        for name in group:
            if name not in contents:
                found.problems.append(f"{name} is missing")
                continue
            found.files += 1
            found.nbytes += len(contents[name])
            if hashlib.sha256(contents[name]).hexdigest() != hashes[name]:
                found.problems.append(f"{name} is not as it was written (sha256 differs)")
    if "run.json" not in hashes:
        found.problems.append(f"{CHECKSUMS} does not list run.json")
    listed_at_top = {name.partition("/")[0] for name in hashes}
    found.extra = sorted(
        name
        for name in folder.names()
        if name not in listed_at_top and name != CHECKSUMS and not name.startswith(".")
    )
    for array in sorted(NAMES):
        for name in folder.list(array):
            if name not in hashes:
                found.problems.append(f"{name} does not belong to the array")


def check_matrix(folder: Folder, run: dict, found: Verification) -> None:
    """Add what is wrong with the stored matrix; it is read once, in pairs of mirrored blocks."""
    try:
        ids = read_ids(folder) if folder.exists("ids.tsv") else None
        matrix = DistanceMatrix(folder, DISTANCES, ids)
        check_description(DISTANCES, matrix, run, found)
        found.n = matrix.n
        found.missing_pairs = check_values(matrix, found)
    except (DamagedResult, KeyMissing) as error:
        found.problems.append(str(error).rstrip("."))
        return
    found.matrix_checked = True
    counted = run.get("missing_pairs")
    if counted is not None and counted != found.missing_pairs:
        found.problems.append(
            f"{found.missing_pairs:,} pairs are missing, run.json says {counted:,}"
        )


def check_labels(folder: Folder, run: dict, found: Verification) -> None:
    """Add what is wrong with the stored labels: shape, range, and how many there are of each."""
    try:
        labels = LabelArray(folder, LABELS)
        check_description(LABELS, labels, run, found)
        found.n = labels.n
        sizes = np.zeros(len(run["sizes"]), np.int64)
        for first, chunk in labels.chunks():
            if chunk.min() < 0 or chunk.max() >= len(sizes):
                row = first + int(np.argmax((chunk < 0) | (chunk >= len(sizes))))
                raise DamagedResult(
                    f"{LABELS} has label {chunk[row - first]} in row {row:,}, outside 0 to "
                    f"{len(sizes) - 1}."
                )
            sizes += np.bincount(chunk, minlength=len(sizes))
    except (DamagedResult, KeyMissing) as error:
        found.problems.append(str(error).rstrip("."))
        return
    except (KeyError, TypeError):
        found.problems.append("run.json tells no sizes of the clusters")
        return
    found.labels_checked = True
    for cluster in np.flatnonzero(sizes != run["sizes"])[:1]:
        found.problems.append(
            f"{LABELS} has {sizes[cluster]:,} rows of cluster {cluster}, run.json says "
            f"{run['sizes'][cluster]:,}"
        )


def check_map(folder: Folder, run: dict, found: Verification) -> None:
    """Add what is wrong with stored coordinates: shape, values, and whether each record has some.

    Records that could not be placed have none: run.json says how many there are.
    """
    try:
        places = np.load(io.BytesIO(folder.get(COORDINATES)), allow_pickle=False)
        ids = read_ids(folder) if folder.exists("ids.tsv") else None
    except (DamagedResult, KeyMissing, ValueError) as error:
        found.problems.append(f"{COORDINATES} or ids.tsv cannot be read: {str(error).rstrip('.')}")
        return
    check_description(COORDINATES, places, run, found)
    if ids is not None and len(ids) != len(places):
        found.problems.append(f"{COORDINATES} has {len(places):,} rows, ids.tsv {len(ids):,}")
    lost = len(places) - run.get("placed", len(places))
    unknown = int((~np.isfinite(places)).any(axis=1).sum())
    if unknown != lost:
        found.problems.append(
            f"{COORDINATES} has {unknown:,} rows that are not numbers, run.json says {lost:,}"
        )
    found.n, found.map_checked = len(places), True


def check_description(
    name: str, array: DistanceMatrix | LabelArray | np.ndarray, run: dict, found: Verification
) -> None:
    """Shape and dtype as run.json has them."""
    output = next((one for one in run.get("outputs", []) if one["name"] == name), {})
    shape, dtype = list(array.shape), str(array.dtype)
    if (output.get("shape"), output.get("dtype")) != (shape, dtype):
        found.problems.append(
            f"{name} is {dtype} {shape}, run.json says {output.get('dtype')} {output.get('shape')}"
        )


def check_values(matrix: DistanceMatrix, found: Verification) -> int:
    """Symmetry, diagonal, finiteness, range; returns the number of missing pairs."""
    limits = matrix.attributes.get("distance_range")
    zero_diagonal = matrix.attributes.get("kind", "distance") != "score"
    missing = 0
    for i, j, block in upper_blocks(matrix):
        where = f"{DISTANCES} block ({i}, {j})"
        if i == j or matrix.triangle == "full":
            mirror = block.T if i == j else matrix.block(j, i).T
            found.problems += asymmetries(where, matrix.block_size, i, j, block, mirror)
        if i == j and zero_diagonal and not (np.diagonal(block) == 0).all():
            found.problems.append(f"{where} has a diagonal that is not 0")
        lost = np.isnan(block)
        missing += int(np.triu(lost, 1).sum() if i == j else lost.sum())
        found.problems += outliers(where, block[~lost], limits)
    return missing


def asymmetries(
    where: str, size: int, i: int, j: int, block: np.ndarray, mirror: np.ndarray
) -> list[str]:
    """What to say where a block and its mirror differ; nothing when they do not."""
    unequal = (block != mirror) & ~(np.isnan(block) & np.isnan(mirror))
    if not unequal.any():
        return []
    row, column = np.argwhere(unequal)[0]
    return [
        f"{where} is not symmetric in {int(unequal.sum()):,} places, first "
        f"d[{i * size + row},{j * size + column}] = {block[row, column]:.6g}, "
        f"its mirror {mirror[row, column]:.6g}"
    ]


def outliers(where: str, values: np.ndarray, limits: list | None) -> list[str]:
    """What to say of infinite values and of those outside limits ([low, high] or None)."""
    if not values.size:
        return []
    if np.isinf(values).any():
        return [f"{where} holds infinite values"]
    low, high = limits or (-np.inf, np.inf)
    if values.min() >= low and values.max() <= high:
        return []
    span = f"{values.min():.6g} to {values.max():.6g}"
    return [f"{where} holds values from {span}, outside [{low:g}, {high:g}]"]


def upper_blocks(matrix: DistanceMatrix) -> Iterator[tuple[int, int, np.ndarray]]:
    """(i, j, block) of the upper triangle of blocks."""
    for i in range(matrix.n_blocks):
        for j in range(i, matrix.n_blocks):
            yield i, j, matrix.block(i, j)

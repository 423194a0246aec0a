"""The result of `run interpolate`: parts of blocks joined to files, report and run.json."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.engine import Engine
from pipelines.engine.tree import reduce_pairwise
from pipelines.formats.arrays import npz_bytes
from pipelines.formats.distances import ids_table, printable
from pipelines.happenings import Happenings
from pipelines.interpolate_blocks import COORDINATES, FACTS, PAIRS, TABLE, Done, part_key
from pipelines.interpolate_input import NewSequences
from pipelines.interpolate_plan import Job
from pipelines.report.interpolate import interpolate_report
from pipelines.results import ResultFolder, read_run
from pipelines.run_steps import provenance
from storage.folder import Folder, open_folder

SUMS = ("residual", "square", "all_residual", "all_square")
COUNTS = ("items", "unplaced", "on_landmark", "cut_off", "labelled", "agree")
SHOWN_ITEMS = 100_000  # that the report shows
HEAD = 4096  # bytes of a file that tell what it is
AXES = ("x", "y", "z")

Stored = dict[str, tuple[str, bytes]]  # name of a stored file -> sha256, first bytes


def summarise(
    job: Job, engine: Engine, done: Sequence[Done], earlier: int, seen: Happenings
) -> dict[str, Any]:
    """What run.json says of the run, but for times. done: in the order of the blocks."""
    total: dict[str, Any] = {name: sum(getattr(b, name) for b in done) for name in COUNTS}
    for name in SUMS:  # over a fixed tree, so that the last bit depends on nothing else
        total[name] = reduce_pairwise(float.__add__, [getattr(block, name) for block in done])
    repeated = sum(n for key, n in seen.repeated.items() if key.startswith("place-"))
    warnings = [*job.warnings, *([engine.cpu_warning] if engine.cpu_warning else [])]
    placed = total["items"] - total["unplaced"]
    found = provenance(job, engine, len(seen.lost)) | {
        "n": job.new.n,
        "n_components": job.map.d,
        "kind": job.new.kind,
        "placed": placed,
        "unplaced": total["unplaced"],
        "on_landmark": total["on_landmark"],
        "not_converged": total["cut_off"],
        **stress_facts(job, total),
        "blocks": {
            "total": len(job.ranges), "done": len(done), "done_before": earlier,
            "repeated": repeated,
        },
        "bytes": {
            "input": sum(each["bytes"] for each in job.inputs),
            "parts": sum(block.nbytes for block in done),
        },
        "warnings": [*warnings, *result_warnings(total)],
        "plan": job.plan,
    }  # fmt: skip
    if total["labelled"]:
        one_nn = total["agree"] / total["labelled"]
        found["labels"] = {
            "one_nn": one_nn, "records": total["labelled"], "classes": len(job.classes)
        }  # fmt: skip
    return found


def stress_facts(job: Job, total: dict[str, Any]) -> dict[str, Any]:
    """The stress of placed items beside that of the map they were placed on.

    normalized_stress   against the k nearest landmarks: what placing makes small
    sampled             against all landmarks, of some items: what compares with the map's
    """
    return {
        "normalized_stress": ratio(total["residual"], total["square"]),
        "sampled": {
            "items": len(job.sampled),
            "normalized_stress": ratio(total["all_residual"], total["all_square"]),
        },
        "landmarks": {
            "url": job.map.url, "n": len(job.chosen), "of": job.map.n, "scale": job.map.scale,
            **job.map.stress,
        },
    }  # fmt: skip


def ratio(residual: float, square: float) -> float | None:
    """residual / square; None where there is nothing to compare with."""
    return residual / square if square > 0 and math.isfinite(residual) else None


def result_warnings(total: dict[str, Any]) -> list[str]:
    """What the user should know of the placed items."""
    found, n = [], total["items"]
    if total["unplaced"]:
        share = 100 * total["unplaced"] / n
        found.append(
            f"{total['unplaced']:,} of {n:,} items ({share:.2g} %) have no known distance to a "
            "landmark: their coordinates are NaN"
        )
    if total["cut_off"]:
        share = 100 * total["cut_off"] / n
        found.append(
            f"the placement of {total['cut_off']:,} of {n:,} items ({share:.2g} %) has not "
            "converged; raise --max-iter or --tol"
        )
    return found


# Files


def store_files(job: Job, results: ResultFolder, done: Sequence[Done]) -> Stored:
    """Join the parts of the blocks to coordinates.npy and coordinates.tsv, part by part."""
    folder, prefix = results.folder, results.array_prefix
    numbers = [block.index for block in done]
    files = {"coordinates.npy": [npy_header((job.new.n, job.map.d)), COORDINATES]}
    if job.has_table:
        files["coordinates.tsv"] = [table_header(job), TABLE]
    stored = {}
    for name, (first, part) in files.items():
        keys = [f"{prefix}/{part_key(part, number)}" for number in numbers]
        watched = Watched(first, folder, keys)
        folder.put_parts(name, watched)
        stored[name] = (watched.sha256, watched.head)
    return stored


class Watched:
    """Bytes that go by: `first`, then the objects under some keys. Knows their hash in the end."""

    def __init__(self, first: bytes, folder: Folder, keys: Sequence[str]):
        self._first, self._folder, self._keys = first, folder, keys
        self._hash = hashlib.sha256()
        self.head = b""

    def __iter__(self) -> Iterator[bytes]:
        yield self._seen(self._first)
        for key in self._keys:
            yield self._seen(self._folder.get(key))

    def _seen(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.head = (self.head + data[:HEAD])[:HEAD]
        return data

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def npy_header(shape: tuple[int, int]) -> bytes:
    """The bytes before the values of an .npy file of float64."""
    file = io.BytesIO()
    described = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def table_header(job: Job) -> bytes:
    """The first line of coordinates.tsv."""
    d = job.map.d
    axes = AXES[:d] if d <= len(AXES) else [f"x{k}" for k in range(1, d + 1)]
    names = ["id", *axes, "nearest", "distance", "stress"]
    return ("\t".join(names + (["label"] if job.labels is not None else [])) + "\n").encode()


def make_files(
    job: Job, results: ResultFolder, run: dict[str, Any], done: Sequence[Done], seen: Happenings,
    pages: list[bytes],
) -> dict[str, bytes]:  # fmt: skip
    """Tables, samples, log and report: name -> bytes."""
    new = job.new
    files = {"shepard.npz": shepard_file(job, results, done)}
    if isinstance(new, NewSequences):
        records = new.records
        files["ids.tsv"] = ids_table(records.ids, records.lengths, records.descriptions)
    elif new.ids is not None:
        rows = [f"{k}\t{printable(name)}\n" for k, name in enumerate(new.ids)]
        files["ids.tsv"] = "".join(["index\tid\n", *rows]).encode()
    files["sample.npz"] = sample_file(job, results, done)
    log = [{"event": "Block", **timing(block, seen)} for block in done] + seen.log
    files["log.jsonl"] = "".join(f"{json.dumps(line)}\n" for line in log).encode()
    if pages:
        files["performance.html"] = pages[0]
    known = run | {"status": "complete", "app": "interpolate", "inputs": job.inputs}
    files["report.html"] = report_page(known, files, log)
    if results.resumed and not pages:
        results.folder.delete("performance.html")  # of a run that was killed while it finished
    return files


def timing(block: Done, seen: Happenings) -> dict[str, Any]:
    """Where and when a block was computed, for the log and the report."""
    key = f"place-{block.index}"
    again = seen.repeated.get(key, 0)
    return {
        "index": block.index,
        "worker": seen.worker_of.get(key, block.worker),
        "started": block.started,
        "stopped": block.stopped,
        "items": block.items,
    } | ({"attempt": again + 1} if again else {})


def shepard_file(job: Job, results: ResultFolder, done: Sequence[Done]) -> bytes:
    """shepard.npz: distances of sampled items to some landmarks, as given and on the map."""
    columns, given, shown = len(job.shown), [], []
    for block in done:
        data = results.folder.get(f"{results.array_prefix}/{part_key(PAIRS, block.index)}")
        pairs = np.frombuffer(data, "<f8").reshape(2, -1, columns)
        given.append(pairs[0].ravel())
        shown.append(pairs[1].ravel())
    delta, distance = np.concatenate(given), np.concatenate(shown)
    known = np.isfinite(delta) & np.isfinite(distance)
    sample = {"delta": delta[known], "distance": distance[known]}
    sample = {name: values.astype(np.float32) for name, values in sample.items()}
    return npz_bytes(sample | {"pairs": np.array(known.sum())})


def sample_file(job: Job, results: ResultFolder, done: Sequence[Done]) -> bytes:
    """sample.npz: what the report shows of items and landmarks, so that it can be written again."""
    n, new, names = job.new.n, job.new, job.map.names
    rows = np.arange(n)
    if n > SHOWN_ITEMS:
        rng = np.random.default_rng((job.options.random_state, 0x5A3F))
        rows = np.sort(rng.choice(n, SHOWN_ITEMS, replace=False))
    ids = [str(row) for row in rows] if new.ids is None else [new.ids[row] for row in rows]
    arrays = {
        "rows": rows,
        "coordinates": picked(job, results, done, COORDINATES, rows, job.map.d),
        "facts": picked(job, results, done, FACTS, rows, 2),
        "ids": texts(ids),
        "landmarks": job.map.at[job.chosen],
        "landmark_ids": texts([names[k] for k in job.chosen]),
    }
    if job.labels is not None:
        arrays["labels"] = texts([job.labels[row] or "" for row in rows])
        theirs = job.map_labels or [None] * job.map.n
        arrays["landmark_labels"] = texts([theirs[k] or "" for k in job.chosen])
    return npz_bytes(arrays)


def picked(
    job: Job, results: ResultFolder, done: Sequence[Done], part: str, rows: np.ndarray, width: int
) -> np.ndarray:
    """(len(rows), width) float64: some rows, ascending, of what the parts of all blocks hold."""
    found = []
    for block, (start, stop) in zip(done, job.ranges, strict=True):
        low, high = np.searchsorted(rows, (start, stop))
        if low < high:
            data = results.folder.get(f"{results.array_prefix}/{part_key(part, block.index)}")
            values = np.frombuffer(data, "<f8").reshape(-1, width)
            found.append(values[rows[low:high] - start])
    return np.concatenate(found)


def texts(values: Sequence[str]) -> np.ndarray:
    """As one array of UTF-8, parted by line ends, which ids do not hold: NumPy's own arrays of
    text are as wide as the longest."""
    return np.frombuffer("\n".join(map(printable, values)).encode(), np.uint8)


def texts_of(array: np.ndarray) -> list[str]:
    """What texts() was given; at least one."""
    return array.tobytes().decode().split("\n")


# Report


def report(url: str) -> bytes:
    """report.html of a finished result, from what the result folder holds.

    Raises UsageProblem and DamagedResult where there is no finished result.
    """
    run, folder = read_run(url), open_folder(url)
    log = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    files = {name: folder.get(name) for name in ("sample.npz", "shepard.npz")}
    return report_page(run, files, log)


def report_page(run: dict[str, Any], files: dict[str, bytes], log: list[dict[str, Any]]) -> bytes:
    """report.html from run.json, sample.npz, shepard.npz and log.jsonl."""
    lost = [line for line in log if line["event"] == "WorkerLost"]
    blocks = [line for line in log if line["event"] == "Block"]
    tasks = [{**line, "kind": "place", "block": line["index"]} for line in blocks]
    with (
        np.load(io.BytesIO(files["sample.npz"]), allow_pickle=False) as arrays,
        np.load(io.BytesIO(files["shepard.npz"]), allow_pickle=False) as shepard,
    ):
        labels = {}
        for name in ("labels", "landmark_labels"):
            if name in arrays:
                labels[name] = {"label": [text or None for text in texts_of(arrays[name])]}
        distances, stress = arrays["facts"].T
        return interpolate_report(
            run | {"workers_lost": lost},
            coordinates=arrays["coordinates"], ids=texts_of(arrays["ids"]),
            landmarks=arrays["landmarks"], landmark_ids=texts_of(arrays["landmark_ids"]),
            columns=labels.get("labels"), landmark_columns=labels.get("landmark_labels"),
            nearest=distances, stress=stress, shepard=dict(shepard), timeline=tasks,
            random_state=run["random_state"],
        )  # fmt: skip

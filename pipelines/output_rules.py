"""What may be at an output path before a run: looked at, compared, refused in one line."""

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import UsageProblem
from pipelines.formats import arrays
from pipelines.run_lock import LOCK
from storage.directory import TEMPORARY, Directory
from storage.errors import KeyMissing
from storage.folder import Folder, split_url

WORK = ".work"
WORK_RUN = ".work/run.json"
GAINS = ("blocks", "trials", "checkpoints", "input")  # below .work: what --resume goes on with
STAGES = ("pool", "distances", "map", "placed", "clusters")  # result folders inside another one
OURS = {
    *arrays.NAMES, WORK, LOCK, "run.json", "checksums.sha256", "ids.tsv", "log.jsonl",
    "report.html", "performance.html", "labels.tsv", "centroids.npy", "inertia.tsv", "elbow.tsv",
    "sample.npz", "coordinates.npy", "coordinates.tsv", "shepard.npz",
    "stress.tsv", "clusters.tsv", "medoids.tsv", "linkage.npy", "dendrogram.nwk",
}  # fmt: skip


def survey(folder: Folder) -> tuple[str, dict]:
    """(state, run): what the folder holds, and its run.json or .work/run.json ({} for neither).

    "new": nothing, or a lock alone   "unfinished", "complete": ours   "foreign": somebody else's
    "void": an unfinished run of ours with nothing finished; nothing is lost without it
    """
    names = [name for name in folder.names() if name != LOCK and not TEMPORARY.fullmatch(name)]
    if "run.json" in names:
        run = read_ours(folder, "run.json")
        return ("complete", run) if run and run.get("status") == "complete" else ("foreign", {})
    if WORK in names:
        run = read_ours(folder, WORK_RUN)
        if run:
            return ("void" if is_void(folder, run) else "unfinished"), run
        if names == [WORK] and not folder.list(WORK):
            return "new", {}
    return ("foreign" if names else "new"), {}


def is_void(folder: Folder, run: dict) -> bool:
    """True when nothing is there to go on with, or when the rest of it is being deleted."""
    if run["status"] == "deleted":
        return True
    return not stages_in(folder) and not any(folder.exists(f"{WORK}/{name}") for name in GAINS)


def stages_in(folder: Folder) -> list[str]:
    """The stages of a run of several applications that have begun: result folders in this one."""
    begun = [name for name in folder.names() if name in STAGES]
    return [
        name
        for name in begun
        if folder.exists(f"{name}/run.json") or folder.exists(f"{name}/{WORK_RUN}")
    ]


def read_ours(folder: Folder, key: str) -> dict:
    """The record at key when whorl wrote it, else {}."""
    try:
        run = json.loads(folder.get(key))
    except (KeyMissing, ValueError):
        return {}
    ours = isinstance(run, dict) and run.get("program") == "whorl" and run.get("schema") == 1
    return run if ours and "status" in run else {}


def check_place(folder: Folder, inputs: Sequence[str]) -> None:
    """Refuse a path that cannot become a folder of ours, or that entangles input and output."""
    if not isinstance(folder, Directory):
        return
    path, url = os.path.realpath(folder.path), folder.url
    if os.path.exists(path) and not os.path.isdir(path):
        raise UsageProblem(f"{url} is a file; the output is a folder.", remedy="Choose another -o.")
    for given in inputs:
        if given in ("", "-") or split_url(given)[0] != "file":
            continue
        real = os.path.realpath(os.path.expanduser(split_url(given)[1]))
        if path == real or path.startswith(real + os.sep):
            raise UsageProblem(f"the output {url} lies inside the input {given}.")
        if real.startswith(path + os.sep):
            raise UsageProblem(f"the input {given} lies inside the output {url}.")
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        raise UsageProblem(f"{url} cannot be created: {parent} is a file.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageProblem(f"{url} cannot be written: no permission in {parent}.")


def refuse_existing(
    folder: Folder, state: str, earlier: dict, wanted: dict, resume: bool, overwrite: bool
) -> None:
    """Raise UsageProblem unless the run may go into the folder as it is."""
    url = folder.url
    if state in ("foreign", "void") or (overwrite and state != "new"):
        refuse_foreign(folder, state, earlier)
    elif state == "unfinished" and resume:
        refuse_other_run(folder, earlier, wanted)
    elif state == "unfinished":
        done = len(folder.list(f"{WORK}/blocks"))
        blocks = f" ({done:,} block{'' if done == 1 else 's'} done)" if done else ""
        raise UsageProblem(
            f"{url} holds an unfinished run of {earlier.get('app')}{blocks}.",
            remedy="Go on with --resume, start anew with --overwrite, or use another folder.",
        )
    elif state == "complete":
        raise UsageProblem(
            f"{url} holds a complete run of {earlier.get('app')}.",
            remedy="Use another folder or --overwrite.",
        )


def refuse_foreign(folder: Folder, state: str, run: dict) -> None:
    """Raise UsageProblem naming files that whorl did not write: they are never deleted."""
    known = OURS | {output["name"] for output in run.get("outputs", [])}
    if run.get("app") == "sequences":
        known |= {*STAGES, *(f"{name}.fasta" for name in STAGES)}
    known = set() if state == "foreign" else known
    others = [name for name in folder.names() if name not in known | {LOCK}]
    others = [name for name in others if not TEMPORARY.fullmatch(name)]
    if others:
        more = ", ..." if len(others) > 3 else ""
        raise UsageProblem(
            f"{folder.url} holds files that are not ours: {', '.join(others[:3])}{more}.",
            remedy="Use another folder, or move them.",
        )


def refuse_other_run(folder: Folder, earlier: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise UsageProblem naming the first thing in which two runs differ, with both values."""
    differs = None
    for key, text in (("app", "of {}, not {}"), ("version", "by whorl {}, not {}")):
        if differs is None and earlier.get(key) != wanted[key]:
            differs = text.format(earlier.get(key), wanted[key])
    if differs is None:
        differs = other_input(earlier.get("inputs", []), wanted["inputs"])
    before, now = earlier.get("options", {}), wanted["options"]
    for key in [*now, *(key for key in before if key not in now)]:
        if differs is None and before.get(key) != now.get(key):
            differs = f"with {key}={shown(before.get(key))}, not {shown(now.get(key))}"
    if differs is not None:
        raise UsageProblem(
            f"{folder.url} holds a run {differs}.", remedy="Use another folder or --overwrite."
        )


def other_input(before: Sequence[Mapping], now: Sequence[Mapping]) -> str | None:
    """How two lists of inputs differ in their bytes; None when they do not."""
    if len(before) != len(now):
        return f"of {len(before)} inputs, not {len(now)}"
    for old, new in zip(before, now, strict=True):
        old_hash, new_hash = hash_of(old), hash_of(new)
        if old_hash != new_hash:
            return f"of {old.get('path')} with sha256 {old_hash[:12]}, not {new_hash[:12]}"
    return None


def hash_of(given: Mapping) -> str:
    """What tells an input from another: its hash, or that of samples of a very large one."""
    return str(given.get("sha256") or given.get("sha256_of_samples"))


def shown(value: Any) -> str:
    """A value as a user would write it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def missing(folder: Folder) -> str:
    """The line for a result folder that is not there, with the nearest name."""
    if not isinstance(folder, Directory):
        return f"{folder.url} holds nothing."
    if os.path.isdir(folder.path):
        return f"{folder.url} is an empty folder."
    if os.path.exists(folder.path):
        return f"{folder.url} is a file, not a result folder."
    parent, name = os.path.split(folder.path)
    names = os.listdir(parent) if os.path.isdir(parent) else []
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {os.path.join(os.path.dirname(folder.url), near[0])}?" if near else ""
    return f"{folder.url} does not exist.{hint}"

"""A run's output folder: locked while it is written, resumable until it is complete.

    out/swg/.lock               who writes (host, process, start, heartbeat)
    out/swg/.work/run.json      what is being computed: compared before a --resume
    out/swg/.work/blocks/I-J.json   commit mark of a block, written after its chunks
    out/swg/.work/distances.zarr    the array while running (of kmeans: labels.zarr); an object
                                    store has it at its final key
    out/swg/run.json            status "complete", the last object written: without it, unfinished

`finish` renames the array, puts the tables, checksums.sha256 and run.json, then removes .work and
the lock. A kill before run.json leaves a folder that --resume completes (a renamed array is
renamed back); a kill after it leaves a complete folder, whose leftovers the next command sweeps.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from types import MappingProxyType
from typing import Any

import psutil

from kernels import __version__
from pipelines import output_rules, run_lock
from pipelines.checksums import CHECKSUMS, checksum_lines, read_checksums
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats import arrays
from pipelines.output_rules import WORK, WORK_RUN
from pipelines.overwrite import remove_deleted_siblings, start_over
from pipelines.run_lock import LOCK, RunLock, to_json
from storage.directory import TEMPORARY, Directory
from storage.errors import StorageError
from storage.folder import Folder, open_folder, require_space


class ResultFolder:
    """The output of one run. Make it with `create`; end it with `finish` or `abandon`.

    url: as given    folder: picklable, for the workers    complete: nothing left to do (--resume)
    resumed: blocks of an earlier run are there             array_prefix: key of the array for now
    Leaving a `with` block without `finish` abandons the run.
    """

    def __init__(self, folder: Folder, started: dict, lock: RunLock | None, *, resumed: bool):
        self.url, self.folder = folder.url, folder
        self.resumed = resumed
        self.complete = lock is None
        self.array = arrays.array_of(started.get("app"))
        self._started, self._lock = started, lock
        self._made_folder = False

    @classmethod
    def create(
        cls,
        url: str,
        *,
        app: str,
        options: Mapping[str, Any],
        inputs: Sequence[Mapping[str, Any]] = (),
        resume: bool = False,
        overwrite: bool = False,
        command: Sequence[str] = (),
        needed_bytes: int = 0,
        **storage_options: Any,
    ) -> ResultFolder:
        """Prepare and lock the output at url (path or URL).

        options       those that can change a byte of the result, JSON values
        inputs        {"path", "bytes", "sha256", ...} each; those that can change a byte
        needed_bytes  what the result can take, for the check of the free space
        Raises UsageProblem (exists, in use, foreign, other options), NoSpace, StorageError.
        """
        if resume and overwrite:
            raise UsageProblem("--resume and --overwrite exclude each other.")
        wanted = json.loads(
            json.dumps(
                {
                    "schema": 1,
                    "program": "whorl",
                    "version": __version__,
                    "app": app,
                    "status": "running",
                    "command": list(command),
                    "options": dict(options),
                    "inputs": [dict(each) for each in inputs],
                    "started": time.time(),
                }
            )
        )
        folder = open_folder(url, **storage_options)
        output_rules.check_place(folder, [str(each.get("path", "")) for each in inputs])
        state, earlier = output_rules.survey(folder)
        if state == "complete" and resume:
            output_rules.refuse_other_run(folder, earlier, wanted)
            sweep_leftovers(folder)
            return cls(folder, earlier, None, resumed=True)
        run_lock.refuse_if_owned(folder)
        output_rules.refuse_existing(folder, state, earlier, wanted, resume, overwrite)
        free = folder.free_bytes()
        if free is not None and free < needed_bytes:
            kept = "" if overwrite else f"{WORK}/{arrays.array_of(app)}"
            require_space(folder, needed_bytes, kept=used_bytes(folder, kept))
        remove_deleted_siblings(folder)
        made = isinstance(folder, Directory) and folder.make()
        if (overwrite and state != "new") or state == "void":
            lock = start_over(folder)
        else:
            lock = run_lock.acquire(folder)
        try:
            if state == "unfinished" and resume:
                undo_finish(folder)
            folder.sweep()
            if "run.json" in folder.names():
                raise UsageProblem(f"{folder.url} was completed by another run just now.")
            folder.put(WORK_RUN, to_json(wanted))
        except BaseException:
            lock.release()
            raise
        results = cls(folder, wanted, lock, resumed=state == "unfinished" and resume)
        results._made_folder = made
        return results

    @property
    def array_prefix(self) -> str:
        """Key of the array, or of parts, in the folder while the run goes on."""
        hidden = self.folder.is_local or self.array == arrays.PARTS
        return f"{WORK}/{self.array}" if hidden else self.array

    @property
    def array_url(self) -> str:
        """Path or URL of the array while the run goes on, for `open_distances`."""
        return f"{self.url.rstrip('/')}/{self.array_prefix}"

    def work_key(self, name: str) -> str:
        """Key of a file that lives only while the run goes on."""
        return f"{WORK}/{name}"

    def done_records(self) -> dict[tuple[int, ...], dict]:
        """Place (i, j) -> commit mark, of the blocks whose chunks are all there."""
        stored = set(self.folder.list(self.array_prefix))
        done = {}
        marks = self.folder.get_many(self.folder.list(f"{WORK}/blocks"))
        for key, data in marks.items():
            try:
                place = key.rpartition("/")[2].removesuffix(".json").split("-")
                record = json.loads(data)
                chunks = [f"{self.array_prefix}/{chunk['key']}" for chunk in record["chunks"]]
                if stored.issuperset(chunks):
                    done[tuple(map(int, place))] = record
            except (ValueError, KeyError, TypeError):
                continue  # a damaged mark counts as none: the block is computed again
        return dict(sorted(done.items()))

    def update_status(self, status: Mapping[str, Any]) -> None:
        """Add to .work/run.json. Raises UsageProblem when another run took the folder over."""
        if self._lock is None or not self._lock.is_ours():
            raise UsageProblem(f"{self.url} was taken over by another run.")
        self.folder.put(WORK_RUN, to_json({**self._started, **status}))

    def finish(
        self,
        run: Mapping[str, Any],
        files: Mapping[str, bytes],
        *,
        stored: Mapping[str, tuple[str, bytes]] = MappingProxyType({}),
        keep_work: bool = False,
    ) -> dict:
        """Complete the folder: array, files (name -> bytes), checksums.sha256, run.json.

        stored: sha256 and first bytes of files that are too large to be handed over, and lie there.
        run adds to or replaces what `create` recorded. Returns the content of run.json.
        Raises DamagedResult naming a chunk that is not there; the run can then be resumed.
        """
        hashes = self._array_hashes()
        outputs = self._array_output(hashes)
        if keep_work:
            self.folder.put(f"{WORK}/keep", b"")
        if isinstance(self.folder, Directory) and hashes:
            self.folder.sweep(self.array_prefix)
            self.folder.rename_tree(self.array_prefix, self.array)
        for name, data in files.items():
            self.folder.put(name, data)
        stages = output_rules.stages_in(self.folder)
        for name in self.folder.names():
            if name in (self.array, WORK, LOCK, "run.json", CHECKSUMS):
                continue
            if TEMPORARY.fullmatch(name):  # the lock, while it is renewed
                continue
            # of a stage its run.json, which holds the hashes of its results
            key = f"{name}/run.json" if name in stages else name
            if name in stored:
                hashes[key], data = stored[name]
            else:
                data = files[name] if name in files else self.folder.get(key)
                hashes[key] = hashlib.sha256(data).hexdigest()
            is_result = key.endswith((".tsv", ".npy", "/run.json"))
            outputs.append({"name": name} | arrays.npy_facts(name, data))
            outputs[-1] |= {"sha256": hashes[key]} if is_result else {}
        final = {**self._started, "finished": time.time(), **run}
        final |= {"status": "complete", "outputs": outputs}
        run_bytes = to_json(final)
        hashes["run.json"] = hashlib.sha256(run_bytes).hexdigest()
        self.folder.put(CHECKSUMS, checksum_lines(hashes))
        self.folder.put("run.json", run_bytes)
        if not keep_work:
            self.folder.delete_tree(WORK)
        self._release()
        self.complete = True
        return json.loads(run_bytes)

    def abandon(self, status: str = "interrupted", **facts: Any) -> None:
        """Stop without a result: .work stays for --resume, the lock goes.

        Without a finished block there is nothing to resume: then nothing stays but what the
        caller put into .work (a log, a kept input).
        """
        if self._lock is None:
            return
        with suppress(StorageError, UsageProblem):
            self.update_status({**facts, "status": status})
            ours = (WORK_RUN, f"{self.array_prefix}/")
            kept = [key for key in self.folder.list(WORK) if not key.startswith(ours)]
            if not kept and not output_rules.stages_in(self.folder):
                self.folder.delete_tree(self.array_prefix)
                self.folder.delete_tree(WORK)
        with suppress(StorageError):
            self._release()
        if self._made_folder and isinstance(self.folder, Directory):
            with suppress(OSError):
                os.rmdir(self.folder.path)  # only when it is empty

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if not self.complete:
            self.abandon("interrupted" if kind is KeyboardInterrupt else "failed")

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _array_hashes(self) -> dict[str, str]:
        """Final name -> sha256 of the array's files, from the blocks' commit marks."""
        if not self.folder.exists(f"{self.array_prefix}/zarr.json"):
            return {}
        metadata = self.folder.get(f"{self.array_prefix}/zarr.json")
        hashes = {f"{self.array}/zarr.json": hashlib.sha256(metadata).hexdigest()}
        for record in self.done_records().values():
            for chunk in record["chunks"]:
                hashes[f"{self.array}/{chunk['key']}"] = chunk["sha256"]
        array = arrays.open_array(self.folder, self.array_prefix, self.array)
        missing = [key for key in array.chunk_keys() if f"{self.array}/{key}" not in hashes]
        if missing:
            raise DamagedResult(
                f"{self.url} lacks {len(missing):,} chunks, first: {missing[0]}.",
                remedy="Run the command again with --resume.",
            )
        return hashes

    def _array_output(self, hashes: Mapping[str, str]) -> list[dict]:
        if not hashes:
            return []
        array = arrays.open_array(self.folder, self.array_prefix, self.array)
        digest = hashlib.sha256(checksum_lines(hashes)).hexdigest()
        facts = {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}
        return [{"name": self.array, **facts}]


def write_record(folder: Folder, place: Sequence[int], record: Mapping[str, Any]) -> None:
    """Commit the block at that place, after its chunks: record["chunks"] lists the ChunkWritten
    of it."""
    chunks = [asdict(each) if is_dataclass(each) else dict(each) for each in record["chunks"]]
    name = "-".join(map(str, place))
    folder.put(f"{WORK}/blocks/{name}.json", json.dumps({**record, "chunks": chunks}).encode())


def read_run(url: str, *, unfinished: bool = False, **storage_options: Any) -> dict:
    """run.json of a result folder; leftovers of a killed run beside it are removed.

    unfinished: take .work/run.json where there is no other (its status is not "complete").
    Raises UsageProblem when there is no result of ours, DamagedResult when it is unfinished.
    """
    folder = open_folder(url, **storage_options)
    state, run = output_rules.survey(folder)
    if state == "complete":
        sweep_leftovers(folder)
        return run
    if state in ("unfinished", "void") and unfinished:
        return run
    if state in ("unfinished", "void"):
        raise DamagedResult(
            f"{url} is unfinished.", remedy="Run the command that made it again, with --resume."
        )
    if state == "new":
        raise UsageProblem(output_rules.missing(folder))
    if CHECKSUMS in folder.names():
        raise DamagedResult(f"{url} is damaged: run.json is missing or cannot be read.")
    raise UsageProblem(f"{url} is not a result folder of whorl: it holds no run.json of ours.")


def replace_file(url: str, name: str, data: bytes, **storage_options: Any) -> None:
    """Put a new version of a file into a complete folder (a report), with its checksum."""
    read_run(url, **storage_options)
    folder = open_folder(url, **storage_options)
    folder.put(name, data)
    hashes = read_checksums(folder) | {name: hashlib.sha256(data).hexdigest()}
    folder.put(CHECKSUMS, checksum_lines(hashes))


def keep_input(results: ResultFolder, data: bytes) -> None:
    """Keep an input that cannot be read twice (stdin), for --resume."""
    results.folder.put(results.work_key("input"), data)


def sweep_leftovers(folder: Folder) -> None:
    """Remove what a kill left in a complete folder. Never a live owner's."""
    with suppress(StorageError):
        names = folder.names()
        owner = run_lock.read_owner(folder) if LOCK in names else None
        if owner is not None and run_lock.is_alive(owner):
            return
        if WORK in names and not folder.exists(f"{WORK}/keep"):
            folder.delete_tree(WORK)
        for name in names:
            match = TEMPORARY.fullmatch(name)
            if match and not psutil.pid_exists(int(match[1])):
                folder.delete(name)
        if owner is not None:
            folder.delete(LOCK)


def undo_finish(folder: Folder) -> None:
    """After a kill between the renaming of the array and run.json: rename it back."""
    for array in arrays.NAMES:
        if isinstance(folder, Directory) and folder.exists(array):
            if folder.exists(f"{WORK}/{array}"):
                folder.delete_tree(f"{WORK}/{array}")
            folder.rename_tree(array, f"{WORK}/{array}")


def used_bytes(folder: Folder, prefix: str) -> int:
    """Bytes of the objects under prefix."""
    return sum(folder.size(key) for key in folder.list(prefix))

"""Throwing an earlier result away (--overwrite): out of sight in one step, then deleted."""

import os
import secrets
import shutil
from contextlib import suppress

from pipelines import run_lock
from pipelines.errors import UsageProblem
from pipelines.output_rules import WORK, WORK_RUN
from pipelines.run_lock import LOCK, RunLock, to_json
from storage.directory import Directory
from storage.folder import Folder


def start_over(folder: Folder) -> RunLock:
    """Empty the folder, which was checked to hold a result of ours only, and lock it."""
    real = os.path.realpath(folder.path) if isinstance(folder, Directory) else ""
    if real and is_inside(os.getcwd(), real):
        raise UsageProblem(f"{folder.url} is the current folder; --overwrite would delete it.")
    lock = run_lock.acquire(folder)
    if isinstance(folder, Directory):
        parent, name = os.path.split(real)  # a link to the folder stays
        hidden = os.path.join(parent, f".{name}.{secrets.token_hex(4)}.whorl-deleted")
        lock.release(delete=False)
        try:
            os.rename(real, hidden)
        except OSError as error:
            folder.delete(LOCK)
            raise UsageProblem(
                f"{folder.url} cannot be renamed before it is deleted: {error.strerror}.",
                remedy="Use another folder.",
            ) from error
        folder.make()
        lock = run_lock.acquire(folder)
        shutil.rmtree(hidden, ignore_errors=True)
        return lock
    # a kill from here on leaves a folder that says so, for every reader and the next run
    folder.put(WORK_RUN, to_json({"schema": 1, "program": "whorl", "status": "deleted"}))
    folder.delete("run.json")
    for name in folder.names():
        if name not in (LOCK, WORK):
            folder.delete_tree(name)
    folder.delete_tree(f"{WORK}/blocks")
    folder.delete_tree(WORK)
    return lock


def is_inside(path: str, folder: str) -> bool:
    """True when path is the folder or lies in it."""
    return os.path.commonpath([os.path.realpath(path), folder]) == folder


def remove_deleted_siblings(folder: Folder) -> None:
    """Finish the deleting that a killed --overwrite began."""
    if not isinstance(folder, Directory):
        return
    parent, name = os.path.split(os.path.realpath(folder.path))
    with suppress(OSError):
        for entry in os.listdir(parent):
            if entry.startswith(f".{name}.") and entry.endswith(".whorl-deleted"):
                shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)

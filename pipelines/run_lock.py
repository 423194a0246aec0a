"""One run per output folder: a lock that names its owner, so that a dead one can be told.

On the owner's own host the process is looked up: same id and same start means alive. From another
host only the heartbeat tells: the owner renews it every 30 s, and one older than 5 minutes counts
as dead (so clocks must agree to within a few minutes). Should two runs take over the same dead
lock in the same instant, the one that lost notices at its next heartbeat or status and stops.
"""

import json
import os
import secrets
import socket
import threading
import time

import psutil

from pipelines.errors import UsageProblem
from storage.errors import KeyMissing, StorageError
from storage.folder import Folder

LOCK = ".lock"
HEARTBEAT_S = 30.0
STALE_S = 300.0


class RunLock:
    """The lock of a run that this process owns, renewed by a thread until released."""

    def __init__(self, folder: Folder, owner: dict):
        self._folder, self._owner = folder, owner
        self._stopped = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._renew, name="whorl-heartbeat", daemon=True)
        self._thread.start()

    def release(self, *, delete: bool = True) -> None:
        """Stop the heartbeat; remove the lock unless it is another's by now."""
        self._stopped.set()
        self._thread.join()
        if delete and self.is_ours():
            self._folder.delete(LOCK)

    def is_ours(self) -> bool:
        """False when another run has taken the lock over."""
        owner = read_owner(self._folder)
        self.lost = owner is None or owner["token"] != self._owner["token"]
        return not self.lost

    def _renew(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            try:
                if not self.is_ours():
                    return
                self._owner["heartbeat"] = time.time()
                self._folder.put(LOCK, to_json(self._owner))
            except StorageError:
                continue  # the store may come back before the lock is stale


def acquire(folder: Folder) -> RunLock:
    """Lock the folder, taking over from a dead owner. Raises UsageProblem naming a live one."""
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "heartbeat": time.time(),
        "token": secrets.token_hex(8),
    }
    for _ in range(3):
        if folder.put_if_absent(LOCK, to_json(owner)):
            return RunLock(folder, owner)
        refuse_if_owned(folder)
        folder.delete(LOCK)
    raise UsageProblem(f"{folder.url} is being taken by another run at this moment.")


def refuse_if_owned(folder: Folder) -> None:
    """Raise UsageProblem when a live run owns the folder."""
    owner = read_owner(folder)
    if owner is not None and is_alive(owner):
        raise UsageProblem(
            f"{folder.url} is in use by a run on {owner['host']}, process {owner['pid']}, "
            f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(owner['started']))}.",
            remedy="Wait for it, stop it, or choose another output folder.",
        )


def read_owner(folder: Folder) -> dict | None:
    """What the lock says; None without a lock. A damaged lock has an owner that is dead."""
    try:
        owner = json.loads(folder.get(LOCK))
        return {**owner, "token": str(owner["token"]), "started": float(owner["started"])}
    except KeyMissing:
        return None
    except (ValueError, KeyError, TypeError):
        return {"host": "", "pid": -1, "started": 0.0, "heartbeat": 0.0, "token": ""}


def is_alive(owner: dict) -> bool:
    """True when the owner's process runs, or, on another host, when its heartbeat is young."""
    if owner["host"] != socket.gethostname():
        return time.time() - float(owner.get("heartbeat", 0.0)) < STALE_S
    try:
        # two seconds: the start is counted from the boot time, which clock corrections move
        return abs(psutil.Process(int(owner["pid"])).create_time() - owner["started"]) < 2.0
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def to_json(value) -> bytes:
    """The bytes of a JSON file for people and programs."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()

"""A kill at any step of a run: what is left is complete or resumable, and the bytes are the same.

Death is simulated: the n-th call that changes the file system raises, and so does every later one,
so that no cleaning code helps. Two drills with a real SIGKILL show that the simulation is fair.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import output_rules, run_lock
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.results import read_run
from pipelines.verify import verify
from storage import directory
from storage.objects import ObjectFolder
from tests.pipelines.result_folders import create, finish, layout_of, symmetric, write_blocks

VALUES = symmetric(14, missing=[(3, 9)])
STEPS = {
    "directory": [(os, name) for name in ("replace", "rename", "link", "unlink", "rmdir", "mkdir")],
    "memory": [(ObjectFolder, name) for name in ("put", "put_if_absent", "delete", "delete_tree")],
}
UNFINISHED = "is unfinished|does not exist|is an empty folder|holds nothing"
DEAD = 2**22 + 1  # no process has this id


class Killed(BaseException):
    pass


def run(url, **options):
    """A whole run; how many blocks it computed."""
    results = create(url, **options)
    if results.complete:
        return 0
    computed = write_blocks(results, layout_of(VALUES), VALUES)
    results.update_status({"blocks": computed})
    finish(results, VALUES)
    return computed


def run_until(monkeypatch, steps, last, url, **options):
    """A run that dies at step `last`; the number of steps, None when it lived."""
    taken, locks = [0], []
    with monkeypatch.context() as patch:
        for owner, name in steps:
            patch.setattr(owner, name, counted(getattr(owner, name), taken, last))
        patch.setattr(directory, "temporary_name", dead_name)
        start = run_lock.RunLock.__init__
        patch.setattr(
            run_lock.RunLock, "__init__", lambda self, *a: (locks.append(self), start(self, *a))[0]
        )
        try:
            run(url, **options)
            return None
        except Killed:
            return taken[0]
        finally:
            for lock in locks:
                lock._stopped.set()
            for lock in locks:
                lock._thread.join()


def dead_name(path):
    """A temporary name as of a process that is gone."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{DEAD}-{secrets.token_hex(4)}.whorl-tmp")


def counted(function, taken, last):
    def step(*args, **kwargs):
        taken[0] += 1
        if taken[0] >= last:
            raise Killed
        return function(*args, **kwargs)

    return step


def bury_owner(folder):
    """Make the lock say that its process is gone, as it is after a real kill."""
    owner = run_lock.read_owner(folder)
    if owner is not None:
        folder.put(".lock", json.dumps({**owner, "pid": DEAD}).encode())


def result_bytes(folder):
    return {
        key: folder.get(key)
        for key in folder.list()
        if not key.startswith(".work") and key not in ("run.json", "checksums.sha256")
    }


def check_after_kill(folder, expected):
    """Readers see an unfinished or a sound result; the next run makes it the expected one."""
    bury_owner(folder)
    if output_rules.survey(folder)[0] == "complete":
        assert verify(folder.url).problems == []
        assert result_bytes(folder) == expected
    else:
        with pytest.raises((DamagedResult, UsageProblem), match=UNFINISHED):
            read_run(folder.url)
    run(folder.url, resume=True)
    assert verify(folder.url).problems == []
    assert result_bytes(folder) == expected
    assert not {".work", ".lock"} & set(folder.names())
    assert folder.sweep() == 0


@pytest.mark.parametrize("place", ["directory", "memory"])
@pytest.mark.parametrize("options", [{}, {"overwrite": True}])
def test_kill__at_any_step_leaves_a_complete_or_a_resumable_folder(
    tmp_path, monkeypatch, place, options
):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    url = f"memory://kill{len(options)}/out" if place == "memory" else str(tmp_path / "out")
    run(url)
    folder = create(url, resume=True).folder
    expected = result_bytes(folder)
    last = 0
    while True:
        if not options:
            folder.delete_tree("")
        last += 1
        if run_until(monkeypatch, STEPS[place], last, url, **options) is None:
            break
        check_after_kill(folder, expected)
    assert last > 15
    if place == "directory":
        assert os.listdir(tmp_path) == ["out"]
    folder.delete_tree("")


KILLER = """
import os, signal, sys
from tests.pipelines import test_kills
steps, name, at = 0, sys.argv[2], int(sys.argv[3])
original = getattr(os, name)
def step(*args, **kwargs):
    global steps
    steps += 1
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(os, name, step)
test_kills.run(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "at", "left"), [("replace", 5, 2), ("rename", 1, 0)])
def test_sigkill__then_resume_gives_the_same_bytes(tmp_path, name, at, left):
    run(str(tmp_path / "whole"))
    expected = result_bytes(create(tmp_path / "whole", resume=True).folder)
    out = tmp_path / "out"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLER, str(out), name, str(at)]
    died = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert (out / ".lock").exists()
    assert run(str(out), resume=True) == left
    folder = create(out, resume=True).folder
    assert result_bytes(folder) == expected
    assert folder.sweep() == 0

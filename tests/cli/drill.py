"""A command in a process of its own, with its own temporary folder, and what it leaves there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
FAKE = """
from cli import run
run.APPLICATIONS["fake"] = "tests.cli.fake_application"
from cli.__main__ import main
main(prog_name="whorl")
"""


def start(*arguments, cwd):
    """`whorl run fake numbers.txt -o out ...` in its own process group."""
    Path(cwd, "numbers.txt").write_text("\n".join(map(str, range(200))))
    return start_command("run", "fake", "numbers.txt", "-o", "out", *arguments, cwd=cwd)


def start_command(*words, cwd):
    """A whorl command in its own process group, its temporary files in tmp below cwd."""
    Path(cwd, "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", FAKE, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(Path(cwd, "tmp"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def line_of(process, beginning):
    """Reads stderr up to the line that begins so; returns the rest of that line."""
    for line in process.stderr:
        if line.startswith(beginning):
            return line.removeprefix(beginning).strip()
    raise AssertionError(f"ended without {beginning!r}, code {process.wait(10)}")


def wait_until(condition, seconds=20.0):
    """True as soon as the condition holds; False when it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def members(session):
    """Live processes of a process session: the command, its workers, their helpers."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            same = os.getsid(process.pid) == session
        except (ProcessLookupError, PermissionError):
            continue
        if same and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def shared_memory():
    """Names of shared-memory segments, where the system shows them."""
    folder = Path("/dev/shm")
    return {p.name for p in folder.iterdir()} if folder.is_dir() else set()


def leftovers(cwd):
    """What lies beside the input and the result, and in the temporary folder of the command."""
    beside = {p.name for p in Path(cwd).iterdir()} - {"numbers.txt", "out", "tmp"}
    scratch = {p.name for p in Path(cwd, "tmp").iterdir()}
    inside = {p.name for p in Path(cwd, "out").rglob("*") if p.name.endswith("-tmp")}
    return beside | scratch | inside

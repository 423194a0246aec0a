"""What is left after a driver's end of any kind: no process, no scratch folder, no semaphore."""

import glob
import os
import signal
import subprocess
import sys
import tempfile

import psutil
import pytest

from pipelines.engine import connect, scratch


class Driver:
    """tests/pipelines/engine/driver.py in a session of its own; `seconds` of sleep per task."""

    def __init__(self, seconds):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.engine.driver", str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.workers = [psutil.Process(int(pid)) for pid in self.process.stdout.readline().split()]
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number):
        """Signal the whole group, as a terminal does; returns what stderr said."""
        os.killpg(self.process.pid, number)
        return self.wait()

    def wait(self):
        said = self.process.communicate(timeout=30)[1]
        psutil.wait_procs(self.children, timeout=15)
        return said

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.communicate()

    def left(self):
        mark = f"-{self.process.pid}-"
        folders = glob.glob(f"{tempfile.gettempdir()}/whorl-*{mark}*")
        semaphores = glob.glob(f"/dev/shm/sem.whorl-*{mark}*")
        return [child for child in self.children if child.is_running()], folders + semaphores


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 60])
def test_interrupt__ends_driver_and_workers_in_short_and_long_tasks(seconds):
    with Driver(seconds) as driver:
        said = driver.end(signal.SIGINT)
        assert driver.process.returncode == -signal.SIGINT
        assert driver.left() == ([], [])
    assert said.strip().endswith("KeyboardInterrupt")
    assert "distributed" not in said.replace("site-packages/distributed", "")


@pytest.mark.slow
def test_sigkill_of_the_driver__ends_its_workers_and_the_next_start_removes_its_scratch():
    with Driver(60) as driver:
        driver.process.kill()
        driver.wait()
        processes, names = driver.left()
        assert processes == []
        assert len(names) == 1
        scratch.remove_leftovers()
        assert driver.left() == ([], [])


@pytest.mark.slow
def test_sigkill_of_the_whole_group__leaves_only_what_the_next_start_removes():
    with Driver(0.05) as driver:
        driver.end(signal.SIGKILL)
        assert driver.left()[0] == []
        scratch.remove_leftovers()
        assert driver.left() == ([], [])


def test_close__leaves_nothing(nothing_left):
    with connect("tasks", nworkers=1, dashboard_address=None) as engine:
        engine.broadcast(list(range(1000)))
        engine.close()


def test_close__leaves_nothing_when_the_start_is_interrupted(nothing_left, monkeypatch):
    from pipelines.engine.cluster import LocalWorkers

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalWorkers, "_wait_for_workers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connect("tasks", nworkers=2, dashboard_address=None)


def test_script_without_a_main_guard__is_told_what_to_do(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pipelines.engine import connect\n"
        "connect('tasks', nworkers=1, dashboard_address=None)\n"
    )
    ended = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert ended.returncode == 1
    assert "only 0 of 1 workers started" in ended.stderr
    assert "reached by a worker that imports the main script" in ended.stderr


def test_scratch__of_the_living_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = scratch.make()
    dead = tmp_path / mine.name.replace(f"-{os.getpid()}-", "-4194303-")
    reused = tmp_path / f"{mine.name.rsplit('-', 2)[0]}-1000000-x"  # our pid, another start
    foreign = tmp_path / "whorl-notes"
    for folder in (dead, reused, foreign):
        folder.mkdir()
    monkeypatch.setattr(scratch, "SEMAPHORES", tmp_path)
    semaphore = tmp_path / f"sem.{dead.name}"
    semaphore.touch()
    assert sorted(scratch.remove_leftovers()) == sorted([dead, reused, semaphore])
    assert sorted(tmp_path.iterdir()) == sorted([mine, foreign])

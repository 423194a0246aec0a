"""Drills: workers and commands that are killed, a full disk, too little memory. The result is the
same, or the run can be resumed to it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from pipelines import swg_plan
from pipelines.engine import TaskEnded, TaskFailed, connect
from pipelines.verify import verify
from storage.errors import NoSpace
from storage.folder import open_folder
from tests import faults
from tests.faults import Fault
from tests.pipelines.swg_runs import result_bytes, run, write_fasta

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "seqs.fasta"
    write_fasta(path, 100)
    return path


@pytest.fixture(scope="module")
def expected(fasta, tmp_path_factory):
    """Bytes of an undisturbed serial run in blocks of 7."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run(fasta, out, block_size=7)
    return result_bytes(out)


class Killer:
    """A listener that kills one worker after so many blocks."""

    def __init__(self, after):
        self.after, self.pids = after, []

    def __call__(self, event):
        if isinstance(event, TaskEnded):
            self.after -= 1
            if self.after == 0:
                os.kill(self.pids[0], signal.SIGKILL)


@pytest.mark.slow
def test_killed_worker__changes_no_byte(fasta, tmp_path, expected, nothing_left):
    killer = Killer(after=30)
    with connect("tasks", nworkers=2, dashboard_address=None, listeners=[killer]) as engine:
        killer.pids = list(engine.run_everywhere(os.getpid).values())
        told = run(fasta, tmp_path / "out", engine, block_size=7)
    assert told["workers_lost"] == 1
    assert told["blocks"]["done"] == told["blocks"]["total"] == 120
    assert result_bytes(tmp_path / "out") == expected
    log = (tmp_path / "out" / "log.jsonl").read_text()
    assert '"event": "WorkerLost"' in log
    assert '"event": "WorkerJoined"' in log
    assert verify(str(tmp_path / "out")).problems == []


@pytest.mark.slow
def test_blocks__that_kill_their_worker_or_raise_are_repeated(fasta, tmp_path, expected):
    table = [Fault((1, 4), "die"), Fault((2, 9), "poison", times=2), Fault((0, 0), "slow")]
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        engine.run_everywhere(faults.install, table, tmp_path)
        told = run(fasta, tmp_path / "out", engine, block_size=7)
    assert told["blocks"]["repeated"] >= 3
    assert result_bytes(tmp_path / "out") == expected


@pytest.mark.slow
def test_poison_block__ends_the_run_with_6_and_can_be_resumed(fasta, tmp_path, expected):
    table = [Fault((3, 5), "poison", times=99)]
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        engine.run_everywhere(faults.install, table, tmp_path)
        with pytest.raises(TaskFailed, match=r"swg-distance-3-5 failed 3 times.*Poison") as failed:
            run(fasta, tmp_path / "out", engine, block_size=7)
    assert failed.value.exit_code == 6
    assert (tmp_path / "attempts-3-5").read_text() == "xxx"
    told = run(fasta, tmp_path / "out", block_size=7, resume=True)
    assert told["blocks"]["done_before"] >= 1
    assert result_bytes(tmp_path / "out") == expected


def command(fasta, out, *words):
    """`whorl run swg` in blocks of 7, in a process of its own."""
    arguments = ["run", "swg", str(fasta), "-o", str(out), "--block-size", "7", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_when(process, condition):
    """SIGKILL to the command as soon as the condition holds; waits for all its processes."""
    while process.poll() is None and not condition():
        time.sleep(0.002)
    family = [process_of(process.pid), *children_of(process.pid)]
    process.kill()
    process.communicate(timeout=30)
    psutil.wait_procs([each for each in family if each], timeout=20)


def process_of(pid):
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def children_of(pid):
    parent = process_of(pid)
    return parent.children(recursive=True) if parent else []


def marks(folder):
    """Commit mark -> its content."""
    keys = folder.list(".work/blocks")
    return {key.rpartition("/")[2]: json.loads(data) for key, data in folder.get_many(keys).items()}


def drill(fasta, out, expected, words, seed, kills=4):
    """Commands killed at random, one after another, then one that ends: what was there is kept."""
    rng, folder = np.random.default_rng(seed), open_folder(str(out))
    before = {}
    for number in range(kills):
        enough = len(before) + int(rng.integers(0, 30))
        delay = time.monotonic() + float(rng.uniform(1, 20))
        process = command(fasta, out, *words, *(["--resume"] if number else []))
        kill_when(
            process,
            lambda enough=enough, delay=delay: (
                len(folder.list(".work/blocks")) > enough or time.monotonic() > delay
            ),
        )
        now = marks(folder)
        assert {name: now[name] for name in before} == before
        assert "run.json" not in folder.names()
        before = now
    assert 0 < len(before) < 120
    process = command(fasta, out, *words, "--resume")
    stdout, stderr = process.communicate(timeout=100)
    assert (process.returncode, stdout.strip()) == (0, str(out)), stderr
    told = json.loads(folder.get("run.json"))
    assert told["blocks"]["done_before"] == len(before)
    log = [json.loads(line) for line in folder.get("log.jsonl").splitlines()]
    started = {f"{x['i']}-{x['j']}.json": x["started"] for x in log if x["event"] == "Block"}
    assert {name: started[name] for name in before} == {
        name: mark["started"] for name, mark in before.items()
    }
    assert result_bytes(out) == expected
    assert verify(str(out)).problems == []
    assert not {".work", ".lock"} & set(folder.names())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "seed"),
    [(["--executor", "serial"], 1), (["--executor", "serial"], 2), (["--nworkers", "2"], 3)],
)
def test_killed_command__is_resumed_without_computing_a_block_twice(
    fasta, tmp_path, expected, words, seed
):
    drill(fasta, tmp_path / "out", expected, words, seed)


@pytest.mark.slow
def test_killed_command__is_resumed_in_a_bucket(fasta, expected, s3):
    drill(fasta, f"{s3}/out", expected, ["--executor", "serial"], 3, kills=3)


@pytest.mark.slow
def test_killed_command__while_it_finishes_is_resumed(fasta, tmp_path, expected):
    folder = open_folder(str(tmp_path / "out"))
    process = command(fasta, tmp_path / "out", "--executor", "serial")
    kill_when(process, lambda: "distances.zarr" in folder.names())
    process = command(fasta, tmp_path / "out", "--executor", "serial", "--resume")
    assert process.wait(60) == 0, process.communicate()[1]
    process.communicate()
    assert result_bytes(tmp_path / "out") == expected
    assert verify(str(tmp_path / "out")).problems == []


def test_full_disk__ends_the_run_with_4_and_can_be_resumed(
    tmp_path, small_disk, cluster, monkeypatch
):
    monkeypatch.setattr("pipelines.swg_results.swg_report", lambda *args: b"<html>")
    monkeypatch.setattr(swg_plan.Job, "needed_bytes", 0)  # the space goes during the run
    write_fasta(tmp_path / "s.fasta", 40)
    run(tmp_path / "s.fasta", tmp_path / "whole", block_size=8)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (150 << 10))
    out = small_disk / "out"
    with pytest.raises(NoSpace) as full:
        run(tmp_path / "s.fasta", out, cluster, block_size=8)
    assert full.value.exit_code == 4
    assert str(out) in str(full.value)
    filler.unlink()
    told = run(tmp_path / "s.fasta", out, block_size=8, resume=True)
    assert 0 < told["blocks"]["done_before"] < told["blocks"]["total"]
    assert result_bytes(out) == result_bytes(tmp_path / "whole")


def test_short_disk__is_refused_before_the_run(tmp_path, small_disk):
    write_fasta(tmp_path / "s.fasta", 40)
    with pytest.raises(NoSpace, match=r"MiB needed under .*/out/, .* free"):
        run(tmp_path / "s.fasta", small_disk / "out")
    assert list(small_disk.iterdir()) == []


def test_too_little_memory__is_refused_with_the_arithmetic(tmp_path):
    write_fasta(tmp_path / "s.fasta", 2500, length=20)
    words = ["run", "swg", str(tmp_path / "s.fasta"), "-o", str(tmp_path / "out")]
    limits = ["--block-size", "2500", "--nworkers", "1", "--memory-limit", "400MiB"]
    result = CliRunner().invoke(main, [*words, *limits, "--dashboard-address", "127.0.0.1:0"])
    assert result.exit_code == 4, result.output
    error, remedy = result.stderr.splitlines()[-2:]
    assert error.startswith("Error: a worker needs ")
    assert "340 MiB base + " in error
    assert "MiB block), its limit is 400 MiB." in error
    assert remedy.startswith("Use a smaller --block-size")
    assert not (tmp_path / "out").exists()

"""`run swg --scheduler`: a cluster that somebody else started, in processes of its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import kernels
from cli.__main__ import main
from tests.pipelines.swg_runs import result_bytes, run, write_fasta

ROOT = Path(__file__).parents[2]
DASK = str(Path(sys.executable).with_name("dask"))
QUIET = ["--no-dashboard"]

pytestmark = pytest.mark.slow


@pytest.fixture
def fasta(tmp_path):
    write_fasta(tmp_path / "seqs.fasta", 60)
    return tmp_path / "seqs.fasta"


@pytest.fixture
def start(tmp_path):
    """start(*words, path=()) -> a process that sees our code; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(*words, path=()):
            search = os.pathsep.join([*map(str, path), str(ROOT)])
            process = stack.enter_context(
                subprocess.Popen(
                    words,
                    cwd=tmp_path,
                    env={
                        **os.environ,
                        "PYTHONPATH": search,
                        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error",
                    },
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.terminate)
            return process

        yield begin


@pytest.fixture
def scheduler(tmp_path, start):
    """A scheduler on 127.0.0.1; the path of its file."""
    file = tmp_path / "scheduler.json"
    where = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    start(DASK, "scheduler", *where, *QUIET)
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(file)


def worker(scheduler, tmp_path, name):
    return [
        DASK, "worker", "--scheduler-file", scheduler, "--name", name, "--nthreads", "1",
        "--host", "127.0.0.1", "--local-directory", str(tmp_path / name), *QUIET,
    ]  # fmt: skip


def whorl(fasta, out, scheduler):
    words = ["run", "swg", str(fasta), "-o", str(out), "--block-size", "16"]
    return CliRunner().invoke(main, [*words, "--scheduler", scheduler], prog_name="whorl")


def test_given_cluster__makes_the_same_bytes(fasta, tmp_path, scheduler, start):
    run(fasta, tmp_path / "local", block_size=16)
    begun = start(*worker(scheduler, tmp_path, "alice"))
    for out in ("one", "two"):
        result = whorl(fasta, tmp_path / out, scheduler)
        assert result.exit_code == 0, result.output
        assert result_bytes(tmp_path / out) == result_bytes(tmp_path / "local")
    assert begun.poll() is None


def test_worker_that_does_not_see_the_output__is_told_by_name(fasta, tmp_path, scheduler, start):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"]).returncode:
        pytest.skip("hiding a folder from one process needs unshare and its rights")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    start(*worker(scheduler, tmp_path, "alice"))
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    start("unshare", "-m", "sh", "-c", script, str(hidden), *worker(scheduler, tmp_path, "bob"))
    wait_for_workers(scheduler, 2)
    result = whorl(fasta, hidden / "out", scheduler)
    assert result.exit_code == 2, result.output
    error, remedy = result.stderr.splitlines()[-2:]
    assert error.startswith(f"Error: worker bob does not see {hidden}/out")
    assert remedy == "Use a folder that all workers share, or a URL such as s3://bucket/name."
    assert not (hidden / "out").exists()


def test_worker_of_another_version__is_told_with_the_command(fasta, tmp_path, scheduler, start):
    other = tmp_path / "site" / "whorl-7.8.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: whorl\nVersion: 7.8.9\n")
    start(*worker(scheduler, tmp_path, "carol"), path=[other.parent])
    result = whorl(fasta, tmp_path / "out", scheduler)
    assert result.exit_code == 2, result.output
    error, remedy = result.stderr.splitlines()[-2:]
    assert "has whorl 7.8.9, the driver has" in error
    assert f"python -m pip install whorl=={kernels.__version__} numba==" in remedy
    assert not (tmp_path / "out").exists()


def wait_for_workers(scheduler, n):
    from distributed import Client

    with Client(scheduler_file=scheduler, set_as_default=False) as client:
        client.wait_for_workers(n, timeout=60)

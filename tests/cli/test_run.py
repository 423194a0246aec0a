"""`run`: what goes to stdout and stderr, exit codes, result folder; with a small application."""

import json
import socket
from pathlib import Path

import pytest

from tests.cli import fake_application


def test_run__prints_the_path_and_tells_the_plan(fake):
    result = fake()
    assert result.exit_code == 0, result.output
    assert result.stdout == "out\n"
    lines = result.stderr.splitlines()
    assert lines[:4] == [
        "numbers.txt     3 numbers",
        "plan            soon",
        "Warning: numbers are small",
        "serial          about 0.0 s of work, under 2.5 s; no cluster and no dashboard",
    ]
    assert lines[4].startswith("done            ")
    assert Path("out/powers.tsv").read_text() == "1\t1\n2\t4\n3\t9\n"


def test_json__is_one_object_with_values_and_origins(fake):
    result = fake("--json", "--power", "3")
    run = json.loads(result.stdout)
    assert (run["status"], run["output"]) == ("complete", "out")
    assert run["config"]["power"] == {"value": 3, "origin": "flag"}
    assert run["config"]["naptime"]["origin"] == "default"
    assert run["command"][:3] == ["whorl", "run", "fake"]


def test_quiet__prints_nothing_but_the_path(fake):
    result = fake("--quiet")
    assert (result.stdout, result.stderr) == ("out\n", "")


def test_quiet__still_prints_errors(fake):
    Path("numbers.txt").write_text("")
    result = fake("-q")
    assert result.exit_code == 3
    assert result.stderr == "Error: numbers.txt is empty.\nGive a number.\n"
    assert not Path("out").exists()


def test_dry_run__prints_values_with_origins_and_computes_nothing(fake):
    result = fake("--dry-run", "--power", "3", env={"WHORL_NTHREADS": "2"})
    assert (result.exit_code, result.stdout) == (0, "")
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["power", "3", "from:", "flag"] in rows
    assert ["nthreads", "2", "from:", "WHORL_NTHREADS"] in rows
    assert ["mishap", "none", "from:", "default"] in rows
    assert ["scheduler", "none", "from:", "default"] in rows
    assert ["dry-run", "yes", "from:", "flag"] in rows
    assert not Path("out").exists()


def test_dry_run__json_holds_plan_and_values(fake):
    plan = json.loads(fake("--dry-run", "--json").stdout)
    assert plan["plan"] == {"n_tasks": 3}
    assert plan["config"]["power"] == {"value": 2, "origin": "default"}


def test_failed_task__is_6_and_resumable(fake):
    result = fake("--mishap", "task")
    assert result.exit_code == 6
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("Error: fake-power-3 failed 3 times, last on driver: ValueError: 3")
    assert lines[-1] == (
        "Finished blocks are kept. "
        "Go on with: whorl run fake numbers.txt -o out --mishap task --resume"
    )
    assert fake("--resume").exit_code == 0
    assert fake_application.read("out")["blocks"] == {"done": 3, "computed": 1}


def test_bug__is_1_and_writes_a_file_that_is_named(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = fake("--mishap", "bug")
    assert result.exit_code == 1
    assert "Error: unexpected ZeroDivisionError: a bug" in result.stderr.splitlines()
    [file] = tmp_path.glob("whorl-error-*.txt")
    assert f"Details for a report: {file} " in result.stderr
    assert "whorl run fake numbers.txt -o out --mishap bug" in file.read_text()
    assert "Traceback" not in result.stderr


def test_bug__without_a_finished_block_leaves_nothing_to_resume(fake):
    result = fake("--mishap", "bug")
    assert not Path("out").exists()
    assert "--resume" not in result.stderr


def test_bug__with_finished_blocks_is_told_in_their_folder(fake):
    fake("--mishap", "task")
    result = fake("--mishap", "bug", "--resume")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in Path("out/.work/error.txt").read_text()
    assert result.stderr.splitlines()[-1].startswith("Finished blocks are kept. Go on with: ")


def test_resume__of_a_complete_result_has_nothing_to_do(fake):
    fake()
    before = Path("out/run.json").read_bytes()
    result = fake("--resume")
    assert (result.exit_code, result.stdout) == (0, "out\n")
    assert result.stderr.splitlines()[-1] == (
        "done            out is complete already, nothing left to do"
    )
    assert Path("out/run.json").read_bytes() == before


def test_second_run__needs_overwrite(fake):
    fake()
    assert fake().exit_code == 2
    assert fake("--overwrite", "--power", "3").exit_code == 0
    assert fake_application.read("out")["options"]["power"] == 3


def test_windows__is_told_to_use_wsl(fake, monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    result = fake()
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: whorl does not run on Windows itself.\n"
        "Use WSL: https://learn.microsoft.com/windows/wsl/install\n"
    )


def test_tasks__runs_on_a_local_cluster_and_prints_its_dashboard(fake):
    where = ("--nworkers", "1", "--dashboard-address", "127.0.0.1:0", "--memory-limit", "1GiB")
    result = fake("--verbose", *where)
    assert result.exit_code == 0, result.output
    assert "dashboard       http://127.0.0.1:" in result.stderr
    assert "worker          worker-0 on 127.0.0.1, 1 thread, 1.0 GiB" in result.stderr.splitlines()
    assert Path("out/powers.tsv").exists()


def test_scheduler__works_on_a_cluster_that_stays(fake, cluster):
    address = cluster.client.scheduler.address
    result = fake(env={"DASK_SCHEDULER_ADDRESS": address})
    assert result.exit_code == 0, result.output
    assert fake_application.read("out")["config"]["scheduler"] == {
        "value": address,
        "origin": "DASK_SCHEDULER_ADDRESS",
    }
    assert len(cluster.workers) == 2


@pytest.mark.slow
def test_scheduler__that_does_not_answer_is_a_usage_error(fake):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        result = fake("--scheduler", address)
    assert result.exit_code == 2
    assert result.stdout == ""
    error = next(line for line in result.stderr.splitlines() if line.startswith("Error"))
    assert error.startswith(f"Error: no Dask scheduler answers at {address}")
    assert not Path("out").exists()

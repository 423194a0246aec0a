"""`run mds` and what follows it, as a user types it: texts, exit codes, files."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.iteration_progress import IterationProgress
from cli.screen import Screen
from cli.show import rows
from pipelines.engine.events import IterationEnded, MapStarted
from pipelines.engine.job import Row
from tests.cli import drill
from tests.pipelines.mds_runs import distances, save

SERIAL = ("--executor", "serial")


def whorl(*words, **kwargs):
    return CliRunner().invoke(main, list(words), prog_name="whorl", **kwargs)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("d.npy", *distances(120, holes=0.01))


def test_run__and_every_command_after_it():
    words = ("run", "mds", "d.npy", "-o", "out", "--n-components", "2", *SERIAL)
    run = whorl(*words, "--labels", "d.tsv", "--json")
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["app"], told["status"], told["output"]) == ("mds", "complete", "out")
    assert (told["n"], told["n_components"], told["converged"]) == (120, 2, True)
    lines = run.stderr.splitlines()
    assert lines[0] == "input           d.npy: 120 records, 7,140 pairs in float64 (npy)"
    assert lines[1] == (
        "map             2 dimensions, start classical (auto), at most 300 transforms, tol 1e-06"
    )
    assert lines[2].startswith("plan            2 partitions in float64, ")
    assert lines[3] == "serial          asked for; no cluster and no dashboard"
    share = f"{100 * told['missing_pairs'] / 7140:.2g}"
    missing = f"{told['missing_pairs']} pairs of 7,140 ({share} %) missing"
    assert any(line.endswith(missing) for line in lines)
    last = "done            coordinates.npy (120 x 2 float64), report.html, 2 dimensions, "
    assert lines[-1].startswith(f"{last}normalized stress 0.")
    assert ", 1-NN agreement " in lines[-1]
    shown = whorl("show", "out").stdout
    assert "result       out (mds, complete)" in shown
    assert f"7,140 pairs in float64, {told['missing_pairs']} missing, in 2 partitions" in shown
    assert f"map          2 dimensions, normalized stress {told['normalized_stress']:.4g}" in shown
    assert "labels       4 classes, 1-NN agreement " in shown
    assert whorl("verify", "out").stdout.splitlines()[-1] == (
        "map          120 records, each with its coordinates"
    )
    assert whorl("report", "out").stdout == "out/report.html\n"
    assert whorl("verify", "out").exit_code == 0
    assert whorl("run", "kmeans", "out", "-o", "km", *SERIAL, "-q").exit_code == 0


def test_dry_run__tells_what_auto_stands_for():
    words = ("run", "mds", "d.npy", "-o", "out", "--anneal", "--weights", "sammon", "--dry-run")
    result = whorl(*words, env={"WHORL_N_INIT": "3"})
    assert (result.exit_code, result.stdout) == (0, "")
    told = [line.split() for line in result.stderr.splitlines()]
    assert ["init", "random", "from:", "auto"] in told
    assert ["dtype", "float64", "from:", "auto"] in told
    assert ["n-init", "3", "from:", "WHORL_N_INIT"] in told
    assert ["anneal", "yes", "from:", "flag"] in told
    text = "3 dimensions, weights sammon, start random (auto), best of 3 runs, annealed "
    assert f"{text}(cooling 0.95)" in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["d.npz"], 2, "Error: d.npz does not exist.\nDid you mean d.npy?\n"),
        (["d.npy", "--weights", "sammonn"], 2, "Error: --weights sammonn is neither none, "),
        (["d.npy", "--scaling", "ordinal", "--anneal"], 2, "Error: --scaling ordinal is not "),
        (["empty.npy"], 3, "Error: empty.npy holds no numbers.\n"),
        (["skew.npy"], 3, "Error: skew.npy"),
        (["-"], 2, "Error: distances are not read from standard input"),
    ],
)
def test_bad_input__is_told_before_anything_is_made(words, code, text):
    np.save("empty.npy", np.zeros((0, 0)))
    np.save("skew.npy", np.triu(np.ones((4, 4)), 1))
    result = whorl("run", "mds", *words, "-o", "out")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(text)
    assert len(result.stderr.splitlines()) <= 2
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "words", [("--n-components", "0"), ("--cooling", "1.5"), ("--scaling", "cubic"),
              ("--max-iter", "0"), ("--dtype", "int8")],
)  # fmt: skip
def test_values_that_there_are_not__are_usage_errors(words):
    result = whorl("run", "mds", "d.npy", "-o", "out", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ") or words[1] in result.stderr
    assert not Path("out").exists()


def test_strict__is_7_for_a_run_that_has_not_converged():
    words = ("run", "mds", "d.npy", "-o", "out", "--max-iter", "2", *SERIAL)
    result = whorl(*words, "--strict")
    assert (result.exit_code, result.stdout) == (7, "out\n")
    assert result.stderr.splitlines()[-2] == (
        "Error: out is complete, but not converged after 2 iterations."
    )
    assert whorl(*words, "--resume").exit_code == 0


def row(iteration, job, **values):
    return Row(iteration, job, 10.0, 10.0, 10.5, (0.5,), values)


def test_progress__tells_what_each_job_says():
    progress = IterationProgress(Screen())
    progress(MapStarted("start", 4))
    progress(IterationEnded("heat", row(1, "heat", temperature=0.25)))
    progress(IterationEnded("guttman", row(2, "guttman", stress=8.0, transforms=1)))
    progress(IterationEnded("solve", row(3, "solve")))
    told = "iteration 3, temperature 0.25, stress 8, transforms 1, 500 ms each"
    assert progress.notes() == told
    progress(IterationEnded("guttman", row(1, "guttman", stress=4.0)))
    assert progress.notes() == "run 2, iteration 1, stress 4, 500 ms each"
    progress(MapStarted("shepard", 4))
    assert progress.phase == "stress"


def test_show__tells_nothing_of_a_map_that_is_not_there():
    run = {"output": "out", "app": "mds", "status": "stopped", "plan": {"pairs": 3}}
    assert not {"map", "distances"} & {name for name, _ in rows(run)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "executor"), [(signal.SIGINT, "serial"), (signal.SIGKILL, "gang")]
)
def test_killed_command__goes_on_with_resume(tmp_path, number, executor):
    save("many.npy", distances(900)[0])
    words = ["run", "mds", "many.npy", "--tol", "0", "--init", "random", "--weights", "sammon"]
    words += ["--max-iter", "400", "--checkpoint-every", "1", "--chunk-seconds", "0.05"]
    crew = ["--dashboard-address", "127.0.0.1:0", "--nworkers", "2"] if executor == "gang" else []
    process = drill.start_command(*words, "--executor", executor, *crew, "-o", "out", cwd=tmp_path)
    checkpoints = Path("out/.work/checkpoints/0")
    assert drill.wait_until(lambda: checkpoints.is_dir() and any(checkpoints.iterdir()), 120)
    send = os.killpg if number == signal.SIGKILL else os.kill
    send(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -9)
    assert "The checkpoint of iteration " in err or number == signal.SIGKILL
    assert drill.wait_until(lambda: not drill.members(process.pid), 30)
    assert whorl("show", "out").stdout.splitlines()[0] == "result       out (mds, stopped)"
    assert whorl(*words, *SERIAL, "-o", "out", "--resume", "-q").exit_code == 0
    assert whorl(*words, *SERIAL, "-o", "whole", "-q").exit_code == 0
    for name in ("coordinates.npy", "coordinates.tsv", "shepard.npz"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()

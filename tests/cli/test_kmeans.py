"""`run kmeans` and what follows it, as a user types it: texts, exit codes, files."""

import json
import signal
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.iteration_progress import IterationProgress
from cli.screen import Screen
from pipelines.engine.events import (
    Checkpointed,
    ChunkEnded,
    IterationEnded,
    MapStarted,
    PartitionLoaded,
    RolledBack,
    WorkerLost,
)
from pipelines.engine.job import Row
from tests.cli import drill
from tests.pipelines.kmeans_runs import blobs, save

SERIAL = ("--executor", "serial")


def whorl(*words, **kwargs):
    return CliRunner().invoke(main, list(words), prog_name="whorl", **kwargs)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("points.npy", *blobs(400))


def test_run__and_every_command_after_it():
    words = ("run", "kmeans", "points.npy", "-o", "out", "--n-clusters", "4", *SERIAL)
    run = whorl(*words, "--labels", "points.tsv", "--json")
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["app"], told["status"], told["output"]) == ("kmeans", "complete", "out")
    assert (told["n"], told["n_clusters"], told["converged"]) == (400, 4, True)
    lines = run.stderr.splitlines()
    assert lines[0] == "input           points.npy: 400 points of 3 columns, float32"
    assert lines[1].startswith("clusters        4, start k-means++ (auto), at most 300 iterations")
    assert lines[2].startswith("plan            1 partition of up to 400 rows")
    assert lines[3] == "serial          asked for; no cluster and no dashboard"
    last = "done            labels.zarr (400 int32), centroids.npy (4 x 3 float64), report.html, "
    assert lines[-1].startswith(last + "4 clusters, inertia ")
    shown = whorl("show", "out").stdout
    assert "result       out (kmeans, complete)" in shown
    assert "points       400 of 3 columns, float32, in 1 partition" in shown
    assert "labels       4 classes, ARI 1.000, NMI 1.000, 1-NN agreement " in shown
    assert whorl("verify", "out").stdout.splitlines()[-1] == (
        "labels       400, as many of each cluster as run.json says"
    )
    assert whorl("export", "out", "--to", "npy").stdout == "out.npy\n"
    assert np.bincount(np.load("out.npy")).tolist() == told["sizes"]
    assert whorl("report", "out").stdout == "out/report.html\n"
    assert whorl("verify", "out").exit_code == 0


def test_dry_run__tells_what_auto_stands_for():
    words = ("run", "kmeans", "points.npy", "-o", "out", "--n-clusters", "2:6", "--dry-run")
    result = whorl(*words, env={"WHORL_N_INIT": "3"})
    assert (result.exit_code, result.stdout) == (0, "")
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["init", "k-means++", "from:", "auto"] in rows
    assert ["n-clusters", "2:6", "from:", "flag"] in rows
    assert ["n-init", "3", "from:", "WHORL_N_INIT"] in rows
    assert ["checkpoint-every", "10", "from:", "default"] in rows
    assert "2 to 6, of which the largest silhouette is kept" in result.stderr
    assert not Path("out").exists()


def test_range__is_told_with_the_choice():
    result = whorl("run", "kmeans", "points.npy", "-o", "out", "--n-clusters", "2:6", *SERIAL)
    assert (result.exit_code, result.stdout) == (0, "out\n")
    assert ", 4 clusters, inertia " in result.stderr.splitlines()[-1]
    assert len(Path("out/elbow.tsv").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["points.npz"], 2, "Error: points.npz does not exist.\nDid you mean points.npy?\n"),
        (["points.npy", "--n-clusters", "500"], 2,
         "Error: --n-clusters 500 is more than the 400 points in points.npy.\n"),
        (["nan.npy"], 3, "Error: nan.npy: row 1, column 0 (counted from 0) is nan.\n"),
        (["-"], 2, "Error: points are not read from standard input"),
    ],
)  # fmt: skip
def test_bad_input__is_told_before_anything_is_made(words, code, text):
    np.save("nan.npy", [[0.0, 1.0], [np.nan, 2.0]])
    result = whorl("run", "kmeans", *words, "-o", "out")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(text)
    assert not Path("out").exists()


@pytest.mark.parametrize(("given", "text"), [("0", "0 is less than 1."), ("5:2", "5:2 is empty")])
def test_no_clusters__are_a_usage_error(given, text):
    result = whorl("run", "kmeans", "points.npy", "-o", "out", "--n-clusters", given)
    assert result.exit_code == 2
    assert text in result.stderr.splitlines()[-1]


def test_strict__is_7_for_a_run_that_has_not_converged():
    words = ("run", "kmeans", "points.npy", "-o", "out", "--max-iter", "1", *SERIAL)
    result = whorl(*words, "--strict")
    assert (result.exit_code, result.stdout) == (7, "out\n")
    assert result.stderr.splitlines()[-2:] == [
        "Error: out is complete, but not converged after 1 iteration.",
        "Raise --max-iter or --tol, or leave out --strict.",
    ]
    assert whorl("verify", "out").exit_code == 0
    assert whorl(*words, "--resume", "--strict").exit_code == 7
    assert whorl(*words, "--resume").exit_code == 0


def row(iteration, seconds=0.5):
    values = {"inertia": 8.0, "shift": 0.25}
    return Row(iteration, "lloyd", 10.0, 10.0, 10.0 + seconds, (seconds,), values)


def test_progress__tells_iteration_objective_and_speed():
    progress = IterationProgress(Screen())
    progress(PartitionLoaded("points", 0, "w0", 100, 0.1))
    assert (progress.phase, progress.notes()) == ("loading", "1 partition")
    progress(MapStarted("start", 4))
    assert progress.phase == "starting"
    progress(IterationEnded("lloyd", row(1)))
    progress(IterationEnded("lloyd", row(2)))
    assert progress.notes() == "iteration 2, inertia 8, shift 0.25, 500 ms each"
    progress(IterationEnded("lloyd", row(1, 0.1)))
    progress(WorkerLost("w0", 0.0))
    progress(RolledBack("lloyd", 1, "lost"))
    progress(Checkpointed("lloyd", 1, 0.1, 10))
    progress(object())
    told = "run 2, iteration 1, inertia 8, shift 0.25, 100 ms each, 1 worker lost, 1 rollback"
    assert progress.notes() == told
    progress(MapStarted("labels", 4))
    assert progress.phase == "labels"


def test_progress__is_a_line_a_chunk_for_verbose(capsys):
    progress = IterationProgress(Screen(verbose=True))
    progress(IterationEnded("lloyd", row(7)))
    progress(ChunkEnded("lloyd", ("w0",), 0, 7, 0.1))
    assert capsys.readouterr().err.startswith("iterations      iteration 7, inertia 8")


def test_progress__is_drawn_on_a_terminal(monkeypatch):
    import io

    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", stream)
    with IterationProgress(Screen()) as progress:
        progress(IterationEnded("lloyd", row(3)))
    assert "iteration 3, inertia 8" in stream.getvalue()


def test_kept_text__names_the_newest_checkpoint():
    from cli.job import kept_text

    keys = [".work/checkpoints/8-0/0000000010.npz", ".work/checkpoints/8-0/0000000020.npz"]
    assert kept_text(keys) == "The checkpoint of iteration 20 is kept."
    assert kept_text([]) is None


def test_show__tells_the_checkpoint_of_a_stopped_run():
    from cli.show import rows

    run = {"output": "out", "app": "kmeans", "status": "stopped", "checkpoint": 120}
    assert ("checkpoint", "after 120 iterations") in rows(types.MappingProxyType(run))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal__names_the_checkpoint_and_resume_goes_on(tmp_path, number, code):
    save("many.npy", blobs(20_000, d=8, k=50, spread=4.0)[0])
    words = ["run", "kmeans", "many.npy", "--n-clusters", "100", "--tol", "0", "--init", "random"]
    words += [*SERIAL, "--checkpoint-every", "1", "--chunk-seconds", "0.05"]
    process = drill.start_command(*words, "-o", "out", cwd=tmp_path)
    checkpoints = Path("out/.work/checkpoints/100-0")
    assert drill.wait_until(lambda: checkpoints.is_dir() and any(checkpoints.iterdir()), 120)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    last = err.splitlines()[-1]
    assert last.startswith("The checkpoint of iteration ")
    assert last.endswith("--chunk-seconds 0.05 -o out --resume")
    assert whorl("show", "out").stdout.splitlines()[0] == "result       out (kmeans, stopped)"
    assert whorl(*words, "-o", "out", "--resume", "-q").exit_code == 0
    assert whorl(*words, "-o", "whole", "-q").exit_code == 0
    for name in ("centroids.npy", "labels.tsv", "labels.zarr/c/0"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()

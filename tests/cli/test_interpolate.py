"""`run interpolate` and what follows it, as a user types it: texts, exit codes, files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.progress import Progress
from cli.screen import Screen
from pipelines.engine.events import MapStarted
from tests.pipelines.interpolate_runs import Scene, make_map

SERIAL = ("--executor", "serial")
POINTS = ("run", "interpolate", "new.npy", "--onto", "map", "--landmarks", "landmarks.npy")


def whorl(*words, **kwargs):
    return CliRunner().invoke(main, list(words), prog_name="whorl", **kwargs)


@pytest.fixture(autouse=True)
def scene(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Scene(".")


def test_run__then_show_verify_and_report():
    run = whorl(*POINTS, "-o", "out", "--json", *SERIAL)
    assert run.exit_code == 0, run.stderr
    told = json.loads(run.stdout)
    assert (told["app"], told["status"], told["output"]) == ("interpolate", "complete", "out")
    lines = run.stderr.splitlines()
    assert lines[0] == "input           new.npy: 150 points to be placed"
    assert lines[1] == "map             map: onto 40 items, 3 dimensions"
    assert lines[2].startswith("plan            1 block of up to 150 items, all 40 landmarks, ")
    assert " a second), " in lines[2]
    assert lines[3] == "serial          asked for; no cluster and no dashboard"
    last = "done            coordinates.npy (150 x 3 float64), report.html, 150 points onto 40 "
    assert lines[-1].startswith(last + "landmarks, stress ")
    assert "(the map 0.015)" in lines[-1]
    shown = whorl("show", "out").stdout
    assert "result       out (interpolate, complete)" in shown
    assert "placed       150 points onto 40 landmarks, stress " in shown
    assert "blocks       1/1 done" in shown
    assert whorl("verify", "out").stdout.splitlines()[0].endswith("out is as it was written")
    assert whorl("report", "out").stdout == "out/report.html\n"
    assert whorl("verify", "out").exit_code == 0
    assert whorl(*POINTS, "-o", "out", "--resume").exit_code == 0


def test_placed_points__are_points_for_kmeans():
    assert whorl(*POINTS, "-o", "out", "-q", *SERIAL).exit_code == 0
    words = ("run", "kmeans", "out", "-o", "km", "--n-clusters", "3", "-q", *SERIAL)
    assert whorl(*words).exit_code == 0
    assert json.loads(Path("km/run.json").read_text())["n"] == 150


def test_dry_run__tells_what_auto_stands_for():
    result = whorl(*POINTS, "-o", "out", "--k", "60", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["kind", "points", "from:", "auto"] in rows
    assert ["k", "40", "from:", "flag"] in rows
    assert ["block-size", "150", "from:", "auto"] in rows
    assert "Warning: --k 60 is more than the 40 landmarks" in result.stderr
    assert not Path("out").exists()


def test_labels__are_told_in_the_last_line(scene):
    shutil.rmtree("map")
    make_map("map", scene.at, scene.ids, labels=["a", "b"] * 20)
    Path("own.tsv").write_text("".join(f"{k}\ta\n" for k in range(150)))
    result = whorl(*POINTS, "-o", "out", "--labels", "own.tsv", *SERIAL)
    told = json.loads(Path("out/run.json").read_text())["labels"]
    assert f", 1-NN agreement {told['one_nn']:.3f}, " in result.stderr.splitlines()[-1]
    shown = whorl("show", "out").stdout
    assert f"labels       2 classes, 1-NN agreement {told['one_nn']:.3f}" in shown


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["new.npy"], 2, "Error: --onto DIR is required: the map that new items are placed on.\n"),
        (["new.npz", "--onto", "map"], 2, "Error: new.npz does not exist.\nDid you mean new.npy?"),
        (["new.npy", "--onto", "mop"], 2, "Error: mop does not exist."),
        (["new.npy", "--onto", "map"], 3, "Error: new.npy has 5 columns, map 40 items: a column"),
        (["seqs.fasta", "--onto", "map"], 2, "Error: map shows None: how to align sequences with"),
        (["nan.npy", "--onto", "map", "--landmarks", "landmarks.npy"], 3,
         "Error: nan.npy: row 1, column 0 (counted from 0) is nan.\n"),
        (["new.npy", "--onto", "map", "--executor", "gang"], 2,
         "Error: --executor gang is for iterations; new items are placed once each.\n"),
    ],
)  # fmt: skip
def test_bad_input__is_told_before_anything_is_made(words, code, text):
    np.save("nan.npy", [[0.0] * 5, [np.nan] * 5])
    Path("seqs.fasta").write_text(">a\nACGT\n")
    result = whorl("run", "interpolate", *words, "-o", "out")
    assert (result.exit_code, result.stdout) == (code, "")
    told = result.stderr[result.stderr.index("Error: ") :]
    assert told.startswith(text)
    assert not Path("out").exists()


def test_output_inside_the_map__is_refused():
    result = whorl(*POINTS, "-o", "map/placed")
    assert result.exit_code == 2
    assert "Error: the output map/placed lies inside the input map." in result.stderr


def test_progress__names_what_is_done():
    progress = Progress(Screen(), None)
    progress(MapStarted("place", 4))
    assert progress.phase == "placing"
    progress(MapStarted("swg-distance", 4))
    assert progress.phase == "distances"

"""`run cluster` and what follows it, as a user types it: texts, exit codes, files."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.progress import Progress
from cli.screen import Screen
from pipelines.engine.events import MapEnded, MapStarted
from tests.pipelines.cluster_runs import save, square


def whorl(*words, **kwargs):
    return CliRunner().invoke(main, list(words), prog_name="whorl", **kwargs)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values, of = square(60, 4)
    save("d.npy", values)
    Path("true.tsv").write_text("".join(f"{k}\tc{cloud}\n" for k, cloud in enumerate(of)))


def test_run__and_every_command_after_it():
    words = ("run", "cluster", "d.npy", "-o", "out", "--n-clusters", "4", "--labels", "true.tsv")
    run = whorl(*words, "--json")
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["app"], told["status"], told["output"]) == ("cluster", "complete", "out")
    assert (told["records"], told["n_clusters"], told["linkage"]) == (60, 4, "average")
    lines = run.stderr.splitlines()
    assert lines[0] == "input           d.npy: 60 records, 1,770 pairs in float64 (npy)"
    assert lines[1] == "clusters        average linkage, 4 clusters"
    assert lines[2].startswith(
        "plan            600 MiB of memory (17 bytes a pair), linked in this"
    )
    assert lines[-1].startswith("done            linkage.npy (59 x 4 float64), report.html, ")
    assert "4 clusters, average linkage, silhouette 0." in lines[-1]
    assert "ARI 1.000, NMI 1.000, 1-NN agreement 1.000" in lines[-1]
    shown = whorl("show", "out").stdout
    assert "result       out (cluster, complete)" in shown
    assert "clusters     4 clusters, average linkage, silhouette 0." in shown
    assert whorl("verify", "out").exit_code == 0
    assert whorl("export", "out", "--to", "newick").stdout == "out.nwk\n"
    assert Path("out.nwk").read_text().count(",") == 59
    assert whorl("report", "out").stdout == "out/report.html\n"
    assert whorl("verify", "out").exit_code == 0


def test_resume_and_overwrite__of_a_complete_run():
    words = ("run", "cluster", "d.npy", "-o", "out", "-q")
    assert whorl(*words, "--threshold", "5").exit_code == 0
    first = Path("out/clusters.tsv").read_bytes()
    again = whorl(*words, "--threshold", "5", "--resume")
    assert again.exit_code == 0
    other = whorl(*words, "--threshold", "6", "--resume")
    assert other.exit_code == 2
    assert "threshold" in other.stderr
    assert whorl(*words, "--n-clusters", "60", "--overwrite").exit_code == 0
    assert Path("out/clusters.tsv").read_bytes() != first


def test_dry_run__writes_nothing():
    result = whorl("run", "cluster", "d.npy", "-o", "out", "--threshold", "0.03", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "clusters        average linkage, merged up to 0.03" in result.stderr
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["threshold", "0.03", "from:", "flag"] in rows
    assert ["n-clusters", "none", "from:", "default"] in rows
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--n-clusters", "3", "--threshold", "1"), 2, "--n-clusters and --threshold exclude"),
        (("--n-clusters", "61"), 2, "--n-clusters 61 is more than the 60 records in d.npy."),
        (("--linkage", "wards"), 2, "Did you mean ward?"),
        (("--executor", "gang"), 2, "a linkage is computed once"),
        (("--labels", "nothing.tsv"), 2, "nothing.tsv"),
    ],
)
def test_options_that_make_no_sense__are_one_line(words, code, text):
    result = whorl("run", "cluster", "d.npy", "-o", "out", *words)
    assert result.exit_code == code
    assert text in result.stderr
    assert not Path("out").exists()


def test_missing_distance__is_told_by_name():
    values = np.load("d.npy")
    values[3, 7] = values[7, 3] = np.nan
    save("holed.npy", values)
    result = whorl("run", "cluster", "holed.npy", "-o", "out")
    assert result.exit_code == 3
    assert 'Error: holed.npy: "3" and "7" have no distance.' in result.stderr
    assert "Use --missing max" in result.stderr
    assert not Path("out").exists()
    assert whorl("run", "cluster", "holed.npy", "-o", "out", "--missing", "max").exit_code == 0


def test_memory__is_refused_before_anything_is_written(monkeypatch):
    monkeypatch.setattr("pipelines.engine.cluster.MEMORY_LIMIT", 600 << 20)
    result = whorl("run", "cluster", "d.npy", "-o", "out")
    assert result.exit_code == 4
    assert "600 MiB base + 1,770 pairs x 17 bytes" in result.stderr
    assert not Path("out").exists()


def test_progress__tells_reading_and_linking():
    progress = Progress(Screen(quiet=True), object())
    progress(MapStarted("cluster-read", 3))
    assert progress.phase == "reading"
    progress(MapEnded("cluster-read"))
    assert progress.phase == "linking"

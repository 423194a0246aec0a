"""`run sequences` and what follows it, as a user types it: texts, exit codes, files."""

import json
from pathlib import Path

import pytest

from tests.cli.test_swg import whorl
from tests.pipelines.sequences_runs import write_families

SERIAL = ("--executor", "serial")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_families("seqs.fasta")


def test_dry_run__tells_stages_time_and_memory():
    words = ("--mode", "landmarks", "--landmarks", "10", "--n-clusters", "4", "--anneal")
    result = whorl("run", "sequences", "seqs.fasta", "-o", "out", *words, "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "")
    lines = [line.split(maxsplit=1) for line in result.stderr.splitlines()]
    told = {name: text for name, *rest in lines for text in rest}
    assert told["distinct"] == "40; 6 equal one of them"
    assert told["plan"] == "10 landmarks (maximin); 765 B for linkage"
    assert told["pool"].startswith("all pairs of 20 drawn sequences")
    assert told["distances"].startswith("all 45 pairs of 10 landmarks, about ")
    assert told["map"].startswith("3 dimensions of 10 landmarks, annealed, about ")
    assert told["clusters"].startswith("average linkage of 10 landmarks, 4 clusters, about ")
    assert told["placed"].startswith("30 sequences by all 10 landmarks, about ")
    assert told["landmarks"].split() == ["10", "from:", "flag"]
    assert not Path("out").exists()


def test_dry_run__in_json_has_the_plan():
    result = whorl("run", "sequences", "seqs.fasta", "-o", "out", "--dry-run", "--json")
    plan = json.loads(result.stdout)["plan"]
    assert [step["name"] for step in plan["stages"]] == ["distances", "map", "clusters"]
    assert (plan["records"], plan["distinct"], plan["mode"]) == (46, 40, "all-pairs")


def test_run__and_every_command_after_it():
    words = ("run", "sequences", "seqs.fasta", "-o", "out", "--labels", "seqs.tsv", *SERIAL)
    result = whorl(*words)
    assert (result.exit_code, result.stdout) == (0, "out\n"), result.output
    lines = result.stderr.splitlines()
    assert any(
        line.startswith("distances       distances.zarr (40 x 40 float32), ") for line in lines
    )
    assert "3 clusters, average linkage" in lines[-1]
    assert "ARI 1.000, NMI 1.000, 1-NN agreement of distances 1.000, on the map 1.000" in lines[-1]
    shown = whorl("show", "out").stdout
    assert "sequences    46, of which 40 distinct, all pairs\n" in shown
    assert "stages       distances, map, clusters, each as it was" in whorl("verify", "out").stdout
    assert whorl("export", "out/distances", "--to", "tsv", "-o", "pairs.tsv").exit_code == 0
    assert len(Path("pairs.tsv").read_text().splitlines()) == 1 + 40 * 39 // 2
    before = Path("out/report.html").read_bytes()
    assert whorl("report", "out").exit_code == 0
    assert len(Path("out/report.html").read_bytes()) == pytest.approx(len(before), rel=0.01)
    again = whorl(*words, "--resume")
    assert "out is complete already, nothing left to do" in again.stderr


def test_map__takes_new_sequences():
    assert whorl("run", "sequences", "seqs.fasta", "-o", "out", *SERIAL, "-q").exit_code == 0
    Path("more.fasta").write_text("".join(Path("seqs.fasta").read_text().splitlines(True)[:6]))
    result = whorl("run", "interpolate", "more.fasta", "--onto", "out", "-o", "in", *SERIAL)
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in Path("in/coordinates.tsv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == [row[4] for row in rows]  # each is the nearest to itself
    whorl("run", "kmeans", "out", "-o", "km", "--n-clusters", "3", *SERIAL)
    assert len(Path("km/labels.tsv").read_text().splitlines()) == 47


def test_stdin__is_an_input():
    text = Path("seqs.fasta").read_bytes()
    result = whorl("run", "sequences", "-", "-o", "out", *SERIAL, "-q", input=text)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "out\n", "")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--n-clusters", "99"), 2, "--n-clusters 99 is more than the 40 distinct sequences in"),
        (("--weights", "w.npy"), 2, "--weights: is none, sammon or power:P ("),
        (("--n-clusters", "2", "--threshold", "1"), 2, "--n-clusters and --threshold: give one"),
        (("--labels", "none.tsv"), 2, "none.tsv does not exist"),
    ],
)
def test_mistakes__are_told_in_a_line_before_anything_is_made(words, code, text):
    result = whorl("run", "sequences", "seqs.fasta", "-o", "out", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert f"Error: {text}" in result.stderr
    assert not Path("out").exists()

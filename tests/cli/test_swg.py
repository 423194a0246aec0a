"""`run swg` and what follows it, as a user types it: texts, exit codes, files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.__main__ import main

GOOD = ">a one\nACGTACGTACGTACGT\n>b\nACGTACGAACGTACGT\n>c\nTTGATTGATTGCCCC\n"
DNA = "".join(f">d{k}\nACGTACGTACGTACGTTTAGG\n" for k in range(20))


def whorl(*words, **kwargs):
    return CliRunner().invoke(main, list(words), prog_name="whorl", **kwargs)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("seqs.fasta").write_text(GOOD)


@pytest.mark.parametrize(
    ("name", "content", "code", "text"),
    [
        ("seqs.fsta", None, 2, "Error: seqs.fsta does not exist.\nDid you mean seqs.fasta?\n"),
        ("e.fa", "", 3, "Error: e.fa is empty (0 bytes).\n"),
        ("n.txt", "just some text\n", 3,
         'Error: n.txt line 1 is "just some te..."; a FASTA file starts with ">".\n'),
        ("c.fa", ">a\nACGT\n>c\n>d\n\n", 3,
         'Error: c.fa has 2 records without letters, first: "c" (line 3).\n'
         "Drop them with --on-bad-record skip.\n"),
        ("d.fa", ">a\nACGT\n>b\nAC\n>a\nAC\n", 3,
         'Error: id "a" occurs 2 times in d.fa (lines 1, 5); results are addressed by id.\n'
         "Use --ids number to take record numbers.\n"),
        ("f.fa", ">a\nACGTAC-GTACGTACG\n", 3,
         'Error: f.fa line 2, column 7: "-" is not a DNA letter (record "a").\n'
         "Aligned file? --gaps remove.\n"),
        ("m.fa", f"{DNA}>P12345\nMKWVTFISLLFLFSSAYSRGVFRR\n", 3,
         'Error: m.fa: 20 records look like DNA, 1 like protein (first: "P12345", line 41).\n'
         "Choose --alphabet protein to read all as protein.\n"),
    ],
)  # fmt: skip
def test_bad_input__is_told_before_anything_is_made(name, content, code, text):
    if content is not None:
        Path(name).write_text(content)
    result = whorl("run", "swg", name, "-o", "out")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(text)
    assert len(result.stderr.splitlines()) == 2
    assert not Path("out").exists()


def test_dry_run__tells_plan_gap_costs_memory_time_and_values():
    words = ("--gap-open", "10", "--dry-run")
    result = whorl("run", "swg", "seqs.fasta", "-o", "out", *words)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "a gap of 1, 2, 10 letters costs 10, 14, 46" in result.stderr
    assert "per worker" in result.stderr
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["gap-open", "10", "from:", "flag"] in rows
    assert ["gap-extend", "4", "from:", "auto"] in rows
    assert ["alphabet", "dna", "from:", "auto"] in rows
    assert not Path("out").exists()


def test_run__and_every_command_after_it():
    run = whorl("run", "swg", "seqs.fasta", "-o", "out", "--executor", "serial", "--json")
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["status"], told["output"], told["records"]) == ("complete", "out", 3)
    assert told["config"]["gap_open"]["value"] == 16
    assert "result       out (swg, complete)" in whorl("show", "out").stdout
    assert whorl("verify", "out").exit_code == 0
    assert whorl("export", "out", "--to", "tsv").stdout == "out.tsv\n"
    rows = [line.split("\t") for line in Path("out.tsv").read_text().splitlines()]
    assert [row[:2] for row in rows[1:]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert float(rows[1][2]) == pytest.approx(1 / 16)  # one of 16 letters differs
    assert whorl("report", "out").stdout == "out/report.html\n"
    assert whorl("verify", "out").exit_code == 0


def test_gang__is_refused_in_one_line():
    result = whorl("run", "swg", "seqs.fasta", "-o", "out", "--executor", "gang")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: --executor gang is for iterations; the blocks of all pairs are computed once "
        "each.\nUse --executor tasks.\n"
    )


def test_stdin__is_an_input():
    words = ("run", "swg", "-", "-o", "out", "--executor", "serial", "--quiet")
    result = whorl(*words, input=GOOD.encode())
    assert (result.exit_code, result.stdout, result.stderr) == (0, "out\n", "")
    assert json.loads(Path("out/run.json").read_text())["records"] == 3


def test_existing_result__is_not_touched_without_overwrite():
    words = ("run", "swg", "seqs.fasta", "-o", "out", "--executor", "serial", "-q")
    assert whorl(*words).exit_code == 0
    before = Path("out/run.json").read_bytes()
    result = whorl(*words, "--gap-open", "10")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: out holds ")
    assert Path("out/run.json").read_bytes() == before


@pytest.mark.slow
def test_demo__runs_twice_and_names_the_reports():
    for _ in range(2):
        result = whorl("demo", "-o", "there")
        assert result.exit_code == 0, result.output
        assert result.stdout == "there/sequences\nthere/kmeans\n"
        for name in ("sequences", "kmeans"):
            assert f"report          there/{name}/report.html" in result.stderr
            assert b"<html" in Path(f"there/{name}/report.html").read_bytes()[:2000]
    for name in ("sequences", "sequences/map", "kmeans"):
        assert whorl("verify", f"there/{name}").exit_code == 0

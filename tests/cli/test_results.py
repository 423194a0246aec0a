"""show, verify, export, report and generate on small results."""

import json
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli import run as run_commands
from cli.__main__ import main
from tests.pipelines import result_folders


def whorl(*words):
    return CliRunner().invoke(main, list(words), prog_name="whorl")


@pytest.fixture
def result(tmp_path, monkeypatch):
    """A complete result `out` of 9 records in the current folder; its matrix."""
    monkeypatch.chdir(tmp_path)
    values = result_folders.symmetric(9)
    result_folders.make_result("out", values)
    return values


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """A run of `out` that stopped after two blocks."""
    monkeypatch.chdir(tmp_path)
    values = result_folders.symmetric(9)
    command = ["whorl", "run", "swg", "s.fasta", "-o", "out", "--overwrite"]
    results = result_folders.create("out", command=command)
    result_folders.write_blocks(results, result_folders.layout_of(values), values, stop=2)
    yield results
    results.abandon()


def test_show__tells_a_finished_result(result):
    shown = whorl("show", "out")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[:2] == [
        "result       out (swg, complete)",
        "input        seqs.fasta, 1.2 KiB",
    ]
    assert lines[-1].startswith("outputs      distances.zarr (9 x 9 float32), ")


def test_show__names_the_options_that_somebody_chose():
    from cli.show import options_text

    values = {
        "numbers": ("n.txt", "flag"), "output": ("out", "flag"), "power": (3, "WHORL_POWER"),
        "resume": (True, "flag"), "nthreads": (1, "default"),
    }  # fmt: skip
    config = {name: {"value": value, "origin": by} for name, (value, by) in values.items()}
    assert options_text({"inputs": [{"path": "n.txt"}], "config": config}) == "power 3"


def test_show__json_is_run_json_with_the_place(result):
    run = json.loads(Path("out/run.json").read_text())
    assert json.loads(whorl("show", "out", "--json").stdout) == {**run, "output": "out"}


def test_show__tells_a_running_one(unfinished):
    unfinished.update_status({"plan": {"blocks": 3}, "dashboard": "http://127.0.0.1:1/status"})
    shown = whorl("show", "out")
    assert shown.stdout.splitlines()[0] == "result       out (swg, running)"
    assert "blocks       2/3 done" in shown.stdout.splitlines()
    assert "dashboard    http://127.0.0.1:1/status" in shown.stdout.splitlines()
    assert "--resume" not in shown.stdout


def test_show__of_a_stopped_one_names_the_command_that_goes_on(unfinished):
    unfinished.abandon("stopped")
    lines = whorl("show", "out").stdout.splitlines()
    assert lines[0] == "result       out (swg, stopped)"
    assert lines[-1] == "go on with   whorl run swg s.fasta -o out --resume"


@pytest.mark.parametrize("command", ["show", "verify", "report"])
def test_place_without_result__is_a_usage_error(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("mine")
    answer = whorl(command, ".")
    assert answer.exit_code == 2
    assert answer.stderr.startswith(
        "Error: . is not a result folder of whorl: it holds no run.json of ours."
    )


def test_unfinished_result__has_code_8(unfinished):
    for words in (["verify"], ["report"], ["export", "--to", "tsv"]):
        answer = whorl(*words, "out")
        assert answer.exit_code == 8, answer.output
        assert answer.stderr.splitlines()[0] == "Error: out is unfinished."


def test_verify__tells_what_was_checked(result):
    answer = whorl("verify", "out")
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert lines[0] == "result       out is as it was written"
    assert lines[-1] == "matrix       9 x 9, symmetric, 0 pairs missing"


def test_verify__of_a_damaged_result_has_code_8(result):
    Path("out/ids.tsv").write_text("changed")
    answer = whorl("verify", "out", "--json")
    assert answer.exit_code == 8
    assert json.loads(answer.stdout)["problems"][:1] == [
        "ids.tsv is not as it was written (sha256 differs)"
    ]
    assert answer.stderr.startswith("Error: out is damaged: ids.tsv is not as it was written")


def test_export__writes_beside_the_result_and_prints_the_path(result):
    answer = whorl("export", "out", "--to", "npy")
    assert (answer.exit_code, answer.stdout) == (0, "out.npy\n")
    assert answer.stderr == "exported        npy, 452 bytes\n"
    np.testing.assert_array_equal(np.load("out.npy"), result)


def test_export__refuses_an_existing_file_and_an_unknown_form(result):
    Path("d.tsv").write_text("mine")
    answer = whorl("export", "out", "--to", "tsv", "-o", "d.tsv")
    assert answer.exit_code == 2
    assert answer.stderr == "Error: d.tsv exists.\nUse another name or --overwrite.\n"
    answer = whorl("export", "out", "--to", "philip")
    assert answer.exit_code == 2
    assert answer.stderr.splitlines()[-1].endswith("Did you mean phylip?")


def test_export__knows_every_form_of_the_exports():
    from cli.export import ENDINGS
    from pipelines.exports import ALL_FORMS

    assert list(ENDINGS) == list(ALL_FORMS)


def test_report__is_written_anew_and_the_result_stays_sound(result, monkeypatch):
    application = types.SimpleNamespace(report=lambda url: b"<html>new")
    monkeypatch.setitem(run_commands.APPLICATIONS, "swg", "fake_swg")
    monkeypatch.setitem(__import__("sys").modules, "fake_swg", application)
    answer = whorl("report", "out")
    assert (answer.exit_code, answer.stdout) == (0, "out/report.html\n")
    assert Path("out/report.html").read_bytes() == b"<html>new"
    assert whorl("verify", "out").exit_code == 0


def test_generate__writes_sequences_and_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = whorl("generate", "sequences", "--n", "3", "--length", "20", "-o", "s.fasta")
    assert (answer.exit_code, answer.stdout) == (0, "s.fasta\n")
    assert answer.stderr.splitlines() == [
        "generated       3 sequences of 3 families",
        "labels          s.labels.tsv",
    ]
    assert Path("s.fasta").read_text().count(">") == 3
    assert len(Path("s.labels.tsv").read_text().splitlines()) == 4
    assert whorl("check", "s.fasta").exit_code == 0


def test_generate__refuses_more_families_than_sequences(tmp_path):
    answer = whorl("generate", "sequences", "--n", "3", "--classes", "4", "-o", str(tmp_path / "s"))
    assert answer.exit_code == 2
    assert answer.stderr.splitlines()[-1] == "Error: --classes 4 is more than the 3 of --n."

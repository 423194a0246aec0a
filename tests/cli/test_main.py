"""The root command: version, help, typos, and exceptions as exit codes."""

import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import kernels
from cli import __main__ as door
from pipelines.engine.errors import TaskFailed
from pipelines.errors import DamagedResult, InputProblem

HELP = """
import runpy, sys
sys.argv[1:] = ["--help"]
try:
    runpy.run_module("cli", run_name="__main__")
except SystemExit:
    heavy = {"numpy", "numba", "dask", "zarr", "rich", "psutil"}
    print(sorted(heavy & set(sys.modules)))
"""


def python(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, **kwargs
    )


def failing(monkeypatch, error, *arguments, folder=None):
    """Result of `whorl verify ...` whose command raises `error`."""

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    @click.pass_context
    def verify(ctx, rest):
        ctx.meta["whorl.folder"] = folder
        raise error

    monkeypatch.setattr(door.LazyGroup, "get_command", lambda *_: verify)
    return CliRunner().invoke(door.main, ["verify", *arguments], prog_name="whorl")


def test_version__is_that_of_the_package():
    result = CliRunner().invoke(door.main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"whorl {kernels.__version__}\n")


def test_help__imports_nothing_heavy():
    assert python("-c", HELP).stdout.splitlines()[-1] == "[]"


def test_help__tells_only_what_works():
    text = CliRunner().invoke(door.main, ["--help"]).output
    names = [line.split()[0] for line in text.partition("Commands:")[2].strip().splitlines()]
    assert names == [
        "run", "check", "show", "report", "export", "verify", "demo", "generate", "doctor",
    ]  # fmt: skip
    assert not any(word in text for word in ("kmeans", "mds", "gang", "tier"))


def test_help__of_each_command_has_sentences():
    for name in door.COMMANDS:
        command = door.main.get_command(click.Context(door.main), name)
        assert command.name == name
        assert command.help.split("\n")[0].endswith("."), name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help.endswith("."), (name, parameter.name)


def test_run_help__lists_applications_without_importing_them():
    result = CliRunner().invoke(door.main, ["run", "--help"])
    assert result.exit_code == 0
    assert "swg" in result.output


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["rn"], "Error: No such command 'rn'. Did you mean run?"),
        (["run", "swgg"], "Error: No such application 'swgg'. Did you mean swg?"),
    ],
)
def test_typo__is_told_the_nearest(words, error):
    result = CliRunner().invoke(door.main, words)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == error


def test_known_problem__is_one_line_and_a_remedy(monkeypatch):
    error = InputProblem("s.fasta is empty (0 bytes).", remedy="Copy it again.")
    result = failing(monkeypatch, error)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == "Error: s.fasta is empty (0 bytes).\nCopy it again.\n"


def test_damaged_result__has_code_8(monkeypatch):
    assert failing(monkeypatch, DamagedResult("out/swg is unfinished.")).exit_code == 8


def test_failed_task__names_the_resume_command(monkeypatch):
    error = TaskFailed("swg-distance-0-1", "w1", "ValueError: no", 4)
    result = failing(monkeypatch, error, "in put", "--overwrite", folder="out")
    assert result.exit_code == 6
    assert result.stderr.splitlines() == [
        "Error: swg-distance-0-1 failed 4 times, last on w1: ValueError: no",
        "Finished blocks are kept. Go on with: whorl verify 'in put' --resume",
    ]


def test_unexpected_error__is_written_to_a_file_that_is_named(monkeypatch, tmp_path):
    (tmp_path / ".work").mkdir()
    result = failing(monkeypatch, ZeroDivisionError("half\nof it"), folder=str(tmp_path))
    file = tmp_path / ".work" / "error.txt"
    assert result.exit_code == 1
    assert result.stderr.splitlines()[:2] == [
        "Error: unexpected ZeroDivisionError: half",
        f"This is a bug. Details for a report: {file} (or run with --debug).",
    ]
    assert "Traceback" not in result.stderr
    assert "Traceback" in file.read_text()
    assert f"whorl {kernels.__version__}" in file.read_text()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "Error: the memory of this machine is used up."),
        (OSError(errno.ENOSPC, "no", "/d/x"), "Error: /d/x: the disk is full."),
    ],
)
def test_full_memory_or_disk__is_4(monkeypatch, error, text):
    result = failing(monkeypatch, error)
    assert (result.exit_code, result.stderr.splitlines()[0]) == (4, text)


def test_closed_pipe__is_no_bug():
    command = "import sys; from cli.__main__ import main; main(prog_name='whorl')"
    words = [sys.executable, "-c", command, "doctor", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 1


def test_debug__prints_the_traceback(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = failing(monkeypatch, ZeroDivisionError("half"), "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr


def test_keyboard_interrupt__is_130(monkeypatch):
    result = failing(monkeypatch, KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "Stopped by Ctrl-C.\n")


def test_dask__has_the_command_as_well():
    result = python("-m", "dask", "whorl", "--version")
    assert result.stdout == f"whorl {kernels.__version__}\n", result.stderr


def test_completion__works_by_click(monkeypatch):
    monkeypatch.setenv("_WHORL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "whorl ru")
    monkeypatch.setenv("COMP_CWORD", "1")
    result = CliRunner().invoke(door.main, [], prog_name="whorl")
    assert result.output.split() == ["plain,run"]

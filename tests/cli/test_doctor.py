"""doctor tells what this machine offers and what is wrong with it."""

import importlib.metadata
import json

import pytest
from click.testing import CliRunner

import kernels
from cli import doctor as clinic
from cli.__main__ import main


def doctor(*words):
    return CliRunner().invoke(main, ["doctor", *words], prog_name="whorl")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHORL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_doctor__tells_each_thing_and_finds_no_problem():
    result = doctor()
    assert result.exit_code == 0, result.output
    names = [line.split()[0] for line in result.stdout.splitlines()[:-1]]
    assert names == list(clinic.LOOKS)
    assert f"whorl {kernels.__version__}, python " in result.stdout
    assert result.stdout.splitlines()[-1] == "No problem found."


def test_doctor__json_is_one_object():
    facts = json.loads(doctor("--json").stdout)
    assert facts["problems"] == []
    assert facts["versions"]["whorl"] == kernels.__version__
    assert facts["cpu"]["usable cores"] >= 1


def test_doctor__finds_another_package_of_our_name(monkeypatch):
    theirs = {"kernels": ["whorl", "hf-kernels"], "numpy": ["numpy"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: theirs)
    result = doctor()
    assert result.exit_code == 2
    assert (
        "Problem: `kernels` is also a package of hf-kernels: install whorl in an own environment"
        in result.stdout
    )


def test_doctor__finds_a_missing_dashboard(monkeypatch):
    real = clinic.version_of
    monkeypatch.setattr(clinic, "version_of", lambda name: None if name == "bokeh" else real(name))
    result = doctor()
    assert result.exit_code == 2
    assert "Problem: the dashboard stays blank without bokeh" in result.stdout


def test_doctor__finds_a_cache_that_cannot_be_written(cache, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    result = doctor()
    assert result.exit_code == 2
    assert f"Problem: {cache}" in result.stdout
    assert "is not writable; set WHORL_CACHE_DIR to a writable folder" in result.stdout


def test_clean__empties_the_cache(cache):
    kept = cache / "kernels-0.0.1-abc"
    kept.mkdir(parents=True)
    (kept / "code.nbc").write_bytes(bytes(2048))
    result = doctor("--clean")
    assert result.exit_code == 0
    assert result.stdout == f"{cache}\n"
    assert result.stderr == "2.0 KiB of compiled kernels removed\n"
    assert not kept.exists()


def test_windows__is_told_to_use_wsl(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    result = doctor()
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "Error: whorl does not run on Windows itself."

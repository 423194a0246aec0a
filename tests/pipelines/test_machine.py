"""Provenance of software and machine."""

import subprocess
from types import SimpleNamespace

import kernels
from pipelines import machine


def git(folder, *words):
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@y", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def clone(tmp_path, monkeypatch):
    """A repository that whorl seems to run from; its commit."""
    (tmp_path / "kernels").mkdir()
    source = tmp_path / "kernels" / "__init__.py"
    source.write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    fake = SimpleNamespace(__file__=str(source), __version__="9")
    monkeypatch.setattr(machine, "kernels", fake)
    monkeypatch.setattr(machine, "git_commit", machine.git_commit.__wrapped__)
    return git(tmp_path, "rev-parse", "HEAD")


def test_versions__name_the_packages_that_make_the_bytes():
    found = machine.versions()
    assert found["whorl"] == kernels.__version__
    assert {"python", "numpy", "numba", "llvmlite", "dask", "zarr"} <= set(found)


def test_commit__is_marked_when_files_were_changed(tmp_path, monkeypatch):
    commit = clone(tmp_path, monkeypatch)
    assert machine.versions()["commit"] == commit
    (tmp_path / "kernels" / "__init__.py").write_text("x = 2\n")
    assert machine.versions()["commit"] == f"{commit}+changes"


def test_commit__is_none_outside_a_clone_and_without_git(tmp_path, monkeypatch):
    clone(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", "")
    assert machine.git_commit() is None
    fake = SimpleNamespace(__file__=str(tmp_path / "site-packages/kernels/__init__.py"))
    monkeypatch.setattr(machine, "kernels", fake)
    assert machine.git_commit() is None


def test_host__tells_processor_cores_and_memory():
    found = machine.host()
    assert found["cpu"]
    assert found["target"]
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**28


def test_cpu__is_known_where_the_system_does_not_tell_it(monkeypatch):
    def missing(self):
        raise FileNotFoundError

    monkeypatch.setattr(machine.Path, "read_text", missing)
    assert machine.cpu_name()

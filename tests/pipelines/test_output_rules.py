"""What may be at an output path: nothing that is not ours is ever touched."""

import os

import pytest

from pipelines.errors import UsageProblem
from pipelines.verify import verify
from storage.directory import Directory
from storage.errors import NoSpace
from tests.pipelines.result_folders import (
    INPUT,
    OPTIONS,
    create,
    interrupted,
    make_result,
    symmetric,
    write_lock,
)


@pytest.fixture
def values():
    return symmetric(20, missing=[(3, 9)])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("complete", [True, False])
def test_existing_output__needs_a_word_of_the_user(out, values, complete):
    make_result(out, values) if complete else interrupted(out, values, blocks=1)
    with pytest.raises(
        UsageProblem, match=r"out holds (a complete|an unfinished) run of swg"
    ) as refused:
        create(out)
    assert "--overwrite" in refused.value.remedy
    assert ("--resume" in refused.value.remedy) is not complete


@pytest.mark.parametrize("complete", [True, False])
def test_overwrite__starts_anew_and_leaves_nothing_old(out, values, complete):
    make_result(out, values) if complete else interrupted(out, values, blocks=3)
    with create(out, overwrite=True, options={**OPTIONS, "gap_open": 1}) as results:
        assert not results.resumed
        assert results.done_records() == {}
        assert sorted(os.listdir(out)) == [".lock", ".work"]
    assert os.listdir(out.parent) == ["out"]


def test_overwrite__never_deletes_foreign_files(out, values):
    make_result(out, values)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageProblem, match=r"holds files that are not ours: notes\.txt\."):
        create(out, overwrite=True)
    assert verify(str(out)).extra == ["notes.txt"]


@pytest.mark.parametrize(
    "content", ["{}", '{"schema": 1, "status": "complete"}', "[]", "{not json"]
)
@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_foreign_folder__is_refused_and_left_alone(out, content, options):
    out.mkdir()
    (out / "run.json").write_text(content)
    with pytest.raises(UsageProblem, match=r"holds files that are not ours: run\.json\."):
        create(out, **options)
    assert os.listdir(out) == ["run.json"]


def test_empty_folder__is_fine_and_a_dead_lock_in_it_too(out):
    out.mkdir()
    write_lock(out, pid=2**22 + 1)
    with create(out) as results:
        assert not results.resumed


def test_overwrite__removes_what_an_earlier_one_could_not_delete(out, values):
    make_result(out, values)
    leftover = out.parent / ".out.0123abcd.whorl-deleted"
    leftover.mkdir()
    with create(out, overwrite=True):
        assert os.listdir(out.parent) == ["out"]


def test_overwrite__follows_a_link_and_keeps_it(tmp_path, values):
    make_result(tmp_path / "real", values)
    os.symlink(tmp_path / "real", tmp_path / "out")
    with create(tmp_path / "out", overwrite=True):
        pass
    assert (tmp_path / "out").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["out", "real"]


def test_overwrite__refuses_to_delete_the_current_folder(out, values, monkeypatch):
    make_result(out, values)
    monkeypatch.chdir(out)
    with pytest.raises(UsageProblem, match="is the current folder"):
        create(".", overwrite=True, inputs=[{**INPUT, "path": "/elsewhere/seqs.fasta"}])
    assert verify(str(out)).problems == []


def test_resume_and_overwrite__exclude_each_other(out):
    with pytest.raises(UsageProblem, match="exclude each other"):
        create(out, resume=True, overwrite=True)


def test_place__that_is_a_file_or_below_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageProblem, match="file is a file; the output is a folder"):
        create(tmp_path / "file")
    with pytest.raises(UsageProblem, match=r"cannot be created: .*file is a file"):
        create(tmp_path / "file/deeper/out")


def test_place__without_permission_is_refused(out, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageProblem, match="out cannot be written: no permission in"):
        create(out)


def test_place__entangled_with_the_input_is_refused(tmp_path):
    inner = tmp_path / "input/out"
    inner.mkdir(parents=True)
    with pytest.raises(UsageProblem, match="lies inside the input"):
        create(inner, inputs=[{"path": str(tmp_path / "input"), "sha256": "x"}])
    with pytest.raises(UsageProblem, match="lies inside the output"):
        create(tmp_path / "input", inputs=[{"path": str(inner / "a.fasta"), "sha256": "x"}])


def test_space__is_checked_before_anything_is_written(out, monkeypatch):
    monkeypatch.setattr(Directory, "free_bytes", lambda self: 12 * 2**30)
    with pytest.raises(NoSpace, match=r"61 GiB needed under \S+out/, 12 GiB free\."):
        create(out, needed_bytes=61 * 2**30)
    assert not out.exists()
    create(out, needed_bytes=2**30).abandon()
    monkeypatch.setattr(Directory, "free_bytes", lambda self: 0)
    with pytest.raises(NoSpace, match=r"0 B free\."):
        create(out, needed_bytes=1)


def test_space__counts_what_a_resumed_run_has_written(out, values, monkeypatch):
    interrupted(out, values, blocks=6)
    written = sum(path.stat().st_size for path in (out / ".work/distances.zarr").rglob("*/*/*"))
    monkeypatch.setattr(Directory, "free_bytes", lambda self: 1000)
    create(out, resume=True, needed_bytes=1000 + written).abandon()
    with pytest.raises(NoSpace):
        create(out, resume=True, needed_bytes=100_000)

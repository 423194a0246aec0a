"""The rules of a result folder: who may write, what may be resumed, when it is complete."""

import json
import os
import socket
import subprocess
import time

import numpy as np
import psutil
import pytest

from pipelines import output_rules, run_lock
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.distances import open_distances
from pipelines.results import keep_input, read_kept_input, read_run, replace_file
from pipelines.verify import verify
from storage.directory import Directory, temporary_name
from storage.errors import NoSpace
from tests.pipelines.result_folders import (
    INPUT,
    OPTIONS,
    create,
    finish,
    layout_of,
    make_result,
    symmetric,
    write_block,
    write_blocks,
)


@pytest.fixture
def values():
    return symmetric(20, missing=[(3, 9)])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def interrupted(url, values, *, blocks):
    """An unfinished folder of so many blocks."""
    with create(url) as results:
        write_blocks(results, layout_of(values), values, stop=blocks)


def write_lock(folder, **changes):
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "heartbeat": time.time(),
        "token": "other",
    }
    (folder / ".lock").write_text(json.dumps({**owner, **changes}))


def test_finish__completes_the_folder_and_nothing_else(out, values):
    run = make_result(out, values)
    assert sorted(os.listdir(out)) == [
        "checksums.sha256", "distances.zarr", "ids.tsv", "report.html", "run.json",
    ]  # fmt: skip
    assert run == json.loads((out / "run.json").read_text()) == read_run(str(out))
    assert (run["status"], run["schema"], run["app"]) == ("complete", 1, "swg")
    assert [one["name"] for one in run["outputs"]] == ["distances.zarr", "ids.tsv", "report.html"]
    assert run["outputs"][0]["shape"] == [20, 20]
    assert os.listdir(out.parent) == ["out"]


def test_checksums__satisfy_sha256sum(out, values):
    make_result(out, values)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "checksums.sha256"],
        cwd=out, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 9 + 1 + 3
    assert "run.json: OK" in done.stdout


def test_finish__twice_gives_the_same_result_bytes(tmp_path, values):
    runs = [make_result(tmp_path / name, values) for name in "ab"]
    assert runs[0]["outputs"] == runs[1]["outputs"]
    sums = [(tmp_path / name / "checksums.sha256").read_text().splitlines() for name in "ab"]
    differing = {line.split("  ")[1] for line in set(sums[0]) ^ set(sums[1])}
    assert differing == {"run.json"}


def test_resume__computes_only_unfinished_blocks(out, values):
    interrupted(out, values, blocks=4)
    assert read_run(str(out), unfinished=True)["status"] == "failed"
    with create(out, resume=True) as results:
        assert results.resumed
        assert len(results.done_records()) == 4
        assert results.done_records()[0, 0]["seconds"] == 0.5
        assert write_blocks(results, layout_of(values), values) == 2
        finish(results, values)
    assert verify(str(out)).problems == []


def test_resume__counts_a_block_without_its_chunk_as_not_done(out, values):
    interrupted(out, values, blocks=4)
    os.unlink(out / ".work/distances.zarr/c/1/0")
    (out / ".work/blocks/0-0.json").write_text("{damaged")
    with create(out, resume=True) as results:
        assert sorted(results.done_records()) == [(0, 2), (1, 1)]


def test_resume__of_a_complete_folder_has_nothing_to_do(out, values):
    make_result(out, values)
    before = sorted(os.listdir(out))
    with create(out, resume=True) as results:
        assert results.complete
    assert sorted(os.listdir(out)) == before


def test_resume__without_anything_starts(out, values):
    with create(out, resume=True) as results:
        assert not results.resumed
        assert not results.complete


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"options": {**OPTIONS, "gap_open": 14}}, r"a run with gap_open=16, not 14\."),
        ({"options": {**OPTIONS, "extra": "x"}}, r"a run with extra=none, not x\."),
        (
            {"options": {"gap_open": 16, "gap_extend": 4}},
            r"a run with distance=identity-longer, not none\.",
        ),
        (
            {"inputs": [{**INPUT, "sha256": "cd" * 32}]},
            r"a run of seqs.fasta with sha256 abab\w+, not cdcd\w+\.",
        ),
        ({"inputs": []}, r"a run of 1 inputs, not 0\."),
        ({"app": "kmeans"}, r"a run of swg, not kmeans\."),
    ],
)
def test_resume__refuses_another_run_naming_what_differs(out, values, changes, text, complete):
    if complete:
        make_result(out, values)
    else:
        interrupted(out, values, blocks=1)
    with pytest.raises(UsageProblem, match=r"out holds " + text) as refused:
        create(out, resume=True, **changes)
    assert refused.value.remedy == "Use another folder or --overwrite."
    assert not (out / ".lock").exists()


def test_resume__by_another_version_is_refused(out, values, monkeypatch):
    interrupted(out, values, blocks=1)
    monkeypatch.setattr("pipelines.results.__version__", "99.0")
    with pytest.raises(UsageProblem, match=r"holds a run by whorl \S+, not 99\.0"):
        create(out, resume=True)


def test_resume__accepts_the_same_bytes_under_another_path(out, values):
    interrupted(out, values, blocks=1)
    with create(out, resume=True, inputs=[{**INPUT, "path": "moved.fasta"}]) as results:
        assert results.resumed


@pytest.mark.parametrize("complete", [True, False])
def test_existing_output__needs_a_word_of_the_user(out, values, complete):
    make_result(out, values) if complete else interrupted(out, values, blocks=1)
    with pytest.raises(UsageProblem, match=r"out holds (a complete|an unfinished) run") as refused:
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


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_lock__of_a_live_run_is_named(out, options):
    with create(out):
        expected = rf"in use by a run on \S+, process {os.getpid()}, since 20"
        with pytest.raises(UsageProblem, match=expected) as refused:
            create(out, **options)
        assert refused.value.exit_code == 2
    assert not (out / ".lock").exists()


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({}, True),
        ({"started": 1.0}, False),
        ({"pid": 2**22 + 1}, False),
        ({"host": "elsewhere"}, True),
        ({"host": "elsewhere", "pid": 2**22 + 1}, True),
        ({"host": "elsewhere", "heartbeat": time.time() - 301}, False),
    ],
)
def test_lock__owner_is_alive_by_process_here_and_by_heartbeat_elsewhere(out, changes, alive):
    out.mkdir()
    write_lock(out, **changes)
    if alive:
        with pytest.raises(UsageProblem, match="in use by a run"):
            create(out)
    else:
        create(out).abandon()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "x"}'])
def test_lock__that_is_damaged_counts_as_dead(out, text):
    out.mkdir()
    (out / ".lock").write_text(text)
    create(out).abandon()


def test_lock__renews_its_heartbeat(out, monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.01)
    with create(out) as results:
        first = run_lock.read_owner(results.folder)["heartbeat"]
        deadline = time.time() + 10
        while run_lock.read_owner(results.folder)["heartbeat"] == first:
            assert time.time() < deadline
    assert sorted(os.listdir(out)) == [".work"]


def test_lock__that_was_taken_over_stops_the_first_run(out):
    results = create(out)
    write_lock(out)
    with pytest.raises(UsageProblem, match="taken over by another run"):
        results.update_status({"blocks": 1})
    results.abandon()
    assert json.loads((out / ".lock").read_text())["token"] == "other"


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


def test_space__counts_what_a_resumed_run_has_written(out, values, monkeypatch):
    interrupted(out, values, blocks=6)
    written = sum(path.stat().st_size for path in (out / ".work/distances.zarr").rglob("*/*/*"))
    monkeypatch.setattr(Directory, "free_bytes", lambda self: 1000)
    create(out, resume=True, needed_bytes=1000 + written).abandon()
    with pytest.raises(NoSpace):
        create(out, resume=True, needed_bytes=100_000)


def test_finish__names_a_chunk_that_is_not_there(out, values):
    with create(out) as results:
        write_blocks(results, layout_of(values), values, stop=5)
        with pytest.raises(DamagedResult, match=r"lacks 1 chunks, first: c/2/2\."):
            finish(results, values)
    with pytest.raises(DamagedResult, match="out is unfinished"):
        read_run(str(out))


def test_finish__sweeps_temporary_names_of_killed_workers(out, values):
    with create(out) as results:
        write_blocks(results, layout_of(values), values)
        open(temporary_name(str(out / ".work/distances.zarr/c/0/1")), "w").close()
        finish(results, values)
    assert sorted(os.listdir(out / "distances.zarr/c/0")) == ["0", "1", "2"]


def test_finish__keeps_work_when_asked(out, values):
    with create(out) as results:
        write_blocks(results, layout_of(values), values)
        results.finish({}, {}, keep_work=True)
    assert verify(str(out)).problems == []
    assert len(os.listdir(out / ".work/blocks")) == 6
    assert not (out / ".lock").exists()


def test_status__is_seen_by_others_while_running(out):
    with create(out, command=["run", "swg"]) as results:
        results.update_status({"blocks": {"done": 3}})
        run = read_run(str(out), unfinished=True)
        assert (run["status"], run["blocks"], run["command"]) == (
            "running", {"done": 3}, ["run", "swg"],
        )  # fmt: skip
        with pytest.raises(DamagedResult, match="out is unfinished") as refused:
            read_run(str(out))
        assert "--resume" in refused.value.remedy


def test_interrupt__is_recorded_and_releases_the_lock(out):
    with pytest.raises(KeyboardInterrupt), create(out):
        raise KeyboardInterrupt
    assert read_run(str(out), unfinished=True)["status"] == "interrupted"
    assert not (out / ".lock").exists()


def test_read_run__tells_what_is_wrong(out, values):
    make_result(out, values)
    with pytest.raises(UsageProblem, match=r"outt does not exist\. Did you mean \S+/out\?"):
        read_run(f"{out}t")
    with pytest.raises(UsageProblem, match=r"ids\.tsv is a file, not a result folder"):
        read_run(str(out / "ids.tsv"))
    with pytest.raises(UsageProblem, match="is not a result folder of whorl"):
        read_run(str(out / "distances.zarr"))
    (out / "run.json").write_text("{")
    with pytest.raises(DamagedResult, match=r"run\.json is missing or cannot be read"):
        read_run(str(out))


def test_replace_file__keeps_the_checksums_true(out, values):
    make_result(out, values)
    replace_file(str(out), "report.html", b"a new report")
    assert verify(str(out)).problems == []
    assert (out / "report.html").read_bytes() == b"a new report"


def test_kept_input__survives_for_resume(out):
    assert read_kept_input(str(out)) is None
    with create(out, inputs=[{"path": "-", "sha256": "x"}]) as results:
        keep_input(results, b">a\nACGT\n")
    assert read_kept_input(str(out)) == b">a\nACGT\n"


@pytest.mark.parametrize("place", ["s3", "memory"])
def test_object_store__goes_through_a_whole_life(request, values, place):
    url = (request.getfixturevalue("s3") if place == "s3" else "memory://life") + "/deep/out"
    interrupted(url, values, blocks=4)
    with pytest.raises(UsageProblem, match="unfinished run of swg"):
        create(url)
    with create(url, resume=True) as results:
        assert results.array_prefix == "distances.zarr"
        assert write_blocks(results, layout_of(values), values) == 2
        finish(results, values)
    assert verify(url).files == 13
    np.testing.assert_array_equal(open_distances(url).rows(0, 20), values)
    assert create(url, resume=True).complete
    with create(url, overwrite=True) as results:
        assert results.folder.names() == [".lock", ".work"]
    results.folder.delete_tree("")


def test_object_store__that_was_half_deleted_can_be_written_again(values):
    url = "memory://half/out"
    make_result(url, values)
    with create(url, overwrite=True) as results:
        results.folder.put(
            output_rules.WORK_RUN, b'{"schema": 1, "program": "whorl", "status": "deleted"}'
        )
        results.folder.put("distances.zarr/c/9/9", b"old")
        results._release()
    with create(url, resume=True) as results:
        assert not results.resumed
        assert results.folder.names() == [".lock", ".work"]
    results.folder.delete_tree("")


def test_write_block__twice_writes_the_same(out, values):
    layout = layout_of(values)
    with create(out) as results:
        write_blocks(results, layout, values)
        before = results.done_records()
        write_block(results, layout, values, 0, 1)
        assert results.done_records() == before

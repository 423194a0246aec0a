"""A result folder: what makes it complete, what --resume computes and refuses."""

import json
import os
import subprocess

import numpy as np
import pytest

from pipelines import output_rules
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.distances import open_distances
from pipelines.results import keep_input, read_run, replace_file
from pipelines.verify import verify
from storage.directory import temporary_name
from storage.errors import NoSpace
from tests.pipelines.result_folders import (
    INPUT,
    OPTIONS,
    create,
    finish,
    interrupted,
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
        ({"options": {**OPTIONS, "gap_open": 14}}, r"with gap_open=16, not 14\."),
        ({"options": {**OPTIONS, "extra": "x"}}, r"with extra=none, not x\."),
        (
            {"options": {"gap_open": 16, "gap_extend": 4}},
            r"with distance=identity-longer, not none\.",
        ),
        (
            {"inputs": [{**INPUT, "sha256": "cd" * 32}]},
            r"of seqs.fasta with sha256 abab\w+, not cdcd\w+\.",
        ),
        ({"inputs": []}, r"of 1 inputs, not 0\."),
        ({"app": "kmeans"}, r"of swg, not kmeans\."),
    ],
)
def test_resume__refuses_another_run_naming_what_differs(out, values, changes, text, complete):
    if complete:
        make_result(out, values)
    else:
        interrupted(out, values, blocks=1)
    with pytest.raises(UsageProblem, match=r"out holds a run " + text) as refused:
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


def test_finish__names_no_file_in_the_making_as_an_output(out, values):
    with create(out) as results:
        write_blocks(results, layout_of(values), values)
        with open(temporary_name(str(out / ".lock")), "wb"):
            told = finish(results, values)
    assert [each for each in told["outputs"] if "whorl-tmp" in each["name"]] == []


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


def test_interrupt__is_recorded_and_releases_the_lock(out, values):
    with create(out) as results:
        write_blocks(results, layout_of(values), values, stop=1)
        results.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert read_run(str(out), unfinished=True)["status"] == "interrupted"
    assert not (out / ".lock").exists()


@pytest.mark.parametrize("place", ["directory", "memory"])
def test_abandon__without_a_finished_block_leaves_nothing(tmp_path, values, place):
    url = str(tmp_path / "out") if place == "directory" else "memory://abandoned/out"
    with create(url) as results:
        results.folder.put(f"{results.array_prefix}/zarr.json", layout_of(values).metadata())
    assert results.folder.names() == []
    assert os.listdir(tmp_path) == []


def test_abandon__keeps_what_the_caller_put_into_work(out):
    with create(out) as results:
        results.folder.put(results.work_key("log.jsonl"), b"{}")
    assert sorted(os.listdir(out / ".work")) == ["log.jsonl", "run.json"]
    with create(out, options={"gap_open": 1}) as results:  # nothing is lost: no flag needed
        assert not results.resumed
        assert os.listdir(out / ".work") == ["run.json"]


@pytest.mark.slow
def test_full_disk__leaves_a_run_that_can_be_resumed(small_disk):
    values = symmetric(240)
    out, ballast = small_disk / "out", small_disk / "ballast"
    ballast.write_bytes(b"x" * 150_000)
    layout = layout_of(values, 80, triangle="upper", compression="none")
    with pytest.raises(NoSpace, match="the disk is full"), create(out) as results:
        write_blocks(results, layout, values)
    assert 0 < len(os.listdir(out / ".work/blocks")) < 6
    ballast.unlink()
    with create(out, resume=True) as results:
        assert 0 < write_blocks(results, layout, values) < 6
        finish(results, values)
    assert verify(str(out)).problems == []
    assert results.folder.sweep() == 0


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
    with create(out, inputs=[{"path": "-", "sha256": "x"}]) as results:
        keep_input(results, b">a\nACGT\n")
    assert (out / ".work" / "input").read_bytes() == b">a\nACGT\n"


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

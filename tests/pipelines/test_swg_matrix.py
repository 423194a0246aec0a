"""One matrix: the bytes of a result do not depend on where, how often and in what pieces it is
computed. Deaths and kills are in test_swg_faults.py."""

import json

import pytest

from pipelines import swg, swg_results
from pipelines.engine import connect
from pipelines.errors import UsageProblem
from pipelines.verify import verify
from tests import faults
from tests.faults import Fault
from tests.pipelines.swg_runs import (
    NOT_RESULT,
    assert_same,
    result_bytes,
    run,
    values_of,
    write_fasta,
)

BLOCKS = (7, 64, 100, 1000)


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(swg_results, "swg_report", lambda *args: b"<html>")


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "seqs.fasta"
    write_fasta(path, 100)
    return path


@pytest.fixture(scope="module")
def serial(fasta, tmp_path_factory):
    """(bytes of the files, values) of a serial run in blocks of 16."""
    out = tmp_path_factory.mktemp("serial") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swg_results, "swg_report", lambda *args: b"<html>")
        run(fasta, out, block_size=16)
    return result_bytes(out), values_of(out)


@pytest.mark.parametrize("block_size", BLOCKS)
def test_values__do_not_depend_on_the_block_size(fasta, tmp_path, serial, cluster, block_size):
    told = run(fasta, tmp_path / "out", cluster, block_size=block_size)
    assert told["executor"]["name"] == "tasks"
    assert told["blocks"]["done"] == (-(-100 // block_size)) * (-(-100 // block_size) + 1) // 2
    assert_same(values_of(tmp_path / "out"), serial[1])


def test_bytes__of_tasks_are_those_of_serial(fasta, tmp_path, serial, cluster):
    run(fasta, tmp_path / "out", cluster, block_size=16)
    assert result_bytes(tmp_path / "out") == serial[0]
    assert verify(str(tmp_path / "out")).problems == []


def test_bytes__of_a_second_run_are_those_of_the_first(fasta, tmp_path, serial):
    run(fasta, tmp_path / "out", block_size=16)
    run(fasta, tmp_path / "out", block_size=16, overwrite=True)
    assert result_bytes(tmp_path / "out") == serial[0]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"distances.zarr", "ids.tsv"} | (NOT_RESULT - {"performance.html"})


@pytest.mark.parametrize("distance", ["score", "identity-aligned", "jukes-cantor"])
@pytest.mark.parametrize("options", [{"triangle": "upper"}, {"dtype": "float64"}])
def test_bytes__of_other_distances_and_formats_agree_too(
    fasta, tmp_path, cluster, distance, options
):
    for name, engine in (("serial", None), ("tasks", cluster)):
        run(fasta, tmp_path / name, engine, distance=distance, block_size=32, **options)
    assert result_bytes(tmp_path / "serial") == result_bytes(tmp_path / "tasks")


def test_upper_triangle__reads_as_the_full_matrix(fasta, tmp_path, serial, cluster):
    run(fasta, tmp_path / "out", cluster, block_size=16, triangle="upper")
    assert_same(values_of(tmp_path / "out"), serial[1])
    assert not (tmp_path / "out" / "distances.zarr" / "c" / "3" / "1").exists()


@pytest.mark.parametrize(
    ("workers", "threads"), [(1, 1), (1, 2), pytest.param(3, 1, marks=pytest.mark.slow)]
)
def test_bytes__do_not_depend_on_workers_and_threads(
    fasta, tmp_path, serial, nothing_left, workers, threads
):
    with connect("tasks", nworkers=workers, nthreads=threads, dashboard_address=None) as engine:
        told = run(fasta, tmp_path / "out", engine, block_size=16, nworkers=workers)
    assert [worker["nthreads"] for worker in told["workers"]] == [threads] * workers
    assert result_bytes(tmp_path / "out") == serial[0]


def log_of(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_log__names_the_worker_of_every_block(fasta, tmp_path, cluster):
    run(fasta, tmp_path / "out", cluster, block_size=32)
    blocks = [line for line in log_of(tmp_path / "out") if line["event"] == "Block"]
    assert [(line["i"], line["j"]) for line in blocks] == [
        (i, j) for i in range(4) for j in range(i, 4)
    ]
    assert {line["worker"] for line in blocks} <= {"worker-0", "worker-1"}
    assert all(line["started"] < line["stopped"] for line in blocks)
    assert (tmp_path / "out" / "performance.html").stat().st_size > 10_000


def test_failing_block__ends_the_run_and_the_next_one_computes_it(
    fasta, tmp_path, serial, monkeypatch
):
    table = [Fault((3, 5), "poison", times=3)]
    monkeypatch.setattr(swg, "compute_block", faults.Faulty(swg.compute_block, table, tmp_path))
    with pytest.raises(Exception, match=r"swg-distance-3-5 failed 3 times.*Poison") as failed:
        run(fasta, tmp_path / "out", block_size=16)
    assert failed.value.exit_code == 6
    with pytest.raises(UsageProblem, match="holds an unfinished run"):
        run(fasta, tmp_path / "out", block_size=16)
    told = run(fasta, tmp_path / "out", block_size=16, resume=True)
    assert 0 < told["blocks"]["done_before"] < told["blocks"]["total"]
    assert result_bytes(tmp_path / "out") == serial[0]


def test_block_that_fails_once__is_repeated_and_told(fasta, tmp_path, serial, monkeypatch):
    table = [Fault((3, 5), "poison", times=1), Fault((0, 0), "poison", times=2)]
    monkeypatch.setattr(swg, "compute_block", faults.Faulty(swg.compute_block, table, tmp_path))
    told = run(fasta, tmp_path / "out", block_size=16)
    assert told["blocks"]["repeated"] == 3
    log = log_of(tmp_path / "out")
    attempts = {(x["i"], x["j"]): x["attempt"] for x in log if "attempt" in x}
    assert attempts == {(3, 5): 2, (0, 0): 3}
    assert result_bytes(tmp_path / "out") == serial[0]

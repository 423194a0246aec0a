"""`run swg` into a bucket of a real S3 server."""

import pytest

from pipelines import swg
from pipelines.engine import connect
from pipelines.results import read_run
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.swg_runs import Stop, result_bytes, run, values_of, write_fasta


@pytest.fixture
def fasta(tmp_path):
    write_fasta(tmp_path / "seqs.fasta", 60)
    return tmp_path / "seqs.fasta"


@pytest.fixture
def local(fasta, tmp_path):
    """Bytes of the same run on a file system."""
    run(fasta, tmp_path / "local", block_size=16)
    return result_bytes(tmp_path / "local")


@pytest.mark.slow
def test_bucket__gets_the_bytes_of_a_folder(fasta, local, s3, nothing_left):
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        told = run(fasta, f"{s3}/a/out", engine, block_size=16)
    assert told["blocks"]["done"] == 10
    assert result_bytes(f"{s3}/a/out") == local
    assert verify(f"{s3}/a/out").problems == []
    assert read_run(f"{s3}/a/out") == told
    assert swg.report(f"{s3}/a/out").startswith(b"<!")
    assert values_of(f"{s3}/a/out").shape == (60, 60)
    assert not {".work", ".lock"} & set(open_folder(f"{s3}/a/out").names())


def test_interrupted_run__goes_on_in_the_bucket(fasta, local, s3):
    with connect("serial", listeners=[Stop(4)]) as engine, pytest.raises(KeyboardInterrupt):
        run(fasta, f"{s3}/out", engine, block_size=16)
    names = open_folder(f"{s3}/out").names()
    assert "run.json" not in names
    assert "distances.zarr" in names
    told = run(fasta, f"{s3}/out", resume=True, block_size=16)
    assert told["blocks"]["done_before"] == 4
    assert result_bytes(f"{s3}/out") == local

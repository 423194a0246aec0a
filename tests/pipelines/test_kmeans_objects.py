"""`run kmeans` into a bucket of a real S3 server."""

import pytest

from pipelines import kmeans
from pipelines.engine import connect
from pipelines.results import read_run
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.kmeans_runs import StopAt, blobs, result_bytes, run, save

OPTIONS = {"n_clusters": 20, "init": "random", "tol": 0, "checkpoint_every": 1, "chunk_seconds": 0}


@pytest.fixture
def points(tmp_path):
    return save(tmp_path / "points.npy", blobs(1500, spread=3.0)[0])


def test_interrupted_run__goes_on_in_the_bucket(points, tmp_path, s3):
    run(points, tmp_path / "local", **OPTIONS)
    with connect("serial", listeners=[StopAt()]) as engine, pytest.raises(KeyboardInterrupt):
        run(points, f"{s3}/out", engine, **OPTIONS)
    assert open_folder(f"{s3}/out").names() == [".work"]
    told = run(points, f"{s3}/out", resume=True, **OPTIONS)
    assert result_bytes(f"{s3}/out") == result_bytes(tmp_path / "local")
    assert verify(f"{s3}/out").problems == []
    assert read_run(f"{s3}/out") == told
    assert kmeans.report(f"{s3}/out").startswith(b"<!")
    assert not {".work", ".lock"} & set(open_folder(f"{s3}/out").names())

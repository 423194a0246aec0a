"""`run mds` from and into a bucket of a real S3 server."""

import io

import numpy as np
import pytest

from pipelines import mds
from pipelines.engine import connect
from pipelines.results import read_run
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.iterative_runs import StopAt, result_bytes
from tests.pipelines.mds_runs import distances, run, save

OPTIONS = {"init": "random", "tol": 0.0, "checkpoint_every": 1, "chunk_seconds": 0}


def test_interrupted_run__goes_on_in_the_bucket(tmp_path, s3):
    matrix, _ = distances(90)
    run(save(tmp_path / "d.npy", matrix), tmp_path / "local", **OPTIONS)
    file = io.BytesIO()
    np.save(file, matrix)
    open_folder(s3).put("d.npy", file.getvalue())
    given, out = f"{s3}/d.npy", f"{s3}/out"
    with connect("serial", listeners=[StopAt()]) as engine, pytest.raises(KeyboardInterrupt):
        run(given, out, engine, **OPTIONS)
    assert open_folder(out).names() == [".work"]
    told = run(given, out, resume=True, **OPTIONS)
    assert result_bytes(out) == result_bytes(tmp_path / "local")
    assert verify(out).map_checked
    assert read_run(out) == told
    assert mds.report(out).startswith(b"<!")
    assert not {".work", ".lock"} & set(open_folder(out).names())

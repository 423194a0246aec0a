"""Points in arrays: any range of rows is NumPy's; what cannot be used is refused in one line."""

import hashlib
import pickle

import numpy as np
import pytest

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.points import load_rows, open_points

RANGES = [(0, 1), (1, 400), (400, 400), (400, 777), (777, 1003)]


@pytest.fixture
def values(rng):
    return rng.normal(size=(1003, 7)).astype(np.float32)


def loaded(points, ranges=RANGES):
    """All rows, range by range, each source as a worker gets it."""
    sources = [pickle.loads(pickle.dumps(points.source(*each))) for each in ranges]
    parts = [load_rows(source) for source in sources]
    assert all(part.flags.c_contiguous and part.dtype == points.dtype for part in parts)
    return np.concatenate(parts)


def save(path, values, how):
    if how == "npz":
        np.savez(path, values)
    elif how == "npz packed":
        np.savez_compressed(path, X=values, y=values[:, 0])
    else:
        np.save(path, values)
    return str(path)


@pytest.mark.parametrize("how", ["npy", "npz", "npz packed"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("block_bytes", [1, 300, 2**22])
def test_ranges__equal_numpy(tmp_path, values, how, order, block_bytes, monkeypatch):
    monkeypatch.setattr("pipelines.formats.points_npy.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("pipelines.formats.points_npy._COLUMNS_BYTES", block_bytes)
    path = save(tmp_path / f"points.{how[:3]}", np.asarray(values, order=order), how)
    points = open_points(path)
    assert (points.n, points.d, points.dtype, points.ids) == (1003, 7, np.float32, None)
    assert (points.checked, points.warnings) == (True, [])
    np.testing.assert_array_equal(loaded(points), values)


def test_identity__is_path_bytes_records_and_sha256(tmp_path, values):
    path = tmp_path / "points.npy"
    points = open_points(save(path, values, "npy"))
    assert points.identity == {
        "path": str(path),
        "bytes": path.stat().st_size,
        "records": 1003,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


@pytest.mark.parametrize(
    ("stored", "kept"),
    [("<f4", "f4"), (">f4", "f4"), ("<f8", "f8"), (">f8", "f8"), ("f2", "f4"), ("?", "f4")]
    + [("i1", "f4"), ("u1", "f4"), (">i2", "f4"), ("u2", "f4"), ("i4", "f8"), (">u8", "f8")],
)
def test_dtypes__become_float32_or_float64(tmp_path, stored, kept):
    values = np.arange(24).reshape(8, 3).astype(stored)
    points = open_points(save(tmp_path / "points.npy", values, "npy"))
    assert points.dtype == np.dtype(kept)
    np.testing.assert_array_equal(loaded(points, [(0, 5), (5, 8)]), values.astype(kept))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (500, 6), (1002, 3)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("how", ["npy", "npz", "npz packed"])
def test_value_that_is_not_finite__is_named_here_and_there(
    tmp_path, values, row, column, bad, how, monkeypatch
):
    values[row, column] = bad
    path = save(tmp_path / f"points.{how[:3]}", values, how)
    with pytest.raises(InputProblem) as at_once:
        open_points(path)
    text = f"{path}: row {row:,}, column {column} (counted from 0) is {bad}."
    assert str(at_once.value) == text
    if how != "npz packed":  # which is read through in any case
        monkeypatch.setattr(points_source, "CHECKED_BYTES", 10)
        points = open_points(path)
        assert not points.checked
        with pytest.raises(InputProblem) as later:
            loaded(points)
        assert (str(later.value), later.value.remedy) == (text, at_once.value.remedy)


def test_standard_input__is_refused():
    with pytest.raises(UsageProblem, match="points are not read from standard input"):
        open_points("-")

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


def test_missing_file__names_the_nearest(tmp_path, values):
    path = save(tmp_path / "points.npy", values, "npy")
    with pytest.raises(UsageProblem, match="does not exist") as caught:
        open_points(path.replace("points.", "point."))
    assert caught.value.remedy == f"Did you mean {path}?"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), " holds an array of 1 dimension, not of 2: rows and columns."),
        (np.zeros((2, 3, 4)), " holds an array of 3 dimensions, not of 2: rows and columns."),
        (np.zeros((0, 3)), " has no rows."),
        (np.zeros((3, 0)), " has no columns."),
        (np.array([["a", 1]], object), " holds Python objects, which would be read by running"),
        (np.array([["a", "b"]]), " holds str32, not numbers."),
        (np.zeros((2, 2), complex), " holds complex numbers."),
        (np.zeros((2, 2), [("x", "f4")]), " holds records, not numbers."),
        (np.zeros((2, 2), "M8[s]"), " holds datetime64[s], not numbers."),
    ],
)
def test_array_that_is_no_points__is_refused_in_one_line(tmp_path, array, message):
    path = save(tmp_path / "points.npy", array, "npy")
    with pytest.raises(InputProblem) as caught:
        open_points(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert caught.value.remedy


def test_object_array__runs_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = save(tmp_path / "points.npy", np.array([[Trap()]], object), "npy")
    with pytest.raises(InputProblem):
        open_points(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("cut", "message"),
    [(-10, " ends before row 1,002 (counted from 0) of 1,003."), (60, " has a damaged header")],
)
def test_file_that_ends_early__is_refused(tmp_path, values, cut, message):
    path = tmp_path / "points.npy"
    data = (tmp_path / save(path, values, "npy")).read_bytes()
    path.write_bytes(data[:cut])
    with pytest.raises(InputProblem) as caught:
        open_points(str(path))
    assert str(caught.value).startswith(f"{path}{message}")


def test_file_that_shrinks_after_it_was_opened__is_refused(tmp_path, values):
    path = tmp_path / "points.npy"
    points = open_points(save(path, values, "npy"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputProblem, match="ends before row"):
        loaded(points)


def test_empty_file__is_refused(tmp_path):
    path = tmp_path / "points.npy"
    path.write_bytes(b"")
    with pytest.raises(InputProblem) as caught:
        open_points(str(path))
    assert str(caught.value) == f"{path} is empty (0 bytes)."


def test_one_row__is_read_with_a_warning(tmp_path):
    path = save(tmp_path / "points.npy", np.arange(5.0)[None], "npy")
    points = open_points(path)
    assert points.warnings == [f"{path} has one row of 5 columns: is it transposed?"]
    assert loaded(points, [(0, 1)]).tolist() == [[0, 1, 2, 3, 4]]


def test_bytes_behind_the_array__are_a_warning(tmp_path, values):
    path = tmp_path / "points.npy"
    save(path, values, "npy")
    path.write_bytes(path.read_bytes() + b"more")
    points = open_points(str(path))
    assert points.warnings == [f"{path} has 4 bytes behind its array; they are not read"]
    np.testing.assert_array_equal(loaded(points), values)


def test_vector__is_a_column_where_that_is_meant(tmp_path):
    for how in ("npy", "npz"):
        path = save(tmp_path / f"weights.{how}", np.arange(7.0), how)
        points = open_points(path, vector=True)
        assert (points.n, points.d) == (7, 1)
        assert loaded(points, [(0, 3), (3, 7)])[:, 0].tolist() == list(range(7))


def test_npz__holds_one_array_or_one_that_is_named(tmp_path, values):
    path = tmp_path / "points.npz"
    np.savez(path, a=values, b=values)
    with pytest.raises(UsageProblem, match=r"holds 2 arrays \(a, b\)"):
        open_points(str(path))
    np.savez(path, a=values[:3], points=values)
    np.testing.assert_array_equal(loaded(open_points(str(path))), values)
    np.savez(path)
    with pytest.raises(InputProblem):
        open_points(str(path))


def test_damaged_npz__is_refused(tmp_path, values):
    path = tmp_path / "points.npz"
    np.savez_compressed(path, values)
    data = bytearray(path.read_bytes())
    data[2000] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(InputProblem, match=r"is a damaged \.npz file"):
        open_points(str(path))
    path.write_bytes(data[:3000])
    with pytest.raises(InputProblem, match=r"is a damaged \.npz file"):
        open_points(str(path))


def test_large_file__has_an_identity_from_samples(tmp_path, values, monkeypatch):
    path = tmp_path / "points.npy"
    save(path, values, "npy")
    monkeypatch.setattr(points_source, "CHECKED_BYTES", 1000)
    monkeypatch.setattr(points_source, "SAMPLE_BYTES", 500)
    first = open_points(str(path)).identity
    assert set(first) == {"path", "bytes", "records", "sha256_of_samples"}
    for row in (0, 500, 1002):
        changed = values.copy()
        changed[row] += 1
        save(path, changed, "npy")
        assert open_points(str(path)).identity != first
    save(path, values, "npy")
    assert open_points(str(path)).identity == first


def test_identity__of_a_sum_that_overflows_is_no_problem(tmp_path):
    values = np.full((100, 2), 3e38, np.float32)
    points = open_points(save(tmp_path / "points.npy", values, "npy"))
    np.testing.assert_array_equal(loaded(points, [(0, 100)]), values)

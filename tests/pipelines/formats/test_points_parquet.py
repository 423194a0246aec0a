"""Points in Parquet: ranges equal NumPy whatever the row groups; ids and columns are chosen."""

import builtins

import numpy as np
import pytest

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.points import open_points
from tests.pipelines.formats.test_points import loaded

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def values(rng):
    return rng.normal(size=(1003, 7)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def write(columns, **options):
        path = str(tmp_path / "points.parquet")
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write


def by_name(values):
    return {f"c{k}": values[:, k] for k in range(values.shape[1])}


@pytest.mark.parametrize("row_group_size", [1, 130, 5000])
@pytest.mark.parametrize("block_bytes", [1000, 2**22])
@pytest.mark.parametrize("checked", [0, 2**28])
def test_ranges__equal_numpy(save, values, row_group_size, block_bytes, checked, monkeypatch):
    monkeypatch.setattr("pipelines.formats.points_parquet.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(points_source, "CHECKED_BYTES", checked)
    points = open_points(save(by_name(values), row_group_size=row_group_size))
    assert (points.n, points.d, points.dtype, points.ids) == (1003, 7, np.float32, None)
    assert points.names == [f"c{k}" for k in range(7)]
    np.testing.assert_array_equal(loaded(points), values)


@pytest.mark.parametrize("fixed", [True, False])
def test_column_of_lists__is_the_points(save, values, fixed):
    lists = pa.array(list(values))
    if fixed:
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 7)
    points = open_points(save({"embedding": lists}, row_group_size=130))
    assert (points.n, points.d, points.dtype, points.names) == (1003, 7, np.float32, None)
    np.testing.assert_array_equal(loaded(points), values)


@pytest.mark.parametrize("name", ["id", "__index_level_0__", "species"])
def test_ids__are_the_index_or_a_first_column_of_text(save, values, name):
    ids = [f"s{k}" for k in range(len(values))]
    points = open_points(save({name: ids, **by_name(values)}))
    assert points.ids == ids
    np.testing.assert_array_equal(loaded(points), values)


def test_columns__are_chosen_by_name_and_number(save, values):
    path = save({**by_name(values), "label": ["x"] * len(values)})
    with pytest.raises(InputProblem, match='column "label" holds string, not numbers'):
        open_points(path)
    points = open_points(path, columns="c3,1-2")
    assert points.names == ["c3", "c0", "c1"]
    np.testing.assert_array_equal(loaded(points), values[:, [3, 0, 1]])
    with pytest.raises(UsageProblem, match='has no column "c9"'):
        open_points(path, columns="c9")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0, 2.0], "b": [1.0, None]}, ': row 1 (counted from 0), column "b" is empty.'),
        ({"a": [1.0, np.nan]}, ": row 1, column 0 (counted from 0) is nan."),
        ({"a": [[1.0, 2.0], [3.0]]}, ": row 1 (counted from 0) has 1 numbers, not 2"),
        ({"a": [[1.0, 2.0], [3.0, None]]}, ": row 1 (counted from 0) holds an empty value."),
        ({"a": [[1.0], [2.0]], "b": [1.0, 2.0]}, ': column "a" holds list<'),
        ({"a": pa.array([], pa.float64())}, " has no rows."),
        ({}, " has no columns."),
    ],
)
def test_table_that_is_no_points__is_refused_in_one_line(save, columns, message):
    path = save(columns)
    with pytest.raises(InputProblem) as caught:
        open_points(path)
    assert str(caught.value).startswith(f"{path}{message}") or not columns


def test_damaged_file__is_refused(save, values, tmp_path):
    path = save(by_name(values))
    data = (tmp_path / "points.parquet").read_bytes()
    (tmp_path / "points.parquet").write_bytes(data[:-30])
    with pytest.raises(InputProblem, match="is a damaged Parquet file"):
        open_points(path)


def test_without_pyarrow__one_line_says_what_to_install(save, values, monkeypatch):
    path, really = save(by_name(values)), builtins.__import__

    def refuse(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageProblem, match="needs pyarrow") as caught:
        open_points(path)
    assert caught.value.remedy == "pip install 'whorl[parquet]'"

"""Labels as a zarr array: written chunk by chunk, read by us and by zarr."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.label_array import LabelArray, LabelLayout, open_labels
from storage.folder import open_folder


def write(path, labels, rows):
    folder = open_folder(str(path))
    layout = LabelLayout(len(labels), rows, {"kind": "labels"})
    folder.put("labels.zarr/zarr.json", layout.metadata())
    return [
        layout.write_chunk(folder, "labels.zarr", index, labels[start : start + rows])
        for index, start in enumerate(range(0, len(labels), rows))
    ]


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 60), rows=st.integers(1, 70))
def test_labels__come_back(tmp_path_factory, n, rows):
    path = tmp_path_factory.mktemp("labels")
    labels = np.random.default_rng(n).integers(0, 2**31, n).astype(np.int32)
    written = write(path, labels, rows)
    array = LabelArray(open_folder(str(path)), "labels.zarr")
    assert (array.n, array.shape, array.rows, str(array.dtype)) == (n, (n,), rows, "int32")
    np.testing.assert_array_equal(array.all(), labels)
    assert [first for first, _ in array.chunks()] == list(range(0, n, rows))
    assert [chunk.key for chunk in written] == array.chunk_keys()
    assert sum(chunk.nbytes for chunk in written) <= LabelLayout(n, rows).max_bytes


def test_zarr__reads_them(tmp_path):
    labels = np.arange(10, dtype=np.int32)
    write(tmp_path, labels, 4)
    array = zarr.open(str(tmp_path / "labels.zarr"), mode="r")
    np.testing.assert_array_equal(array[:], labels)
    assert (array.chunks, array.fill_value, array.attrs["kind"]) == ((4,), -1, "labels")


def test_same_labels__are_the_same_bytes(tmp_path):
    labels = np.arange(10)
    assert write(tmp_path / "a", labels, 4) == write(tmp_path / "b", labels.astype(np.int8), 4)


def test_chunk__of_another_length_is_refused(tmp_path):
    layout = LabelLayout(10, 4)
    with pytest.raises(ValueError, match="4 labels for chunk 2, expected 2"):
        layout.write_chunk(open_folder(str(tmp_path)), "labels.zarr", 2, np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="at least 1"):
        LabelLayout(0, 4)


def test_damage__is_named(tmp_path):
    folder = open_folder(str(tmp_path))
    with pytest.raises(DamagedResult, match=r"not a zarr array: no zarr\.json"):
        LabelArray(folder, "labels.zarr")
    write(tmp_path, np.arange(10), 4)
    array = LabelArray(folder, "labels.zarr")
    chunk = tmp_path / "labels.zarr/c/1"
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(DamagedResult, match=r"labels\.zarr/c/1 is damaged"):
        array.all()
    chunk.unlink()
    with pytest.raises(DamagedResult, match=r"labels\.zarr/c/1 is missing"):
        array.all()
    folder.put("labels.zarr/zarr.json", b"{}")
    with pytest.raises(DamagedResult, match=r"zarr\.json is damaged"):
        LabelArray(folder, "labels.zarr")


def test_result__without_labels_says_so(tmp_path):
    from tests.pipelines import result_folders

    result_folders.make_result(tmp_path / "out", result_folders.symmetric(5))
    with pytest.raises(UsageProblem, match=r"holds no labels .it is a run of swg"):
        open_labels(str(tmp_path / "out"))

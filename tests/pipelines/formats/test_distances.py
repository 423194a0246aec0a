"""The stored matrix: plain zarr reads it, same values give same bytes, damage is named."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.formats.distances import (
    DTYPES,
    INT16_SCALE,
    MatrixLayout,
    ids_table,
    open_distances,
    printable,
    read_ids,
    zstd_level,
)
from storage.folder import open_folder
from tests.pipelines.result_folders import layout_of, make_result, symmetric, upper_blocks

TOLERANCE = {"float64": 0.0, "float32": 0.0, "float16": 5e-4, "int16": 0.5 / INT16_SCALE + 1e-7}


@pytest.fixture
def values():
    return symmetric(23, missing=[(3, 9), (20, 22)])


def write(tmp_path, values, **options):
    """Path of the array, and what write_block returned."""
    layout = layout_of(values, **options)
    folder = open_folder(str(tmp_path))
    folder.put("d.zarr/zarr.json", layout.metadata())
    size, written = layout.block_size, []
    for i, j in upper_blocks(layout):
        block = values[i * size : (i + 1) * size, j * size : (j + 1) * size]
        written += layout.write_block(folder, "d.zarr", i, j, block)
    return str(tmp_path / "d.zarr"), written


@pytest.mark.parametrize("block_size", [5, 7, 23, 100])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix__is_read_by_plain_zarr(tmp_path, values, dtype, block_size):
    path, _ = write(tmp_path, values, dtype=dtype, block_size=block_size)
    array = zarr.open_array(path, mode="r")
    assert (array.shape, str(array.dtype)) == ((23, 23), dtype)
    assert array.metadata.dimension_names == ("row", "column")
    stored = array[:].astype(float)
    if dtype == "int16":
        stored = np.where(stored == -1, np.nan, stored * array.attrs["scale_factor"])
    np.testing.assert_allclose(stored, values, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("triangle", ["full", "upper"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix__comes_back_symmetric_with_nan_for_missing(tmp_path, values, dtype, triangle):
    path, _ = write(tmp_path, values, dtype=dtype, triangle=triangle)
    matrix = open_distances(path)
    assert (matrix.n, matrix.triangle, matrix.block_size) == (23, triangle, 7)
    rows = matrix.rows(0, 23)
    assert rows.dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_allclose(rows, values, atol=TOLERANCE[dtype], rtol=0)
    np.testing.assert_array_equal(rows, rows.T)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (6, 8), (5, 22), (21, 23), (4, 4), (20, 99)])
@pytest.mark.parametrize("triangle", ["full", "upper"])
def test_rows__cut_anywhere(tmp_path, values, triangle, start, stop):
    path, _ = write(tmp_path, values, triangle=triangle)
    np.testing.assert_array_equal(open_distances(path).rows(start, stop), values[start:stop])


@pytest.mark.parametrize("max_bytes", [1, 23 * 4 * 3, 10**9])
def test_stripes__cover_the_matrix_once(tmp_path, values, max_bytes):
    path, _ = write(tmp_path, values)
    stripes = list(open_distances(path).stripes(max_bytes))
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in stripes]), values)
    assert all(len(rows) <= max(1, max_bytes // (23 * 4)) for _, rows in stripes)


def test_upper_triangle__leaves_chunks_below_the_diagonal_out(tmp_path, values):
    path, written = write(tmp_path, values, triangle="upper", dtype="int16")
    keys = open_folder(path).list("c")
    assert keys == sorted(f"c/{i}/{j}" for i in range(4) for j in range(i, 4))
    assert sorted(chunk.key for chunk in written) == keys
    array = zarr.open_array(path, mode="r")
    assert array.attrs["triangle"] == "upper"
    assert (array[9:14, 0:7] == -1).all()
    assert array.fill_value == -1


def test_write_block__tells_bytes_and_hash_of_what_is_stored(tmp_path, values):
    path, written = write(tmp_path, values)
    assert len(written) == 16
    for chunk in written:
        data = open_folder(path).get(chunk.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (chunk.nbytes, chunk.sha256)


def test_write_block__stores_chunks_that_are_all_missing(tmp_path):
    path, _ = write(tmp_path, np.full((14, 14), np.nan, dtype=np.float32))
    assert len(open_folder(path).list("c")) == 4
    assert np.isnan(open_distances(path).rows(0, 14)).all()


def test_encode__gives_the_bytes_that_zarr_writes(tmp_path):
    values = symmetric(14)
    layout = layout_of(values)
    array = zarr.create_array(
        str(tmp_path / "z.zarr"),
        shape=(14, 14),
        chunks=(7, 7),
        dtype="float32",
        fill_value=np.nan,
        compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
    )
    array[:] = values
    assert layout.encode(values[:7, 7:]) == (tmp_path / "z.zarr/c/0/1").read_bytes()


def test_encode__gives_same_bytes_for_equal_values():
    layout = MatrixLayout(2, 2)
    plain = np.array([[0.0, np.nan], [np.nan, 0.0]], dtype=np.float32)
    other = np.array([[-0.0, np.nan], [np.nan, -0.0]], dtype=np.float64)
    strange = plain.copy()
    strange.view(np.uint32)[0, 1] = 0xFFC12345  # a NaN with another payload
    assert layout.encode(other) == layout.encode(plain) == layout.encode(strange)
    assert layout.encode(plain) != layout.encode(np.zeros((2, 2)))


def test_write_block__gives_the_same_bytes_from_many_threads(tmp_path, values):
    _, serial = write(tmp_path / "serial", values)
    layout, folder = layout_of(values), open_folder(str(tmp_path / "threads"))

    def task(block):
        (i, j), size = block, layout.block_size
        part = values[i * size : (i + 1) * size, j * size : (j + 1) * size]
        return layout.write_block(folder, "d.zarr", i, j, part)

    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(task, upper_blocks(layout)))
    assert [chunk for chunks in written for chunk in chunks] == serial


def test_metadata__ends_every_chunk_with_a_checksum_and_keeps_attributes():
    for compression, codecs in (("none", ["bytes", "crc32c"]), ("zstd:5", ["zstd", "crc32c"])):
        layout = MatrixLayout(5, 2, compression=compression, attributes={"kind": "distance"})
        described = json.loads(layout.metadata())
        assert [codec["name"] for codec in described["codecs"]][-2:] == codecs
        assert described["attributes"] == {"kind": "distance", "triangle": "full"}
        assert described["zarr_format"] == 3
        assert layout.metadata() == layout.metadata()


@pytest.mark.parametrize("bad", [1.0001, -0.1, np.inf])
def test_int16__refuses_distances_outside_0_and_1(bad):
    with pytest.raises(ValueError, match=r"int16 holds only distances in \[0, 1\]"):
        MatrixLayout(1, 1, dtype="int16").encode(np.array([[bad]]))


def test_float16__refuses_what_becomes_infinite():
    with pytest.raises(ValueError, match="infinite, or too large for float16"):
        MatrixLayout(1, 1, dtype="float16").encode(np.array([[70000.0]]))


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"block_size": 0}, {"dtype": "int8"}, {"triangle": "lower"}]
    + [{"compression": text} for text in ("zstd", "zstd:0", "zstd:20", "zstd:x", "gzip:1")],
)
def test_layout__refuses_what_it_does_not_know(wrong):
    with pytest.raises(ValueError, match=r"is not|are at least"):
        MatrixLayout(**{"n": 5, "block_size": 2, **wrong})
    assert zstd_level("zstd:19") == 19


def test_write_block__refuses_a_block_of_another_shape(tmp_path):
    layout = MatrixLayout(5, 2)
    for i, j, shape in ((0, 2, (2, 2)), (1, 0, (2, 2)), (0, 0, (1, 2))):
        with pytest.raises(ValueError, match="of shape"):
            layout.write_block(open_folder(str(tmp_path)), "d", i, j, np.zeros(shape))


def test_max_bytes__is_not_exceeded(tmp_path, values):
    for options in ({}, {"triangle": "upper"}, {"dtype": "int16"}, {"compression": "none"}):
        path, written = write(tmp_path / str(len(options)), values, **options)
        stored = sum(chunk.nbytes for chunk in written)
        assert stored <= layout_of(values, **options).max_bytes, path


def test_reader__names_a_missing_chunk_instead_of_reading_nan(tmp_path, values):
    path, _ = write(tmp_path, values)
    open_folder(path).delete("c/1/2")
    matrix = open_distances(path)
    matrix.rows(0, 7)
    with pytest.raises(DamagedResult, match=r"d\.zarr/c/1/2 is missing"):
        matrix.rows(7, 8)


@pytest.mark.parametrize("compression", ["none", "zstd:1"])
def test_reader__names_a_chunk_with_a_flipped_bit(tmp_path, values, compression):
    path, _ = write(tmp_path, values, compression=compression)
    folder = open_folder(path)
    data = bytearray(folder.get("c/2/1"))
    data[len(data) // 2] ^= 1
    folder.put("c/2/1", bytes(data))
    with pytest.raises(DamagedResult, match=r"d\.zarr/c/2/1 is damaged"):
        open_distances(path).rows(0, 23)


def test_open_distances__takes_ids_from_the_result_folder(tmp_path, values):
    ids = [f"seq {k}" for k in range(23)]
    make_result(tmp_path / "out", values, ids=ids)
    matrix = open_distances(str(tmp_path / "out"))
    assert matrix.ids == ids
    np.testing.assert_array_equal(matrix.rows(0, 23), values)


def test_open_distances__refuses_a_folder_without_a_result(tmp_path):
    with pytest.raises(UsageProblem, match=r"nothing-here does not exist\."):
        open_distances(str(tmp_path / "nothing-here"))
    with pytest.raises(DamagedResult, match=r"no zarr\.json"):
        open_distances(str(tmp_path / "x.zarr"))


def test_open_distances__reads_from_s3(s3, values):
    make_result(f"{s3}/out", values)
    matrix = open_distances(f"{s3}/out")
    np.testing.assert_array_equal(matrix.rows(5, 20), values[5:20])


def test_ids_table__keeps_one_line_per_record(tmp_path):
    ids = ["a\tb", "c\nd", "é\x07", "x\u2028y"]
    data = ids_table(ids, np.arange(4), ["", "two words", "tab\there", ""])
    assert data.decode().splitlines()[1] == "0\ta b\t0\t"
    folder = open_folder(str(tmp_path))
    folder.put("ids.tsv", data)
    assert read_ids(folder) == ["a b", "c d", "é ", "x y"]
    assert printable("plain é") == "plain é"

"""Dissimilarities in zarr arrays of anybody, in SALSA's files and in object stores."""

import shutil

import fsspec
import numpy as np
import pytest
import zarr

from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.exports import export
from pipelines.formats import zarr_chunks
from pipelines.formats.dissimilarities import open_dissimilarities, staged
from pipelines.formats.distances import open_distances
from storage.folder import open_folder
from tests.pipelines.formats.dissimilarity_bands import assert_holds, loaded, upper
from tests.pipelines.result_folders import layout_of, make_result, symmetric, upper_blocks


def make_zarr(url, values, **options):
    options = {"chunks": (20, 30), "dtype": values.dtype, **options}
    array = zarr.create_array(url, shape=values.shape, **options)
    array[:] = values
    return str(url)


def make_ours(url, values, **options):
    """An array of ours that belongs to no result."""
    layout = layout_of(values, **options)
    folder = open_folder(str(url))
    for i, j in upper_blocks(layout):
        rows, columns = (slice(k * layout.chunk, (k + 1) * layout.chunk) for k in (i, j))
        above, name = open_folder(str(url.parent)), url.name
        layout.write_block(above, name, i, j, values[rows, columns])
    folder.put("zarr.json", layout.metadata())
    return str(url)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compressors": None, "chunks": (90, 90)},
        {"chunks": (1, 100), "compressors": zarr.codecs.ZstdCodec(level=3)},
        {"chunks": (100, 7), "compressors": zarr.codecs.GzipCodec()},
        {"shards": (40, 60)},
        {"zarr_format": 2},
        {"serializer": zarr.codecs.BytesCodec(endian="big"), "compressors": None},
    ],
)
@pytest.mark.parametrize("tile_bytes", [900, 2**22])
def test_zarr_of_others__in_any_chunks(tmp_path, options, tile_bytes, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities_zarr.TILE_BYTES", tile_bytes)
    values = symmetric(100, missing=[(0, 99)])
    opened = open_dissimilarities(make_zarr(tmp_path / "d.zarr", values, **options))
    assert (opened.format, opened.checked, opened.missing) == ("zarr", True, 1)
    assert_holds(opened, values)


def test_zarr__absent_chunks_of_others_hold_the_fill_value(tmp_path):
    array = zarr.create_array(
        tmp_path / "d.zarr", shape=(60, 60), chunks=(20, 20), dtype="f4", fill_value=0.5
    )
    for k in range(3):
        array[20 * k : 20 * k + 20, 20 * k : 20 * k + 20] = symmetric(20)
    assert not (tmp_path / "d.zarr" / "c" / "0" / "1").exists()
    assert_holds(open_dissimilarities(str(tmp_path / "d.zarr")), array[:])


def test_zarr__scale_factor_is_honoured(tmp_path):
    values = np.rint(symmetric(50) * 900).astype(np.int16)
    values[2, 3] = values[3, 2] = -1
    url = make_zarr(tmp_path / "d.zarr", values, attributes={"scale_factor": 0.25})
    opened = open_dissimilarities(url)
    assert (opened.scale, opened.missing) == (0.25, 1)
    assert_holds(opened, np.where(values < 0, np.nan, values / 4))
    source = opened.source(0, 16, "int16")
    assert source.scale == 0.25
    np.testing.assert_array_equal(loaded(opened, "int16"), loaded(opened))


@pytest.mark.parametrize("scale", [0, -1, "x", None, np.inf])
def test_zarr__scale_that_is_none_is_refused(tmp_path, scale):
    values = np.zeros((3, 3), np.int16)
    url = make_zarr(tmp_path / "d.zarr", values, attributes={"scale_factor": scale}, chunks=(3, 3))
    with pytest.raises(InputProblem, match=r"has scale_factor .* and add_offset None"):
        open_dissimilarities(url)


def test_zarr_group__has_one_array_or_one_that_is_named(tmp_path):
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    values = symmetric(20)
    for name, part in (("other", values[:2]), ("distances", values)):
        group.create_array(name, data=part)
    assert_holds(open_dissimilarities(str(tmp_path / "g.zarr")), values)
    del group["distances"]
    with pytest.raises(InputProblem, match="is 2 x 20, not square"):
        open_dissimilarities(str(tmp_path / "g.zarr"))


@pytest.mark.parametrize("triangle", ["full", "upper"])
@pytest.mark.parametrize("compression", ["none", "zstd:3"])
@pytest.mark.parametrize("checked", [10, 2**28])
def test_ours_alone__is_read_chunk_by_chunk(tmp_path, triangle, compression, checked, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", checked)
    values = symmetric(150).astype(np.float64)
    options = {"block_size": 37, "triangle": triangle, "compression": compression}
    url = make_ours(tmp_path / "d.zarr", values, dtype="float64", **options)
    opened = open_dissimilarities(url)
    assert (opened.layout.upper, opened.layout.mirrored) == (triangle == "upper", False)
    assert opened.layout.chunks is not None
    assert_holds(opened, values)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_ours__wrong_numbers_are_found(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", 10)
    values = symmetric(50)
    values[40, 40] = 0.5
    url = make_ours(tmp_path / "d.zarr", values, dtype=dtype, block_size=20, triangle="upper")
    with pytest.raises(InputProblem, match=r"d\[40,40\] is 0.5(00\d+)?, not 0\."):
        loaded(open_dissimilarities(url))


def test_ours__stored_whole_may_have_two_different_halves(tmp_path):
    values = symmetric(50)
    url = make_ours(tmp_path / "d.zarr", values, block_size=20)
    values[3, 45] += 0.25
    part = layout_of(values, 20).encode(values[:20, 40:])
    open_folder(url).put("c/0/2", part)
    with pytest.raises(InputProblem, match=r"not symmetric: d\[3,45\]=.*\(one pair\)"):
        open_dissimilarities(url)


@pytest.mark.parametrize("compression", ["none", "zstd:1"])
@pytest.mark.parametrize("place", ["first byte", "last byte", "cut", "absent"])
def test_damaged_chunk_of_a_result__is_named(tmp_path, compression, place):
    make_result(tmp_path / "r", symmetric(60), block_size=20, compression=compression)
    chunk = tmp_path / "r" / "distances.zarr" / "c" / "1" / "2"
    data = bytearray(chunk.read_bytes())
    if place == "absent":
        chunk.unlink()
    else:
        data[-1 if place == "last byte" else 0] ^= 1
        chunk.write_bytes(data[:-7] if place == "cut" else data)
    with pytest.raises(DamagedResult, match=r"r: c/1/2 is (damaged|missing)") as caught:
        open_dissimilarities(str(tmp_path / "r"))
    assert caught.value.remedy.startswith("Copy it again")


def test_part_of_a_chunk__is_read_alone_and_told_when_it_is_cut(tmp_path):
    values = symmetric(60)
    make_result(tmp_path / "r", values, block_size=60, compression="none")
    opened = open_dissimilarities(str(tmp_path / "r"))
    with opened.layout.reading() as read:
        np.testing.assert_array_equal(read(17, 23, 5, 60), values[17:23, 5:])
        chunk = tmp_path / "r" / "distances.zarr" / "c" / "0" / "0"
        chunk.write_bytes(chunk.read_bytes()[: 20 * 240])
        np.testing.assert_array_equal(read(17, 20, 5, 60), values[17:20, 5:])
        with pytest.raises(DamagedResult, match="it has 0 bytes of 1,440"):
            read(17, 23, 5, 60)


def test_without_the_checksum_library__zarr_decodes(tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_chunks, "_crc32c", lambda: None)
    values = symmetric(60)
    make_result(tmp_path / "r", values, block_size=20, triangle="upper")
    opened = open_dissimilarities(str(tmp_path / "r"))
    assert opened.layout.chunks is None
    assert_holds(opened, values)


@pytest.mark.parametrize("kind", ["salsa-int16-be", "salsa-int16-le"])
@pytest.mark.parametrize("strips", ["one", "folder", "pattern"])
def test_salsa(tmp_path, kind, strips):
    values = symmetric(60, missing=[(3, 4)])
    make_result(tmp_path / "r", values, dtype="int16")
    export(str(tmp_path / "r"), kind, str(tmp_path / "d.bin"))
    url = tmp_path / "d.bin"
    if strips != "one":
        data, url = url.read_bytes(), tmp_path / "parts"
        url.mkdir()
        for k in range(12):
            (url / f"part_{k}").write_bytes(data[600 * k : 600 * (k + 1)])
        url = url / "part_*" if strips == "pattern" else url
    opened = open_dissimilarities(str(url), kind=kind)
    assert (opened.format, opened.n, opened.missing) == ("salsa", 60, 1)
    assert_holds(opened, open_distances(str(tmp_path / "r")).rows(0, 60))
    assert opened.identity["bytes"] == 7200


def test_salsa__wrong_files_are_refused(tmp_path):
    (tmp_path / "d.bin").write_bytes(bytes(70))
    with pytest.raises(InputProblem, match="has 70 bytes, which is no square of int16 numbers"):
        open_dissimilarities(str(tmp_path / "d.bin"), kind="salsa-int16-le")
    (tmp_path / "e.bin").write_bytes(bytes(2))
    with pytest.raises(InputProblem, match=r"d.bin has 70 bytes, not whole rows of 6"):
        open_dissimilarities(str(tmp_path / "?.bin*"), kind="salsa-int16-le")
    with pytest.raises(UsageProblem, match="no file has such a name"):
        open_dissimilarities(str(tmp_path / "x*"), kind="salsa-int16-le")


def test_salsa__wrong_byte_order_raises_a_warning(tmp_path):
    points = np.random.default_rng(1).random((60, 2)) / 2
    values = np.linalg.norm(points[:, None] - points, axis=2).astype(np.float32)
    make_result(tmp_path / "r", values, dtype="int16")
    export(str(tmp_path / "r"), "salsa-int16-be", str(tmp_path / "d.bin"))
    right = open_dissimilarities(str(tmp_path / "d.bin"), kind="salsa-int16-be")
    wrong = open_dissimilarities(str(tmp_path / "d.bin"), kind="salsa-int16-le")
    assert right.warnings == []
    assert "is the byte order, or the order of rows, right?" in wrong.warnings[0]


@pytest.mark.parametrize("what", ["npy", "condensed", "result", "zarr", "lsmat"])
def test_object_store(tmp_path, s3, what):
    values = symmetric(70)
    make_result(tmp_path / "r", values, block_size=32, triangle="upper", compression="none")
    if what == "zarr":
        make_zarr(tmp_path / "d", values)
    elif what == "result":
        shutil.copytree(tmp_path / "r", tmp_path / "d")
    else:
        export(str(tmp_path / "r"), what, str(tmp_path / "d"))
    files = fsspec.filesystem("s3")
    files.put(str(tmp_path / "d"), f"{s3}/d", recursive=True)
    opened = open_dissimilarities(f"{s3}/d")
    opened = staged(opened, open_folder(f"{s3}/work"), "kept", [(0, 32), (32, 70)])
    found = loaded(opened, ranges=[(0, 32), (32, 70)])
    np.testing.assert_allclose(found, upper(values), rtol=1e-7)
    assert (opened.bands is not None) == (what == "lsmat")

"""verify finds what is wrong with stored labels."""

import hashlib
import json

import numpy as np
import pytest

from pipelines.checksums import checksum_lines, read_checksums
from pipelines.errors import DamagedResult
from pipelines.formats.label_array import LabelLayout
from pipelines.results import ResultFolder, write_record
from pipelines.verify import verify
from storage.folder import open_folder

LABELS = np.arange(20) % 3


@pytest.fixture
def out(tmp_path):
    """A complete result folder of 20 labels in chunks of 8."""
    url = str(tmp_path / "out")
    with ResultFolder.create(url, app="kmeans", options={}, inputs=[]) as results:
        layout = LabelLayout(20, 8)
        results.folder.put(f"{results.array_prefix}/zarr.json", layout.metadata())
        for index in range(3):
            part = LABELS[index * 8 : index * 8 + 8]
            chunk = layout.write_chunk(results.folder, results.array_prefix, index, part)
            write_record(results.folder, (index,), {"chunks": [chunk]})
        results.finish({"sizes": [7, 7, 6]}, {"labels.tsv": b"id\tlabel\n"})
    return tmp_path / "out"


def rewrite(out, name, data):
    """Put other bytes into the result, with a checksum that fits."""
    folder = open_folder(str(out))
    folder.put(name, data)
    hashes = read_checksums(folder) | {name: hashlib.sha256(data).hexdigest()}
    folder.put("checksums.sha256", checksum_lines(hashes))


def problems(out):
    with pytest.raises(DamagedResult) as refused:
        verify(str(out))
    return refused.value.verification.problems


def test_sound_labels__pass(out):
    found = verify(str(out))
    assert (found.problems, found.n, found.labels_checked) == ([], 20, True)
    assert not found.matrix_checked
    run = json.loads((out / "run.json").read_text())
    assert run["outputs"][0]["name"] == "labels.zarr"
    assert (run["outputs"][0]["shape"], run["outputs"][0]["dtype"]) == ([20], "int32")


def test_flipped_bit_missing_and_foreign_chunk__are_named(out):
    chunk = out / "labels.zarr/c/1"
    data = bytearray(chunk.read_bytes())
    data[5] ^= 1
    chunk.write_bytes(data)
    (out / "labels.zarr/c/2").unlink()
    (out / "labels.zarr/c/7").write_bytes(b"old")
    assert problems(out) == [
        "labels.zarr/c/1 is not as it was written (sha256 differs)",
        "labels.zarr/c/2 is missing",
        "labels.zarr/c/7 does not belong to the array",
    ]


def test_other_labels__do_not_fit_the_sizes(out):
    other = LABELS[8:16].copy()
    other[0] = 0
    rewrite(out, "labels.zarr/c/1", LabelLayout(20, 8).encode(other))
    assert problems(out) == ["labels.zarr has 8 rows of cluster 0, run.json says 7"]


def test_label__outside_the_clusters_is_named_with_its_row(out):
    other = LABELS[8:16].copy()
    other[3] = 9
    rewrite(out, "labels.zarr/c/1", LabelLayout(20, 8).encode(other))
    assert problems(out) == ["labels.zarr has label 9 in row 11, outside 0 to 2"]


def test_other_description__is_named(out):
    rewrite(out, "labels.zarr/zarr.json", LabelLayout(17, 8).metadata())
    found = problems(out)
    assert "labels.zarr is int32 [17], run.json says int32 [20]" in found


def test_unfinished_labels__cannot_be_completed(tmp_path):
    with ResultFolder.create(str(tmp_path / "o"), app="kmeans", options={}, inputs=[]) as results:
        folder, layout = results.folder, LabelLayout(20, 8)
        folder.put(f"{results.array_prefix}/zarr.json", layout.metadata())
        chunk = layout.write_chunk(folder, results.array_prefix, 0, LABELS[:8])
        write_record(folder, (0,), {"chunks": [chunk]})
        with pytest.raises(DamagedResult, match=r"lacks 2 chunks, first: c/1\."):
            results.finish({"sizes": [7, 7, 6]}, {})

"""verify finds every kind of damage and names it."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from pipelines.checksums import CHECKSUMS
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.result_folders import (
    create,
    finish,
    layout_of,
    make_result,
    symmetric,
    write_blocks,
)


@pytest.fixture
def values():
    return symmetric(20, missing=[(3, 9), (4, 19)])


@pytest.fixture
def out(tmp_path, values):
    make_result(tmp_path / "out", values)
    return tmp_path / "out"


def problems(url):
    with pytest.raises(DamagedResult, match="is damaged: ") as refused:
        verify(str(url))
    assert refused.value.exit_code == 8
    return refused.value.verification.problems


@pytest.mark.parametrize("options", [{}, {"triangle": "upper"}, {"dtype": "int16"}])
def test_verify__passes_a_sound_result(tmp_path, values, options):
    make_result(tmp_path / "out", values, **options)
    found = verify(str(tmp_path / "out"))
    assert (found.problems, found.extra, found.n, found.missing_pairs) == ([], [], 20, 2)
    assert found.files == (10 if options.get("triangle") else 13)
    assert found.matrix_checked
    assert json.dumps(found.as_dict())


@pytest.mark.parametrize(
    "name", ["distances.zarr/c/0/2", "distances.zarr/zarr.json", "ids.tsv", "report.html"]
)
@pytest.mark.parametrize("where", [0, -1])
def test_verify__names_a_file_with_a_flipped_bit(out, name, where):
    data = bytearray((out / name).read_bytes())
    data[where] ^= 1
    (out / name).write_bytes(data)
    assert f"{name} is not as it was written (sha256 differs)" in problems(out)


def test_verify__sees_a_changed_run_json(out):
    text = (out / "run.json").read_text().replace('"gap_open": 16', '"gap_open": 14')
    (out / "run.json").write_text(text)
    assert problems(out) == ["run.json is not as it was written (sha256 differs)"]


@pytest.mark.parametrize("name", ["distances.zarr/c/0/2", "ids.tsv"])
def test_verify__names_a_missing_file(out, name):
    os.unlink(out / name)
    assert f"{name} is missing" in problems(out)


def test_verify__names_a_chunk_that_does_not_belong(out):
    shutil.copy(out / "distances.zarr/c/0/2", out / "distances.zarr/c/0/7")
    assert problems(out) == ["distances.zarr/c/0/7 does not belong to the array"]


def test_verify__tells_the_first_problems_and_counts_the_rest(out):
    for chunk in (out / "distances.zarr/c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"")
    with pytest.raises(DamagedResult, match=r"c/0/0 is not .*; and 4 more\."):
        verify(str(out))


@pytest.mark.parametrize("name", ["checksums.sha256", "run.json"])
def test_verify__needs_checksums_and_run_json(out, name):
    os.unlink(out / name)
    with pytest.raises(DamagedResult, match=name):
        verify(str(out))
    (out / name).write_text("nonsense")
    with pytest.raises(DamagedResult, match=name):
        verify(str(out))


def wrong_matrix(tmp_path, change, **attributes):
    """A result whose bytes are as written, but whose values were wrong from the start."""
    values = symmetric(20)
    change(values)
    layout = layout_of(values)
    layout.attributes.update(attributes)
    with create(tmp_path / "wrong") as results:
        write_blocks(results, layout, values)
        finish(results, values)
    return tmp_path / "wrong"


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        ((3, 4), 0.5, r"block (0, 0) is not symmetric in 2 places, first d[3,4] = 0.5"),
        ((5, 5), 0.25, "block (0, 0) has a diagonal that is not 0"),
        ((0, 10), 1.5, "block (0, 1) holds values from "),
        ((0, 10), -0.5, "block (0, 1) holds values from -0.5 to "),
    ],
)
def test_verify__checks_the_matrix_against_itself(tmp_path, place, value, text):
    out = wrong_matrix(tmp_path, lambda values: values.__setitem__(place, value))
    assert any(text in problem for problem in problems(out))


def test_verify__compares_a_block_with_its_mirror(out):
    folder = open_folder(str(out))
    name, other = "distances.zarr/c/1/0", layout_of(symmetric(20)).encode(np.full((7, 7), 0.5))
    old, new = (hashlib.sha256(data).hexdigest() for data in (folder.get(name), other))
    folder.put(name, other)
    folder.put(CHECKSUMS, folder.get(CHECKSUMS).replace(old.encode(), new.encode()))
    (found,) = problems(out)
    assert found.startswith(
        "distances.zarr block (0, 1) is not symmetric in 49 places, first d[0,7]"
    )


def test_verify__allows_scores_a_diagonal_and_any_size(tmp_path):
    def change(values):
        values *= 400
        np.fill_diagonal(values, 500)

    out = wrong_matrix(tmp_path, change, kind="score", distance_range=None)
    assert verify(str(out)).problems == []


def test_verify__compares_the_number_of_missing_pairs(tmp_path, values):
    with create(tmp_path / "out") as results:
        write_blocks(results, layout_of(values), values)
        results.finish({"missing_pairs": 1}, {})
    assert problems(tmp_path / "out") == ["2 pairs are missing, run.json says 1"]


def test_verify__refuses_what_is_no_result(tmp_path):
    with pytest.raises(UsageProblem, match="does not exist"):
        verify(str(tmp_path / "out"))
    with create(tmp_path / "out"), pytest.raises(DamagedResult, match="is unfinished"):
        verify(str(tmp_path / "out"))


def test_verify__finds_damage_on_s3(s3, values):
    make_result(f"{s3}/out", values)
    folder = open_folder(f"{s3}/out")
    folder.put("distances.zarr/c/2/2", b"short")
    folder.delete("ids.tsv")
    assert problems(f"{s3}/out") == [
        "distances.zarr/c/2/2 is not as it was written (sha256 differs)",
        "ids.tsv is missing",
    ]

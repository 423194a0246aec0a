"""Each exported form is read back by the library that its users use."""

import os

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import is_valid_y, squareform

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.exports import FORMS, export
from storage.directory import Directory
from storage.errors import NoSpace
from tests.pipelines.result_folders import make_result, symmetric
from tests.pipelines.test_verify import wrong_matrix

IDS = ["plain", "é-ü", "a|b|c", *(f"s{index}" for index in range(20))]
SALSA_STEP = 0.5 / 32767 + 1e-7


@pytest.fixture(scope="module")
def values():
    return symmetric(23)


@pytest.fixture(scope="module")
def gaps():
    return symmetric(23, missing=[(3, 9), (20, 22)])


@pytest.fixture
def make(tmp_path):
    """Export a matrix; the path of the written file."""

    def run(form, values, **options):
        make_result(tmp_path / "out", values, ids=IDS[: len(values)], **options)
        path = str(tmp_path / f"matrix.{form}")
        done = export(str(tmp_path / "out"), form, path)
        assert (done.path, done.form, done.nbytes) == (path, form, os.path.getsize(path))
        assert done.missing_pairs == np.isnan(values[np.triu_indices(len(values), 1)]).sum()
        assert sorted(os.listdir(tmp_path)) == sorted(["out", f"matrix.{form}"])
        return path

    return run


@pytest.mark.parametrize("triangle", ["full", "upper"])
def test_tsv__holds_every_unordered_pair_once(make, gaps, triangle):
    with open(make("tsv", gaps, triangle=triangle), encoding="utf-8") as file:
        header, *lines = file.read().splitlines()
    assert header == "id_1\tid_2\tdistance"
    rows, columns = np.triu_indices(23, 1)
    pairs = [line.split("\t") for line in lines]
    assert [(one, two) for one, two, _ in pairs] == [
        (IDS[row], IDS[column]) for row, column in zip(rows, columns, strict=True)
    ]
    read = np.array([float(text) for _, _, text in pairs], dtype=np.float32)
    np.testing.assert_array_equal(read, gaps[rows, columns])


def test_tsv__writes_missing_as_NaN_and_whole_numbers_short(make):  # noqa: N802
    values = np.array([[0, 1, np.nan], [1, 0, 0.25], [np.nan, 0.25, 0]], dtype=np.float32)
    with open(make("tsv", values), encoding="utf-8") as file:
        assert [line.split("\t")[2] for line in file.read().splitlines()[1:]] == [
            "1",
            "NaN",
            "0.25",
        ]


def test_lsmat__is_read_by_scikit_bio(make, values):
    skbio = pytest.importorskip("skbio")
    read = skbio.DistanceMatrix.read(make("lsmat", values))
    assert list(read.ids) == IDS
    np.testing.assert_array_equal(read.data.astype(np.float32), values)


def test_phylip__is_read_by_scikit_bio(make, values):
    skbio = pytest.importorskip("skbio")
    read = skbio.DistanceMatrix.read(make("phylip", values), format="phylip_dm")
    assert [name.strip() for name in read.ids] == IDS
    np.testing.assert_array_equal(read.data.astype(np.float32), values)


def test_phylip__pads_short_ids_so_that_strict_readers_work(make, values):
    with open(make("phylip", values), encoding="utf-8") as file:
        count, *lines = file.read().splitlines()
    assert count == "23"
    assert [line[:10].rstrip() for line in lines] == IDS
    assert all(line[10] == " " for line in lines)


def test_phylip__replaces_letters_that_tree_programs_use(tmp_path):
    make_result(tmp_path / "out", symmetric(3), ids=["a b", "c(d);", "e" * 30])
    export(str(tmp_path / "out"), "phylip", str(tmp_path / "x"))
    names = [line.split()[0] for line in (tmp_path / "x").read_text().splitlines()[1:]]
    assert names == ["a_b", "c_d__", "e" * 30]


def test_phylip__refuses_ids_that_become_the_same(tmp_path):
    make_result(tmp_path / "out", symmetric(2), ids=["a b", "a_b"])
    with pytest.raises(UsageProblem, match=r'ids "a b" and "a_b" are the same in PHYLIP: a_b\.'):
        export(str(tmp_path / "out"), "phylip", str(tmp_path / "x"))


def test_phylip__refuses_missing_distances_and_leaves_nothing(tmp_path, gaps):
    make_result(tmp_path / "out", gaps, ids=IDS)
    with pytest.raises(UsageProblem, match=r"no sign for a missing distance \(s0, s6\)"):
        export(str(tmp_path / "out"), "phylip", str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("options", [{}, {"triangle": "upper"}, {"dtype": "float64"}])
def test_npy__is_read_by_numpy(make, gaps, options):
    read = np.load(make("npy", gaps, **options), mmap_mode="r", allow_pickle=False)
    assert (read.dtype, read.shape) == (np.float32, (23, 23))
    np.testing.assert_array_equal(read, gaps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_condensed__is_read_by_scipy(make, values, dtype):
    read = np.load(make("condensed", values, dtype=dtype), allow_pickle=False)
    assert read.dtype == dtype
    assert is_valid_y(read)
    np.testing.assert_array_equal(squareform(read), values)
    assert linkage(read, "average").shape == (22, 4)


@pytest.mark.parametrize(("form", "kind"), [("salsa-int16-be", ">i2"), ("salsa-int16-le", "<i2")])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_salsa__is_raw_int16_with_minus_one_for_missing(make, gaps, form, kind, dtype):
    read = np.fromfile(make(form, gaps, dtype=dtype), dtype=kind).reshape(23, 23).astype(float)
    np.testing.assert_array_equal(read == -1, np.isnan(gaps))
    np.testing.assert_allclose(
        read / 32767, np.where(read == -1, -1 / 32767, gaps), atol=SALSA_STEP
    )


def test_salsa__refuses_values_that_are_not_in_0_to_1(tmp_path):
    out = wrong_matrix(tmp_path, lambda values: None, distance_range=None)
    with pytest.raises(UsageProblem, match=r"salsa-int16-be holds distances in \[0, 1\] only"):
        export(str(out), "salsa-int16-be", str(tmp_path / "x"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [1, 2])
def test_export__of_one_and_two_records(make, form, n):
    assert os.path.getsize(make(form, symmetric(n))) >= 2


@pytest.mark.parametrize("form", FORMS)
def test_export__tells_a_short_disk_before_it_writes(tmp_path, values, monkeypatch, form):
    make_result(tmp_path / "out", values, ids=IDS)
    monkeypatch.setattr(Directory, "free_bytes", lambda self: 1000)
    with pytest.raises(NoSpace, match=r"KiB needed under .*, 1000 B free\."):
        export(str(tmp_path / "out"), form, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("form", FORMS)
def test_export__predicts_at_least_what_it_writes(make, values, form):
    from pipelines.formats.distances import open_distances

    path = make(form, values)
    predicted = FORMS[form].size(open_distances(os.path.dirname(path) + "/out"))
    assert os.path.getsize(path) <= predicted <= 1.6 * os.path.getsize(path)


def test_export__keeps_an_existing_file_unless_told(tmp_path, values):
    make_result(tmp_path / "out", values, ids=IDS)
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageProblem, match=r"x exists\.") as refused:
        export(str(tmp_path / "out"), "npy", str(tmp_path / "x"))
    assert "--overwrite" in refused.value.remedy
    assert (tmp_path / "x").read_text() == "mine"
    export(str(tmp_path / "out"), "npy", str(tmp_path / "x"), overwrite=True)
    assert np.load(tmp_path / "x").shape == (23, 23)


def test_export__of_a_damaged_result_leaves_nothing(tmp_path, values):
    make_result(tmp_path / "out", values, ids=IDS)
    os.unlink(tmp_path / "out/distances.zarr/c/2/1")
    with pytest.raises(DamagedResult, match=r"c/2/1 is missing"):
        export(str(tmp_path / "out"), "tsv", str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["out"]


def test_export__removes_what_a_killed_export_left(tmp_path, values):
    make_result(tmp_path / "out", values, ids=IDS)
    (tmp_path / f".x.{2**22 + 1}-0123abcd.whorl-tmp").write_text("half")
    export(str(tmp_path / "out"), "npy", str(tmp_path / "x"))
    assert sorted(os.listdir(tmp_path)) == ["out", "x"]


@pytest.mark.parametrize(
    ("form", "destination", "text"),
    [
        ("csv", "x", '"csv" is not a form: tsv, lsmat'),
        ("npy", "s3://b/x", "is a URL; exports are written to a local file"),
        ("npy", ".", "is a folder; name a file in it"),
        ("npy", "no/such/x", "the folder .* does not exist"),
    ],
)
def test_export__refuses_what_it_cannot_do(tmp_path, monkeypatch, form, destination, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageProblem, match=text):
        export("out", form, destination)


def test_export__reads_from_s3(s3, tmp_path, values):
    make_result(f"{s3}/out", values, ids=IDS)
    export(f"{s3}/out", "npy", str(tmp_path / "x.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), values)

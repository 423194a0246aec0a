"""check tells kind, counts and the first problems; exit 3 when a run would refuse the input."""

import io
import json

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from cli.__main__ import main
from pipelines.formats.points_survey import hash_rows

GOOD = ">a first\nACGT\n>b\nACGTN\n>c\nACGT\n"


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(text, *arguments):
        (tmp_path / "s.fasta").write_text(text)
        return CliRunner().invoke(main, ["check", "s.fasta", *arguments], prog_name="whorl")

    return call


def test_good_file__is_described_and_the_next_command_named(check):
    result = check(GOOD)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "kind         FASTA, 31 bytes",
        "records      3 sequences, DNA, 1 with ambiguity codes",
        "lengths      4-5 (median 4) letters, 13 in all",
        "duplicates   0 ids, 1 sequence",
        "problems     none",
        "next         whorl run swg s.fasta -o DIR",
    ]


def test_bad_letters__are_told_with_line_and_column(check):
    result = check(">a\nACGT-ACGTACGT\n>b\n\n")
    assert result.exit_code == 3
    assert "problems     2" in result.stdout
    assert '             line 2, column 5: "-" is not a DNA letter (record "a")' in result.stdout
    assert '             line 3: record "b" has no letters' in result.stdout


def test_more_than_five_problems__are_counted(check):
    result = check("".join(f">a{k}\n\n" for k in range(9)))
    assert result.stdout.splitlines()[-1].strip() == "and 4 more"


def test_unknown_kind__is_no_fasta(check):
    result = check("just some text\n")
    assert result.exit_code == 3
    assert result.stdout.startswith("kind         unknown, 15 bytes\n")


def test_json__is_one_object(check):
    facts = json.loads(check(GOOD, "--json").stdout)
    assert (facts["kind"], facts["n"], facts["alphabet"]) == ("fasta", 3, "dna")


def test_stdin__is_read(monkeypatch):
    result = CliRunner().invoke(main, ["check", "-"], input=io.BytesIO(GOOD.encode()))
    assert result.exit_code == 0, result.output
    assert "3 sequences" in result.stdout


def test_missing_file__names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seqs.fasta").write_text(GOOD)
    result = CliRunner().invoke(main, ["check", "seqs.fsta"])
    assert result.exit_code == 2
    assert result.stderr == "Error: seqs.fsta does not exist.\nDid you mean seqs.fasta?\n"


def test_folder_without_result__is_a_usage_error(tmp_path):
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


@pytest.fixture
def check_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(values, *arguments):
        if isinstance(values, str):
            name = "p.csv"
            (tmp_path / name).write_text(values)
        else:
            name = "p.npy"
            np.save(name, values)
        return CliRunner().invoke(main, ["check", name, *arguments], prog_name="whorl")

    return call


def test_points__are_described_and_the_next_command_named(check_points):
    values = np.array([[1, 2, 7], [3, -4, 7], [1, 2, 7], [-0.0, 1, 7], [0, 1, 7]], np.float32)
    result = check_points(values)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "kind         points, NumPy, 188 bytes",
        "points       5 rows of 3 columns, float32",
        "ranges       column 0 0 to 3, column 1 -4 to 2, column 2 7 to 7",
        "duplicates   2 rows (40.0 %) equal to an earlier one",
        "warning      column 2 (counted from 0) has the same value in all rows",
        "problems     none",
        "next         whorl run kmeans p.npy -o DIR --n-clusters K",
    ]


def test_points__values_that_are_not_finite_are_counted(check_points):
    values = np.arange(12.0).reshape(4, 3)
    values[1, 2] = values[3, 0] = np.nan
    result = check_points(values)
    assert result.exit_code == 3
    assert "not finite   2 values\n" in result.stdout
    assert "p.npy: row 1, column 2 (counted from 0) is nan." in result.stdout
    assert "column 0 0 to 6, column 1 1 to 10" in result.stdout


def test_table_of_points__has_names_and_ids(check_points):
    result = check_points("id,x,y\na,1,2\nb,3,4\n")
    assert "points       2 rows of 2 columns, float64, 2 ids\n" in result.stdout
    assert "ranges       x 1 to 3, y 2 to 4\n" in result.stdout
    facts = json.loads(check_points("x,y,z\n1,2,3\n4,5,6\n", "--columns", "z,x", "--json").stdout)
    assert (facts["kind"], facts["n"], facts["names"]) == ("points", 2, ["z", "x"])
    assert (facts["low"], facts["high"]) == ([3, 1], [6, 4])


@pytest.mark.parametrize(
    ("text", "problem"),
    [("1,2\n3\n", "line 2 has 1 column, not 2 as the first row."), ("", "is empty (0 bytes).")],
)
def test_wrong_points__are_told_with_their_line(check_points, text, problem):
    result = check_points(text)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1].strip() == f"p.csv {problem}"
    assert result.stdout.startswith("kind         points, ")


def test_rows__have_equal_hashes_only_when_they_are_equal(rng):
    values = rng.integers(-50, 50, (200_000, 2)).astype(np.float64)
    for rows in (values, values.astype(np.float32)):
        assert len(np.unique(hash_rows(rows))) == len(np.unique(rows, axis=0))


@pytest.fixture
def check_distances(check_points):
    points = np.random.default_rng(1).random((9, 2))
    values = np.linalg.norm(points[:, None] - points, axis=2)
    return values, check_points


def test_distances__are_described_and_the_next_command_named(check_distances):
    values, call = check_distances
    values[3, 4] = values[4, 3] = np.nan
    result = call(values)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "kind         distances, NumPy, 776 bytes",
        "distances    9 records, 36 pairs, float64",
        f"range        0 to {np.nanmax(values):g}",
        "missing      1 pair",
        "triangles    0.0 % of sampled triples break the triangle inequality",
        "problems     none",
        "next         whorl run mds p.npy -o DIR",
    ]
    facts = json.loads(call(values, "--json").stdout)
    assert (facts["kind"], facts["n"], facts["missing"]) == ("distances", 9, 1)


def test_distances__all_that_is_wrong_is_told(check_distances):
    values, call = check_distances
    values[2, 5], values[7, 8] = -1, 9
    result = call(values)
    assert result.exit_code == 3
    assert "problems     2\n" in result.stdout
    assert "p.npy: d[2,5] (counted from 0) is -1; a distance" in result.stdout
    assert "p.npy is not symmetric: d[7,8]=9, d[8,7]=" in result.stdout
    assert "(worst of 2 pairs)" in result.stdout


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(9.0).reshape(3, 3) + 1, "points"),
        (np.zeros((1, 1)), "points"),
        (np.ones(6), "distances"),
        (np.ones(7), "points"),
        ("0,1\n1,0\n", "distances"),
        ("0,1\n1,0\n2,2\n", "points"),
        ("0,1\n1,2\n", "points"),
        ("2\na 0 1\nb 1 0\n", "distances"),
        ("3\n1\n2\n7\n", "points"),
        ("\ta\tb\na\t0\t1\nb\t1\t0\n", "distances"),
    ],
)
def test_square_with_a_diagonal_of_zeros__is_taken_for_distances(check_points, values, kind):
    assert json.loads(check_points(values, "--json").stdout)["kind"] == kind


def test_kind__may_be_said(check_points, tmp_path):
    result = check_points(np.zeros((2, 2)), "--kind", "points")
    assert "points       2 rows of 2 columns" in result.stdout
    result = check_points(np.ones((2, 3)), "--kind", "distances")
    assert "p.npy is 2 x 3, not square" in result.stdout
    assert result.exit_code == 3
    np.array([[0, 9, 3], [9, 0, 7], [3, 7, 0]], ">i2").tofile(tmp_path / "d.bin")
    arguments = ["check", "d.bin", "--kind", "salsa-int16-be"]
    result = CliRunner().invoke(main, arguments, prog_name="whorl")
    assert "range        0 to 0.000274667\n" in result.stdout
    assert "next         whorl run mds d.bin --kind salsa-int16-be -o DIR\n" in result.stdout


def test_zarr__is_distances_or_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, values in (("d.zarr", 1 - np.eye(4)), ("p.zarr", np.ones((4, 2)))):
        zarr.create_array(name, data=values)
    for name, kind in (("d.zarr", "distances"), ("p.zarr", "points")):
        result = CliRunner().invoke(main, ["check", name, "--json"])
        assert json.loads(result.stdout)["kind"] == kind

"""generate points writes what the options say, and refuses what contradicts itself."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from pipelines.formats.distances import open_distances
from pipelines.generate_distances import Distances
from pipelines.generate_points import Clouds


@pytest.fixture
def generate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, what="points"):
        return CliRunner().invoke(main, ["generate", what, *arguments], prog_name="whorl")

    return call


def test_points__are_written_with_their_labels(generate):
    options = ["--n", "50", "--n-features", "3", "--n-clusters", "4", "--random-state", "6"]
    answer = generate(*options, "-o", "p.npy", "--labels", "p.labels.tsv")
    assert (answer.exit_code, answer.stdout) == (0, "p.npy\n")
    assert answer.stderr.splitlines() == [
        "generated       50 points of 3 columns in 4 clusters",
        "labels          p.labels.tsv",
    ]
    np.testing.assert_array_equal(np.load("p.npy"), Clouds(50, 3, 4, random_state=6).block(0))
    assert len(Path("p.labels.tsv").read_text().splitlines()) == 51


def test_uniform_points__have_no_clusters(generate):
    answer = generate("--n", "50", "--uniform", "--dtype", "float64", "-o", "p.csv")
    assert (answer.exit_code, answer.stdout) == (0, "p.csv\n")
    assert answer.stderr == "generated       50 points of 2 columns without clusters\n"
    values = np.loadtxt("p.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(values, Clouds(50, 2, 0, dtype="float64").block(0))


def test_few_points__are_as_many_clusters(generate):
    answer = generate("--n", "3", "-o", "p.npy")
    assert "3 points of 2 columns in 3 clusters" in answer.stderr
    assert generate("--n", "3", "-o", "q.npy", "-q").stderr == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-clusters", "4"], "Error: --n-clusters 4 is more than the 3 of --n."),
        (["--uniform", "--labels", "l"], "Error: --uniform and --labels contradict each other."),
        (["--uniform", "--n-clusters", "2"], "Error: --uniform and --n-clusters contradict"),
        (["-o", "p.dat"], "End the name with one of .npy, .zarr, .csv"),
    ],
)
def test_options_that_make_no_sense__are_refused(generate, options, message):
    answer = generate("--n", "3", "-o", "p.npy", *options)
    assert answer.exit_code == 2
    assert answer.stderr.splitlines()[-1].startswith(message)
    assert list(Path().iterdir()) == []


def test_distances__are_written_with_their_labels(generate):
    options = ["--n", "20", "--dims", "5", "--dtype", "int16", "--random-state", "6"]
    answer = generate(*options, "-o", "d.zarr", "--labels", "true.tsv", what="distances")
    assert (answer.exit_code, answer.stdout) == (0, "d.zarr\n")
    assert answer.stderr.splitlines() == [
        "generated       distances of 20 points in 10 clusters, 5 dimensions",
        "labels          true.tsv",
    ]
    matrix = open_distances("d.zarr")
    assert (matrix.n, matrix.dtype, matrix.triangle) == (20, np.int16, "upper")
    assert len(Path("true.tsv").read_text().splitlines()) == 21


def test_square_of_distances__is_an_npy(generate):
    answer = generate("--n", "3", "-o", "d.npy", "--dtype", "float64", "-q", what="distances")
    assert (answer.exit_code, answer.stderr) == (0, "")
    clouds = Clouds(3, 16, 3, cluster_std=3.0, dtype="float64")
    whole = Distances(clouds, "float64", "full").block(slice(None), slice(None))
    np.testing.assert_array_equal(np.load("d.npy"), whole)
    refused = generate("--n", "3", "--n-clusters", "4", "-o", "e.npy", what="distances")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == "Error: --n-clusters 4 is more than the 3 of --n."

"""`run cluster`: clusters of distances in any form, what is measured, what is refused."""

import json

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from pipelines import cluster, cluster_plan, cluster_results
from pipelines.errors import InputProblem, ResourceProblem, UsageProblem
from pipelines.generate import write_sequences
from pipelines.generate_distances import Distances, write_distances
from pipelines.generate_points import Clouds
from pipelines.linkage import METHODS
from pipelines.linkage_choice import numbers_tried
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.cluster_runs import (
    clusters_of,
    prepare,
    result_bytes,
    run,
    save,
    square,
    table,
)
from tests.pipelines.open_sets import FAMILIES, families, ten_genera
from tests.pipelines.result_folders import make_result, symmetric
from tests.pipelines.swg_runs import run as run_swg


@pytest.fixture
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(cluster_results, "cluster_report", lambda *args, **options: b"<html>")


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "d.npy", square(90)[0])


@pytest.mark.parametrize("linkage", METHODS)
def test_clusters__are_the_clouds(tmp_path, no_report, linkage):
    values, of = square(90, 4)
    told = run(save(tmp_path / "d.npy", values), tmp_path / "out", linkage=linkage, n_clusters=4)
    found = clusters_of(tmp_path / "out")
    assert adjusted_rand_score(of, found) == 1
    assert told["sizes"] == sorted(np.bincount(of).tolist(), reverse=True)
    expected = hierarchy.linkage(squareform(values), linkage)
    np.testing.assert_array_equal(np.load(tmp_path / "out/linkage.npy"), expected)
    correlation, _ = hierarchy.cophenet(expected, squareform(values))
    assert told["cophenetic_correlation"] == pytest.approx(correlation)
    assert told["silhouette"] == pytest.approx(
        silhouette_score(values, found, metric="precomputed")
    )
    assert told["warnings"] == []


def test_number_of_clusters__is_that_with_the_largest_silhouette(tmp_path, path):
    told = run(path, tmp_path / "out")
    assert (told["n_clusters"], told["elbow"]["chosen"]) == (4, 4)
    tried = {row["n_clusters"]: row["silhouette"] for row in told["elbow"]["rows"]}
    assert sorted(tried) == numbers_tried(90)
    assert max(tried, key=tried.get) == 4
    assert told["silhouette"] == tried[4]
    assert b"90 records in 4 clusters" in (tmp_path / "out/report.html").read_bytes()


def test_medoids_and_tables__tell_the_records(tmp_path, no_report):
    values = symmetric(12, seed=5)
    ids = [f"it's {k}\t<b>" for k in range(12)]
    make_result(tmp_path / "in", values, ids=ids)
    told = run(tmp_path / "in", tmp_path / "out", n_clusters=3)
    shown = [f"it's {k} <b>" for k in range(12)]
    assert [row["id"] for row in table(tmp_path / "out", "clusters.tsv")] == shown
    found = clusters_of(tmp_path / "out")
    for row, size in zip(table(tmp_path / "out", "medoids.tsv"), told["sizes"], strict=True):
        members = np.flatnonzero(found == int(row["cluster"]))
        within = values[np.ix_(members, members)].astype(float)
        assert int(row["size"]) == size == len(members)
        assert shown.index(row["medoid"]) == members[within.sum(axis=1).argmin()]
        assert float(row["max"]) == pytest.approx(within.max())
        pairs = max(size * (size - 1), 1)
        assert float(row["mean"]) == pytest.approx(within.sum() / pairs, rel=1e-6)
    assert "'it''s 3 <b>'" in (tmp_path / "out/dendrogram.nwk").read_text()
    assert told["source"]["attributes"]["distance_range"] == [0, 1]


@pytest.mark.parametrize("triangle", ["upper", "full"])
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_stored_distances__make_the_same_clusters(
    tmp_path, no_report, monkeypatch, dtype, triangle
):
    monkeypatch.setattr("pipelines.generate_distances._BLOCK", 37)
    monkeypatch.setattr(cluster_plan, "BAND_PAIRS", 3500)
    clouds = Clouds(100, 5, 4, dtype="float64", random_state=2)
    write_distances(str(tmp_path / "d.zarr"), Distances(clouds, dtype, triangle))
    told = run(tmp_path / "d.zarr", tmp_path / "out", n_clusters=4)
    of = clouds.labels(0)
    assert adjusted_rand_score(of, clusters_of(tmp_path / "out")) == 1
    assert prepare(tmp_path / "d.zarr", tmp_path / "x").ranges[:2] == [(0, 32), (32, 64)]
    assert told["bytes"]["distances"] == 8 * 100 * 99 // 2


@pytest.mark.parametrize(("dtype", "step"), [("int16", 1 / 32767), ("float32", 1e-8)])
def test_threshold__takes_in_a_distance_equal_to_it(tmp_path, no_report, dtype, step):
    values = np.full((3, 3), 0.9, np.float32)
    values[0, 1] = values[1, 0] = 0.1  # as stored it is more than 0.1
    np.fill_diagonal(values, 0)
    make_result(tmp_path / "in", values, dtype=dtype)
    run(tmp_path / "in", tmp_path / "out", threshold=0.1, linkage="single")
    assert clusters_of(tmp_path / "out").tolist() == [1, 1, 2]
    run(tmp_path / "in", tmp_path / "less", threshold=0.1 - step, linkage="single")
    assert clusters_of(tmp_path / "less").tolist() == [1, 2, 3]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"threshold": 0.5}, {"n_clusters": 1}])
def test_few_records__have_clusters(tmp_path, n, options):
    labels = tmp_path / "l.tsv"
    labels.write_text("".join(f"{k}\ta\n" for k in range(n)))
    path = save(tmp_path / "d.npy", square(n)[0])
    told = run(path, tmp_path / "out", labels=str(labels), **options)
    expected = {1: 1, 2: 1, 3: 2}[n] if not options else n if "threshold" in options else 1
    assert told["n_clusters"] == expected == clusters_of(tmp_path / "out").max()
    assert np.load(tmp_path / "out/linkage.npy").shape == (n - 1, 4)
    verify(str(tmp_path / "out"))


def test_labels__are_compared(tmp_path, no_report):
    values, of = square(90, 5)
    of[:20] = 0  # two clouds have one label
    labels = tmp_path / "l.tsv"
    labels.write_text("".join(f"{k}\tc{c}\n" for k, c in enumerate(of) if k % 9))
    told = run(save(tmp_path / "d.npy", values), tmp_path / "out", n_clusters=3, labels=str(labels))
    known = np.arange(90) % 9 > 0
    found = clusters_of(tmp_path / "out")
    agreed = told["labels"]
    assert agreed["records"] == 80
    assert agreed["ari"] == pytest.approx(adjusted_rand_score(of[known], found[known]))
    assert agreed["nmi"] == pytest.approx(normalized_mutual_info_score(of[known], found[known]))
    near = values[np.ix_(known, known)]
    np.fill_diagonal(near, np.inf)
    assert agreed["one_nn"] == (of[known][near.argmin(axis=1)] == of[known]).mean()


def test_missing_distances__are_refused_by_name_or_taken_for_the_largest(tmp_path, no_report):
    values = symmetric(20, missing=[(3, 9), (4, 19)])
    make_result(tmp_path / "in", values)
    text = r'"s3" and "s9" have no distance, the first of 2 such pairs of 190'
    with pytest.raises(InputProblem, match=text):
        run(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    told = run(tmp_path / "in", tmp_path / "out", missing="max", n_clusters=5)
    filled = np.where(np.isnan(values), np.nanmax(values), values).astype(float)
    expected = hierarchy.linkage(squareform(filled, checks=False), "average")
    np.testing.assert_allclose(np.load(tmp_path / "out/linkage.npy"), expected)
    assert (told["missing_pairs"], told["filled_with"]) == (2, np.nanmax(values))
    assert "2 of 190 pairs have no distance; they were taken for" in told["warnings"][-1]


def test_nothing_known__is_refused(tmp_path):
    values = np.full((3, 3), np.nan)
    np.fill_diagonal(values, 0)
    with pytest.raises(InputProblem, match="holds no distance: all pairs are missing"):
        run(save(tmp_path / "d.npy", values), tmp_path / "out", missing="max")


def test_ward__warns_of_distances_that_are_not_euclidean(tmp_path, no_report):
    make_result(tmp_path / "in", symmetric(60))
    told = run(tmp_path / "in", tmp_path / "out", linkage="ward", n_clusters=4)
    assert "ward linkage adds up squares of Euclidean distances" in told["warnings"][-1]
    told = run(tmp_path / "in", tmp_path / "a", linkage="average", n_clusters=4)
    assert not any("ward" in text for text in told["warnings"])


def test_memory__is_told_and_refused_with_the_arithmetic(tmp_path, path, monkeypatch):
    plan = dict(prepare(path, tmp_path / "out").lines())["plan"]
    assert plan.startswith("600 MiB of memory (17 bytes a pair)")
    monkeypatch.setattr("pipelines.engine.cluster.MEMORY_LIMIT", 2**30)
    cluster_plan.refuse_beyond_memory(5_000)
    text = r"200,000 records needs 317.\d GiB \(600 MiB base \+ 19,999,900,000 pairs x 17 bytes\)"
    with pytest.raises(ResourceProblem, match=text):
        cluster_plan.refuse_beyond_memory(200_000)
    with pytest.raises(ResourceProblem, match=r"this machine has 1\.0 GiB"):
        cluster_plan.refuse_beyond_memory(10_000)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_clusters": 91}, UsageProblem, "--n-clusters 91 is more than the 90 records in"),
        ({"executor": "gang"}, UsageProblem, "--executor gang is for iterations"),
        ({"n_clusters": 2, "threshold": 0.1}, ValueError, "exclude each other"),
        ({"linkage": "centroid"}, ValueError, "--linkage must be one of average"),
        ({"threshold": -1}, ValueError, "--threshold must be at least 0"),
    ],
)
def test_options_that_make_no_sense__are_refused(tmp_path, path, options, error, text):
    with pytest.raises(error, match=text):
        prepare(path, tmp_path / "out", **options)


def test_no_records__are_refused(tmp_path):
    with pytest.raises(InputProblem, match="holds no"):
        prepare(save(tmp_path / "d.npy", np.zeros((0, 0))), tmp_path / "out")


def test_report__is_written_again(tmp_path, path):
    run(path, tmp_path / "out", n_clusters=4)
    assert cluster.report(str(tmp_path / "out")).count(b"<section") >= 4
    run_json = json.loads((tmp_path / "out/run.json").read_text())
    assert run_json["app"] == "cluster"


@pytest.mark.parametrize(
    "place",
    ["s3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tasks", "gang"))],
)
def test_same_bytes__on_workers_and_on_an_object_store(
    tmp_path, no_report, monkeypatch, request, place
):
    monkeypatch.setattr(cluster_plan, "BAND_PAIRS", 90 * 16)
    make_result(tmp_path / "in", symmetric(90))
    run(tmp_path / "in", tmp_path / "serial", n_clusters=7)
    out, engine = tmp_path / "out", None
    if place == "s3":
        out = f"{request.getfixturevalue('s3')}/out"
    else:
        engine = request.getfixturevalue({"tasks": "cluster", "gang": "gang"}[place])
    run(tmp_path / "in", out, engine, n_clusters=7)
    expected = result_bytes(tmp_path / "serial")
    assert sorted(expected) == [
        "clusters.tsv", "dendrogram.nwk", "linkage.npy", "medoids.tsv", "sample.npz",
    ]  # fmt: skip
    assert result_bytes(out) == expected
    assert "report.html" in open_folder(str(out)).names()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_open_families__are_found(tmp_path, no_report, name):
    fasta, labels = families(name)
    run_swg(fasta, tmp_path / "in")
    told = run(tmp_path / "in", tmp_path / "out", n_clusters=FAMILIES[name], labels=labels)
    assert told["labels"]["ari"] >= 0.95
    assert told["labels"]["one_nn"] >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("linkage", "least"), [("average", 0.85), ("ward", 0.999)])
def test_open_genera__are_found(tmp_path, no_report, linkage, least):
    fasta, labels = ten_genera(tmp_path)
    run_swg(fasta, tmp_path / "in")
    told = run(tmp_path / "in", tmp_path / "out", n_clusters=10, linkage=linkage, labels=labels)
    assert told["labels"]["ari"] >= least


def test_generated_families__are_found(tmp_path, no_report):
    fasta, labels = write_sequences(str(tmp_path / "s.fasta"), 80, length=200, divergence=0.1)
    run_swg(fasta, tmp_path / "in")
    told = run(tmp_path / "in", tmp_path / "out", n_clusters=4, labels=labels)
    assert told["labels"]["ari"] == told["labels"]["nmi"] == told["labels"]["one_nn"] == 1

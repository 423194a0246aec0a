"""`run kmeans` in one process: labels, centroids, tables, what is told of the run."""

import json
import subprocess

import numpy as np
import pytest
import zarr

import kernels
from pipelines import kmeans, kmeans_results
from pipelines.errors import InputProblem, UsageProblem
from pipelines.exports import export
from pipelines.verify import verify
from tests.pipelines.kmeans_runs import blobs, labels_of, prepare, result_bytes, run, save, table


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")


@pytest.fixture
def points(tmp_path):
    """Path of 600 points of four classes, their true labels beside them."""
    return save(tmp_path / "points.npy", *blobs())


def nearest(points, centroids):
    """Labels and squared distances by definition, of equally near ones the first."""
    apart = ((points[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2)
    return apart.argmin(axis=1), apart.min(axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["k-means++", "k-means||", "random"])
def test_result__is_a_fixed_point_of_the_definition(tmp_path, dtype, init):
    values, _ = blobs(dtype=dtype)
    path = save(tmp_path / "p.npy", values)
    told = run(path, tmp_path / "out", n_clusters=5, init=init, tol=0)
    centroids, labels = np.load(tmp_path / "out/centroids.npy"), labels_of(tmp_path / "out")
    expected, squared = nearest(values, centroids)
    np.testing.assert_array_equal(labels, expected)
    assert told["inertia"] == pytest.approx(squared.sum(), rel=1e-12)
    assert told["sizes"] == np.bincount(labels, minlength=5).tolist()
    assert told["converged"]
    means = [values[labels == k].astype(np.float64).mean(axis=0) for k in range(5)]
    np.testing.assert_allclose(centroids, means, rtol=1e-9)


def test_inertia__falls_from_iteration_to_iteration(points, tmp_path):
    told = run(points, tmp_path / "out", n_clusters=7, init="random", tol=0)
    rows = table(tmp_path / "out", "inertia.tsv")
    inertia = [float(row["inertia"]) for row in rows]
    assert len(rows) == told["n_iter"] == told["iterations"]["iterations"]
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    assert inertia == sorted(inertia, reverse=True)
    assert inertia[-1] >= told["inertia"] * (1 - 1e-9)
    assert float(rows[-1]["shift"]) == 0.0
    assert all(float(row["imbalance"]) >= 1 and float(row["seconds"]) >= 0 for row in rows)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (2, 2), (7, 7), (101, 3)])
def test_few_points__run_through(tmp_path, n, k):
    path = save(tmp_path / "p.npy", blobs(n)[0])
    told = run(path, tmp_path / "out", n_clusters=k, block_size=50)
    assert sum(told["sizes"]) == n
    assert told["silhouette"] is None or -1 <= told["silhouette"] <= 1
    assert (told["inertia"] < 1e-20) == (n == k)
    assert verify(str(tmp_path / "out")).problems == []


def test_same_points__end_with_empty_clusters_and_say_so(tmp_path):
    path = save(tmp_path / "p.npy", np.repeat(np.eye(3, dtype="float32"), 50, axis=0))
    told = run(path, tmp_path / "out", n_clusters=5)
    assert told["converged"]
    assert told["inertia"] < 1e-20
    assert sorted(told["sizes"]) == [0, 0, 50, 50, 50]
    text = "2 of 5 clusters are empty; do fewer points differ than there are clusters?"
    assert text in told["warnings"]


def test_empty_cluster__is_given_a_far_point(tmp_path):
    values, _ = blobs()
    save(tmp_path / "c.npy", np.concatenate([values[:2], [[1e3, 1e3, 1e3]]]))
    path = save(tmp_path / "p.npy", values)
    told = run(path, tmp_path / "out", n_clusters=3, init=str(tmp_path / "c.npy"), tol=0)
    assert min(told["sizes"]) > 0
    assert "clusters without points were given the farthest points, once" in told["warnings"]
    assert [row["job"] for row in table(tmp_path / "out", "inertia.tsv")][:2] == ["lloyd", "reseed"]


def test_bounds_and_tolerance__are_what_they_say(points, tmp_path):
    run(points, tmp_path / "on", n_clusters=9, tol=0, bounds="on")
    told = run(points, tmp_path / "off", n_clusters=9, tol=0, bounds="off")
    assert result_bytes(tmp_path / "on") == result_bytes(tmp_path / "off")
    early = run(points, tmp_path / "early", n_clusters=9, tol=0.5)
    assert early["n_iter"] < told["n_iter"]
    last = table(tmp_path / "early", "inertia.tsv")[-1]
    assert float(last["shift"]) <= early["tol_shift"]
    variance = np.load(points).astype(np.float64).var(axis=0).mean()
    assert early["tol_shift"] == pytest.approx(0.5 * variance)


def test_max_iter__ends_a_run_that_has_not_converged(points, tmp_path):
    told = run(points, tmp_path / "out", n_clusters=9, init="random", max_iter=2)
    assert (told["converged"], told["n_iter"]) == (False, 2)
    assert any(line.startswith("not converged after 2 iterations") for line in told["warnings"])


def test_weights__count_as_so_many_points(tmp_path):
    values, _ = blobs(200)
    weights = np.random.default_rng(1).integers(0, 4, 200)
    save(tmp_path / "w.npy", weights.astype(np.float64))
    once = save(tmp_path / "p.npy", values)
    several = save(tmp_path / "q.npy", np.repeat(values, weights, axis=0))
    start = save(tmp_path / "c.npy", values[[3, 50, 120]])
    weighted = run(
        once, tmp_path / "a", n_clusters=3, init=start, tol=0,
        sample_weight=str(tmp_path / "w.npy"),
    )  # fmt: skip
    repeated = run(several, tmp_path / "b", n_clusters=3, init=start, tol=0)
    assert weighted["inertia"] == pytest.approx(repeated["inertia"], rel=1e-12)
    np.testing.assert_allclose(
        *(np.load(tmp_path / name / "centroids.npy") for name in "ab"), rtol=1e-12
    )
    labels = np.repeat(labels_of(tmp_path / "a"), weights)
    np.testing.assert_array_equal(labels, labels_of(tmp_path / "b"))


def test_n_init__keeps_the_best_of_several_starts(points, tmp_path):
    single = [
        run(points, tmp_path / f"r{n}", n_clusters=8, init="random", n_init=n)["inertia"]
        for n in (1, 4)
    ]
    told = run(points, tmp_path / "out", n_clusters=8, init="random", n_init=4)
    assert told["inertia"] == single[1] <= single[0]
    rows = table(tmp_path / "out", "inertia.tsv")
    assert {row["run"] for row in rows} == {"0", "1", "2", "3"}
    ends = {row["run"]: float(row["inertia"]) for row in rows}
    assert ends[str(told["best_run"])] == min(ends.values())


def test_range__tries_each_and_keeps_the_largest_silhouette(points, tmp_path):
    told = run(points, tmp_path / "out", n_clusters="2:6", labels=points.replace(".npy", ".tsv"))
    rows = table(tmp_path / "out", "elbow.tsv")
    assert [row["n_clusters"] for row in rows] == ["2", "3", "4", "5", "6"]
    chosen = [row for row in rows if row["chosen"] == "yes"]
    assert [row["n_clusters"] for row in chosen] == ["4"]
    assert max(float(row["silhouette"]) for row in rows) == float(chosen[0]["silhouette"])
    assert (told["n_clusters"], told["elbow"]["chosen"], len(told["sizes"])) == (4, 4, 4)
    alone = run(points, tmp_path / "alone", n_clusters=4)
    assert alone["inertia"] == told["inertia"] == float(chosen[0]["inertia"])
    np.testing.assert_array_equal(labels_of(tmp_path / "out"), labels_of(tmp_path / "alone"))
    assert told["labels"]["classes"] == 4
    assert told["labels"]["ari"] > 0.9


def test_range__without_silhouettes_keeps_the_first(points, tmp_path):
    told = run(points, tmp_path / "out", n_clusters="3:4", silhouette_sample=0)
    assert (told["n_clusters"], told["silhouette"]) == (3, None)
    assert table(tmp_path / "out", "elbow.tsv")[0]["silhouette"] == ""


def test_labels__give_agreement(points, tmp_path):
    labels = tmp_path / "points.tsv"
    labels.write_text("\n".join(labels.read_text().splitlines()[:-2]) + "\nstranger\tx\n")
    told = run(points, tmp_path / "out", n_clusters=4, labels=str(labels))
    assert (told["labels"]["records"], told["labels"]["classes"]) == (598, 4)
    assert all(0.8 < told["labels"][name] <= 1 for name in ("ari", "nmi", "one_nn"))
    assert "2 of 600 points have no label" in told["warnings"]
    assert "1 ids of the labels are not in the input" in told["warnings"]


def test_result__is_read_by_others(tmp_path):
    lines = ["name,x,y", *(f"p{k},{k % 2 * 9},{k}" for k in range(20))]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    run(tmp_path / "p.csv", out, n_clusters=2, block_size=8)
    array = zarr.open(str(out / "labels.zarr"), mode="r")
    assert (array.shape, array.chunks, array.dtype) == ((20,), (8,), np.int32)
    assert array.metadata.dimension_names == ("row",)
    np.testing.assert_array_equal(array[:], labels_of(out))
    rows = table(out, "labels.tsv")
    assert [row["id"] for row in rows] == [f"p{k}" for k in range(20)]
    assert [int(row["label"]) for row in rows] == array[:].tolist()
    check = ["sha256sum", "--check", "--strict", "--quiet", "checksums.sha256"]
    assert subprocess.run(check, cwd=out, capture_output=True, check=True).stdout == b""
    export(str(out), "npy", str(tmp_path / "labels.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), array[:])
    export(str(out), "tsv", str(tmp_path / "labels.tsv"))
    assert (tmp_path / "labels.tsv").read_bytes() == (out / "labels.tsv").read_bytes()
    with pytest.raises(UsageProblem, match="phylip is for distances"):
        export(str(out), "phylip", str(tmp_path / "labels.phy"))


def test_many_points__have_no_table_but_export_one(points, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.kmeans_plan.TABLE_ROWS", 599)
    job = prepare(points, tmp_path / "out")
    assert ("labels", "labels.zarr only, for more than 599 points; "
            "export DIR --to tsv writes the table") in list(job.lines())  # fmt: skip
    run(points, tmp_path / "out", n_clusters=2)
    assert not (tmp_path / "out/labels.tsv").exists()
    export(str(tmp_path / "out"), "tsv", str(tmp_path / "labels.tsv"))
    rows = table(tmp_path, "labels.tsv")
    assert [int(row["label"]) for row in rows] == labels_of(tmp_path / "out").tolist()
    assert rows[599]["id"] == "599"


def test_run_json__tells_what_is_needed_to_repeat_it(points, tmp_path):
    told = run(points, tmp_path / "out", n_clusters=3, random_state=7)
    stored = json.loads((tmp_path / "out/run.json").read_text())
    assert stored == told
    assert (stored["schema"], stored["app"], stored["status"]) == (1, "kmeans", "complete")
    assert stored["config"]["n_clusters"]["value"] == 3
    assert stored["config"]["init"] == {
        "value": "k-means++", "origin": "default", "given": "auto",
    }  # fmt: skip
    assert (stored["random_state"], stored["n"], stored["d"]) == (7, 600, 3)
    assert stored["versions"]["whorl"] == kernels.__version__
    assert stored["executor"]["name"] == "serial"
    assert stored["partitions"]["partitions"] == stored["partitions"]["source_reads"] == 6
    assert set(stored["phases"]) == {"input", "start", "load", "iterations", "labels", "report"}
    assert stored["seconds"] == pytest.approx(sum(stored["phases"].values()))
    assert {one["name"] for one in stored["outputs"]} >= {
        "labels.zarr", "labels.tsv", "centroids.npy", "inertia.tsv", "report.html",
    }  # fmt: skip
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert sum(line["event"] == "Iteration" for line in log) == told["n_iter"]


def test_random_state__changes_the_start(points, tmp_path):
    options = {"n_clusters": 20, "max_iter": 1}
    seen = [
        run(points, tmp_path / f"s{number}", random_state=seed, **options)["inertia"]
        for number, seed in enumerate((0, 1, 0))
    ]
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_clusters": 601}, UsageProblem, "--n-clusters 601 is more than the 600 points in "),
        ({"n_clusters": "2:700"}, UsageProblem, "--n-clusters 2:700 is more than the 600 points"),
        ({"init": "no.npy"}, UsageProblem, "no.npy does not exist"),
        ({"init": "wide.npy", "n_clusters": 2}, InputProblem, "centroids of 4 columns, the points"),
        ({"init": "two.npy"}, UsageProblem, "two.npy holds 2 centroids, --n-clusters is 8"),
        ({"sample_weight": "two.npy"}, InputProblem, "holds 2 x 3 numbers for 600 points"),
        ({"sample_weight": "minus.npy"}, InputProblem, r"weight of row 4 .counted from 0. is -1"),
        ({"sample_weight": "zero.npy"}, InputProblem, "zero.npy holds no weight above 0"),
        ({"labels": "no.tsv"}, UsageProblem, "no.tsv"),
    ],
)
def test_bad_input__is_refused_before_anything_is_made(
    points, tmp_path, monkeypatch, options, error, text
):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.ones((2, 4)))
    np.save("two.npy", np.ones((2, 3)))
    np.save("zero.npy", np.zeros(600))
    np.save("minus.npy", np.where(np.arange(600) == 4, -1.0, 1.0)[:, None])
    with pytest.raises(error, match=text):
        prepare(points, "out", **options)
    assert not (tmp_path / "out").exists()


def test_report__is_made_again_from_the_folder(points, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(kmeans_results, "kmeans_report", lambda *args: seen.append(args) or b"x")
    run(points, tmp_path / "out", n_clusters=3, labels=points.replace(".npy", ".tsv"))
    assert kmeans.report(str(tmp_path / "out")) == b"x"
    first, again = seen
    assert [type(one) for one in first] == [type(one) for one in again]
    for a, b in zip(first[1:5], again[1:5], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[5], first[8]) == (again[5], again[8])
    sample, labels, truth = first[1], first[2], first[6]
    assert sample.shape == (600, 3)
    np.testing.assert_array_equal(nearest(sample, first[3])[0], labels)
    assert set(truth) == {f"class {k}" for k in range(4)}


def test_prepare__starts_and_writes_nothing(points, tmp_path, nothing_left):
    prepare(points, tmp_path / "out")
    assert not (tmp_path / "out").exists()

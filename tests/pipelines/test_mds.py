"""`run mds` in one process: the map, its stress, tables, what is told of the run."""

import json
import subprocess

import numpy as np
import pytest

import kernels
from pipelines import kmeans, kmeans_results, mds, mds_results
from pipelines.engine import connect
from pipelines.verify import verify
from tests.pipelines import iterative_runs, swg_runs
from tests.pipelines.iterative_runs import result_bytes, table
from tests.pipelines.mds_runs import distances, figures, kernels_map, map_of, run, save


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(mds_results, "mds_report", lambda *args, **kwargs: b"<html>")
    monkeypatch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")


@pytest.fixture
def given(tmp_path):
    """Path of distances of 150 records of four classes, their labels beside them."""
    return save(tmp_path / "d.npy", *distances())


WAYS = {
    "plain": {},
    "float32": {"dtype": "float32"},
    "int16": {"dtype": "int16", "n_components": 2},
    "random": {"init": "random", "random_state": 7},
    "several": {"init": "random", "n_init": 3, "max_iter": 20},
    "sammon": {"weights": "sammon", "max_iter": 20},
    "power": {"weights": "power:-0.5", "max_iter": 10, "dtype": "float32"},
    "annealed": {"anneal": True, "cooling": 0.7, "max_iter": 30},
    "plain steps": {"relax": "off", "max_iter": 30},
    "ratio": {"scaling": "ratio", "max_iter": 30},
    "ordinal": {"scaling": "ordinal", "max_iter": 30},
    "one": {"n_components": 1, "tol": 1e-3},
}


@pytest.mark.parametrize(
    ("name", "holes"),
    [
        *((name, 0.0) for name in WAYS),
        ("plain", 0.2),
        ("sammon", 0.2),
        ("annealed", 0.2),
        ("ordinal", 0.2),
        ("int16", 0.2),
    ],
)
def test_map__is_that_of_the_kernel_bit_for_bit(tmp_path, name, holes):
    matrix, _ = distances(83, holes=holes)
    options = WAYS[name]
    told = run(save(tmp_path / "d.npy", matrix), tmp_path / "out", **options)
    relax = options.get("relax", "on") == "on"
    x, stress = kernels_map(matrix, **{**options, "relax": relax})
    assert map_of(tmp_path / "out").tobytes() == x.tobytes()
    assert told["stress"] == stress
    assert told["missing_pairs"] == int(np.isnan(matrix).sum()) // 2


@pytest.mark.parametrize("weights", ["none", "sammon", "power:1"])
def test_stress__is_that_of_the_definition(tmp_path, weights):
    matrix, _ = distances(70, holes=0.1)
    told = run(save(tmp_path / "d.npy", matrix), tmp_path / "out", weights=weights)
    rows = np.triu_indices(70, 1)
    power = {"none": 0.0, "sammon": -1.0, "power:1": 1.0}[weights]
    floor = 1e-3 * np.nanmean(matrix[rows])
    stress, normalized, stress1 = figures(
        matrix, map_of(tmp_path / "out"), np.maximum(matrix, floor) ** power
    )
    assert told["stress"] == pytest.approx(stress, rel=1e-10)
    assert told["normalized_stress"] == pytest.approx(normalized, rel=1e-10)
    assert told["stress1"] == pytest.approx(stress1, rel=1e-8)


@pytest.mark.parametrize("options", [{}, {"weights": "sammon"}])
def test_stress__falls_from_transform_to_transform(given, tmp_path, options):
    told = run(given, tmp_path / "out", relax="off", init="random", **options)
    rows = [row for row in table(tmp_path / "out", "stress.tsv") if row["job"] == "guttman"]
    stress = [float(row["stress"]) for row in rows]
    assert stress == sorted(stress, reverse=True)
    assert stress[-1] == pytest.approx(told["stress"], rel=1e-9)
    assert int(float(rows[-1]["transforms"])) == told["n_iter"] == len(rows) - 1
    assert float(rows[-1]["normalized"]) == pytest.approx(told["normalized_stress"], rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 17])
@pytest.mark.parametrize("options", [{}, {"anneal": True}, {"scaling": "ordinal"}])
def test_few_records__run_through(tmp_path, n, options):
    told = run(save(tmp_path / "d.npy", distances(n)[0]), tmp_path / "out", **options)
    assert map_of(tmp_path / "out").shape == (n, 3)
    assert np.isfinite(map_of(tmp_path / "out")).all()
    assert (told["n"], told["pairs"], told["converged"]) == (n, n * (n - 1) // 2, True)
    assert n > 3 or "anneal" in options or told["normalized_stress"] < 1e-9
    assert verify(str(tmp_path / "out")).map_checked


@pytest.mark.parametrize("options", [{}, {"weights": "sammon"}, {"anneal": True}])
def test_same_records__lie_at_one_place(tmp_path, options):
    told = run(save(tmp_path / "d.npy", np.zeros((5, 5))), tmp_path / "out", **options)
    x = map_of(tmp_path / "out")
    assert np.abs(x - x[0]).max() < 1e-9
    assert (told["stress"], told["normalized_stress"]) == (pytest.approx(0, abs=1e-9), 0.0)


def test_weights__may_come_from_a_file(tmp_path):
    matrix, _ = distances(60)
    weights = np.random.default_rng(1).integers(0, 4, (60, 60)).astype(np.float64)
    weights = np.triu(weights) + np.triu(weights, 1).T  # and something on the diagonal
    path, other = save(tmp_path / "d.npy", matrix), save(tmp_path / "w.npy", weights)
    told = run(path, tmp_path / "out", weights=other)
    x, stress = kernels_map(matrix, weights=weights)
    assert map_of(tmp_path / "out").tobytes() == x.tobytes()
    assert told["stress"] == stress == pytest.approx(figures(matrix, x, weights)[0], rel=1e-9)
    assert [one["path"] for one in told["inputs"]] == [path, other]


def test_start__may_come_from_a_file(tmp_path):
    matrix, _ = distances(40)
    start = np.random.default_rng(3).normal(size=(40, 3))
    path = save(tmp_path / "x.npy", start)
    told = run(save(tmp_path / "d.npy", matrix), tmp_path / "out", init=path, max_iter=4)
    x, _ = kernels_map(matrix, init=start, max_iter=4)
    assert map_of(tmp_path / "out").tobytes() == x.tobytes()
    assert (told["init"], told["converged"], told["n_iter"]) == ("given", False, 4)
    text = "not converged after 4 transforms: the stress was still falling; raise --max-iter or "
    assert text + "--tol" in told["warnings"]


def test_n_init__keeps_the_smallest_stress(given, tmp_path):
    told = run(given, tmp_path / "out", init="random", n_init=4, n_components=2)
    rows = [row for row in table(tmp_path / "out", "stress.tsv") if row["job"] == "guttman"]
    ends = {row["run"]: float(row["stress"]) for row in rows}
    assert sorted(ends) == ["0", "1", "2", "3"]
    assert len(set(ends.values())) > 1
    assert ends[str(told["best_run"])] == min(ends.values())


def test_temperatures__fall_to_nothing(given, tmp_path):
    run(given, tmp_path / "out", anneal=True, cooling=0.8)
    rows = table(tmp_path / "out", "stress.tsv")
    heats = [float(row["temperature"]) for row in rows if row["job"] == "heat"]
    assert heats[0] > heats[1] > heats[-1] == 0
    assert heats[1] == pytest.approx(0.8 * heats[0])
    told = [float(row["temperature"]) for row in rows]
    assert told == sorted(told, reverse=True)
    run(given, tmp_path / "cold")
    assert {row["temperature"] for row in table(tmp_path / "cold", "stress.tsv")} == {""}


def test_labels__give_agreement_and_a_column(given, tmp_path):
    told = run(given, tmp_path / "out", labels=given.replace(".npy", ".tsv"))
    x, (_, classes) = map_of(tmp_path / "out"), distances()
    apart = ((x[:, None] - x) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    agree = (classes[apart.argmin(axis=1)] == classes).mean()
    assert told["labels"] == {"records": 150, "classes": 4, "one_nn": pytest.approx(agree)}
    rows = table(tmp_path / "out", "coordinates.tsv")
    assert [row["label"] for row in rows] == [f"class {label}" for label in classes]
    np.testing.assert_array_equal([[float(row[axis]) for axis in "xyz"] for row in rows], x)


def test_pairs__are_drawn_from_all_of_them(given, tmp_path, monkeypatch):
    monkeypatch.setattr(mds_results, "SHOWN_PAIRS", 2000)
    run(given, tmp_path / "out", random_state=4)
    with np.load(tmp_path / "out/shepard.npz") as found:
        shown = dict(found)
    matrix, x = distances()[0], map_of(tmp_path / "out")
    rows, columns = shown["rows"], shown["columns"]
    assert 1500 < len(rows) <= 2004
    assert (rows < columns).all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
    assert np.bincount(rows // 50, minlength=3).min() > 200
    np.testing.assert_array_equal(shown["delta"], matrix[rows, columns])
    apart = np.sqrt(((x[rows] - x[columns]) ** 2).sum(axis=1))
    np.testing.assert_allclose(shown["distance"], apart, rtol=1e-12)
    assert shown["pairs"] == 150 * 149 // 2


def test_few_pairs__are_all_shown_but_for_missing_ones(tmp_path):
    matrix, _ = distances(60, holes=0.3)
    run(save(tmp_path / "d.npy", matrix), tmp_path / "out")
    with (
        np.load(tmp_path / "out/shepard.npz") as shown,
        np.load(tmp_path / "out/sample.npz") as sample,
    ):
        rows, columns = np.nonzero(np.triu(~np.isnan(matrix), 1))
        np.testing.assert_array_equal(shown["rows"], rows)
        np.testing.assert_array_equal(shown["columns"], columns)
        np.testing.assert_array_equal(sample["rows"], np.arange(60))
        np.testing.assert_array_equal(sample["distances"], matrix.astype(np.float32))


def test_result__is_read_by_others(given, tmp_path):
    out = tmp_path / "out"
    told = run(given, out, n_components=2)
    check = ["sha256sum", "--check", "--strict", "--quiet", "checksums.sha256"]
    assert subprocess.run(check, cwd=out, capture_output=True, check=True).stdout == b""
    assert list(table(out, "coordinates.tsv")[0]) == ["id", "x", "y"]
    assert [row["id"] for row in table(out, "ids.tsv")] == [str(row) for row in range(150)]
    clusters = iterative_runs.run(kmeans, out, tmp_path / "km", n_clusters=4)
    assert (clusters["n"], clusters["d"]) == (150, 2)
    assert table(tmp_path / "km", "labels.tsv")[3]["id"] == "3"
    found = verify(str(out))
    assert (found.map_checked, found.n, found.problems) == (True, 150, [])
    assert told["outputs"][0] | {"sha256": ""} == {
        "name": "coordinates.npy", "shape": [150, 2], "dtype": "float64", "sha256": "",
    }  # fmt: skip


def test_many_dimensions__have_numbered_columns(given, tmp_path):
    run(given, tmp_path / "out", n_components=5, max_iter=3)
    header = ["id", "x1", "x2", "x3", "x4", "x5"]
    assert list(table(tmp_path / "out", "coordinates.tsv")[0]) == header


def test_result_of_swg__is_mapped_with_its_ids_and_told(tmp_path):
    swg_runs.write_fasta(tmp_path / "s.fasta", n=12)
    swg_runs.run(tmp_path / "s.fasta", tmp_path / "swg", gap_open=16)
    told = run(tmp_path / "swg", tmp_path / "out", n_components=2)
    assert (told["source"]["app"], told["source"]["format"]) == ("swg", "result")
    assert told["source"]["config"]["gap_open"]["value"] == 16
    assert (tmp_path / "out/ids.tsv").read_bytes() == (tmp_path / "swg/ids.tsv").read_bytes()
    ids = [row["id"] for row in table(tmp_path / "swg", "ids.tsv")]
    assert [row["id"] for row in table(tmp_path / "out", "coordinates.tsv")] == ids
    assert "run_sha256" in told["inputs"][0]


def test_run_json__tells_what_is_needed_to_repeat_it(given, tmp_path):
    told = run(given, tmp_path / "out", random_state=7)
    stored = json.loads((tmp_path / "out/run.json").read_text())
    assert stored == told
    assert (stored["schema"], stored["app"], stored["status"]) == (1, "mds", "complete")
    assert stored["config"]["init"] == {
        "value": "classical", "origin": "default", "given": "auto",
    }  # fmt: skip
    assert stored["config"]["dtype"]["value"] == "float64"
    assert stored["versions"]["whorl"] == kernels.__version__
    assert stored["partitions"]["partitions"] == stored["partitions"]["source_reads"]
    assert set(stored["phases"]) == {"input", "start", "load", "iterations", "stress", "report"}
    assert stored["seconds"] == pytest.approx(sum(stored["phases"].values()))
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    rows = [line for line in log if line["event"] == "Iteration"]
    assert len(rows) == stored["iterations"]["iterations"] == told["n_iter"] + 2


def test_report__is_made_again_from_the_folder(given, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        mds_results, "mds_report", lambda run, **more: seen.append((run, more)) or b"x"
    )
    run(given, tmp_path / "out", labels=given.replace(".npy", ".tsv"), anneal=True, cooling=0.6)
    assert mds.report(str(tmp_path / "out")) == b"x"
    (before, first), (after, again) = seen
    assert set(before) <= set(after)
    assert first.keys() == again.keys()
    for name in first:
        np.testing.assert_equal(again[name], first[name])
    assert first["columns"]["label"][0].startswith("class ")
    assert first["rows"][0]["temperature"] > 0


def test_little_memory__spills_and_reads_each_band_once(tmp_path):
    matrix, _ = distances(600)
    path = save(tmp_path / "d.npy", matrix)
    options = {"max_iter": 5, "init": "random"}
    run(path, tmp_path / "whole", **options)
    with connect("serial", cache_memory="500KiB") as engine:
        told = run(path, tmp_path / "out", engine, cache_memory="500KiB", **options)
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert told["partitions"]["source_reads"] == told["partitions"]["partitions"] > 1
    assert told["partitions"]["disk_hits"] > 0
    (text,) = [line for line in told["warnings"] if line.startswith("the workers' memory holds")]
    assert text.endswith("MiB; the rest is read from disk in every iteration")

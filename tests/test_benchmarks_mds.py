"""The benchmark of multidimensional scaling at toy size, and that its verification can fail."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from benchmarks import footprint, harness, mds_interpolation, mds_ours, mds_tables, mds_weighted
from benchmarks.__main__ import main
from benchmarks.harness import Contender
from benchmarks.mds_ours import Ours
from benchmarks.peak import Reading
from kernels import mds

DTYPES = ("float64", "float32", "int16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_bands__hold_the_distances_and_miss_the_share(dtype):
    points = mds_ours.blobs(203)
    delta = cdist(points, points)
    for missing in (0.0, 0.3):
        found = [mds.unpack_band(band) for band in mds_ours.bands_over(points, dtype, missing)]
        flat = np.concatenate([part.ravel() for part in found])
        known = np.concatenate(
            [
                np.where(np.isnan(part), np.nan, delta[start:stop, start:]).ravel()
                for part, (start, stop) in zip(found, mds.band_ranges(203), strict=True)
            ]
        )
        step = delta.max() / 32767 if dtype == "int16" else 1e-6
        assert np.nanmax(np.abs(flat - known)) <= step
        share = 1 - np.isfinite(flat).sum() / (203 * 202 / 2)
        assert share == pytest.approx(missing, abs=0.02 if missing else 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_ours__takes_the_steps_of_the_definition(threads):
    points, start = mds_ours.blobs(70), mds_ours.random_start(70)
    ours = Ours(mds_ours.bands_over(points, "float64"), threads)
    state = ours.run(start, 3).result
    x, stress = mds_ours.transformed(points, start, 4)
    assert np.allclose(state.x, x - x.mean(axis=0), atol=1e-12)
    assert ours.stress(state.x) == pytest.approx(stress, rel=1e-12)
    assert ours.seen_at(state.x) == pytest.approx(stress, rel=1e-10)
    assert ours.products == [0] * 4
    ours.close()


def test_ours__counts_the_products_of_a_weighted_transform():
    ours = Ours(mds_ours.bands_over(mds_ours.blobs(70), "float64", 0.3), 2)
    ours.run(mds_ours.random_start(70), 2)
    assert len(ours.products) == 3
    assert min(ours.products) >= 1
    ours.close()


def test_weighted_record__notices_a_stress_that_rises():
    ours = Ours(mds_ours.bands_over(mds_ours.blobs(40), "float64"), 1)
    mine = Contender("x", "", 1, lambda: ours.run(mds_ours.random_start(40), 2))
    harness.alternate([mine], 1)
    assert mds_weighted.verified(mine, ours)
    ours.seen[-1] = 2 * ours.seen[0]
    assert not mds_weighted.verified(mine, ours)
    ours.close()


def test_definition__sorts_by_distance_then_index():
    landmarks = np.array([[0.0], [2.0], [-2.0], [5.0]])
    indices, distances = mds_interpolation.definition(np.array([[0.0], [4.0]]), landmarks, 3)
    assert indices.tolist() == [[0, 1, 2], [3, 1, 0]]
    assert distances.tolist() == [[0, 2, 2], [1, 2, 4]]


def test_interpolation_check__notices_another_neighbour():
    points, landmarks = np.zeros((3, 1)), np.array([[1.0], [2.0], *[[9.0 + k] for k in range(9)]])
    found = mds_interpolation.definition(points, landmarks, mds_interpolation.K)
    place = Contender(mds_interpolation.PLACING, "", 1, lambda: None, result=np.ones((3, 2)))
    whole = Contender(mds_interpolation.WHOLE, "", 1, lambda: None, result=np.ones((3, 2)))
    by_name = {place.name: place, whole.name: whole}
    assert mds_interpolation.verified(points, landmarks, found, by_name)["correct"]
    whole.result = np.zeros((3, 2))
    assert not mds_interpolation.verified(points, landmarks, found, by_name)["correct"]
    whole.result, found[0][1] = place.result, found[0][1][::-1].copy()
    assert mds_interpolation.verified(points, landmarks, found, by_name)["wrong"] == 1


def test_reading__reads_all_of_it():
    reading = Reading(2, 1 << 20)
    assert reading.nbytes == 1 << 20
    assert 0 < reading.seconds() < 1
    reading.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is that of Linux")
def test_above_own__is_the_peak_of_the_work_alone():
    held = np.ones(8_000_000)
    peak = footprint.above_own(lambda: np.ones(4_000_000).sum())
    assert 31e6 <= peak < 48e6
    assert held.nbytes > peak


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells it in /proc")
def test_processes__sums_over_children():
    work = "import sys; held = b'1' * 50_000_000; print(1, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", work], **pipes) as child:
        child.stdout.readline()
        processes = footprint.Processes(os.getpid())
        processes.look()
        alone = footprint.Processes(child.pid)
        alone.look()
        child.stdin.close()
    assert alone.most == 1
    assert processes.most >= 2
    assert 50e6 <= alone.private <= alone.resident
    assert processes.private >= alone.private + 50e6


def test_tables__stand_on_the_records_alone():
    contenders = [{"name": name, "seconds": [s]} for name, s in (("int16", 0.002), ("x", 1.0))]
    facts = {"bytes": 4e6, "rate": 2e9, "bandwidth_share": 0.5, "memory_rate": 4e9}
    record = {"n": 10, "threads": 2, "contenders": contenders}
    record["memory"] = {"int16": 5_000_000, "scikit-learn": 50_000_000}
    record["found"] = {"int16": facts}
    assert mds_tables.speeds([record], ["int16"])[1][0] == ["10, 2", "", "2"]
    assert mds_tables.bandwidths([record], ["int16"])[1] == [["10, 2", "4.0", "4, 2.0 (50%)"]]
    assert mds_tables.memories([record], ["int16"])[1][0] == ["10", "50", "5 (1/10)", ""]


def _records(results):
    return [json.loads(line)["records"][0] for line in results.read_text().splitlines()]


def test_mds_benchmark__runs_without_peers(tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    given = ["--parts", "iteration", "weighted", "interpolation", "big", "--threads", "1", "2"]
    given += ["--sizes", "300", "--trials", "1", "--dtypes", "int16"]
    given += ["--markdown", "--peers"]
    assert main(["mds", "--quick", "--json", str(results), *given]) == 0
    records = _records(results)
    kinds = [record["benchmark"] for record in records]
    assert kinds == ["mds iteration"] * 2 + ["mds weighted", "mds interpolation"]
    assert all(record["verified"]["correct"] for record in records)
    told = capsys.readouterr().out
    assert "big: left out" in told
    assert "| goal at 10,000, 2 |  | >= 210x |" in told


@pytest.mark.long
def test_mds_benchmark__measures_scikit_learn(tmp_path):
    pytest.importorskip("sklearn")
    results = tmp_path / "results.jsonl"
    given = ["--parts", "iteration", "memory", "--sizes", "300", "--threads", "2", "--trials", "1"]
    assert main(["mds", "--quick", "--json", str(results), *given, "--dtypes", "float64"]) == 0
    iteration, memory = _records(results)
    assert iteration["verified"]["correct"]
    assert iteration["verified"]["against"] == "scikit-learn"
    assert iteration["found"]["float64"]["ratio"] > 0
    assert set(memory["memory"]) == {"float64", "smacof float64", "scikit-learn"}


@pytest.mark.long
def test_mds_benchmark__measures_other_peers(tmp_path):
    pytest.importorskip("sklearn")
    results = tmp_path / "results.jsonl"
    given = ["--parts", "quality", "interpolation", "--threads", "2", "--trials", "1"]
    assert main(["mds", "--quick", "--json", str(results), *given]) == 0
    records = _records(results)
    assert [record["benchmark"].split()[1] for record in records] == [
        "quality",
        "quality",
        "interpolation",
    ]
    assert all(record["verified"]["correct"] for record in records)


@pytest.mark.long
def test_mds_benchmark__runs_the_engine_and_the_command(tmp_path):
    from pipelines.generate_distances import Distances, write_distances
    from pipelines.generate_points import Clouds

    results, given = tmp_path / "results.jsonl", tmp_path / "distances.zarr"
    write_distances(str(given), Distances(Clouds(300, 16, 10, 3.0, "float64"), "int16"))
    wanted = ["--parts", "scaling", "big", "--input", str(given), "--iterations", "3"]
    arguments = ["mds", "--quick", "--json", str(results), "--trials", "1", *wanted]
    assert main(arguments) == 0
    scaling, big = _records(results)
    assert scaling["verified"]["correct"]
    assert (big["n"], big["dtype"], big["verified"]["correct"]) == (300, "int16", True)
    assert 0 < big["private_bytes"] <= big["resident_bytes"]
    assert big["processes"] >= 1

"""What `run mds` takes, what it refuses, and in which words."""

import numpy as np
import pytest

from pipelines import mds_plan, mds_results, partition_room
from pipelines.engine import MemoryRefused, connect
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import dissimilarities
from pipelines.formats.distances import MatrixLayout
from storage.folder import open_folder
from tests.pipelines.mds_runs import DATA, distances, kernels_map, map_of, prepare, run, save


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(mds_results, "mds_report", lambda *args, **kwargs: b"<html>")


@pytest.fixture
def given(tmp_path):
    return save(tmp_path / "d.npy", distances(60)[0])


def condensed(path, matrix):
    np.save(path, matrix[np.triu_indices(len(matrix), 1)])


def packed(path, matrix):
    with path.open("wb") as file:
        np.savez_compressed(file, d=matrix)


def square_text(path, matrix):
    rows = ["\t".join(f"{value!r}" for value in row) for row in matrix.tolist()]
    path.write_text("\n".join(rows) + "\n")


def lsmat(path, matrix):
    names = [f"s{k}" for k in range(len(matrix))]
    lines = ["\t".join(["", *names])]
    for name, row in zip(names, matrix.tolist(), strict=True):
        lines.append("\t".join([name, *map(repr, row)]))
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("write", "name", "executor"),
    [
        (condensed, "c.npy", "serial"),
        (packed, "p.npz", "tasks"),
        (square_text, "d.tsv", "serial"),
        (lsmat, "l.tsv", "tasks"),
    ],
)
def test_formats__are_read_by_whoever_computes(tmp_path, request, write, name, executor):
    matrix, _ = distances(60)
    write(tmp_path / name, matrix)
    engine = None if executor == "serial" else request.getfixturevalue("cluster")
    options = {"max_iter": 3, "dtype": "float64"}
    told = run(tmp_path / name, tmp_path / "out", engine, **options)
    assert map_of(tmp_path / "out").tobytes() == kernels_map(matrix, **options)[0].tobytes()
    assert told["partitions"]["source_reads"] == told["partitions"]["partitions"]
    assert not (tmp_path / "out/.work").exists()


def test_halves_that_differ__are_averaged_when_asked(tmp_path):
    matrix, _ = distances(40)
    skew = matrix * (1 + 0.2 * np.triu(np.ones((40, 40))))
    path = save(tmp_path / "d.npy", skew)
    with pytest.raises(InputProblem, match="symmetric"):
        prepare(path, tmp_path / "out")
    run(path, tmp_path / "out", symmetrize=True, max_iter=3)
    expected = kernels_map((skew + skew.T) / 2, max_iter=3)[0]
    np.testing.assert_allclose(map_of(tmp_path / "out"), expected, rtol=1e-9)


@pytest.mark.parametrize("executor", ["serial", "tasks"])
def test_large_input__is_measured_before_it_is_rounded(tmp_path, monkeypatch, request, executor):
    monkeypatch.setattr(dissimilarities, "CHECKED_BYTES", 1000)
    matrix, _ = distances(150)
    path = save(tmp_path / "d.npy", matrix)
    assert prepare(path, tmp_path / "out").matrix.high is None
    engine = None if executor == "serial" else request.getfixturevalue("cluster")
    options = {"dtype": "int16", "max_iter": 5}
    run(path, tmp_path / "out", engine, **options)
    assert map_of(tmp_path / "out").tobytes() == kernels_map(matrix, **options)[0].tobytes()


def test_stored_int16__is_kept_as_it_is(tmp_path):
    folder = tmp_path / "d.zarr"
    rng = np.random.default_rng(2)
    points = rng.random((40, 2)) / 2
    matrix = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    layout = MatrixLayout(40, 40, "int16")
    store = open_folder(str(folder))
    store.put("zarr.json", layout.metadata())
    store.put("c/0/0", layout.encode(matrix))
    told = run(folder, tmp_path / "out", n_components=2, tol=1e-12)
    assert told["config"]["dtype"] == {"value": "int16", "origin": "default", "given": "auto"}
    assert told["normalized_stress"] < 1e-7
    whole = np.rint(matrix * 32767) / 32767
    x = map_of(tmp_path / "out")
    apart = np.sqrt(((x[:, None] - x) ** 2).sum(axis=2))
    np.testing.assert_allclose(apart, whole, atol=1e-3)


def bad(tmp_path, name):
    """A matrix with something wrong in it, and what is said."""
    matrix, _ = distances(20)
    if name == "negative":
        matrix[2, 5] = matrix[5, 2] = -1
    elif name == "infinite":
        matrix[2, 5] = matrix[5, 2] = np.inf
    elif name == "diagonal":
        matrix[4, 4] = 3
    elif name == "alone":
        matrix[7] = matrix[:, 7] = np.nan
    elif name == "apart":
        matrix[:8, 8:] = matrix[8:, :8] = np.nan
    elif name == "flat":
        matrix = matrix[:5]
    elif name == "empty":
        matrix = np.zeros((0, 0))
    return save(tmp_path / "d.npy", matrix)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("negative", r"d\[2,5\] \(counted from 0\) is -1"),
        ("infinite", r"d\[2,5\] \(counted from 0\) is inf"),
        ("diagonal", r"d\[4,4\] is 3, not 0"),
        ("flat", "5 x 20"),
        ("empty", "holds no numbers"),
        ("alone", r"point 7 has no known dissimilarity to any other \(counted from 0\)"),
        ("apart", r"no known dissimilarit.* \(counted from 0\)"),
    ],
)
def test_bad_matrix__is_refused_by_place(tmp_path, name, text):
    with pytest.raises(InputProblem, match=text):
        run(bad(tmp_path, name), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unit_beyond_float32__is_refused_with_its_range(tmp_path):
    np.save(tmp_path / "d.npy", distances(20)[0] * 1e-16)
    text = r"d\.npy: the largest .*, not in 1e-10 to 1e\+15\."
    with pytest.raises(InputProblem, match=text) as told:
        run(tmp_path / "d.npy", tmp_path / "out")
    assert told.value.remedy == "Give them in another unit."
    assert not (tmp_path / "out").exists()


def test_record_without_distances__is_named_by_its_id(tmp_path):
    matrix, _ = distances(20)
    matrix[7] = matrix[:, 7] = np.nan
    lsmat(tmp_path / "d.tsv", matrix)
    with pytest.raises(InputProblem, match="record s7 has no known dissimilarity") as refused:
        run(tmp_path / "d.tsv", tmp_path / "out")
    assert refused.value.remedy == "Leave it out, or map each group by itself."


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"weights": "sammonn"}, UsageProblem, "sammonn is neither none, sammon, power:P nor a f"),
        ({"init": "clasical"}, UsageProblem, "clasical is neither auto, classical, random nor"),
        ({"weights": "w.npy"}, UsageProblem, "w.npy does not exist"),
        ({"weights": "power:0.3"}, UsageProblem, "power:0.3.*steps of a half"),
        ({"weights": "power:9"}, UsageProblem, "from -4 to 4"),
        ({"weights": "small.npy"}, InputProblem, "weights of 3 records, .* has 60"),
        ({"weights": "minus.npy"}, InputProblem, r"d\[1,2\]"),
        ({"init": "no.npy"}, UsageProblem, "no.npy does not exist"),
        ({"init": "small.npy"}, InputProblem, "3 rows of 3 columns; a start needs 60 of 3"),
        ({"scaling": "ordinal", "weights": "sammon"}, UsageProblem, "every pair counts alike"),
        ({"scaling": "ordinal", "anneal": True}, UsageProblem, "ordinal is not annealed"),
        ({"labels": "no.tsv"}, UsageProblem, "no.tsv"),
    ],
)
def test_options_that_do_not_fit__are_refused(given, tmp_path, monkeypatch, options, error, text):
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", np.ones((3, 3)))
    minus = np.ones((60, 60))
    minus[1, 2] = minus[2, 1] = -2
    np.save("minus.npy", minus)
    with pytest.raises(error, match=text):
        prepare(given, "out", **options)
    assert not (tmp_path / "out").exists()


def test_ordinal__has_a_limit(given, tmp_path, monkeypatch):
    monkeypatch.setattr(mds_plan, "MOST_ORDINAL", 59)
    with pytest.raises(UsageProblem, match=r"at most 59 records; .*d.npy has 60\."):
        prepare(given, tmp_path / "out", scaling="ordinal")


def test_distances_beyond_memory_and_disk__are_refused_with_the_arithmetic(
    given, tmp_path, monkeypatch
):
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(partition_room, "disk_usage", lambda folder: usage)
    with (
        connect("serial", cache_memory="1KiB") as engine,
        pytest.raises(MemoryRefused, match=r"has 1,770 pairs x 8 bytes; .*holds 1.0 KiB of .*"
              r"takes .* of disk; .* has 1000 B free\.") as refused,
    ):  # fmt: skip
        run(given, tmp_path / "out", engine, cache_memory="1KiB")
    assert (refused.value.exit_code, "--dtype int16" in refused.value.remedy) == (4, True)
    assert not (tmp_path / "out").exists()


def test_distances_beyond_memory_without_disk__are_read_anew_and_told(given, tmp_path):
    with connect("serial", cache_memory="1KiB", cache_disk=False) as engine:
        options = {"cache_memory": "1KiB", "cache_disk": "off", "max_iter": 2}
        told = run(given, tmp_path / "out", engine, **options)
    assert told["partitions"]["source_reads"] > told["partitions"]["partitions"]
    (text,) = [line for line in told["warnings"] if line.startswith("the workers' memory holds")]
    assert text.endswith("the rest is read anew in every iteration")


def test_worker_without_room_for_a_band__is_refused(given, tmp_path, monkeypatch):
    monkeypatch.setattr(mds_plan, "WORKER_BASE_BYTES", 1 << 60)
    with pytest.raises(MemoryRefused, match="1,770 pairs x 8 bytes; a worker needs"):
        run(given, tmp_path / "out")


def test_rows_in_the_wrong_order__are_warned_of(tmp_path):
    path = DATA / "mds/sgb128_dist.txt"
    if not path.exists():
        pytest.skip("no shared data")
    warned = prepare(path, tmp_path / "out").warnings
    assert any("triangle inequality" in text for text in warned)
    right = prepare(DATA / "mds/sgb128_dist_fixed.csv", tmp_path / "out")
    assert not any("triangle inequality" in text for text in right.warnings)
    told = run(DATA / "mds/sgb128_dist_fixed.csv", tmp_path / "out", n_components=2)
    assert told["stress1"] == pytest.approx(0.0294, abs=5e-4) or told["normalized_stress"] < 1e-3


def test_plan__tells_the_memory_of_a_large_map(tmp_path, monkeypatch):
    job = prepare(save(tmp_path / "d.npy", distances(60)[0]), tmp_path / "out", dtype="int16")
    large = mds_plan.dataclasses.replace(job.matrix, n=100_000)
    job = mds_plan.dataclasses.replace(job, matrix=large)
    assert len(job.ranges) == 64
    assert 10.0e9 < job.nbytes < 10.2e9
    assert job.block_bytes < 170 << 20
    assert job.broadcast_bytes < 50 << 20
    assert job.worker_bytes < 600 << 20
    assert dict(job.lines())["plan"].startswith("64 partitions in int16, 9.3 GiB in all, at least ")

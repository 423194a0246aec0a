"""`run swg` in one process: distances, formats, result folder, what is told of the run."""

import json
import subprocess

import numpy as np
import pytest
import zarr

import kernels
from kernels import swg as kernel
from pipelines import run_steps, swg, swg_results
from pipelines.engine import connect
from pipelines.errors import UsageProblem
from pipelines.exports import export
from pipelines.formats.distances import open_distances
from pipelines.verify import verify
from tests.pipelines.swg_runs import (
    Stop,
    assert_same,
    prepare,
    result_bytes,
    run,
    values_of,
    write_fasta,
)

PROTEIN_TOO = sorted(set(kernel.DISTANCES) - {"jukes-cantor", "kimura"})


@pytest.fixture
def no_report(monkeypatch):
    """Reports have their own tests; without them a run takes a tenth of a second."""
    monkeypatch.setattr(swg_results, "swg_report", lambda *args: b"<html>")


@pytest.fixture
def fasta(tmp_path):
    write_fasta(tmp_path / "seqs.fasta", 40)
    return tmp_path / "seqs.fasta"


@pytest.mark.parametrize(
    ("alphabet", "distance"),
    [("dna", name) for name in kernel.DISTANCES] + [("protein", name) for name in PROTEIN_TOO],
)
def test_matrix__is_that_of_the_kernel(tmp_path, no_report, alphabet, distance):
    letters = write_fasta(tmp_path / "s.fasta", 30, alphabet=alphabet)
    out = tmp_path / "out"
    told = run(tmp_path / "s.fasta", out, distance=distance, alphabet=alphabet, block_size=8)
    expected = kernel.distance_matrix(letters, alphabet=alphabet, distance=distance)
    assert_same(values_of(out), expected)
    pairs = expected[np.triu_indices(30, 1)]
    assert told["pairs"]["total"] == len(pairs)
    assert told["pairs"]["missing"] == np.isnan(pairs).sum()
    assert told["pairs"]["one"] == (pairs == 1).sum()


def test_matrix__of_both_strands_finds_the_turned_record(tmp_path, no_report):
    (tmp_path / "s.fasta").write_text(">a\nAACCGTTTGACC\n>b\nGGTCAAACGGTT\n")
    run(tmp_path / "s.fasta", tmp_path / "one")
    run(tmp_path / "s.fasta", tmp_path / "both", strand="both")
    assert values_of(tmp_path / "one")[0, 1] > 0.4
    assert values_of(tmp_path / "both")[0, 1] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int16"])
@pytest.mark.parametrize("triangle", ["full", "upper"])
@pytest.mark.parametrize("compression", ["none", "zstd:1", "zstd:7"])
def test_formats__hold_the_same_distances(fasta, tmp_path, no_report, dtype, triangle, compression):
    out = tmp_path / "out"
    options = {"dtype": dtype, "triangle": triangle, "compression": compression}
    run(fasta, out, block_size=16, distance="score-max", **options)
    letters = [line for line in fasta.read_text().splitlines() if line[0] != ">"]
    exact = kernel.distance_matrix(letters, distance="score-max", dtype="float64")
    step = {"float32": 1e-7, "float64": 0, "float16": 5e-4, "int16": 0.6 / 32767}[dtype]
    np.testing.assert_allclose(values_of(out), exact, atol=step, rtol=0)
    assert verify(str(out)).problems == []


def test_result__is_read_by_others(fasta, tmp_path):
    out = tmp_path / "out"
    run(fasta, out, dtype="int16", block_size=16)
    array = zarr.open(str(out / "distances.zarr"), mode="r")
    assert (array.shape, array.chunks, array.dtype) == ((40, 40), (16, 16), np.int16)
    assert array.metadata.dimension_names == ("row", "column")
    assert array.attrs["gap_open"] == 16
    assert array.attrs["kind"] == "distance"
    np.testing.assert_allclose(array[:] * array.attrs["scale_factor"], values_of(out), atol=1e-7)
    check = ["sha256sum", "--check", "--strict", "--quiet", "checksums.sha256"]
    assert subprocess.run(check, cwd=out, capture_output=True, check=True).stdout == b""
    header, *rows = (out / "ids.tsv").read_text().splitlines()
    assert header == "index\tid\tlength\tdescription"
    assert len(rows) == 40
    index, name, length, text = rows[7].split("\t")
    assert (index, name, text) == ("7", open_distances(str(out)).ids[7], "of a family")
    assert int(length) > 30
    export(str(out), "npy", str(tmp_path / "d.npy"))
    assert_same(np.load(tmp_path / "d.npy"), values_of(out))


@pytest.mark.parametrize("options", [{}, {"triangle": "upper"}, {"distance": "score"}])
@pytest.mark.parametrize("n", [1, 2])
def test_few_records__run_through(tmp_path, n, options):
    (tmp_path / "s.fasta").write_text(">a\nACGT\n>b\nACCT\n"[: 8 * n])
    out = tmp_path / "out"
    told = run(tmp_path / "s.fasta", out, **options)
    assert told["pairs"]["total"] == n - 1
    assert values_of(out).shape == (n, n)
    assert values_of(out)[0, 0] == (20 if options.get("distance") else 0)
    assert verify(str(out)).problems == []
    assert swg.report(str(out)).startswith(b"<!")


def test_hostile_ids__stay_text(tmp_path):
    names = [
        "<script>alert(1)</script>",
        "id",
        "#x",
        "=cmd()",
        "a'b\"c",
        "\u202ek",
        "-",
        "x" * 3000,
    ]
    text = "".join(f">{name} a\tb\x01c\nACGTACGT{'A' * k}\n" for k, name in enumerate(names))
    (tmp_path / "s.fasta").write_text(text)
    labels = "".join(f"{name}\t<b>{k % 2}\n" for k, name in enumerate(names))
    (tmp_path / "labels.tsv").write_text(labels)
    out = tmp_path / "out"
    told = run(tmp_path / "s.fasta", out, labels=str(tmp_path / "labels.tsv"))
    assert told["labels"]["records"] == len(names)
    found = open_distances(str(out)).ids
    assert [a for a, b in zip(found, names, strict=True) if a == b] == [*names[:5], *names[6:]]
    assert found[5] == " k"
    page = swg.report(str(out))
    assert b"<script>alert" not in page
    assert b"<b>1" not in page


def test_run_json__tells_what_is_needed_to_repeat_it(fasta, tmp_path):
    told = run(fasta, tmp_path / "out", gap_open=12, random_state=7, block_size=16)
    stored = json.loads((tmp_path / "out" / "run.json").read_text())
    assert stored == told
    assert (stored["schema"], stored["app"], stored["status"]) == (1, "swg", "complete")
    assert stored["argv"] == ["whorl", "run", "swg", str(fasta)]
    assert stored["config"]["gap_open"]["value"] == 12
    assert stored["config"]["matrix"] == {
        "value": "EDNAFULL", "origin": "default", "given": None,
    }  # fmt: skip
    assert stored["random_state"] == 7
    assert [(x["records"], x["bytes"]) for x in stored["inputs"]] == [(40, fasta.stat().st_size)]
    assert stored["versions"]["whorl"] == kernels.__version__
    assert {"python", "numpy", "numba", "dask", "zarr"} <= set(stored["versions"])
    assert stored["host"]["cores"] >= 1
    assert [worker["name"] for worker in stored["workers"]] == ["driver"]
    assert stored["blocks"] == {"total": 6, "done": 6, "done_before": 0, "repeated": 0}
    assert set(stored["phases"]) == {"input", "start", "warm-up", "distances", "report"}
    assert stored["seconds"] == pytest.approx(sum(stored["phases"].values()))
    assert stored["bytes"]["matrix"] == sum(
        path.stat().st_size for path in (tmp_path / "out" / "distances.zarr" / "c").rglob("*/*")
        if path.is_file()
    )  # fmt: skip
    assert {x["name"] for x in stored["outputs"]} >= {"distances.zarr", "ids.tsv", "report.html"}


def test_report__is_made_again_from_the_folder(fasta, tmp_path):
    run(fasta, tmp_path / "out", labels=str(fasta.with_suffix(".tsv")), block_size=16)
    first = (tmp_path / "out" / "report.html").read_bytes()
    again = swg.report(str(tmp_path / "out"))
    for words in (b"Blocks by worker", b"1-NN agreement", b"whorl run swg", b"EDNAFULL"):
        assert words in first
        assert words in again


def test_labels__give_agreement_and_a_table_of_their_own(fasta, tmp_path, no_report):
    labels = fasta.with_suffix(".tsv")
    labels.write_text(labels.read_text().split("\n", 2)[2] + "stranger\tx\n")
    told = run(fasta, tmp_path / "out", labels=str(labels))
    assert (told["labels"]["records"], told["labels"]["classes"]) == (38, 4)
    assert 0.5 < told["labels"]["one_nn"] < 1
    assert "2 of 40 records have no label" in told["warnings"]
    assert "1 ids of the labels are not in the input" in told["warnings"]
    rows = (tmp_path / "out" / "labels.tsv").read_text().splitlines()
    assert (rows[0], len(rows)) == ("id\tlabel", 39)


def test_warning__of_pairs_that_align_over_a_short_stretch(tmp_path, no_report):
    rng = np.random.default_rng(5)
    letters = ["".join(rng.choice(list("ACGT"), 200)) for _ in range(6)]
    text = "".join(f">{k}\n{x}\n" for k, x in enumerate(letters))
    (tmp_path / "s.fasta").write_text(text)
    told = run(tmp_path / "s.fasta", tmp_path / "out", distance="identity-aligned")
    assert any("less than half of the shorter" in line for line in told["warnings"])
    assert told["pairs"]["short"] > 1


def test_warning__of_clipped_and_missing_pairs(tmp_path, no_report):
    (tmp_path / "s.fasta").write_text(">a\nACGTRRRR\n>b\nACGTAAAA\n>c\nRRRR\n")
    told = run(tmp_path / "s.fasta", tmp_path / "out", alphabet="dna", distance="score-min")
    assert values_of(tmp_path / "out")[0, 1] == 0
    assert np.isnan(values_of(tmp_path / "out")[0, 2])
    assert (told["pairs"]["clipped"], told["missing_pairs"]) == (1, 2)
    assert any("scored beyond their self scores" in line for line in told["warnings"])
    assert any("no distance" in line for line in told["warnings"])


def test_self_scores__of_slices_are_those_of_the_whole(fasta, tmp_path, no_report, monkeypatch):
    run(fasta, tmp_path / "whole", distance="score")
    monkeypatch.setattr(swg, "SELF_SCORES", 7)
    run(fasta, tmp_path / "slices", distance="score")
    assert result_bytes(tmp_path / "slices") == result_bytes(tmp_path / "whole")


def stopped(fasta, out, *, blocks, **options):
    """A run that is interrupted after so many blocks."""
    with connect("serial", listeners=[Stop(blocks)]) as engine, pytest.raises(KeyboardInterrupt):
        run(fasta, out, engine, **options)


def test_resume__computes_only_what_is_missing(fasta, tmp_path, no_report):
    run(fasta, tmp_path / "whole", block_size=7)
    stopped(fasta, tmp_path / "out", blocks=9, block_size=7)
    assert len(list((tmp_path / "out/.work/blocks").iterdir())) == 9
    assert not (tmp_path / "out/run.json").exists()
    told = run(
        fasta, tmp_path / "out", resume=True, block_size=7, nworkers=2, nthreads=2, random_state=9
    )
    assert told["blocks"] == {"total": 21, "done": 21, "done_before": 9, "repeated": 0}
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert verify(str(tmp_path / "out")).problems == []
    assert run(fasta, tmp_path / "out", resume=True, block_size=7) is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"gap_open": 20}, "with gap_open=16, not 20"),
        ({"block_size": 8}, "with block_size=7, not 8"),
        ({"dtype": "int16"}, "with dtype=float32, not int16"),
        ({"distance": "score-max"}, "with distance=identity-longer, not score-max"),
    ],
)
def test_resume__with_another_option_is_refused_by_name(fasta, tmp_path, changes, text):
    stopped(fasta, tmp_path / "out", blocks=2, block_size=7)
    with pytest.raises(UsageProblem, match=text):
        run(fasta, tmp_path / "out", **{"resume": True, "block_size": 7, **changes})


def test_resume__with_another_input_is_refused(fasta, tmp_path):
    stopped(fasta, tmp_path / "out", blocks=1)
    fasta.write_text(fasta.read_text() + ">new\nACGT\n")
    with pytest.raises(UsageProblem, match=r"holds a run of .*seqs.fasta with sha256"):
        run(fasta, tmp_path / "out", resume=True)


def test_standard_input__is_kept_for_resume(fasta, tmp_path, no_report, monkeypatch):
    text = fasta.read_text()
    run(fasta, tmp_path / "whole", block_size=7)
    with fasta.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        stopped("-", tmp_path / "out", blocks=4, block_size=7)
    monkeypatch.setattr("sys.stdin", None)
    assert (tmp_path / "out/.work/input").read_text() == text
    told = run("-", tmp_path / "out", resume=True, block_size=7)
    assert told["inputs"][0]["path"] == "-"
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert not (tmp_path / "out/.work").exists()


def test_killed_finish__leaves_no_file_of_another_run(fasta, tmp_path, no_report):
    stopped(fasta, tmp_path / "out", blocks=1, block_size=16)
    (tmp_path / "out/labels.tsv").write_text("id\tlabel\nold\told\n")
    run(fasta, tmp_path / "out", resume=True, block_size=16)
    assert not (tmp_path / "out/labels.tsv").exists()


def test_refused_token__leaves_no_folder(fasta, tmp_path, monkeypatch):
    monkeypatch.setattr(run_steps, "check_token", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(fasta, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare__starts_and_writes_nothing(fasta, tmp_path, nothing_left):
    prepare(fasta, tmp_path / "out")
    assert not (tmp_path / "out").exists()

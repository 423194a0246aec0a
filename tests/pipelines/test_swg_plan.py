"""The plan: options against each other and the input, block sizes, memory, time."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from kernels import swg as kernel
from pipelines import swg, swg_plan, swg_trial
from pipelines.engine import MemoryRefused, WorkerInfo
from pipelines.engine.cluster import usable_cores
from pipelines.errors import InputProblem, UsageProblem
from pipelines.swg_plan import block_size_of, duration, heaviest_block
from tests.pipelines.swg_runs import prepare, write_fasta


@pytest.fixture
def fasta(tmp_path):
    write_fasta(tmp_path / "seqs.fasta", 40)
    return tmp_path / "seqs.fasta"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"match": 5}, "give both or neither"),
        ({"match": 5, "mismatch": 5}, "above a mismatch"),
        ({"match": 5, "mismatch": -4, "matrix": "EDNAFULL"}, "--match and --matrix: give one"),
        ({"compression": "zstd:99"}, "--compression: is none or zstd:1 to zstd:19, not zstd:99"),
        ({"compression": "gzip"}, "not gzip"),
        ({"dtype": "int16", "distance": "kimura"}, "from 0 to 1; kimura goes beyond"),
        ({"dtype": "float16", "distance": "score"}, "whole numbers to 2048"),
        ({"distance": "identity"}, "--distance must be one of"),
        ({"gap_open": 0}, "--gap-open must be at least 1"),
    ],
)
def test_config__refuses_what_contradicts_itself(options, text):
    with pytest.raises(ValueError, match=text):
        swg.Config("seqs.fasta", **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"alphabet": "protein", "distance": "kimura"}, "for nucleotides"),
        ({"alphabet": "protein", "strand": "both"}, "for nucleotides"),
        ({"gap_open": 2, "gap_extend": 3}, "gap_extend"),
        ({"matrix": "BLOSUM63"}, "BLOSUM62"),
        ({"matrix": "no/such.matrix"}, "no/such.matrix"),
        ({"labels": "no.tsv"}, "no.tsv"),
    ],
)
def test_options__are_checked_against_the_input(fasta, options, text):
    with pytest.raises(UsageProblem, match=text):
        prepare(fasta, "out", **options)


def test_record__whose_keys_need_more_than_64_bits_is_named(tmp_path):
    with open(tmp_path / "s.fasta", "w") as file:
        file.write(f">short\nACGT\n>one\n{'A' * 2_000_000}\n>two\n{'C' * 1_900_000}\n")
    text = r's.fasta line 3: record "one" is too long \(2,000,000 letters\): aligned with "two"'
    with pytest.raises(InputProblem, match=text) as refused:
        prepare(tmp_path / "s.fasta", "out", distance="identity-aligned")
    assert refused.value.exit_code == 3
    prepare(tmp_path / "s.fasta", "out", distance="score-max")


def test_matrix_file__is_an_input_and_a_known_name_is_none(fasta, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "   A  C  G  T\nA  5 -4 -4 -4\nC -4  5 -4 -4\nG -4 -4  5 -4\nT -4 -4 -4  5\n"
    for name in ("own.mat", "EDNAFULL"):
        (tmp_path / name).write_text(text)
    job = prepare(fasta, "out", matrix="own.mat")
    assert [each["path"] for each in job.inputs] == [str(fasta), "own.mat"]
    assert job.scoring[0][0, 0] == 5
    assert job.resolved["matrix"] == "own.mat"
    assert len(prepare(fasta, "out", matrix="EDNAFULL").inputs) == 1


def test_strand_both__is_refused_where_the_scores_know_the_strands_apart(fasta, tmp_path):
    text = "   A  C  G  T\nA  9 -4 -4 -4\nC -4  5 -4 -4\nG -4 -4  5 -4\nT -4 -4 -4  5\n"
    (tmp_path / "own.mat").write_text(text)
    prepare(fasta, "out", matrix=str(tmp_path / "own.mat"))
    with pytest.raises(UsageProblem, match="strand"):
        prepare(fasta, "out", matrix=str(tmp_path / "own.mat"), strand="both")


def test_match_and_mismatch__stand_in_for_a_matrix(fasta):
    job = prepare(fasta, "out", match=2, mismatch=-3)
    assert (job.scoring[0][0, 0], job.scoring[0][0, 1]) == (2, -3)
    assert job.resolved["matrix"] == "match 2, mismatch -3"


def test_lines__tell_input_scoring_and_plan(fasta):
    lines = dict(prepare(fasta, "out", gap_open=11, gap_extend=1, nworkers=1).lines())
    assert "40 sequences, DNA (detected)" in lines["input"]
    assert lines["scoring"] == (
        "EDNAFULL, a gap of 1, 2, 10 letters costs 11, 12, 20; distance identity-longer"
    )
    assert lines["plan"].startswith("1 block of 40, ")
    assert " on 1 core," in lines["plan"]
    assert "per worker" in lines["plan"]


def test_slots__follow_the_options_and_are_unknown_on_a_given_cluster(fasta):
    serial = prepare(fasta, "out", executor="serial")  # all cores share each block
    assert serial.slots == serial.threads_of_block("serial") == usable_cores()
    assert serial.threads_of_block("tasks") == 1
    assert prepare(fasta, "out", nworkers=1, nthreads=1).slots == 1
    assert prepare(fasta, "out", scheduler="tcp://127.0.0.1:1").slots is None


def test_block_size__depends_on_input_and_options_only(fasta):
    sizes = {
        prepare(fasta, "out", **where).layout.block_size
        for where in ({}, {"nworkers": 1}, {"executor": "serial"}, {"scheduler": "tcp://a:1"})
    }
    assert len(sizes) == 1
    assert prepare(fasta, "out", block_size=7).layout.block_size == 7


@pytest.mark.parametrize(
    ("n", "length", "size"),
    [(1, 50, 1), (100, 300, 100), (1000, 300, 256), (28_645, 85, 1024), (200, 1500, 64)],
)
def test_block_size__suits_the_kernel(n, length, size):
    assert block_size_of(np.full(n, length), "identity-longer") == size


@pytest.mark.parametrize(("n", "length"), [(54, 10_700), (5000, 9000), (4797, 1400)])
def test_block_size__leaves_work_for_many_and_little_to_lose(n, length):
    lengths = np.full(n, length)
    for distance, most in (("identity-longer", 1.3e11), ("kimura", 1.3e11)):
        size = block_size_of(lengths, distance)
        assert heaviest_block(lengths, size) <= most
        assert -(-n // size) >= 2


def test_heaviest_block__is_the_largest_of_all_blocks(rng):
    lengths = rng.integers(1, 50, 53)
    every = []
    for i in range(0, 53, 8):
        rows = lengths[i : i + 8]
        every.append((rows.sum() ** 2 - (rows**2).sum()) // 2)
        every += [rows.sum() * lengths[j : j + 8].sum() for j in range(i + 8, 53, 8)]
    assert heaviest_block(lengths, 8) == max(every)


def test_cells__of_the_blocks_add_up(fasta):
    job = prepare(fasta, "out", block_size=7)
    assert sum(job.block_cells(i, j) for i, j in job.blocks) == job.cells
    assert job.cells_of("swg-distance-1-2") == job.block_cells(1, 2)
    assert job.cells_of("swg-self-0") == 0


def test_memory__is_refused_with_the_arithmetic(fasta):
    job = prepare(fasta, "out")
    worker = WorkerInfo("worker-0", "", "here", 3, 200 << 20)
    engine = SimpleNamespace(workers=[worker], name="tasks")
    with pytest.raises(MemoryRefused, match=r"340 MiB base \+ .* 3 threads .*limit is 200 MiB"):
        swg.check_memory(job, engine)
    engine.name = "serial"  # this process may take what the machine has
    swg.check_memory(job, engine)


def test_memory__of_one_long_record_among_short_ones_stays_below_a_gibibyte(tmp_path):
    with open(tmp_path / "s.fasta", "w") as file:
        file.writelines(f">{k}\n{'ACG' * 100}\n" for k in range(1000))
        file.write(f">long\n{'ACGTT' * 200_000}\n")
    assert prepare(tmp_path / "s.fasta", "out").worker_bytes < 1 << 30


def test_trial__is_left_out_where_the_work_is_small(fasta, monkeypatch):
    monkeypatch.setattr(swg_trial, "align", lambda *args: 1 / 0)
    assert prepare(fasta, "out").estimated_seconds < 0.1
    assert prepare(fasta, "out", strand="both").estimated_seconds < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alphabet", "length", "options"),
    [("dna", 85, {}), ("dna", 1400, {"strand": "both"}), ("protein", 300, {}),
     ("protein", 300, {"distance": "similarity-aligned"})],
)  # fmt: skip
def test_trial__is_cheap_and_close(tmp_path, alphabet, length, options):
    write_fasta(tmp_path / "s.fasta", 3000 if length < 100 else 400, alphabet=alphabet,
                length=length)  # fmt: skip
    job = prepare(tmp_path / "s.fasta", "out", alphabet=alphabet, **options)
    job.cells_per_second  # noqa: B018 - compiles
    started = time.thread_time()
    rate = swg_trial.trial_rate(job)
    assert time.thread_time() - started < 1
    cells, seconds = measured(job)
    assert 0.5 < rate / (cells / seconds) < 2


def measured(job):
    """(cells of one strand, CPU seconds) of some blocks off the diagonal."""
    size, records = job.layout.block_size, job.records
    scores, gap_open, gap_extend = job.scoring
    cells = seconds = 0
    for j in range(1, job.layout.n_blocks):
        started = time.thread_time()
        kernel.distance_block(
            records.codes, records.offsets, (0, size),
            (j * size, min((j + 1) * size, records.n)), scores=scores, gap_open=gap_open,
            gap_extend=gap_extend, distance=job.config.distance, strand=job.config.strand,
        )  # fmt: skip
        seconds += time.thread_time() - started
        cells += job.block_cells(0, j)
        if seconds > 2:
            break
    return cells, seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (35, "35 s"), (252, "4.2 min"), (11_160, "3.1 h"), (700_000, "8.1 days")],
)
def test_duration__is_short(seconds, text):
    assert duration(seconds) == text


def test_worker_base__covers_what_a_worker_holds_before_any_block(cluster):
    def resident():
        import psutil

        from pipelines.swg_blocks import warm_up

        warm_up("identity-longer", "dna", "one")
        return psutil.Process().memory_info().rss

    held = cluster.run_everywhere(resident)
    assert max(held.values()) < swg_plan.WORKER_BASE_BYTES

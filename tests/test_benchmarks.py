"""The benchmarks at toy size: that they run, that they verify, and that verification can fail."""

import json

import numpy as np
import pytest

from benchmarks import commands, harness, peers, sequences
from benchmarks.harness import Contender

swg = pytest.importorskip("kernels.swg")


def test_sequence_set__is_the_same_for_the_same_seed():
    first = sequences.sequence_set("protein", 30)
    assert first == sequences.sequence_set("protein", 30)
    assert len(first.sequences) == 30
    assert set("".join(first.sequences)) <= set("ARNDCQEGHILKMFPSTWYV")


@pytest.mark.parametrize(("name", "mean"), [("protein", 308), ("dna400", 409), ("reads85", 85)])
def test_sequence_set__has_the_mean_length_it_is_named_for(name, mean):
    assert sequences.sequence_set(name).lengths.mean() == pytest.approx(mean, abs=1)


def test_mutate__loses_and_inserts_at_the_given_rates():
    rng = np.random.default_rng(0)
    ancestor = np.zeros(100_000, np.int64)
    frequencies = np.array([0.0, 1.0])  # whatever is drawn is a 1, so what is kept can be counted
    child = sequences.mutate(rng, ancestor, 0.25, 0.02, frequencies)
    assert (child == 0).sum() == pytest.approx(100_000 * 0.99 * 0.75, rel=0.01)
    assert child.size == pytest.approx(100_000 * (0.99 + 0.01 * 3.5), rel=0.01)


def test_set_cells__counts_each_unordered_pair_once():
    made = sequences.SequenceSet("x", "dna", ["A", "AC", "ACG"], 16, 4)
    assert made.cells == 1 * 2 + 1 * 3 + 2 * 3


def test_sample_jobs__gives_each_share_the_same_work_and_no_pair_twice():
    lengths = np.full(100, 10)
    parts = peers.sample_jobs(lengths, 50_000, whole_rows=True, shares=2)
    pairs = peers.job_pairs(parts)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    first, second = (peers.job_cells(lengths, [jobs]) for jobs in parts)
    assert first == pytest.approx(second, rel=0.05)
    assert first + second == pytest.approx(50_000, rel=0.5)


def test_sample_jobs__spreads_few_pairs_over_many_queries():
    parts = peers.sample_jobs(np.full(1000, 10), 3200, whole_rows=False)
    pairs = peers.job_pairs(parts)
    assert len(np.unique(pairs[:, 0])) >= 16
    assert len(pairs) == pytest.approx(32, rel=0.5)


def test_alternate__lets_contenders_take_turns_after_one_call_off_the_clock():
    calls = []
    pair = [Contender(name, "", 1, lambda name=name: calls.append(name)) for name in ("a", "b")]
    harness.alternate(pair, trials=2)
    assert calls == ["a", "b"] + ["a", "b"] * 2
    assert [len(contender.seconds) for contender in pair] == [2, 2]


def test_comparison__takes_the_ratio_within_each_round():
    ours, peer = Contender("ours", "", 100, print), Contender("peer", "", 10, print)
    ours.seconds, peer.seconds = [1.0, 10.0, 1.0], [0.5, 5.0, 1.0]
    ours.cpu_s, peer.cpu_s = [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]
    found = harness.comparison(ours, peer)
    assert found["ratios"] == [5.0, 5.0, 10.0]
    assert found["ratio"] == 5.0
    assert found["cpu_ratio"] == 5.0
    peer.elsewhere = True
    assert harness.comparison(ours, peer)["cpu_ratio"] is None


def test_machine__names_processor_versions_and_load():
    found = harness.machine()
    assert found["cores"] >= 1
    assert found["versions"]["numba"]
    assert 0.1 < found["clock_ghz"] < 10
    assert json.loads(json.dumps(found)) == found


def test_append__adds_one_line_to_what_is_there(tmp_path):
    for number in (1, 2):
        harness.append(tmp_path / "new" / "results.jsonl", {"number": number})
    lines = (tmp_path / "new" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]


def test_check_tables__counts_missing_and_asymmetric_pairs():
    rows = [(0, 1, 5, 0.5), (1, 0, 5, 0.6), (0, 2, 5, 0.5), (2, 0, 5, 0.5)]
    ours = [(i, j, 5, 0.5) for i in range(3) for j in range(3)]
    checks = commands.check_tables({commands.OURS: np.array(ours), "other": np.array(rows)}, 3)
    assert checks["other"]["pairs_missing"] == 1
    assert checks["other"]["both_directions"] == 2
    assert checks["other"]["asymmetric_share"] == 0.5
    assert checks["other"]["identical_as_ours"] == 1.0
    assert checks[commands.OURS]["asymmetric_share"] == 0.0


@pytest.mark.parametrize("name", list(sequences.RECIPES))
def test_benchmark__runs_at_toy_size_and_finds_scores_right(name, tmp_path):
    pytest.importorskip("parasail")
    from benchmarks.__main__ import main

    results = tmp_path / "results.jsonl"
    wanted = ["parasail stats_striped_16", "parasail striped_16", "parasail striped_sat, C loop"]
    arguments = ["swg", "--toy", "--set", name, "--threads", "1", "--trials", "2"]
    assert main([*arguments, "--json", str(results), "--peers", *wanted]) == 0
    line = json.loads(results.read_text())
    assert line["machine"]["versions"]["parasail"]
    (record,) = line["records"]
    assert record["verified"]["different"]["parasail sw_scan_32"] == 0
    assert {made["peer"] for made in record["comparisons"]} == set(wanted)


def test_verify__notices_a_wrong_score_and_a_lost_identity():
    pytest.importorskip("parasail")
    from benchmarks import swg as benchmark

    data = sequences.sequence_set("reads85", toy=True)
    name = "parasail stats_striped_16"
    parts = {name: peers.sample_jobs(data.lengths, 1e9, whole_rows=True)}
    with peers.Crew(data, [name], 1) as crew:
        peer = Contender(name, "", 1, lambda: None, result=crew.run(name, parts[name]))
    wrong = []
    for distance, change in (("score", 1), ("identity-longer", 0.5)):
        mine = benchmark.ours(data, distance, 1)
        mine.result = mine.run()
        assert benchmark.verify(data, [mine, peer], parts, 10)["correct"]
        mine.result[3, 7] += change
        mine.result[7, 3] += change
        wrong.append(benchmark.verify(data, [mine, peer], parts, 10)["correct"])
    assert wrong == [False, False]


@pytest.mark.slow
def test_commands__toy_case_reads_every_tool_back(tmp_path):
    record = commands.run("protein1000", threads=1, trials=1, n=None, toy=True)
    assert record["verified"]["correct"]
    assert record["checks"][commands.OURS]["pairs_missing"] == 0
    assert set(record["timings"]) | set(record["absent"]) == set(commands.PROTEIN_TOOLS)

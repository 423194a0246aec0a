"""The benchmarks of the engine and of KMeans at toy size, and that their verification can fail."""

import json

import numpy as np
import pytest

from benchmarks import engine, engine_steps, engine_tables, harness, kmeans_checks, points
from benchmarks.__main__ import main
from benchmarks.away import Absent, Away, PeerFailed
from benchmarks.engine_peers import first_state, weights_of
from benchmarks.harness import Contender, Timed
from benchmarks.kmeans_crew import Crew, Ours
from pipelines.engine.job import Partition, Row
from tests.pipelines.engine.gang import mesh

PEER = """
import os
class Peer:
    def facts(self): return {"variable": os.environ.get("WHORL_TEST"), "other": os.environ.get("B")}
    def add(self, a, b): return a + b
    def load(self, path, threads): self.path = path
    def iteration(self, start): return self.path, float(os.environ["SECONDS"]), 0.0
    def close(self): pass
class NeedsMore:
    def __init__(self): import nothing_of_that_name
class Ends:
    def __init__(self): raise SystemExit(7)
class EndsLater(Peer):
    def end(self): os._exit(9)
"""


@pytest.fixture
def peer_module(tmp_path, monkeypatch):
    (tmp_path / "peer_of_test.py").write_text(PEER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "peer_of_test"


def test_away__has_its_own_variables_and_answers(peer_module, monkeypatch):
    monkeypatch.setenv("B", "of the parent")
    with Away(f"{peer_module}:Peer", "numpy", {"WHORL_TEST": "1", "B": None}) as peer:
        assert peer.facts == {"variable": "1", "other": None}
        assert peer.call("add", 2, 3) == 5
        with pytest.raises(PeerFailed, match="unsupported operand"):
            peer.call("add", 2, "3")
        assert peer.call("add", 4, 5) == 9


def test_away__says_who_is_absent_and_who_died(peer_module):
    with pytest.raises(Absent, match="nothing_of_that_name"):
        Away(f"{peer_module}:NeedsMore", "numpy", {})
    with pytest.raises(PeerFailed, match="exit code 7"):
        Away(f"{peer_module}:Ends", "numpy", {})
    with Away(f"{peer_module}:EndsLater", "numpy", {}) as peer:
        for method in ("end", "end"):  # the second finds a pipe that nobody reads
            with pytest.raises(PeerFailed, match="exit code 9"):
                peer.call(method)


def test_crew__goes_on_with_the_faster_process(peer_module, tmp_path):
    with Crew(None) as crew:
        slow, fast = (
            Away(f"{peer_module}:Peer", "numpy", {"SECONDS": seconds}) for seconds in ("2", "1")
        )
        with slow, fast:
            crew._teams["x"] = [slow, fast]
            crew.warm_up("x", tmp_path, 1, "iteration", None)
            assert crew.call("x", tmp_path, 1, "iteration", None) == Timed(str(tmp_path), 1.0)


def test_alternate__takes_what_a_contender_reads_from_its_own_clock():
    calls = []
    once = Contender("once", "", 1, lambda: Timed("x", 7.0, 3.0), trials=1, unit="")
    once.warm_up = lambda: calls.append("warm")
    often = Contender("often", "", 1, lambda: calls.append("run"))
    harness.alternate([often, once], trials=3)
    assert calls == ["run", "warm", "run", "run", "run"]
    assert (once.seconds, once.cpu_s, once.result) == ([7.0], [3.0], "x")
    assert len(harness.ratios(often, once)) == 1
    assert "" not in once.record()


def test_markdown__is_a_table():
    text = harness.markdown(("a", "b"), [("1", "2")])
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


@pytest.mark.parametrize("kind", points.KINDS)
def test_points__are_the_same_for_the_same_seed(kind, tmp_path):
    shape = points.shape_of("k100", toy=True)
    drawn = points.points(shape, kind)
    assert drawn.shape == (shape.n, shape.d)
    assert np.array_equal(drawn, np.load(points.saved(tmp_path, shape, kind, "float32")))
    assert len(np.unique(points.start(shape, drawn), axis=0)) == shape.n_clusters


@pytest.mark.parametrize("pieces", [1, 2, 8, 64, 256])
def test_weights__leave_the_state_exactly_as_it_was(pieces):
    state = first_state(8000)
    total = sum(state * weight for weight in weights_of(pieces))
    assert np.array_equal(total, state)
    assert len(set(weights_of(pieces))) == pieces


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 4, 1000])
def test_tree_and_ring__give_the_same_exact_sum(size, count):
    owners = [leaf * size // 8 for leaf in range(8)]

    def step(comm):
        own = [Partition(leaf, np.array([weights_of(8)[leaf]])) for leaf in comm.mine]
        return engine_steps.tree_and_ring(comm, own, 8 * count, rounds=1)

    found = mesh.run(owners, size, step)
    assert all(one["exact"] for one in found)
    assert {len(one["ring"]) for one in found} == {2}
    assert len({one["digests"]["tree"] for one in found}) == 1


def test_alone__sums_what_the_ranks_would():
    assert engine_steps.Alone(4, 800).run().result


def test_inside__is_from_end_to_end():
    rows = [Row(k, "x", 0.0, 0.0, stop, (), {}) for k, stop in enumerate([1.0, 1.5, 3.0])]
    assert engine.inside(rows) == [0.5, 1.5]


def test_record__names_a_wrong_state(capsys):
    pair = [Contender(name, "", 1, lambda ok=ok: Timed(ok, 1.0)) for name, ok in _OUTCOMES]
    harness.alternate(pair, 1)
    setting = engine_tables.Setting()
    kept = engine_tables.record("x", "x", [pair], setting, harness.Watch(), ("ours is", "", ""))
    assert kept["verified"] == {"correct": False, "wrong": ["bad"]}
    assert "WRONG states: bad" in capsys.readouterr().out


_OUTCOMES = (("good", True), ("bad", False))


def test_compare_labels__tells_ties_from_wrong_ones():
    drawn = np.array([[0.0], [1.0], [1.0], [5.0]])
    centroids = np.array([[0.0], [2.0], [5.0]])
    assert kmeans_checks.compare_labels(drawn, centroids, np.array([0, 1, 0, 2])) == {
        "ties": 1,
        "wrong": 0,
    }
    assert kmeans_checks.compare_labels(drawn, centroids, np.array([1, 0, 0, 2]))["wrong"] == 1


def test_iteration_check__notices_a_wrong_inertia_and_other_bytes():
    shape = points.shape_of("d3", toy=True)
    drawn = points.points(shape, "clustered")
    start = points.start(shape, drawn)
    ours = Ours(drawn, 2)
    mine = Contender("ours", "", 1, lambda: None, result=ours.run(start, 1).result)
    found = kmeans_checks.iteration(drawn, start, ours, [mine], None)
    assert found["correct"]
    before = {"threads": 1, "verified": found}
    assert kmeans_checks.iteration(drawn, start, ours, [mine], before)["correct"]
    mine.result = mine.result._replace(inertia=mine.result.inertia * (1 + 1e-8))
    assert not kmeans_checks.iteration(drawn, start, ours, [mine], None)["correct"]
    assert not kmeans_checks.iteration(drawn, start, ours, [mine], before)["correct"]
    ours.close()


def test_kmeans_benchmark__runs_without_peers(tmp_path):
    results = tmp_path / "results.jsonl"
    given = ["--parts", "iteration", "--shapes", "d3", "--threads", "1", "2", "--trials", "2"]
    assert main(["kmeans", "--quick", "--peers", "--json", str(results), *given]) == 0
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(line["records"][0]["dtype"], line["records"][0]["threads"]) for line in lines] == [
        ("float32", 2),
        ("float32", 1),
        ("float64", 2),
        ("float64", 1),
    ]
    assert all(line["records"][0]["verified"]["correct"] for line in lines)


@pytest.mark.slow
def test_kmeans_benchmark__runs_with_peers_and_engine(tmp_path):
    pytest.importorskip("sklearn")
    results = tmp_path / "results.jsonl"
    given = ["--shapes", "k500", "--threads", "2", "--trials", "1", "--markdown"]
    wanted = ["--peers", "scikit-learn", "faiss"]
    assert main(["kmeans", "--quick", "--json", str(results), *given, *wanted]) == 0
    records = [json.loads(line)["records"][0] for line in results.read_text().splitlines()]
    kinds = {record["benchmark"] for record in records}
    assert kinds == {"kmeans iteration", "kmeans engine", "kmeans convergence"}
    assert all(record["verified"]["correct"] for record in records)


@pytest.mark.slow
def test_engine_benchmark__runs_at_toy_size(tmp_path):
    results = tmp_path / "results.jsonl"
    given = ["--ranks", "2", "4", "--partitions", "2", "8", "--trials", "1"]
    assert main(["engine", "--quick", "--peers", "--json", str(results), *given]) == 0
    records = [json.loads(line)["records"][0] for line in results.read_text().splitlines()]
    parts = [record["benchmark"].split()[1] for record in records]
    assert parts == ["empty", "partitions", "identity", "share", "empty", "identity"]
    assert all(record["verified"]["correct"] for record in records)

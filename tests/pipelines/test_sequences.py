"""The whole way from sequences to map and clusters: what the folder holds, and that it is right."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines import sequences
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.distances import open_distances
from pipelines.verify import verify
from tests.pipelines.sequences_runs import (
    no_reports,
    prepare,
    result_bytes,
    rows,
    run,
    write_families,
)

LANDMARKS = {"mode": "landmarks", "landmarks": 16, "n_clusters": 3}
STAGES = ["clusters", "distances", "map"]


@pytest.fixture(autouse=True)
def without_reports(monkeypatch):
    no_reports(monkeypatch)


@pytest.fixture
def fasta(tmp_path):
    write_families(tmp_path / "seqs.fasta")
    return tmp_path / "seqs.fasta"


def labelled(fasta):
    return {"labels": str(Path(fasta).with_suffix(".tsv"))}


def test_run__finds_the_families_and_keeps_every_stage(fasta, tmp_path):
    out = tmp_path / "out"
    told = run(fasta, out, **labelled(fasta))
    assert (told["records"], told["distinct"], told["duplicates"]) == (46, 40, 6)
    assert (told["mode"], told["landmarks"]) == ("all-pairs", 0)
    assert told["n_clusters"] == 3  # which nobody said
    perfect = dict.fromkeys(["ari", "nmi", "one_nn_distances", "one_nn_map"], pytest.approx(1.0))
    assert told["labels"] == {"records": 46, "classes": 3, "distinct": 40} | perfect
    names = [one["name"] for one in told["outputs"]]
    assert [name for name in names if (out / name).is_dir()] == STAGES
    apps = [json.loads((out / name / "run.json").read_text())["app"] for name in STAGES]
    assert apps == ["cluster", "swg", "mds"]
    assert verify(str(out)).problems == []
    assert not {".work", ".lock"} & {path.name for path in out.rglob("*")}
    assert sum(told["phases"].values()) == pytest.approx(told["seconds"])


def test_duplicates__have_the_place_and_the_cluster_of_the_first(fasta, tmp_path):
    records = write_families(fasta, 12, copies=4)
    run(fasta, tmp_path / "out", n_clusters=3)
    at = np.load(tmp_path / "out/coordinates.npy")
    places, clusters = (
        rows(tmp_path / "out", "coordinates.tsv"),
        rows(tmp_path / "out", "clusters.tsv"),
    )
    assert [row["id"] for row in places] == [name for name, _, _ in records]
    letters = [text.upper() for _, text, _ in records]
    for k, text in enumerate(letters):
        first = letters.index(text)
        assert clusters[k]["representative"] == records[first][0]
        assert int(clusters[k]["count"]) == int(places[k]["count"]) == letters.count(text)
        assert clusters[k]["cluster"] == places[k]["cluster"] == clusters[first]["cluster"]
        assert at[k].tolist() == at[first].tolist()
    np.testing.assert_allclose([[float(row[x]) for x in "xyz"] for row in places], at, rtol=1e-9)
    assert open_distances(str(tmp_path / "out/distances")).n == 12


def test_stages__are_what_their_own_commands_make(fasta, tmp_path):
    from tests.pipelines import swg_runs

    run(fasta, tmp_path / "out", n_clusters=3)
    swg_runs.run(tmp_path / "out/distances.fasta", tmp_path / "swg", triangle="upper")
    alone, stage = result_bytes(tmp_path / "swg"), result_bytes(tmp_path / "out/distances")
    assert alone == stage


def test_medoids__count_records_and_distinct_sequences(fasta, tmp_path):
    run(fasta, tmp_path / "out", n_clusters=3)
    found, clusters = rows(tmp_path / "out", "medoids.tsv"), rows(tmp_path / "out", "clusters.tsv")
    assert [row["cluster"] for row in found] == ["1", "2", "3"]
    for row in found:
        members = [one for one in clusters if one["cluster"] == row["cluster"]]
        assert int(row["records"]) == len(members)
        assert int(row["distinct"]) == sum(one["representative"] == one["id"] for one in members)
        assert row["medoid"] in {one["representative"] for one in members}
    distinct = [int(row["distinct"]) for row in found]
    assert distinct == sorted(distinct, reverse=True)


@pytest.mark.parametrize("choice", ["maximin", "random"])
def test_landmarks__take_the_others_along(fasta, tmp_path, choice):
    out = tmp_path / "out"
    told = run(fasta, out, landmark_choice=choice, **LANDMARKS, **labelled(fasta))
    assert (told["mode"], told["landmarks"]) == ("landmarks", 16)
    assert list(told["stages"]) == ["pool"] * (choice == "maximin") + [
        "distances", "map", "clusters", "placed",
    ]  # fmt: skip
    assert told["labels"]["ari"] == told["labels"]["one_nn_distances"] == 1.0
    cluster_of = {row["id"]: row["cluster"] for row in rows(out, "clusters.tsv")}
    placed = rows(out, "placed/coordinates.tsv")
    assert len(placed) == 24
    assert all(cluster_of[row["id"]] == cluster_of[row["nearest"]] for row in placed)
    at = dict(zip(cluster_of, np.load(out / "coordinates.npy").tolist(), strict=True))
    landmarks = [row["id"] for row in rows(out, "distances/ids.tsv")]
    assert [at[name] for name in landmarks] == np.load(out / "map/coordinates.npy").tolist()
    assert [at[row["id"]] for row in placed] == np.load(out / "placed/coordinates.npy").tolist()
    assert verify(str(out)).problems == []


def test_random_landmarks__depend_on_the_seed(fasta, tmp_path):
    ids = []
    for seed in (0, 1):
        out = tmp_path / f"out{seed}"
        run(fasta, out, landmark_choice="random", random_state=seed, **LANDMARKS)
        ids.append([row["id"] for row in rows(out, "distances/ids.tsv")])
    assert ids[0] != ids[1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_sequences(tmp_path, n):
    texts = ["ACGTACGTAC", "ACGTTCGTAC", "GGGGGCCCCC"][:n]
    fasta = tmp_path / "few.fasta"
    fasta.write_text("".join(f">s{k}\n{text}\n>t{k}\n{text}\n" for k, text in enumerate(texts)))
    told = run(fasta, tmp_path / "out")
    assert (told["records"], told["distinct"]) == (2 * n, n)
    assert told["n_clusters"] == (2 if n == 3 else 1)
    assert np.load(tmp_path / "out/coordinates.npy").shape == (2 * n, 3)
    assert verify(str(tmp_path / "out")).problems == []


def test_no_sequence__is_refused(tmp_path):
    (tmp_path / "none.fasta").write_text("")
    with pytest.raises(InputProblem, match="is empty"):
        prepare(tmp_path / "none.fasta", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_clusters": 41}, "--n-clusters 41 is more than the 40 distinct sequences"),
        ({"n_clusters": 20, "mode": "landmarks", "landmarks": 10}, "20 is more than 10 landmarks"),
    ],
)
def test_more_clusters_than_there_can_be__are_refused(fasta, tmp_path, options, text):
    with pytest.raises(UsageProblem, match=text):
        prepare(fasta, tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_clusters": 2, "threshold": 0.1}, "--n-clusters and --threshold: give one of them"),
        ({"mode": "all-pairs", "landmarks": 5}, "--mode all-pairs and --landmarks: give one"),
        ({"distance": "score"}, "--distance score: a score is no distance"),
        ({"weights": "w.npy"}, r"--weights: is none, sammon or power:P \(P .*\), not w.npy"),
        ({"weights": "power:9"}, r"--weights: .*, not power:9"),
        ({"match": 2}, "--match and --mismatch: give both or neither"),
    ],
)
def test_options_that_exclude_each_other(options, text):
    with pytest.raises(ValueError, match=text):
        sequences.Config("seqs.fasta", **options)

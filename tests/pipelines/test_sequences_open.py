"""Families that others published: their neighbours on the map, and clusters of their distances."""

import pytest

from tests.pipelines.open_sets import FAMILIES, families, ten_genera
from tests.pipelines.sequences_runs import no_reports, run, write_families


@pytest.fixture(autouse=True)
def without_reports(monkeypatch):
    no_reports(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_families__stay_together_on_the_map_and_in_clusters(tmp_path, name):
    fasta, labels = families(name)
    told = run(fasta, tmp_path / "out", labels=labels, n_clusters=FAMILIES[name])
    assert told["labels"]["classes"] == FAMILIES[name]
    assert told["labels"]["one_nn_distances"] >= 0.99
    assert told["labels"]["one_nn_map"] >= 0.99
    assert told["labels"]["ari"] >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("linkage", "ari"), [("average", 0.85), ("ward", 1.0)])
def test_genera__stay_together_on_the_map_and_in_clusters(tmp_path, linkage, ari):
    fasta, labels = ten_genera(tmp_path)
    told = run(fasta, tmp_path / "out", labels=labels, n_clusters=10, linkage=linkage)
    assert told["labels"]["one_nn_map"] >= 0.99
    assert told["labels"]["ari"] >= ari


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_families__stay_together_around_landmarks(tmp_path, name):
    fasta, labels = families(name)
    given = {"mode": "landmarks", "landmarks": 60, "n_clusters": FAMILIES[name]}
    told = run(fasta, tmp_path / "out", labels=labels, **given)
    assert told["labels"]["one_nn_distances"] >= 0.97
    assert told["labels"]["one_nn_map"] >= 0.97
    assert told["labels"]["ari"] >= 0.9


def test_generated_families__stay_together(tmp_path):
    write_families(tmp_path / "seqs.fasta", 60, length=90, classes=5)
    labels = str(tmp_path / "seqs.tsv")
    told = run(tmp_path / "seqs.fasta", tmp_path / "out", labels=labels, n_clusters=5)
    assert told["labels"]["one_nn_map"] >= 0.95
    assert told["labels"]["ari"] >= 0.95

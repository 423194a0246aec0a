"""One process, tasks or a gang, with landmarks or without: the same bytes in every stage."""

import pytest

from tests.pipelines.sequences_runs import no_reports, result_bytes, run, write_families

LANDMARKS = {"mode": "landmarks", "landmarks": 16}
OPTIONS = {"n_clusters": 3, "block_size": 12}


@pytest.fixture(autouse=True)
def without_reports(monkeypatch):
    no_reports(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, LANDMARKS], ids=["all-pairs", "landmarks"])
def test_executors__write_the_same_bytes(tmp_path, cluster, gang, options):
    write_families(tmp_path / "seqs.fasta")
    whole = tmp_path / "serial"
    run(tmp_path / "seqs.fasta", whole, **OPTIONS, **options)
    expected = result_bytes(whole)
    for engine in (cluster, gang):
        told = run(tmp_path / "seqs.fasta", tmp_path / engine.name, engine, **OPTIONS, **options)
        assert told["executor"]["name"] == engine.name
        assert result_bytes(tmp_path / engine.name) == expected


@pytest.mark.slow
def test_object_store__holds_stages_too(tmp_path):
    write_families(tmp_path / "seqs.fasta")
    run(tmp_path / "seqs.fasta", tmp_path / "out", **OPTIONS)
    url = "memory://sequences/out"
    run(tmp_path / "seqs.fasta", url, **OPTIONS)
    assert result_bytes(url) == result_bytes(tmp_path / "out")

"""1-NN agreement against a scan of the whole matrix."""

import os

import numpy as np
import pytest

from pipelines.formats.distances import open_distances
from pipelines.neighbours import label_agreement
from tests.pipelines.open_sets import FAMILIES, families, ten_genera
from tests.pipelines.result_folders import make_result, symmetric
from tests.pipelines.swg_runs import run, write_fasta


def scanned(values, labels):
    """The nearest other labelled record of each, by a loop."""
    agree = []
    for k, label in enumerate(labels):
        near = [
            (values[k, other], other)
            for other, name in enumerate(labels)
            if other != k and name is not None and not np.isnan(values[k, other])
        ]
        if label is not None and near:
            agree.append(labels[min(near)[1]] == label)
    return {"one_nn": np.mean(agree), "records": len(agree)}


@pytest.mark.parametrize("options", [{}, {"triangle": "upper"}, {"dtype": "int16"}])
def test_agreement__is_that_of_a_scan(tmp_path, rng, options):
    values = np.round(symmetric(40, missing=[(3, 9), (4, 19)]), 1)  # with many ties
    values[7] = values[:, 7] = np.nan
    values[7, 7] = 0
    labels = [None if k % 7 == 0 else f"c{x}" for k, x in enumerate(rng.integers(0, 3, 40))]
    labels[7] = "c0"
    make_result(tmp_path / "out", values, **options)
    matrix = open_distances(str(tmp_path / "out"))
    found = label_agreement(matrix, labels)
    assert found == {**scanned(matrix.rows(0, 40), labels), "classes": 3}


def test_agreement__of_scores_takes_the_largest(tmp_path):
    values = symmetric(20).astype(np.float64)
    labels = [f"c{k % 2}" for k in range(20)]
    make_result(tmp_path / "out", values)
    matrix = open_distances(str(tmp_path / "out"))
    assert label_agreement(matrix, labels, similarity=True) == {
        **scanned(-matrix.rows(0, 20), labels), "classes": 2,
    }  # fmt: skip


def test_agreement__without_two_labelled_records_is_none(tmp_path):
    make_result(tmp_path / "out", symmetric(9))
    matrix = open_distances(str(tmp_path / "out"))
    assert label_agreement(matrix, [None] * 9) is None
    assert label_agreement(matrix, ["a"] + [None] * 8) is None


def test_agreement__of_generated_families_lies_between_chance_and_one(tmp_path):
    write_fasta(tmp_path / "s.fasta", 80, length=120)
    told = run(tmp_path / "s.fasta", tmp_path / "out", labels=str(tmp_path / "s.tsv"))
    assert 0.5 < told["labels"]["one_nn"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_agreement__of_open_families_is_99_percent(tmp_path, name):
    fasta, labels = families(name)
    told = run(fasta, tmp_path / "out", labels=labels)
    assert told["labels"]["one_nn"] >= 0.99


@pytest.mark.slow
def test_agreement__of_open_genera_is_99_percent(tmp_path):
    fasta, labels = ten_genera(tmp_path)
    told = run(fasta, tmp_path / "out", labels=labels)
    assert told["labels"]["records"] == 100
    assert told["labels"]["one_nn"] >= 0.99
    assert os.path.exists(tmp_path / "out" / "labels.tsv")

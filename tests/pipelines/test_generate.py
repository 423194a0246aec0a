import gzip
from collections import Counter

import numpy as np
import pytest

from kernels.sequences import AMINO_ACIDS
from pipelines.errors import UsageProblem
from pipelines.formats.fasta import read_fasta
from pipelines.formats.labels import read_labels
from pipelines.generate import sequences, write_sequences

LETTERS = {"dna": "ACGT", "rna": "ACGU", "protein": AMINO_ACIDS[:20]}


def nearest_label_agreement(texts, labels):
    """Share of sequences whose nearest other one, by 6-letter words they share, has their label."""
    words = [{text[k : k + 6] for k in range(len(text) - 5)} for text in texts]
    right = 0
    for i, own in enumerate(words):
        shared = [len(own & other) for other in words]
        shared[i] = -1
        right += labels[int(np.argmax(shared))] == labels[i]
    return right / len(texts)


@pytest.mark.parametrize("alphabet", LETTERS)
def test_sequences__have_letters_of_the_alphabet(alphabet):
    ids, texts, labels = sequences(60, alphabet=alphabet, length=90, classes=3)
    assert len(ids) == len(texts) == len(labels) == len(set(ids)) == 60
    assert set("".join(texts)) <= set(LETTERS[alphabet])
    assert len({len(text) for text in texts}) > 5
    assert abs(np.mean([len(text) for text in texts]) - 90) < 5


def test_sequences__are_the_same_for_the_same_seed():
    one = sequences(50, random_state=3)
    assert sequences(50, random_state=3) == one
    assert sequences(50, random_state=4)[1] != one[1]


def test_families__are_of_equal_size_and_mixed():
    _, _, labels = sequences(103, classes=10, length=20)
    assert set(Counter(labels).values()) == {10, 11}
    assert labels != sorted(labels)


def test_families__are_copies_without_divergence():
    _, texts, labels = sequences(40, classes=4, length=80, divergence=0)
    assert len(set(texts)) == len(set(zip(texts, labels, strict=True))) == 4


def test_families__are_found_by_most_members_but_not_all():
    _, texts, labels = sequences(160, classes=6)
    assert 0.5 < nearest_label_agreement(texts, labels) < 1


def test_families__are_lost_at_the_largest_divergence():
    _, texts, labels = sequences(150, classes=6, divergence=1)
    assert nearest_label_agreement(texts, labels) < 0.6


def test_sequences__drift_by_about_the_divergence():
    _, texts, labels = sequences(1000, alphabet="dna", length=200, classes=1, divergence=0.05)
    ancestor = [Counter(column).most_common(1)[0][0] for column in zip(*texts, strict=False)]
    ungapped = [text for text in texts if len(text) == 200]
    changed = [np.mean([a != b for a, b in zip(text, ancestor, strict=False)]) for text in ungapped]
    assert 0.03 < np.median(changed) < 0.07
    assert len(set(labels)) == 1


@pytest.mark.parametrize("length", [1, 2, 5])
def test_sequences__never_are_empty(length):
    _, texts, _ = sequences(500, length=length, classes=2, divergence=1)
    assert min(len(text) for text in texts) >= 1


def test_sequences__do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    whole = sequences(30, length=40, divergence=0)
    monkeypatch.setattr("pipelines.generate._GROUP", 200)
    assert sequences(30, length=40, divergence=0) == whole


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 3, "classes": 4}, "classes is 4; 1 to n = 3 are possible"),
        ({"n": 3, "classes": 1, "length": 0}, "length is 0"),
        ({"n": 9, "divergence": 1.5}, "divergence is 1.5"),
        ({"n": 9, "alphabet": "text"}, "alphabet is 'text'; choose one of dna, rna, protein"),
    ],
)
def test_sequences__refuses_numbers_that_make_no_families(options, text):
    with pytest.raises(UsageProblem, match=text):
        sequences(**options)


@pytest.mark.parametrize("name", ["seqs.fasta", "seqs.fasta.gz"])
def test_write__can_be_read_back_with_its_labels(tmp_path, name):
    path, beside = write_sequences(str(tmp_path / name), 25, length=200, classes=3)
    ids, texts, labels = sequences(25, length=200, classes=3)
    records = read_fasta(path)
    assert beside == str(tmp_path / "seqs.labels.tsv")
    assert records.ids == ids
    assert records.lengths.tolist() == [len(text) for text in texts]
    assert list(read_labels(beside, ids)) == labels
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "seqs.labels.tsv"])


def test_write__breaks_lines_and_gives_equal_bytes(tmp_path):
    write_sequences(str(tmp_path / "a.fasta"), 5, classes=2, length=150)
    write_sequences(str(tmp_path / "b.fa.gz"), 5, classes=2, length=150)
    write_sequences(str(tmp_path / "c.fa.gz"), 5, classes=2, length=150)
    lines = (tmp_path / "a.fasta").read_text().splitlines()
    assert max(len(line) for line in lines) == 70
    assert (
        gzip.decompress((tmp_path / "b.fa.gz").read_bytes()) == (tmp_path / "a.fasta").read_bytes()
    )
    assert (tmp_path / "b.fa.gz").read_bytes() == (tmp_path / "c.fa.gz").read_bytes()


def test_write__refuses_a_folder(tmp_path):
    with pytest.raises(UsageProblem, match="is a folder"):
        write_sequences(f"{tmp_path}/", 5)

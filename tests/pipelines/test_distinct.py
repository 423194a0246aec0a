"""Duplicates: which records are one, and that files of some records are read as the same codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.distinct import distinct_of, fasta_bytes, taken
from pipelines.formats.fasta import read_fasta, survey_fasta
from tests.pipelines.swg_runs import DATA

LETTERS = {"dna": "ACGTN", "rna": "ACGUR", "protein": "ARNDCQEGHILKMFPSTWYVX"}


def read(path, text, **how):
    path.write_text(text)
    return read_fasta(str(path), **how)


def test_distinct__by_codes_not_by_letters(tmp_path):
    text = ">a\nACGT\n>b\nacgt\n>c\nACGU\n>d\nACG\n>e two\nAC\nGT\n>f\nACG\n"
    found = distinct_of(read(tmp_path / "x.fa", text, alphabet="dna"))
    assert found.first.tolist() == [0, 3]
    assert found.group.tolist() == [0, 0, 0, 1, 0, 1]
    assert (found.n, found.duplicates, found.counts.tolist()) == (2, 4, [4, 2])


def test_distinct__one_record(tmp_path):
    found = distinct_of(read(tmp_path / "x.fa", ">a\nACGT\n"))
    assert (found.n, found.duplicates, found.counts.tolist()) == (1, 0, [1])


def test_labels__of_records_that_agree(tmp_path):
    records = read(tmp_path / "x.fa", "".join(f">{k}\n{'AC' * (1 + k // 2)}\n" for k in range(8)))
    found = distinct_of(records)
    labels = ["p", "p", None, "q", "p", "q", None, None]
    assert found.labels(labels) == ["p", "q", None, None]


@given(st.lists(st.text("AC", min_size=1, max_size=3), min_size=1, max_size=30))
def test_distinct__is_what_a_dictionary_finds(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("distinct") / "x.fa"
    records = read(path, "".join(f">{k}\n{t}\n" for k, t in enumerate(texts)), alphabet="dna")
    found = distinct_of(records)
    order = list(dict.fromkeys(texts))
    assert [texts[k] for k in found.first] == order
    assert [order[g] for g in found.group] == texts
    assert found.counts.tolist() == [texts.count(text) for text in order]


@pytest.mark.parametrize("alphabet", sorted(LETTERS))
@pytest.mark.parametrize("ids", ["first", "full", "number"])
def test_fasta__of_some_records_is_read_again(tmp_path, alphabet, ids, rng):
    texts = ["".join(rng.choice(list(LETTERS[alphabet]), k)) for k in (1, 7, 30, 80, 5)]
    heads = ["one", "two of\tthem", "three  blanks here", "fo:ur|x y", "fünf"]
    text = "".join(f">{h}\n{t}\n" for h, t in zip(heads, texts, strict=True))
    records = read(tmp_path / "x.fa", text, alphabet=alphabet, ids=ids)
    rows = np.array([4, 0, 2, 1])
    (tmp_path / "y.fa").write_bytes(fasta_bytes(records, rows))
    how = "full" if ids == "full" else "first"
    again = read_fasta(str(tmp_path / "y.fa"), alphabet=alphabet, ids=how)
    some = taken(records, rows)
    assert (again.ids, again.descriptions) == (some.ids, some.descriptions)
    np.testing.assert_array_equal(again.codes, some.codes)
    np.testing.assert_array_equal(again.offsets, some.offsets)
    written = {line for line in (tmp_path / "y.fa").read_text().split("\n") if line[:1] != ">"}
    assert not set("".join(written)) - set(LETTERS[alphabet])  # U stays U


def test_duplicates__of_real_hairpins():
    path = DATA / "mirbase_hairpin_28645.fa.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    records = read_fasta(str(path))
    found = distinct_of(records)
    assert found.duplicates == survey_fasta(str(path)).duplicate_sequences > 0
    assert found.counts.sum() == 28_645

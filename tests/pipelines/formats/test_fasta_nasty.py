"""Files that others wrote to break readers: each one loads or is refused by a written rule."""

from pathlib import Path

import numpy as np
import pytest

from kernels.sequences import code_table, letters
from pipelines.errors import InputProblem
from pipelines.formats.fasta import read_fasta

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "fasta_nasty"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data is not there")

LOADS = {  # records and alphabet without any option
    "biopython__NC_001802lc.fna": (1, "dna"),
    "biopython__aster.pro": (1, "protein"),
    "biopython__aster_no_wrap.pro": (1, "protein"),
    "biopython__f001": (1, "protein"),
    "biopython__f002": (3, "dna"),
    "biopython__wisteria.nu": (1, "dna"),
    "easel__fasta.2": (2, "protein"),
    "pyfastx__protein.fa": (17, "protein"),
    "pyfastx__rna.fa": (2, "rna"),
    "pyfastx__test.fa": (211, "dna"),
    "pyfastx__test.fa.gz": (211, "dna"),
    "skbio__fasta_3_seqs_non_defaults": (3, "protein"),
    "skbio__fasta_description_newline_replacement_multi_char": (2, "protein"),
    "skbio__fasta_description_newline_replacement_none": (2, "protein"),
    "skbio__fasta_invalid_blank_line_after_header": (3, "dna"),
    "skbio__fasta_invalid_blank_line_within_sequence": (3, "dna"),
    "skbio__fasta_invalid_whitespace_line_after_header": (3, "dna"),
    "skbio__fasta_single_bio_seq_defaults": (1, "dna"),
    "skbio__fasta_single_bio_seq_non_defaults": (1, "dna"),
    "skbio__fasta_single_prot_seq_defaults": (1, "protein"),
    "skbio__fasta_single_prot_seq_non_defaults": (1, "protein"),
}
ALL = {"gaps": "remove", "ids": "number", "alphabet": "protein"}
REFUSED = {  # the rule, then the options that make it load with so many records, if there are any
    "biopython__aster_pearson.pro": ('line 1 is "Some header"; a FASTA file starts', None, 0),
    "biopython__fa01": ('line 2, column 31: "-" is not a protein letter', {"gaps": "remove"}, 2),
    "dnaio__dos.fastq": ("is FASTQ, not FASTA", None, 0),
    "dnaio__simple.fasta": ('line 2, column 9: "1" is not a protein letter', None, 0),
    "dnaio__simple.fasta.xz": ('line 2, column 9: "1" is not a protein letter', None, 0),
    "easel__fasta.bad.3": ('1 record without letters, first: "truncated" (line 1)', None, 0),
    "skbio__empty": ("is empty (0 bytes)", None, 0),
    "skbio__whitespace_only": ("holds only blanks (47 bytes)", None, 0),
    "skbio__fasta_5_blanks_start_of_file": ("1 record looks like DNA, 1 like protein", ALL, 6),
    "skbio__fasta_multi_seq_spaces": ("1 record looks like DNA, 1 like protein", ALL, 6),
    "skbio__fasta_ws_lines_end_of_file": ("1 record looks like DNA, 1 like protein", ALL, 6),
    "skbio__fasta_tabular_msa_different_type": (
        "1 header without an id, first: line 1",
        {"ids": "number"},
        3,
    ),
    "skbio__fasta_invalid_after_10_seqs": (
        '1 record without letters, first: "seq1" (line 25). Also: 1 repeated id',
        {"on_bad_record": "skip", "ids": "number"},
        10,
    ),
    "skbio__fasta_invalid_blank_sequence": (
        '1 record without letters, first: "seq2" (line 3)',
        {"on_bad_record": "skip"},
        2,
    ),
    "skbio__fasta_invalid_missing_seq_data_first": (
        '1 record without letters, first: "seq1" (line 1)',
        {"on_bad_record": "skip"},
        2,
    ),
    "skbio__fasta_invalid_missing_seq_data_last": (
        '1 record without letters, first: "seq3" (line 5)',
        {"on_bad_record": "skip"},
        2,
    ),
    "skbio__fasta_invalid_legacy_format": ("a FASTA file starts with", None, 0),
    "skbio__fasta_invalid_missing_header": ("a FASTA file starts with", None, 0),
}


def coded(sequence, alphabet):
    """As our codes read it, and without blanks: dnaio keeps them, Biopython keeps tabs."""
    known = np.frombuffer(letters(alphabet).encode(), np.uint8)
    codes = np.frombuffer(sequence.encode().translate(code_table(alphabet), b" \t"), np.uint8)
    return known[codes].tobytes().decode()


def sequences(records):
    known = np.frombuffer(letters(records.alphabet).encode(), np.uint8)
    bounds = zip(records.offsets[:-1], records.offsets[1:], strict=True)
    return [known[records.codes[a:b]].tobytes().decode() for a, b in bounds]


def test_every_file_has_its_rule():
    assert {path.name for path in FOLDER.iterdir()} == LOADS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", LOADS)
def test_nasty__loads(name):
    records = read_fasta(str(FOLDER / name))
    assert (records.n, records.alphabet) == LOADS[name]
    assert records.lengths.min() > 0


@pytest.mark.parametrize("name", REFUSED)
def test_nasty__is_refused_or_loads_with_options(name):
    rule, options, n = REFUSED[name]
    with pytest.raises(InputProblem) as caught:
        read_fasta(str(FOLDER / name))
    assert rule in str(caught.value)
    if options is not None:
        assert read_fasta(str(FOLDER / name), **options).n == n


@pytest.mark.parametrize("name", LOADS)
def test_nasty__agrees_with_biopython(name):
    simple = pytest.importorskip("Bio.SeqIO.FastaIO").SimpleFastaParser
    if name.endswith(".gz"):
        pytest.skip("Biopython does not decompress")
    records = read_fasta(str(FOLDER / name))
    with open(FOLDER / name) as file:
        theirs = list(simple(file))
    assert [title.split()[0].replace("\x01", " ").split()[0] for title, _ in theirs] == records.ids
    assert [coded(sequence, records.alphabet) for _, sequence in theirs] == sequences(records)


@pytest.mark.parametrize("name", LOADS)
def test_nasty__agrees_with_dnaio(name):
    dnaio = pytest.importorskip("dnaio")
    records = read_fasta(str(FOLDER / name))
    with dnaio.open(FOLDER / name, fileformat="fasta") as file:
        theirs = list(file)
    assert [record.id.replace("\x01", " ").split()[0] for record in theirs] == records.ids
    assert [coded(r.sequence, records.alphabet) for r in theirs] == sequences(records)

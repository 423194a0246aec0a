import bz2
import gzip
import hashlib
import io
import lzma

import fsspec
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.sequences import encode, letters
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import bytestream
from pipelines.formats.fasta import read_fasta, survey_fasta

PACK = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
RECORDS = st.dictionaries(
    IDS, st.text("ACGTacgtNRY", min_size=1, max_size=90), min_size=1, max_size=8
)


@pytest.fixture
def save(tmp_path):
    def write(data, name="seqs.fasta"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture
def refused(save):
    """The message, without the folder, and the remedy of a file that is not read."""

    def read(data, **options):
        path = save(data)
        with pytest.raises(InputProblem) as caught:
            read_fasta(path, **options)
        return str(caught.value).replace(path, "seqs.fasta"), caught.value.remedy

    return read


def sequences(records):
    known = np.frombuffer(letters(records.alphabet).encode(), np.uint8)
    bounds = zip(records.offsets[:-1], records.offsets[1:], strict=True)
    return [known[records.codes[a:b]].tobytes().decode() for a, b in bounds]


@given(
    RECORDS,
    st.integers(1, 70),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from(sorted(PACK)),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reader__returns_what_was_written(save, wanted, width, line_end, packing, ended):
    lines = []
    for record, text in wanted.items():
        lines.append(f">{record} of {len(text)}".encode())
        lines.extend(text[at : at + width].encode() for at in range(0, len(text), width))
    text = line_end.join(lines) + (line_end if ended else b"")
    records = read_fasta(save(PACK[packing](text)), alphabet="dna")
    assert records.ids == list(wanted)
    assert records.descriptions == [f"of {len(text)}" for text in wanted.values()]
    assert sequences(records) == [text.upper() for text in wanted.values()]
    assert [lines[line - 1][:1] for line in records.lines] == [b">"] * len(wanted)


def test_reader__gives_codes_offsets_and_origin(save):
    text = b">a first\nACG\nUAAAA\n\n>b\nnA\n"
    records = read_fasta(save(text))
    assert (records.n, records.alphabet, records.ambiguous, records.skipped) == (2, "rna", 1, 0)
    assert records.codes.tolist() == [*encode("ACGUAAAA", "rna"), *encode("NA", "rna")]
    assert records.offsets.tolist() == [0, 8, 10]
    assert records.lengths.tolist() == [8, 2]
    assert records.lines.tolist() == [1, 5]
    assert (records.nbytes, records.sha256) == (len(text), hashlib.sha256(text).hexdigest())


def test_reader__does_not_depend_on_the_size_of_its_blocks(save, monkeypatch, rng):
    text = b"".join(
        b">r%d x\n" % k + b"ACGTN" * int(rng.integers(1, 900)) + b"\n" for k in range(40)
    )
    path = save(text)
    whole = read_fasta(path)
    for size in (100, 4099, 65536):
        monkeypatch.setattr(bytestream, "BLOCK", size)
        records = read_fasta(path)
        assert records.ids == whole.ids
        assert np.array_equal(records.codes, whole.codes)
        assert np.array_equal(records.offsets, whole.offsets)
        assert np.array_equal(records.lines, whole.lines)


def test_reader__reads_proteins_with_stops_and_rare_letters(save):
    records = read_fasta(save(b">p\nMKVLUOJBZX*\n"))
    assert records.alphabet == "protein"
    assert sequences(records) == ["MKVLXXXBZX*"]
    assert records.ambiguous == 1


def test_alphabet__is_what_was_asked_for(save, refused):
    assert read_fasta(save(b">a\nACGT\n"), alphabet="protein").codes.tolist() == [0, 4, 7, 16]
    assert read_fasta(save(b">a\nACGT\n"), alphabet="rna").alphabet == "rna"
    assert 'column 4: "L" is not an RNA letter' in refused(b">a\nMKVLW\n", alphabet="rna")[0]


def test_reader__does_not_depend_on_how_many_letters_it_works_on(save, monkeypatch):
    text = b"".join(
        b">p%d\n%s\n" % (k, b"ACGTACGTNN"[: k % 11] * 7) for k in range(1, 60) if k % 11
    )
    text += b">p\nMKVLW1\n"
    whole = survey_fasta(save(text))
    monkeypatch.setattr("pipelines.formats.fasta_checks._GROUP", 50)
    assert survey_fasta(save(text)) == whole
    assert whole.problems


def test_reader__reads_standard_input_and_keeps_its_bytes(monkeypatch):
    class Pipe:
        buffer = io.BytesIO(gzip.compress(b">a\nACGT\n"))
        isatty = staticmethod(lambda: False)

    kept = []
    monkeypatch.setattr("sys.stdin", Pipe)
    records = read_fasta("-", keep=kept.append)
    assert records.source == "standard input"
    assert gzip.decompress(b"".join(kept)) == b">a\nACGT\n"


def test_reader__reads_a_url():
    fsspec.filesystem("memory").pipe_file("/fasta/x.fa.gz", gzip.compress(b">a\nACGT\n"))
    assert sequences(read_fasta("memory://fasta/x.fa.gz")) == ["ACGT"]


@pytest.mark.parametrize(
    ("ids", "expected", "described"),
    [
        ("first", ["a", "c"], ["b  x", "d"]),
        ("full", ["a b  x", "c d"], ["", ""]),
        ("number", ["1", "2"], ["a b  x", "c d"]),
    ],
)
def test_ids__are_first_word_whole_header_or_number(save, ids, expected, described):
    records = read_fasta(save(b">a b \tx \nACG\n>  c  d\nA\n".replace(b"c  d", b"c d")), ids=ids)
    assert records.ids == expected
    assert records.descriptions == described


def test_ids__hold_no_control_letters(save):
    header = ">a\x01b\tc\x7fd\x00e \u0085f\u2028g\nACGT\n"
    assert read_fasta(save(header.encode())).ids == ["a"]
    (whole,) = read_fasta(save(header.encode()), ids="full").ids
    assert whole == "a b c d e  f g"


def test_ids__keep_bytes_that_are_not_utf8(save):
    records = read_fasta(save(">ü\nACGT\n".encode() + b">b\xfcr\nAC\n"))
    assert records.ids == ["ü", "b\\xfcr"]
    assert records.warnings == [
        "headers hold bytes that are not UTF-8 (first: line 3); kept as \\xNN"
    ]


def test_ids__may_be_long(save):
    long = "x" * 100_000
    assert read_fasta(save(f">{long}\nACGT\n".encode())).ids == [long]


def test_reader__names_line_and_column_of_foreign_letter(refused):
    text, remedy = refused(b">a\nACGT\n>b\nACGT\n  AC-T-A\n>c\nA-\n")
    assert text == (
        'seqs.fasta line 5, column 5: "-" is not a DNA letter '
        '(record "b"; 3 such letters in 2 records).'
    )
    assert remedy == "Aligned file? --gaps remove."


def test_reader__shows_unprintable_bytes_by_number(refused):
    assert "line 2, column 3: byte 0x00 is not a DNA letter" in refused(b">a\nAC\0GT\n")[0]
    assert "line 2, column 1: byte 0xC3" in refused(">a\näACGT\n".encode())[0]


def test_reader__tells_a_protein_letter_in_dna(refused):
    text, remedy = refused(b">a\nACGTACGTACGT\nACGTEACGT\n>b\nACGTACGTAA\n")
    assert text == 'seqs.fasta line 3, column 5: "E" is not a DNA letter (record "a").'
    assert remedy.startswith("Protein? --alphabet protein")


def test_gaps__are_removed_when_asked(save):
    records = read_fasta(save(b">a\n--AC.GT-\n>b\nA-\n"), gaps="remove")
    assert sequences(records) == ["ACGT", "A"]


def test_reader__refuses_records_without_letters(refused):
    text, remedy = refused(b">a\nACGT\n>c x\n\n>d\n")
    assert text == 'seqs.fasta has 2 records without letters, first: "c" (line 3).'
    assert remedy == "Drop them with --on-bad-record skip."


def test_skip__drops_bad_records_and_tells(save):
    text = b">a\nACGTACGTAC\n>b\n\n>c\nAC1\n>d\nACGTACGTAE\n>e\nGG\n"
    records = read_fasta(save(text), on_bad_record="skip", ids="number")
    assert records.ids == ["1", "5"]
    assert sequences(records) == ["ACGTACGTAC", "GG"]
    assert records.lines.tolist() == [1, 9]
    assert records.skipped == 3
    assert records.warnings == ["3 records with foreign letters or none left out"]


def test_skip__still_refuses_when_nothing_is_left(refused):
    text, _ = refused(b">a\n\n>b\n12\n", on_bad_record="skip")
    assert text == "seqs.fasta: all 2 records have foreign letters or none."


def test_reader__refuses_repeated_ids(refused):
    text, remedy = refused(b">a\nA\n>b\nA\n>a x\nA\n>a\nA\n>b\nA\n")
    assert text == (
        'id "a" occurs 3 times in seqs.fasta (lines 1, 5, ...) and 1 other id repeats; '
        "results are addressed by id."
    )
    assert remedy == "Use --ids number to take record numbers."


def test_reader__refuses_headers_without_id(refused):
    text, remedy = refused(b">a\nA\n> \nA\n>\nA\n")
    assert text == "seqs.fasta has 2 headers without an id, first: line 3."
    assert remedy == "Use --ids number to take record numbers."


def test_reader__counts_the_other_kinds_of_problems(refused):
    text, _ = refused(b">a\nAC-T\n>a\n\n>\nA\n")
    assert text.endswith(" Also: 1 record without letters, 1 header without an id, 1 repeated id.")


def test_reader__refuses_mixed_alphabets(refused):
    dna = b"".join(b">d%d\nACGTACGTACGTTTGA\n" % k for k in range(3))
    text, remedy = refused(dna + b">P12345\nMKVLWAALLVTF\n")
    assert text == (
        'seqs.fasta: 3 records look like DNA, 1 like protein (first: "P12345", line 7).'
    )
    assert remedy == "Choose --alphabet protein to read all as protein."


def test_reader__takes_few_dna_like_proteins_for_proteins(save):
    proteins = b"".join(b">p%d\nMKVLWAALLVTF\n" % k for k in range(3))
    records = read_fasta(save(proteins + b">d\nACGTACGTACGTTTGA\n"))
    assert records.alphabet == "protein"
    assert records.warnings == ["1 of 4 records looks like DNA and is read as protein"]


def test_reader__warns_of_nucleotide_codes_read_as_protein(save):
    records = read_fasta(save(b">a\nACGTRYKMNN\n"))
    assert records.alphabet == "protein"
    assert "only 40 % are A, C, G, T or U: read as protein" in records.warnings[0]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty (0 bytes)."),
        (gzip.compress(b"", mtime=0), "is empty (20 bytes of gzip, 0 decompressed)."),
        (b"\n \t\r\n", "holds only blanks (5 bytes)."),
        (b"just some text\n", 'line 1 is "just some te..."; a FASTA file starts with ">".'),
        (b"\n\nACGT\n>a\n", 'line 3 is "ACGT"; a FASTA file starts with ">".'),
        (b" >a\nACGT\n", 'line 1 is " >a"; a FASTA file starts with ">".'),
        (b"@r1\nACGT\n+\nIIII\n", 'is FASTQ, not FASTA: line 1 is "@r1".'),
        (b"LOCUS  X\n", 'is GenBank, not FASTA: line 1 is "LOCUS  X".'),
        (b"\x7fELF\0\0", 'line 1 is "\\x7fELF\\x00\\x00"; a FASTA file starts with ">".'),
        (">a\nACGT\n".encode("utf-16"), "is UTF-16 text."),
        (
            b"\n" * 20_000 + b"ACGT\n>a\nACGT\n",
            'has text before its first record; a FASTA file starts with ">".',
        ),
    ],
)
def test_reader__refuses_what_is_no_fasta(refused, data, text):
    assert refused(data)[0] == f"seqs.fasta {text}"


def test_reader__drops_a_byte_order_mark(save):
    assert read_fasta(save(b"\xef\xbb\xbf>a\r\nACGT\r\n")).ids == ["a"]


@pytest.mark.parametrize("packing", sorted(PACK.keys() - {"plain"}))
def test_reader__refuses_compressed_data_that_ends_early(refused, rng, packing):
    noise = rng.choice(np.frombuffer(b"ACGT", np.uint8), 4000).tobytes()
    stored = PACK[packing](b">a\n" + noise + b"\n>b\nAC\n")
    text, remedy = refused(stored[:-12])
    assert text.startswith("seqs.fasta ends in the middle of its compressed data after record")
    assert remedy == "Copy it again."


def test_reader__tells_the_last_whole_record_before_the_damage(refused):
    stored = gzip.compress(b">a\nAC\n>b\nAC\n>c\nA") + gzip.compress(b"C" * 100)[:-9]
    assert refused(stored)[0] == (
        "seqs.fasta ends in the middle of its compressed data after record 2."
    )


def test_reader__refuses_unknown_options(save):
    path = save(b">a\nACGT\n")
    for option in ("alphabet", "ids", "on_bad_record", "gaps"):
        with pytest.raises(UsageProblem, match=f"{option} is 'some'; choose one of"):
            read_fasta(path, **{option: "some"})

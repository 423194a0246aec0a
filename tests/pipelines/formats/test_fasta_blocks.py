from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.sequences import AMINO_ACIDS, NUCLEOTIDES
from pipelines.formats.fasta_blocks import BLANKS, GAPS, PLACES, BlockParser, byte_counts

TEXTS = st.lists(st.sampled_from([b">", b"A", b"cg", b"E", b"-", b" ", b"\t", b"\n", b"\r", b"\0"]))
PROTEIN = f"{AMINO_ACIDS}OUJ"


def parse(text, cuts=(), gaps=b""):
    parser = BlockParser(gaps)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, stop in pairwise(edges):
        parser.feed(text[start:stop])
    return parser.finish()


def parse_by_line(text, gaps=b""):
    """The definition, line by line: (headers, letters, lines, places of foreign letters)."""
    headers, letters, lines, no_letter, no_nucleotide = [], [], [], [], []
    for number, line in enumerate(
        text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1
    ):
        if line.startswith(b">"):
            headers.append(line[1:])
            letters.append(b"")
            lines.append(number)
            continue
        for column, byte in enumerate(line, 1):
            if byte in BLANKS + gaps:
                continue
            if letters:
                letters[-1] += bytes([byte])
            place = (byte, len(letters) - 1, number, column)
            letter = chr(byte).upper()
            if letter not in PROTEIN:
                no_letter.append(place)
            elif letter not in NUCLEOTIDES + "U":
                no_nucleotide.append(place)
    return headers, letters, lines, no_letter[:PLACES], no_nucleotide[:PLACES]


@given(TEXTS, st.lists(st.integers(0, 60), max_size=6), st.sampled_from([b"", GAPS]))
def test_parser__equals_reading_line_by_line_for_any_cut(pieces, cuts, gaps):
    text = b">" + b"".join(pieces)
    headers, letters, lines, no_letter, no_nucleotide = parse_by_line(text, gaps)
    parsed = parse(text, cuts, gaps)
    assert b"\n".join(parsed.headers).split(b"\n") == headers
    assert b"".join(parsed.letters) == b"".join(letters)
    assert parsed.lengths.tolist() == [len(record) for record in letters]
    assert parsed.lines.tolist() == lines
    places = [(p.byte, p.record, p.line, p.column) for p in parsed.no_letter]
    assert places == no_letter
    places = [(p.byte, p.record, p.line, p.column) for p in parsed.no_nucleotide]
    assert places == no_nucleotide
    assert parsed.counts.tolist() == np.bincount(list(b"".join(letters)), minlength=256).tolist()


def test_parser__takes_one_byte_at_a_time():
    text = b">a b\r\nAC\r\rG-T\r>c\nEE"
    parsed = parse(text, range(len(text)))
    assert b"\n".join(parsed.headers) == b"a b\nc"
    assert parsed.lengths.tolist() == [5, 2]
    assert parsed.lines.tolist() == [1, 5]
    assert [(p.line, p.column) for p in parsed.no_letter] == [(4, 2)]


def test_parser__counts_dropped_gaps():
    parsed = parse(b">a\nA--C\n>b\n.G\n", gaps=GAPS)
    assert parsed.gaps == 3
    assert parsed.lengths.tolist() == [2, 1]


def test_parser__knows_letters_before_the_first_header():
    assert parse(b"\n AC\n>a\nG\n").orphans == 2


@pytest.mark.parametrize("size", [0, 1, 2**17 - 1, 2**17, 2**17 + 1, 2**19 + 3])
def test_byte_counts__equals_bincount(rng, size):
    data = rng.integers(0, 256, size).astype(np.uint8)
    assert np.array_equal(byte_counts(data.tobytes()), np.bincount(data, minlength=256))

"""Numbers in text: every one is what float() makes of it, every row is counted once."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import numbers
from tests.strategies import steady


def read(text, delimiter=",", cells=1, targets=None, settle=float):
    """(outcome, values, spans, cells left to the caller) of a text, those by `settle`."""
    view = np.frombuffer(text.encode(), np.uint8)
    rows, _ = numbers.count_rows(view)
    targets = np.array(targets if targets is not None else range(cells), np.int64)
    values = np.zeros((rows, int((targets >= 0).sum())))
    spans = np.zeros((rows, 2), np.int64)
    state, odd = numbers.new_state(), []
    arguments = (view, ord(delimiter) if delimiter else 0, targets, values.view(np.uint64), spans)
    while (outcome := numbers.read_rows(*arguments, state)) == numbers.ODD:
        odd.append(text[state[numbers.CELL] : state[numbers.POSITION]])
        values[state[numbers.ROW], targets[state[numbers.COLUMN]]] = settle(odd[-1])
        state[numbers.FILLED] = 1
    return outcome, values, spans, odd


def same_bits(texts):
    """Whether the texts, one per row, read as float() reads them."""
    outcome, values, _, odd = read("\n".join(texts))
    assert outcome == numbers.END
    expected = np.array([float(text) for text in texts])
    np.testing.assert_array_equal(values[:, 0].view(np.uint64), expected.view(np.uint64))
    return odd


@steady(60)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_repr_of_any_float__comes_back(values):
    same_bits([repr(value) for value in values])


def test_many_kinds_of_numbers__are_the_nearest_floats():
    draw = random.Random(5)
    bits = (struct.unpack("d", struct.pack("Q", draw.getrandbits(64)))[0] for _ in range(20_000))
    texts = [repr(value) for value in bits if value - value == 0]
    texts += [f"{draw.getrandbits(draw.randint(1, 63))}e{draw.randint(-280, 260)}"
              for _ in range(20_000)]  # fmt: skip
    texts += [f"{draw.uniform(-1e3, 1e3):.{draw.randint(0, 15)}f}" for _ in range(20_000)]
    assert len(same_bits(texts)) < 0.1 * len(texts)


def test_halves__go_to_even():
    """Numbers exactly between two floats, where one bit of the product decides."""
    draw = random.Random(6)
    texts = [str((2 * (draw.getrandbits(53) | 1 << 52) + 1) * 2**k) for k in range(10)]
    texts += [str(2**53 + k) for k in range(1, 4000)]
    texts += [f"{2**53 + k}e{e}" for k in range(1, 400) for e in (-4, -1, 1, 22, 23)]
    same_bits(texts)


@pytest.mark.parametrize("text", ["0", "-0.0", "+1", ".5", "5.", "1e0", "1E+05", "007", "0e-400"])
def test_ways_to_write_a_number__are_read(text):
    assert same_bits([text]) == [] or text.endswith("400")


@pytest.mark.parametrize(
    "text",
    [*("1.2.3", "1e", "e5", ".", "-", "+-1", "1_000", "0x1", "1 2", "nan", ""),
     "12345678901234567890", "1e999", "1e-310"],
)  # fmt: skip
def test_other_cells__are_left_to_the_caller(text):
    outcome, values, _, odd = read(f"7,{text},8\n", cells=3, settle=lambda cell: 0.5)
    assert (outcome, odd) == (numbers.END, [text])
    assert values.tolist() == [[7, 0.5, 8]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("delimiter", "between"), [(",", ","), (",", " , "), ("\t", "\t"), ("", " "), ("", " \t ")]
)
def test_rows__are_read_with_any_delimiter_and_line_end(delimiter, between, end):
    lines = ["# a comment", between.join(["1", "2.5"]), "", " % another", between.join(["-3", "4"])]
    for text in (end.join(lines), end.join([*lines, ""])):
        outcome, values, _, _ = read(text, delimiter, cells=2)
        assert outcome == numbers.END
        assert values.tolist() == [[1, 2.5], [-3, 4]]
        assert numbers.count_rows(np.frombuffer(text.encode(), np.uint8)) == (2, 5)


def test_no_text__has_no_rows():
    assert numbers.count_rows(np.zeros(0, np.uint8)) == (0, 0)
    assert read("")[0] == numbers.END


@pytest.mark.parametrize(
    ("text", "outcome"), [("1,2\n3\n", numbers.FEW), ("1,2\n3,4,5\n", numbers.MANY)]
)
def test_rows_of_another_length__are_told(text, outcome):
    view = np.frombuffer(text.encode(), np.uint8)
    values, state = np.zeros((2, 2)), numbers.new_state()
    spans = np.zeros((0, 2), np.int64)
    found = numbers.read_rows(view, 44, np.arange(2), values.view(np.uint64), spans, state)
    assert found == outcome
    assert (state[numbers.LINE], state[numbers.ROW_START]) == (1, 4)


def test_names__are_found_in_quotes_too():
    text = 'a,1,x\n"b, ""c""",2,y\n d ,3,z\n'
    outcome, values, spans, _ = read(text, targets=[numbers.NAME, 0, numbers.SKIPPED])
    assert outcome == numbers.END
    assert values[:, 0].tolist() == [1, 2, 3]
    cells = [text[start:stop].strip() for start, stop in spans]
    assert cells == ["a", '"b, ""c"""', "d"]

"""Points as text: rows as float() reads them, by any range; errors name line and column."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source, points_text
from pipelines.formats.points import load_rows, open_points
from tests.pipelines.formats.test_points import RANGES, loaded
from tests.strategies import steady

COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def values(rng):
    return rng.normal(size=(1003, 3))


@pytest.fixture
def save(tmp_path):
    def write(text, name="points.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def table(values, delimiter=",", end="\n"):
    return end.join(delimiter.join(map(repr, row)) for row in values.tolist()) + end


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("piece", [200, 2**22])
@pytest.mark.parametrize("checked", [0, 2**28])
def test_ranges__equal_numpy(save, values, ending, piece, checked, monkeypatch):
    monkeypatch.setattr(points_text, "PIECE", piece)
    monkeypatch.setattr(points_text, "HEAD", 100)
    monkeypatch.setattr("pipelines.formats.bytestream.BLOCK", 4 * piece)
    monkeypatch.setattr("pipelines.formats.bytestream._STORED_BLOCK", 500)
    monkeypatch.setattr(points_source, "CHECKED_BYTES", checked)
    points = open_points(save(COMPRESS[ending](table(values).encode()), f"points.csv{ending}"))
    assert (points.n, points.d, points.dtype) == (1003, 3, np.float64)
    assert points.checked == (checked > 0)
    np.testing.assert_array_equal(loaded(points, RANGES), values)


@steady(60)
@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
             min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t", "|", " ", "   ", " , "]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)  # fmt: skip
def test_text__round_trips(tmp_path_factory, rows, delimiter, end):
    path = tmp_path_factory.mktemp("points") / "points.txt"
    path.write_bytes(table(np.array(rows), delimiter, end).encode())
    points = open_points(str(path))
    np.testing.assert_array_equal(load_rows(points.source(0, points.n)), np.array(rows))


@pytest.mark.parametrize(
    ("text", "ids", "names"),
    [
        ("1,2\n3,4\n", None, None),
        ("x,y\n1,2\n3,4\n", None, ["x", "y"]),
        ("id,x,y\n7,1,2\n8,3,4\n", ["7", "8"], ["x", "y"]),
        (",0,1\n7,1,2\n8,3,4\n", ["7", "8"], ["0", "1"]),
        ("x y\n7 1 2\n8 3 4\n", ["7", "8"], ["x", "y"]),
        ("a\t1\t2\nb c\t3\t4\n", ["a", "b c"], None),
        ('"a, b";1;2\n"c ""d""";3;4\n', ["a, b", 'c "d"'], None),
        ("\ufeff# by hand\r\n\r\nname|x|y\r\na|1|2\r\n%\r\nb|3|4", ["a", "b"], ["x", "y"]),
        ('"x","y"\n"1","2"\n"3","4"\n', None, ["x", "y"]),
    ],
)
def test_header_and_ids__are_told(save, text, ids, names):
    points = open_points(save(text))
    assert (points.ids, points.names) == (ids, names)
    np.testing.assert_array_equal(loaded(points, [(0, 1), (1, 2)]), [[1, 2], [3, 4]])
    assert points.warnings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty (0 bytes)."),
        ("\n# only\n", " has no rows: it holds only blanks and comments."),
        ("x,y\n", " has no rows, only a header."),
        ("1,2\n3\n", " line 2 has 1 column, not 2 as the first row."),
        ("x,y\n1,2\n\n3,4,5\n", " line 4 has 3 columns, not 2 as the first row."),
        ("1,2\n3,x\n", ' line 2, column 2: "x" is not a number.'),
        ("1,2\n3,\n", " line 2, column 2 is empty."),
        ("1,2\n3,NaN\n", " line 2, column 2 is nan."),
        ("1,-inf\n", " line 1, column 2 is -inf."),
        ("1,1e999\n", ' line 1, column 2: "1e999" is too large.'),
        ("1,1_0\n", ' line 1, column 2: "1_0" is not a number.'),
        ("1;2,5\n", ' line 1, column 2: "2,5" is not a number.'),
        ("NA,1\n2,3\n", ' line 1, column 1: "NA" is not a number.'),
        ("just words\nand more\n", ' line 1 is "just words"; a table of numbers is expected.'),
        (">a\nACGT\n", " is FASTA, not a table of numbers."),
        ("1,2\n\0\0,3\n", " is not text: it holds NUL bytes."),
        ("1,2\n".encode("utf-16"), " is UTF-16 text."),
        (gzip.compress(b"1,2\n" * 99)[:-9], " ends in the middle of its compressed data after"),
        (b"\x80\x04\x95abc", " is a pickle, not a table of numbers."),
        (gzip.compress(b"\x93NUMPY\x01\0"), " is a compressed .npy, not a table of numbers."),
        (b"\x89HDF\r\n", " is HDF5, not a table of numbers."),
    ],
)
def test_nasty_text__is_refused_in_one_line(save, text, message):
    path = save(text)
    with pytest.raises(InputProblem) as caught:
        open_points(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert caught.value.remedy


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bad", [0, 500, 1002])
def test_line_of_an_error__is_right_in_every_piece(save, values, end, bad, monkeypatch):
    monkeypatch.setattr(points_text, "PIECE", 300)
    monkeypatch.setattr(points_text, "HEAD", 100)
    monkeypatch.setattr("pipelines.formats.bytestream._STORED_BLOCK", 211)
    monkeypatch.setattr("pipelines.formats.bytestream.BLOCK", 211)
    path = save(table(values, end=end))
    np.testing.assert_array_equal(loaded(open_points(path), RANGES), values)
    lines = table(values, end=end).split(end)
    lines[bad] = "1,2,x"
    with pytest.raises(InputProblem) as at_once:
        open_points(save(end.join(lines)))
    assert str(at_once.value) == f'{path} line {bad + 1:,}, column 3: "x" is not a number.'
    monkeypatch.setattr(points_source, "CHECKED_BYTES", 0)
    with pytest.raises(InputProblem) as later:
        loaded(open_points(path), RANGES)
    assert str(later.value) == str(at_once.value)


@pytest.mark.parametrize("checked", [0, 2**28])
def test_ids__are_read_with_every_number_or_without(save, checked, monkeypatch):
    monkeypatch.setattr(points_source, "CHECKED_BYTES", checked)
    monkeypatch.setattr(points_text, "PIECE", 50)
    ids = [f"p {k}" for k in range(99)]
    points = open_points(save("".join(f'"{name}",1,{k}\n' for k, name in enumerate(ids))))
    assert (points.ids, points.checked) == (ids, checked > 0)


def test_ids_that_repeat__are_none(save):
    path = save("kind,x\na,1\nb,2\na,3\n")
    points = open_points(path)
    text = f'the first column of {path} holds "a" more than once, so it is no id'
    assert (points.ids, points.warnings) == (None, [f"{text}: the points are numbered"])


@pytest.mark.parametrize(
    ("columns", "names", "first"),
    [
        ("x,z", ["x", "z"], [1, 3]),
        ("z,x", ["z", "x"], [3, 1]),
        ("2-3", ["x", "y"], [1, 2]),
        ("4,y", ["z", "y"], [3, 2]),
    ],
)
def test_columns__are_chosen(save, columns, names, first):
    text = "id,x,y,z,kind\na,1,2,3,red\nb,4,5,6,blue\n"
    points = open_points(save(text), columns=columns)
    assert (points.names, points.ids) == (names, ["a", "b"])
    assert load_rows(points.source(0, 1)).tolist() == [first]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("w", ' has no column "w".'),
        ("0", " has columns 1 to 3, not 0."),
        ("2-4", " has columns 1 to 3, not 2-4."),
        ("3-2", " has columns 1 to 3, not 3-2."),
        ("", ' has no column "".'),
    ],
)
def test_columns_that_are_not_there__are_refused(save, columns, message):
    path = save("x,y,z\n1,2,3\n")
    with pytest.raises(UsageProblem) as caught:
        open_points(path, columns=columns)
    assert str(caught.value) == f"{path}{message}"
    with pytest.raises(UsageProblem, match='"x,1" names one twice'):
        open_points(path, columns="x,1")


def test_line_without_end__is_refused_before_it_fills_the_memory(save, monkeypatch):
    monkeypatch.setattr(points_text, "LONGEST_LINE", 2**20)
    with pytest.raises(InputProblem, match="line 1 is longer than 64 MiB"):
        open_points(save("1," * 2**22))


def test_long_comments_and_header__come_before_the_rows(save, monkeypatch):
    names = [f"a long name of column {k}" for k in range(5000)]
    comments = "# written by hand\n" * 9000
    row = ",".join(map(str, range(5000)))
    points = open_points(save(f"{comments}{','.join(names)}\n{row}\n{row}\n"))
    assert (points.n, points.d, points.names) == (2, 5000, names)
    np.testing.assert_array_equal(load_rows(points.source(1, 2)), [range(5000)])

import gzip

import pytest

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.labels import read_labels


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "labels.tsv"

    def read(data, ids=("a", "b", "c")):
        path.write_bytes(data)
        try:
            return read_labels(str(path), list(ids))
        except InputProblem as error:
            return str(error).replace(str(path), "labels.tsv")

    return read


def test_labels__come_in_the_order_of_the_ids(read):
    labels = read(b"c\tx\na\ty z\nb\tx\n")
    assert list(labels) == ["y z", "x", "x"]
    assert (labels.unknown, labels.missing) == (0, 0)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_labels__read_any_line_end_and_compression(read, line_end, pack):
    text = line_end.join([b"\xef\xbb\xbfID\tFamily", b"", b"a\tx", b"b\ty", b"c\tx"])
    labels = read(pack(text))
    assert list(labels) == ["x", "y", "x"]
    assert labels.unknown == 0


def test_labels__count_unknown_and_missing_ids(read):
    labels = read(b"a\tx\nz1\tx\nz2\ty\nz1\ty\nb\t \n")
    assert list(labels) == ["x", None, None]
    assert (labels.unknown, labels.missing) == (2, 2)


def test_labels__take_a_record_called_id_for_a_record(read):
    assert list(read(b"id\tx\na\ty\n", ids=["a", "id"])) == ["y", "x"]


def test_labels__leave_comments_out_unless_they_are_ids(read):
    assert list(read(b"# no table\na\tx\n#b\ty\n", ids=["a", "#b"])) == ["x", "y"]


def test_labels__read_no_further_column(read):
    assert list(read(b"Feature ID\tTaxon\tConfidence\na\tx\t0.9\n", ids=["a"])) == ["x"]


def test_labels__find_ids_that_are_not_utf8(read):
    assert list(read(b"b\xfcr\tx\n", ids=["b\\xfcr"])) == ["x"]


def test_labels__name_the_line_without_a_tab(read):
    text = read(b"id\tlabel\na\tx\nb x\n")
    assert text == 'labels.tsv line 3 is "b x": id, tab and label are expected.'


def test_labels__name_both_lines_of_two_labels(read):
    text = read(b"a\tx\nb\tx\na\tx\na\ty\n")
    assert text == 'id "a" has two labels in labels.tsv: "x" (line 1) and "y" (line 4).'


def test_labels__refuse_a_file_for_other_records(read):
    text = read(b"id\tlabel\nz1\tx\nz2\ty\n")
    assert text == 'labels.tsv: none of its 2 ids is in the input, first: "z1" (line 2).'
    assert read(b"q\tx\n") == 'labels.tsv: its id is not in the input, first: "q" (line 1).'


@pytest.mark.parametrize("data", [b"", b"\n\n", b"id\tlabel\n"])
def test_labels__refuse_an_empty_table(read, data):
    assert read(data) == "labels.tsv holds no labels."


def test_labels__refuse_a_missing_file(tmp_path):
    with pytest.raises(UsageProblem, match="does not exist"):
        read_labels(str(tmp_path / "none.tsv"), ["a"])

"""Dissimilarities in text: tables, lsmat and PHYLIP, in every form that programs write."""

import gc
import gzip
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from kernels import mds
from pipelines.errors import InputProblem
from pipelines.exports import export
from pipelines.formats.dissimilarities import open_dissimilarities, staged
from pipelines.formats.dissimilarities_scratch import Scratch, TriangleWriter
from storage.errors import NoSpace
from storage.folder import open_folder
from tests.pipelines.formats.dissimilarity_bands import assert_holds, loaded, upper
from tests.pipelines.result_folders import make_result, symmetric

IDS = ["a b", "17", "x;y", "µ", "-1.5"]


def written(tmp_path, text, name="d.txt"):
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(tmp_path / name)


def table(values, delimiter, ids=None, header=True, end="\n"):
    rows = [delimiter.join(map(repr, row)) for row in values.tolist()]
    if ids:
        rows = [f"{name}{delimiter}{row}" for name, row in zip(ids, rows, strict=True)]
        rows = ([delimiter.join(["", *ids])] if header else []) + rows
    return end.join(rows) + end


@pytest.mark.parametrize("delimiter", ["\t", ",", " ", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_square__without_ids(tmp_path, delimiter, end, n):
    values = symmetric(n, missing=[(0, 1)]).astype(np.float64)
    opened = open_dissimilarities(written(tmp_path, table(values, delimiter, end=end)))
    assert (opened.format, opened.ids, opened.missing) == ("text", None, 1)
    assert_holds(opened, values)


@pytest.mark.parametrize("name", ["d.tsv", "d.tsv.gz", "d.csv"])
@pytest.mark.parametrize("header", [True, False])
def test_square__with_ids(tmp_path, name, header):
    values = symmetric(5).astype(np.float64)
    delimiter = "," if name == "d.csv" else "\t"
    ids = IDS if header else ["a", "b", "c", "d", "e"]
    opened = open_dissimilarities(written(tmp_path, table(values, delimiter, ids, header), name))
    assert opened.ids == ids
    assert_holds(opened, values)


def test_names_of_columns_only__are_the_ids(tmp_path):
    path = written(tmp_path, "# made by hand\na,b\n0,1.5\n1.5,0\n")
    opened = open_dissimilarities(path)
    assert opened.ids == ["a", "b"]
    assert opened.identity["records"] == 2
    assert opened.identity["bytes"] == os.path.getsize(path)


@pytest.mark.parametrize("cell", ["NA", "", "nan", '"NaN"', "?", " - "])
def test_words_for_no_number__are_missing(tmp_path, cell):
    opened = open_dissimilarities(written(tmp_path, f"0,1,2\n1,0,{cell}\n2,{cell},0\n"))
    np.testing.assert_array_equal(opened.rows([1]), [[1, 0, np.nan]])


def test_names_that_occur_twice__are_none(tmp_path):
    opened = open_dissimilarities(written(tmp_path, "\ta\ta\na\t0\t1\na\t1\t0\n"))
    assert opened.ids is None
    assert "names occur more than once" in opened.warnings[0]


PHYLIP = {
    "square": "3\nab 0 1 2\nc  1 0 3\nd  2 3 0\n",
    "padded": "    3\nab          0.0  1.0  2.0\nc           1.0  0.0  3.0\nd           2.0 3. 0\n",
    "wrapped": "3\nab 0 1\n  2\nc  1\n0\n3\nd\n2 3 0\n",
    "lower": "3\nab\nc 1\nd 2 3\n",
    "lower with zeros": "3\nab 0\nc 1 0\nd 2 3 0\n",
    "lower, wrapped": "3\r\nab\r\nc 1\r\nd 2\r\n 3\r\n\r\n",
    "tabs": "3\nab\t0\t1\t2\nc\t1\t0\t3\nd\t2\t3\t0\n",
}


@pytest.mark.parametrize("text", PHYLIP.values(), ids=PHYLIP)
def test_phylip(tmp_path, text):
    opened = open_dissimilarities(written(tmp_path, text))
    assert (opened.format, opened.ids) == ("phylip", ["ab", "c", "d"])
    assert_holds(opened, np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]]))


@pytest.mark.parametrize("name", ["Homo sapie", "Homo 12   ", "0123456789", "a b       "])
@pytest.mark.parametrize("blank", ["", " "])
def test_phylip__name_of_ten_characters(tmp_path, name, blank):
    text = f"2\n{name}{blank}0.0 1.5\nPan       {blank}1.5 0.0\n"
    opened = open_dissimilarities(written(tmp_path, text))
    assert opened.ids == [name.strip(), "Pan"]
    assert_holds(opened, np.array([[0, 1.5], [1.5, 0]]))


@pytest.mark.parametrize(
    ("text", "n"), [("1\na 0\n", 1), ("1\na\n", 1), ("2\na\nb 3\n", 2), ("0\n", 1), ("a\t0\n", 1)]
)
def test_one_or_two_records(tmp_path, text, n):
    opened = open_dissimilarities(written(tmp_path, text))
    assert opened.n == n
    assert_holds(opened, np.array([[0, 3.0], [3, 0]])[:n, :n])


@settings(max_examples=25, deadline=None)
@drawn(st.integers(1, 30), st.integers(8, 4000), st.booleans())
def test_triangle__is_turned(n, batch_bytes, diagonal):
    values = symmetric(n).astype(np.float64)
    held = Scratch()
    with held.writing() as number:
        writer = TriangleWriter(number, n, batch_bytes)
        for i in range(n):
            writer.add(values[i, : i + diagonal])
        writer.flush()
    found = np.fromfile(held.path).reshape(n, n)
    np.testing.assert_array_equal(np.triu(found), np.triu(values))


@pytest.mark.parametrize("form", ["lsmat", "phylip", "npy", "condensed"])
def test_exports_of_a_result__are_read_again(tmp_path, form):
    values = symmetric(60, missing=[] if form == "phylip" else [(3, 4)])
    make_result(tmp_path / "r", values)
    export(str(tmp_path / "r"), form, str(tmp_path / "d"))
    opened = open_dissimilarities(str(tmp_path / "d"))
    if form in ("lsmat", "phylip"):
        assert opened.ids == [f"s{k}" for k in range(60)]
    np.testing.assert_allclose(loaded(opened), upper(values), rtol=1e-7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n1,0\n2,1\n", "FILE is 3 x 2, not square:"),
        ("1,2,3\n4,5,6\n", "FILE is 2 x 3, not square:"),
        ("0,1\n1\n", "FILE line 2 has 1 column, not 2 as the first row."),
        ("0,1\n1,x\n", 'FILE line 2, column 2: "x" is not a number.'),
        ("0;1,5\n1,5;0\n", 'FILE line 1, column 2: "1,5" is not a number.'),
        ("\ta\tb\nb\t0\t1\na\t1\t0\n", 'FILE: row 1 is "b", column 1 "a".'),
        ("0,1\n1.5,0\n", "FILE is not symmetric: d[0,1]=1, d[1,0]=1.5 (one pair)."),
        ("0,inf\ninf,0\n", "FILE: d[0,1] (counted from 0) is inf;"),
        ("\n# nothing\n", "FILE holds no numbers (11 bytes)."),
        ("3\na\nb 1\nc 2\n", 'FILE ends in record 3 of 3 ("c"): 1 of 2 distances are not there.'),
        ("2\na 0 1\nb 1 0 7\n", "FILE line 3 has more than 2 distances."),
        ("2\na 0 1\nb 1 0\nc 1 0\n", "FILE line 4 comes after the last of 2 records."),
        ("9999999\na 0 1\nb 1 0\n", "FILE says that it holds 9,999,999 records."),
        ("3\na 0 1\nb 1 0 1\n", 'FILE line 3, column 1: "b" is not a number.'),
        (">a\nACGT\n", "FILE is FASTA, not a table of numbers."),
        (b"\1\2\0\0" * 9, "FILE is neither text nor a format that tells its name."),
        (b"\x89HDF\r\n\x1a\n\0\0", "FILE is HDF5, not a table of numbers."),
    ],
)
def test_wrong_text__is_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputProblem) as caught:
        open_dissimilarities(path)
    assert str(caught.value).replace(path, "FILE").startswith(message)


def test_cut_compressed_text__is_refused(tmp_path):
    path = written(tmp_path, table(symmetric(60), ","), "d.csv.gz")
    (tmp_path / "cut.gz").write_bytes((tmp_path / "d.csv.gz").read_bytes()[:-9])
    with pytest.raises(InputProblem, match="ends in the middle of its compressed data"):
        open_dissimilarities(str(tmp_path / "cut.gz"))
    assert open_dissimilarities(path).n == 60


def temporary_files():
    folders = [name for name in os.listdir(tempfile.gettempdir()) if f"-{os.getpid()}-" in name]
    return {name for name in folders if name.startswith("whorl-")}


def test_temporary_file__goes_with_what_was_opened(tmp_path):
    gc.collect()
    before = temporary_files()
    opened = open_dissimilarities(written(tmp_path, "0,1\n1,0\n"))
    assert len(temporary_files() - before) == 1
    again = staged(opened, open_folder(str(tmp_path)), "kept", mds.band_ranges(2))
    del opened
    gc.collect()
    assert len(temporary_files() - before) == 1
    del again
    gc.collect()
    assert temporary_files() == before


@pytest.mark.parametrize("symmetrize", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_staged__bands_are_read_without_the_file(tmp_path, symmetrize, packed, monkeypatch):
    monkeypatch.setattr("pipelines.formats.dissimilarities_staged.TILE_BYTES", 3000)
    values = symmetric(90, missing=[(0, 50)]).astype(np.float64)
    given, expected = values.copy(), values
    if symmetrize:
        given[3, 4] += 0.5
        expected = (given + given.T) / 2
    path = str(tmp_path / "d.npz")
    np.savez_compressed(path, given) if packed else written(tmp_path, table(given, ","), "d.npz")
    opened = open_dissimilarities(path, symmetrize=symmetrize)
    ranges = [(0, 16), (16, 32), (32, 90)]
    again = staged(opened, open_folder(str(tmp_path)), ".work/distances", ranges)
    sources = [again.source(start, stop, "float64") for start, stop in ranges]
    os.unlink(path)
    os.unlink(opened.held.path)
    assert not any(source.check or source.symmetrize for source in sources)
    np.testing.assert_array_equal(loaded(again, ranges=ranges), upper(expected))


def test_staged__what_lies_there_is_kept_and_other_input_needs_none(tmp_path):
    opened = open_dissimilarities(written(tmp_path, table(symmetric(40), ",")))
    folder, ranges = open_folder(str(tmp_path)), [(0, 16), (16, 40)]
    staged(opened, folder, "kept", ranges)
    times = [os.stat(tmp_path / "kept" / name).st_mtime_ns for name in ("00000", "00001")]
    (tmp_path / "kept" / "00001").write_bytes(b"half")
    np.testing.assert_array_equal(
        loaded(staged(opened, folder, "kept", ranges), ranges=ranges), loaded(opened)
    )
    assert os.stat(tmp_path / "kept" / "00000").st_mtime_ns == times[0]
    np.save(tmp_path / "d.npy", symmetric(40))
    opened = open_dissimilarities(str(tmp_path / "d.npy"))
    assert staged(opened, folder, "other", ranges) is opened


def test_full_disk__is_told(tmp_path, small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(NoSpace, match="the disk is full"):
        open_dissimilarities(written(tmp_path, table(symmetric(700), ",")))

"""How a table of numbers is laid out in text, told by its first lines.

* The cells of a row are parted by tabs, else semicolons, else commas, else "|", whichever the first
  row has, else by runs of blanks. Text in double quotes is one cell.
* The first row is a header when none of its cells is a number; when its first cell is empty and
  that of the next row is not (as pandas writes it); when it is one cell shorter (as R writes it).
* The first column holds the ids of the rows when a header names it so (id, name, sample, ... or
  nothing), or when what it holds in the first row is no number. Ids that occur twice are none.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernels.numbers import NAME, SKIPPED
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.fasta_checks import quote

HEAD = 2**16  # bytes that are enough to judge

ID_NAMES = {
    *("id", "ids", "name", "names", "record", "record id", "sequence", "sequence id", "seqid"),
    *("seq_id", "sequence_id", "sample", "sample id", "sampleid", "sample_id", "sample_name"),
    *("feature id", "featureid", "feature-id", "accession", "index", "key", "point", "row", ""),
}
_MISSING = {"na", "n/a", "null", "none", "?", "-", ".", "missing"}
_TABLE = "One row of numbers per point, parted by commas, tabs or blanks."
# first bytes, name of the format, what to do
_OTHERS = (
    (b"\x89HDF", "HDF5", "Save the array with numpy.save."),
    (b"PK\x03\x04", "a ZIP archive or spreadsheet", "Save it as CSV."),
    (b"ARROW1", "Arrow", "Save it as Parquet."),
    (b"SQLite format 3", "SQLite", "Export it as CSV."),
    (b"MATLAB 5.0", "MATLAB", "Save the array with scipy.io.loadmat and numpy.save."),
    (b"\x80\x04", "a pickle", "Save the array with numpy.save."),
    (b"\x80\x05", "a pickle", "Save the array with numpy.save."),
    (b"\x93NUMPY", "a compressed .npy", "Decompress it."),
    (b"\x1f\x8b", "compressed twice", "Decompress it once."),
    (b"%PDF", "PDF", "Give the numbers as CSV."),
    (b">", "FASTA", "Distances of sequences? use: run swg"),
    (b"<", "HTML or XML", "Was an error page saved in place of the file?"),
    (b"{", "JSON", "Save it as CSV."),
    (b"[", "JSON", "Save it as CSV."),
)


@dataclass(frozen=True)
class Form:
    """How to read the rows.

    offset, line  bytes and lines before the first row of numbers
    delimiter     byte between cells, 0 for blanks
    targets       per cell of a row: its column of the values, or SKIPPED or NAME
    names         of the columns of the values, or None
    named_ids     the header says which column holds ids
    missing       cells that are empty, NaN or NA are NaN; else they are refused
    """

    offset: int
    line: int
    delimiter: int
    targets: tuple[int, ...]
    names: tuple[str, ...] | None
    named_ids: bool
    missing: bool = False

    @property
    def d(self) -> int:
        """Columns of the values."""
        return sum(target >= 0 for target in self.targets)

    @property
    def has_ids(self) -> bool:
        return NAME in self.targets


def form_of(head: bytes, name: str, columns: str | None = None) -> Form:
    """The form of a table that starts with `head`, whole lines or the whole text.

    columns: names or numbers from 1 of those to take, as "1-4,7" or "x,y"; None for all.
    Raises InputProblem when this is no table of numbers.
    """
    check_start(head, name)
    rows = _first_rows(head)
    if not rows:
        text = f"{name} has no rows: it holds only blanks and comments."
        raise InputProblem(text, remedy="Give at least one point.")
    delimiter = _delimiter([line for _, _, line in rows])
    table = [split(line, delimiter) for _, _, line in rows]
    header = _is_header(table, name, rows)
    if header and len(rows) == 1:
        text = f"{name} has no rows, only a header."
        raise InputProblem(text, remedy="Give at least one point.")
    names = table[0] if header else None
    first = table[1 if header else 0]
    if names is not None and len(names) == len(first) - 1:
        names = ["", *names]
    named = names is not None and len(first) > 1 and names[0].strip().lower() in ID_NAMES
    has_ids = named or (len(first) > 1 and not is_number(first[0]) and not is_missing(first[0]))
    at, line, _ = rows[1 if header else 0]
    targets, kept = _targets(len(first), has_ids, names, columns, name)
    return Form(at, line, delimiter, targets, kept, named and has_ids)


def looks_like_table(head: bytes) -> bool:
    """Whether one of the first two rows of a text holds a number, and it is no other format."""
    try:
        check_start(head, "")
    except InputProblem:
        return False
    lines = [line for _, _, line in _first_rows(head)[:2]]
    rows = [split(line, _delimiter([line])) for line in lines]
    return any(is_number(cell) for row in rows for cell in row)


def check_start(head: bytes, name: str) -> None:
    """InputProblem for what is clearly another format, or no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        remedy = "Save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE."
        raise InputProblem(f"{name} is UTF-16 text.", remedy=remedy)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for first, other, remedy in _OTHERS:
        if start.startswith(first):
            raise InputProblem(f"{name} is {other}, not a table of numbers.", remedy=remedy)
    if b"\0" in head:
        raise InputProblem(f"{name} is not text: it holds NUL bytes.", remedy=_TABLE)


def split(line: str, delimiter: int) -> list[str]:
    """The cells of a row, without blanks around them and without quotes."""
    cells, position, blank = [], 0, " " if delimiter == 9 else " \t"
    line = line.strip(" ") if delimiter == 9 else line.strip(" \t")
    part = chr(delimiter) if delimiter else None
    while True:
        if line[position : position + 1] == '"':
            stop = position + 1
            while stop < len(line) and (line[stop] != '"' or line[stop + 1 : stop + 2] == '"'):
                stop += 1 + (line[stop] == '"')
            stop = min(stop + 1, len(line))
        else:
            stop = position
        while stop < len(line) and (line[stop] != part if part else line[stop] not in blank):
            stop += 1
        cells.append(unquote(line[position:stop].strip(blank)))
        if stop >= len(line):
            return cells
        position = stop + 1
        while position < len(line) and line[position] in blank:
            position += 1


def unquote(cell: str) -> str:
    """A cell without the double quotes around it."""
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def is_number(cell: str) -> bool:
    """Whether float() reads it; "1_000" is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def number_of(cell: str, place: str, missing: bool = False) -> float:
    """The value of a cell that is no plain number; missing: NaN where there is none. InputProblem
    that begins with its place."""
    cell = unquote(cell)
    if missing and (cell.strip().lower() in ("", "nan") or is_missing(cell)):
        return float("nan")
    if not cell.strip():
        raise InputProblem(f"{place} is empty.", remedy=_REMEDY)
    if is_number(cell):
        value = float(cell)
        if abs(value) < float("inf"):
            return value
        if any(letter.isdigit() for letter in cell):
            text = f"{place}: {quote(cell)} is too large."
            raise InputProblem(text, remedy="A float64 holds numbers up to 1.8e308.")
        raise InputProblem(f"{place} is {value}.", remedy=_REMEDY)
    remedy = _REMEDY
    if is_number(cell.replace(",", ".", 1)):
        remedy = "Write decimal points in place of commas."
    raise InputProblem(f"{place}: {quote(cell)} is not a number.", remedy=remedy)


_REMEDY = "Leave such rows out, put numbers there, or choose other columns: --columns 1-4."


def is_missing(cell: str) -> bool:
    """Whether a cell is one of the usual words for no number."""
    return cell.strip().lower() in _MISSING


def _first_rows(head: bytes) -> list[tuple[int, int, str]]:
    """(offset, line, text) of the first rows."""
    rows = []
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    for number, line in enumerate(head[at:].splitlines(keepends=True)):
        text = line.strip()
        if text and text[:1] not in (b"#", b"%"):
            # a tab at an end parts cells, blanks do not
            rows.append((at, number, line.strip(b"\r\n").decode("utf-8", "backslashreplace")))
        at += len(line)
        if len(rows) == 50:
            break
    return rows


def _delimiter(lines: list[str]) -> int:
    """The first that the first row has outside of quotes, and that parts the second row alike:
    names may hold the others."""
    outside = "".join(lines[0].split('"')[::2]).strip(" ")
    found = [ord(letter) for letter in "\t;,|" if letter in outside]
    for delimiter in found if len(found) > 1 else []:
        cells = [len(split(line, delimiter)) for line in lines[:2]]
        if cells[0] in (cells[-1], cells[-1] - 1):
            return delimiter
    return found[0] if found else 0


def _is_header(table: list[list[str]], name: str, rows: list[tuple[int, int, str]]) -> bool:
    first = table[0]
    following = table[1] if len(table) > 1 else []
    if not any(is_number(cell) for cell in first):
        if following and not any(is_number(cell) for cell in following):
            line = f"{name} line {rows[0][1] + 1:,} is {quote(rows[0][2], 12)}"
            raise InputProblem(f"{line}; a table of numbers is expected.", remedy=_TABLE)
        return bool(following) or _is_text(first)
    if not following or not following[0]:
        return False
    is_shorter = len(first) == len(following) - 1
    return not first[0] or (is_shorter and not is_number(following[0]))


def _is_text(cells: list[str]) -> bool:
    """A lone row of words is a header; one of missing values is a row."""
    return any(cell and not is_missing(cell) for cell in cells)


def _targets(
    n_cells: int, has_ids: bool, names: list[str] | None, columns: str | None, name: str
) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """(targets, names of the columns that are kept)."""
    if columns is None:
        taken = list(range(int(has_ids), n_cells))
    else:
        taken = chosen_columns(columns, names, n_cells, name)
    targets = [SKIPPED] * n_cells
    if has_ids:
        targets[0] = NAME
    for column, cell in enumerate(taken):
        targets[cell] = column
    if names is None or len(names) != n_cells:
        return tuple(targets), None
    return tuple(targets), tuple(names[cell] for cell in taken)


def unique_ids(ids: list[str], name: str) -> tuple[list[str] | None, list[str]]:
    """(ids, warnings): no ids and a warning where one occurs twice."""
    if len(set(ids)) == len(ids):
        return ids, []
    seen: set[str] = set()
    twice = ""
    for twice in ids:
        if twice in seen:
            break
        seen.add(twice)
    text = f"the first column of {name} holds {quote(twice)} more than once, so it is no id"
    return None, [f"{text}: the points are numbered"]


def chosen_columns(columns: str, names: list[str] | None, n: int, name: str) -> list[int]:
    """Numbers from 0 of the columns that "1-4,7" or "x,y" means. Raises UsageProblem."""
    chosen: list[int] = []
    for word in columns.split(","):
        word = word.strip()
        low, dash, high = word.partition("-")
        if names is not None and word in names:
            chosen.append(names.index(word))
        elif low.isdecimal() and (high.isdecimal() or not dash):
            first, last = int(low), int(high or low)
            if not 1 <= first <= last <= n:
                text = f"{name} has columns 1 to {n:,}, not {word}."
                raise UsageProblem(text, remedy="Columns are counted from 1.")
            chosen.extend(range(first - 1, last))
        else:
            known = f"It has {', '.join(names[:8])}." if names else "Give numbers, as 1-4,7."
            raise UsageProblem(f"{name} has no column {quote(word)}.", remedy=known)
    if len(set(chosen)) < len(chosen):
        raise UsageProblem(f"columns {quote(columns)} names one twice.", remedy="Name it once.")
    return chosen

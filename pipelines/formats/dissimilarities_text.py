"""Dissimilarities in text, plain or compressed: a square table, with ids or without, and PHYLIP.

A table is what form_of tells, as of points; as scikit-bio's lsmat it has ids in the first row and
the first column. PHYLIP begins with the number of records; then come a name and distances for
each, to all records or to those before it, on one line or several. A name of PHYLIP ends at the
first blank, or after ten characters where what follows that blank is no number.

Text is read once, from its start; the numbers are kept in a temporary file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from kernels import numbers
from pipelines.errors import InputProblem
from pipelines.formats.bytestream import ByteStream, StreamDamageError
from pipelines.formats.dissimilarities_flat import Part, SquareLayout
from pipelines.formats.dissimilarities_scratch import Scratch, TriangleWriter, write_all
from pipelines.formats.dissimilarities_source import not_square
from pipelines.formats.fasta_checks import quote
from pipelines.formats.points_table import (
    Form,
    check_start,
    form_of,
    is_missing,
    is_number,
    unquote,
)
from pipelines.formats.points_text import LONGEST_LINE, line_end, ragged

Line = tuple[int, bytes]  # number from 0, text

MOST_RECORDS = 2**20  # the square of which is beyond any disk
_SPACE = re.compile(rb"\s")
_ONE = "Give the distances of at least one record."


@dataclass
class Parsed:
    """What a text holds. held: the temporary file of the numbers; form: 'text' or 'phylip'"""

    form: str
    layout: SquareLayout
    ids: list[str] | None
    held: Scratch
    nbytes: int = 0
    sha256: str = ""


def parse(url: str, name: str) -> Parsed:
    """Read a text to its end. Raises InputProblem naming line and column."""
    with ByteStream(url) as stream:
        try:
            lines = _lines(stream, name)
            parsed = _reader(name, stream, lines).read()
            for _ in lines:
                pass  # the hash is that of the whole file
        except StreamDamageError as damage:
            raise InputProblem(f"{name} {damage}.", remedy="Copy it again.") from damage
        return replace(parsed, nbytes=stream.nbytes, sha256=stream.sha256)


def looks_square(url: str, name: str) -> bool:
    """Whether a text is PHYLIP, or a table of as many rows as columns whose diagonal begins with
    zeros. Raises InputProblem and StreamDamageError."""
    with ByteStream(url) as stream:
        reader = _reader(name, stream, _lines(stream, name))
        if isinstance(reader, _Phylip):
            return reader.is_named()
        return reader.is_square()


def _reader(name: str, stream: ByteStream, lines: Iterator[Line]) -> _Table | _Phylip:
    """What the first lines tell how to read."""
    first: list[Line] = []
    data: list[bytes] = []
    for line in lines:
        first.append(line)
        if _is_data(line[1]):
            data.append(line[1])
        if len(data) == 3:
            break
    head = b"\n".join(text for _, text in first) + b"\n"
    check_start(head.replace(b"\0", b""), name)
    if b"\0" in head:
        text = f"{name} is neither text nor a format that tells its name."
        raise InputProblem(text, remedy="Raw int16 of SALSA? Say so: --kind salsa-int16-be or -le.")
    if not data:
        raise InputProblem(f"{name} holds no numbers ({stream.nbytes:,} bytes).", remedy=_ONE)
    whole = chain(first, lines)
    if len(data) > 1 and data[0].strip().isdigit():
        return _Phylip(name, ((number, text) for number, text in whole if text.strip()))
    return _Table(name, form_of(head, name), whole)


class _Table:
    """A square table."""

    def __init__(self, name: str, form: Form, lines: Iterator[Line]):
        self.name, self.form = name, form
        self._rows = (line for line in lines if line[0] >= form.line and _is_data(line[1]))

    def read(self) -> Parsed:
        d, row, ids, held = self.form.d, 0, [], Scratch()
        targets = np.array(self.form.targets, np.int64)
        with held.writing() as file:
            for number, text in self._rows:
                row += 1
                if row > d:
                    continue
                outcome, values, span, state = cells_of(
                    text, self.form.delimiter, targets, self.name, number
                )
                if outcome != numbers.END:
                    raise ragged(text, self.form, self.name, number, state)
                if self.form.has_ids:
                    cell = text[slice(*span)].decode("utf-8", "backslashreplace")
                    ids.append(unquote(cell.strip()))
                write_all(file, values.data)
        if row != d:
            raise not_square(self.name, (row, d))
        layout = SquareLayout(self.name, d, "<f8", (Part(held.path),))
        return Parsed("text", layout, self._ids(ids), held)

    def is_square(self) -> bool:
        """Whether the diagonal begins with zeros, and rows end where columns do."""
        d, row = self.form.d, 0
        targets = np.array(self.form.targets, np.int64)
        for number, text in self._rows:
            if row < min(d, 3):
                _, values, _, _ = cells_of(text, self.form.delimiter, targets, self.name, number)
                if abs(values[row]) > 0:
                    return False
            row += 1
            if row > d:
                return False
        return row == d > 1

    def _ids(self, ids: list[str]) -> list[str] | None:
        """Those of the rows, or of the columns. Raises InputProblem where they differ."""
        names = list(self.form.names) if self.form.names is not None else None
        if not ids or names is None:
            return ids or names
        for place, (row, column) in enumerate(zip(ids, names, strict=True), 1):
            if row != column:
                text = f"{self.name}: row {place:,} is {quote(row)}, column {place:,} "
                text += f"{quote(column)}."
                raise InputProblem(text, remedy="Bring rows and columns into the same order.")
        return ids


class _Phylip:
    """A number of records, then a name and distances for each."""

    def __init__(self, name: str, lines: Iterator[Line]):
        self.name, self._lines = name, lines
        self.n = int(next(lines)[1])
        if not 0 < self.n <= MOST_RECORDS:
            text = f"{name} says that it holds {self.n:,} records."
            raise InputProblem(text, remedy="PHYLIP begins with the number of its records.")

    def is_named(self) -> bool:
        """Whether the first record has a name, and is not one of a column of whole numbers."""
        words = next(self._lines)[1].split()
        name = words[0].decode("utf-8", "backslashreplace")
        return not is_number(name) or len(words) == self.n + 1

    def read(self) -> Parsed:
        line = next(self._lines)
        label, values = self._first_of(line, self.n)
        lower = len(values) < min(self.n, 2)
        diagonal = len(values)  # of a triangle: whether it holds it
        held, ids, last = Scratch(), [label], line[0]
        with held.writing() as file:
            writer = TriangleWriter(file, self.n) if lower else None
            for i in range(self.n):
                if i:
                    line = next(self._lines, (last + 1, b""))
                    count = i + diagonal if lower else self.n
                    label, values = self._first_of(line, count)
                    ids.append(label)
                else:
                    count = diagonal if lower else self.n
                values, last = self._rest_of(values, count, i, label, line[0])
                if writer is None:
                    write_all(file, values.data)
                else:
                    writer.add(values)
            if writer is not None:
                writer.flush()
        for number, _ in self._lines:
            text = f"{self.name} line {number + 1:,} comes after the last of {self.n:,} records."
            raise InputProblem(text, remedy="PHYLIP begins with the number of its records.")
        layout = SquareLayout(self.name, self.n, "<f8", (Part(held.path),), upper=lower)
        return Parsed("phylip", layout, ids, held)

    def _first_of(self, line: Line, count: int) -> tuple[str, np.ndarray]:
        """(name, distances) on the first line of a record, at most count."""
        number, text = line
        text = text.strip()
        space = _SPACE.search(text)
        cut = space.start() if space else len(text)
        choices = [cut] if len(text) <= 10 or cut == 10 else [cut, 10]
        found, problems = [], []
        for cut in choices:
            try:
                values = self._numbers(text[cut:], count, number)
            except InputProblem as problem:
                problems.append(problem)
                continue
            found.append((text[:cut].decode("utf-8", "backslashreplace").strip(), values))
        if not found:
            raise problems[0]
        return max(found, key=lambda each: len(each[1]))

    def _rest_of(
        self, values: np.ndarray, count: int, i: int, label: str, number: int
    ) -> tuple[np.ndarray, int]:
        """(count distances, number of the last line) of a record that goes on on other lines."""
        parts = [values]
        missing = count - len(values)
        while missing:
            number, text = next(self._lines, (number, b""))
            more = self._numbers(text, missing, number)
            if not len(more):
                text = f"{self.name} ends in record {i + 1:,} of {self.n:,} ({quote(label)}): "
                raise InputProblem(f"{text}{missing:,} of {count:,} distances are not there.")
            parts.append(more)
            missing -= len(more)
        return np.concatenate(parts), number

    def _numbers(self, text: bytes, count: int, number: int) -> np.ndarray:
        if not text.strip():
            return np.empty(0)
        outcome, values, _, state = cells_of(text, 0, np.arange(count), self.name, number)
        if outcome == numbers.MANY:
            text = f"{self.name} line {number + 1:,} has more than {count:,} distances."
            raise InputProblem(text, remedy="PHYLIP begins with the number of its records.")
        return values[: state[numbers.COLUMN]] if outcome == numbers.FEW else values


def cells_of(
    text: bytes, delimiter: int, targets: np.ndarray, name: str, line: int
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(outcome, values, id, state) of one line, as kernels.numbers.read_rows gives them.

    delimiter, targets   as there. NaN is where a number is missing; id: its start and stop
    Raises InputProblem naming line and column of what is no number.
    """
    view, state = np.frombuffer(text, np.uint8), numbers.new_state()
    values, spans = np.empty((1, int(targets.max()) + 1)), np.zeros((1, 2), np.int64)
    arguments = (view, delimiter, targets, values.view(np.uint64), spans, state)
    while (outcome := numbers.read_rows(*arguments)) == numbers.ODD:
        cell = text[state[numbers.CELL] : state[numbers.POSITION]]
        column = int(state[numbers.COLUMN])
        place = f"{name} line {line + 1:,}, column {column + 1:,}"
        values[0, targets[column]] = _odd(cell.decode("utf-8", "backslashreplace"), place)
        state[numbers.FILLED] = 1
    return outcome, values[0], spans[0], state


def _odd(cell: str, place: str) -> float:
    """The number of a cell that is no plain one: inf, nan, missing, in quotes."""
    cell = unquote(cell.strip()).strip()
    if not cell or is_missing(cell):
        return np.nan
    if is_number(cell):
        return float(cell)
    remedy = "Distances are numbers, and NaN where one is not known."
    if is_number(cell.replace(",", ".", 1)):
        remedy = "Write decimal points in place of commas."
    raise InputProblem(f"{place}: {quote(cell)} is not a number.", remedy=remedy)


def _lines(stream: ByteStream, name: str) -> Iterator[Line]:
    """Number and text of each line."""
    held, number = b"", 0
    for block in stream.blocks():
        held += block if held or number else block.removeprefix(b"\xef\xbb\xbf")
        stop = line_end(held)
        for text in held[:stop].splitlines():
            yield number, text
            number += 1
        held = held[stop:]
        if len(held) > LONGEST_LINE:
            text = f"{name} line {number + 1:,} is longer than 64 MiB."
            raise InputProblem(text, remedy="One row of distances per line.")
    for text in held.splitlines():
        yield number, text
        number += 1


def _is_data(text: bytes) -> bool:
    text = text.lstrip()
    return bool(text) and not text.startswith((b"#", b"%"))

"""Points as text: CSV, TSV and the like, plain or compressed, read in pieces that end with lines.

Opening goes over the text once: it counts the rows of each piece, which gives an index of (row,
line, byte), and up to CHECKED_BYTES it reads all numbers too. A worker then reads the bytes of the
pieces that hold its rows; of compressed text, everything up to them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kernels import numbers
from pipelines.errors import InputProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import ByteStream, StreamDamageError, open_stored, read_at
from pipelines.formats.points_source import Points
from pipelines.formats.points_table import (
    HEAD,
    Form,
    check_start,
    form_of,
    number_of,
    split,
    unique_ids,
    unquote,
)

PIECE = points_source.BLOCK_BYTES
LONGEST_LINE = 64 * 2**20
_THREADS = 2

Place = tuple[int, int, int]  # row, line and byte with which a piece starts


@dataclass(frozen=True)
class TextLayout:
    """Where the pieces of a text are: the place of each, and that behind the last."""

    url: str
    name: str
    form: Form
    places: tuple[Place, ...]
    plain: bool

    @property
    def needs_staging(self) -> bool:
        return not self.plain

    def part(self, start: int, stop: int) -> TextLayout:
        first, last = self._pieces(start, stop)
        return replace(self, places=self.places[first : last + 1])

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        first, last = self._pieces(start, stop)
        places = self.places[first : last + 1]
        texts = self._ranges(places) if self.plain else self._stream(places)
        for text, (row, line, _) in zip(texts, places[:-1], strict=True):
            values = read_piece(text, self.form, self.name, line)[0]
            yield values[max(start - row, 0) : stop - row]

    def _pieces(self, start: int, stop: int) -> tuple[int, int]:
        """Numbers of the first piece and of that behind the last."""
        rows = [place[0] for place in self.places]
        first = bisect_right(rows, start) - 1
        last = max(bisect_right(rows, stop - 1), first + 1)
        return first, min(last, len(rows) - 1)

    def _ranges(self, places: tuple[Place, ...]) -> Iterator[bytes]:
        with ExitStack() as close:
            file = open_stored(self.url, close)
            for (_, _, start), (row, _, stop) in pairwise(places):
                text = read_at(file, start, stop - start, self.name)
                if len(text) < stop - start:
                    raise points_source.ends_early(self.name, row, row)
                yield text

    def _stream(self, places: tuple[Place, ...]) -> Iterator[bytes]:
        """The same pieces of a text that has to be decompressed from its start."""
        held, at = bytearray(), 0  # text from byte `at`
        ends = pairwise(places)
        (_, _, start), (_, _, stop) = next(ends)
        for block in told_blocks(self.url, self.name):
            if at + len(block) <= start and not held:
                at += len(block)
                continue
            held += block
            while at + len(held) >= stop:
                yield bytes(held[start - at : stop - at])
                del held[: stop - at]
                at = stop
                (_, _, start), (_, _, stop) = next(ends, ((0, 0, stop), (0, 0, 0)))
                if not stop:
                    return
        raise points_source.ends_early(self.name, places[0][0], places[-1][0])


def open_text(url: str, name: str, columns: str | None = None, *, missing: bool = False) -> Points:
    """A table of numbers as Points; columns as in `form_of`, missing as in `open_points`."""
    with ByteStream(url) as stream:
        survey = _Survey(name, columns, missing)
        try:
            for block in stream.blocks():
                survey.feed(block, stream.nbytes <= points_source.CHECKED_BYTES)
            survey.finish(stream)
        except StreamDamageError as damage:
            text = f"{name} {damage} after row {survey.row:,}."
            raise InputProblem(text, remedy="Copy it again.") from damage
        finally:
            survey.close()
    form, n, d = survey.form, survey.row, survey.form.d
    points_source.check_shape((n, d), name)
    ids, warnings = unique_ids(survey.ids, name) if survey.ids is not None else (None, [])
    plain = stream.compression == "none"
    return Points(
        url, "text", n, d, np.dtype(np.float64), ids, list(form.names) if form.names else None,
        stream.nbytes, points_source.identity(url, stream.nbytes, n, stream.sha256),
        warnings + points_source.layout_warnings(name, n, d), survey.checked,
        TextLayout(url, name, form, tuple(survey.places), plain),
    )  # fmt: skip


class _Survey:
    """One pass over a text: its form, the places of its pieces, its ids, and whatever is wrong."""

    def __init__(self, name: str, columns: str | None, missing: bool = False):
        self.name, self.columns, self.missing = name, columns, missing
        self.form: Form = None  # type: ignore[assignment]  # known once the head was seen
        self.places: list[Place] = []
        self.ids: list[str] | None = None
        self.row = self.line = 0
        self.checked = True
        self._at = 0  # of the first byte that is held
        self._held = bytearray()
        self._size = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="numbers")
        self._waiting: deque[Future[list[str] | None]] = deque()

    def feed(self, block: bytes, check: bool) -> None:
        """Take the next bytes. check: read the numbers too."""
        self.checked &= check
        self._held += block
        self._size += len(block)
        if len(self._held) >= (HEAD if self.form is None else PIECE):
            self._cut(last=False)

    def finish(self, stream: ByteStream) -> None:
        """No more bytes."""
        if not self._size:
            stored = f"{stream.nbytes:,} bytes"
            if stream.compression != "none":
                stored += f" of {stream.compression}"
            raise InputProblem(f"{self.name} is empty ({stored}).", remedy=_ONE_POINT)
        self._cut(last=True)
        while self._waiting:
            self._take()
        self.places.append((self.row, self.line, self._at))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _cut(self, last: bool) -> None:
        """Hand on what ends with a line, or all of it."""
        stop = len(self._held) if last else line_end(self._held)
        if not stop:
            if len(self._held) > LONGEST_LINE:
                message = f"{self.name} line {self.line + 1:,} is longer than 64 MiB."
                raise InputProblem(message, remedy="One row of numbers per line.")
            return
        text = bytes(self._held[:stop])
        if self.form is None:
            check_start(text[:HEAD], self.name)
            if not last and numbers.count_rows(np.frombuffer(text, np.uint8))[0] < 2:
                return  # a header, and perhaps many comments: the form is told by what follows
            form = form_of(text, self.name, self.columns)
            self.form = replace(form, missing=self.missing)
            self.ids = [] if self.form.has_ids else None
            self._at, self.line = self.form.offset, self.form.line
            text = text[self.form.offset :]
        del self._held[:stop]
        if text:
            self._piece(text)

    def _piece(self, text: bytes) -> None:
        self.places.append((self.row, self.line, self._at))
        if self.checked or self.ids is not None:
            form = self.form if self.checked else _only_ids(self.form)
            self._waiting.append(self._threads.submit(_ids_of, text, form, self.name, self.line))
            if len(self._waiting) > 2 * _THREADS:
                self._take()
        rows, lines = numbers.count_rows(np.frombuffer(text, np.uint8))
        self.row, self.line, self._at = self.row + rows, self.line + lines, self._at + len(text)

    def _take(self) -> None:
        ids = self._waiting.popleft().result()
        if self.ids is not None and ids is not None:
            self.ids += ids


_ONE_POINT = "Give at least one point."


def read_piece(text: bytes, form: Form, name: str, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Values (rows, d) float64 of a piece, and start and stop (rows, 2) of its ids, if it has any.

    line: how many lines come before it. Raises InputProblem naming line and column.
    """
    view = np.frombuffer(text, np.uint8)
    rows, _ = numbers.count_rows(view)
    values = np.empty((rows, form.d))
    spans = np.empty((rows if form.has_ids else 0, 2), np.int64)
    targets, state = np.array(form.targets, np.int64), numbers.new_state()
    arguments = (view, form.delimiter, targets, values.view(np.uint64), spans, state)
    while (outcome := numbers.read_rows(*arguments)) == numbers.ODD:
        cell = text[state[numbers.CELL] : state[numbers.POSITION]]
        column = int(state[numbers.COLUMN])
        place = f"{name} line {line + state[numbers.LINE] + 1:,}, column {column + 1:,}"
        text_of_cell = cell.decode("utf-8", "backslashreplace").strip()
        value = number_of(text_of_cell, place, form.missing)
        values[state[numbers.ROW], form.targets[column]] = value
        state[numbers.FILLED] = 1
    if outcome != numbers.END:
        raise ragged(text, form, name, line, state)
    return values, spans


def told_blocks(url: str, name: str) -> Iterator[bytes]:
    """The decompressed text of a file; InputProblem when it is damaged."""
    with ByteStream(url) as stream:
        try:
            yield from stream.blocks()
        except StreamDamageError as damage:
            raise InputProblem(f"{name} {damage}.", remedy="Copy it again.") from damage


def ragged(text: bytes, form: Form, name: str, line: int, state: np.ndarray) -> InputProblem:
    """The refusal of a row of another number of cells, as `numbers.read_rows` left it."""
    row = text[state[numbers.ROW_START] :].splitlines()[0].decode("utf-8", "backslashreplace")
    count = len(split(row, form.delimiter))
    place = f"{name} line {line + state[numbers.LINE] + 1:,}"
    columns = f"{count:,} column{'' if count == 1 else 's'}"
    message = f"{place} has {columns}, not {len(form.targets):,} as the first row."
    return InputProblem(message, remedy="Every row has the same number of columns.")


def _ids_of(text: bytes, form: Form, name: str, line: int) -> list[str] | None:
    """Read a piece for its errors and its ids."""
    spans = read_piece(text, form, name, line)[1]
    if not form.has_ids:
        return None
    cells = [text[start:stop] for start, stop in spans.tolist()]
    return [unquote(cell.decode("utf-8", "backslashreplace").strip()) for cell in cells]


def _only_ids(form: Form) -> Form:
    """The form that reads no number."""
    kept = (target if target == numbers.NAME else numbers.SKIPPED for target in form.targets)
    return replace(form, targets=tuple(kept))


def line_end(text: bytearray) -> int:
    """Behind the last line end of a text; 0 where there is none."""
    stop = text.rfind(b"\n") + 1
    if not stop:
        stop = text.rfind(b"\r", 0, len(text) - 1) + 1  # the last byte may be half of CR LF
    return stop
